"""What all sessions of the reference server share: accounts, maildrops, their locks."""

import hashlib
import hmac
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pop3spec.reference.stores import Entry, Store


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a session sees it: all of it noted when the maildrop was opened."""

    number: int
    key: str
    size: int
    unique_id: bytes


class Maildrops:
    """The maildrops of all accounts, each behind an exclusive lock (RFC 1939, section 4).

    `stamp` makes the timestamps of this server different from any other's; it
    takes the form of `process-ID.clock`.
    """

    def __init__(self, store: Store, accounts: Mapping[str, str], stamp: str) -> None:
        self.store = store
        # By the name that USER gives: the account and its secret.
        self.accounts = {
            user.encode(): (user, secret.encode()) for user, secret in accounts.items()
        }
        # Bearer tokens, by the name that they are for.
        self.tokens: Mapping[bytes, bytes] = {}
        self.welcomes_strangers = False
        self._stamp = stamp
        # Always the same for the same accounts, and known to nobody else.
        self._salts = hashlib.sha256(repr(sorted(accounts.items())).encode()).digest()
        self._guard = threading.Lock()
        self._locked: set[str] = set()
        # When each account was logged in last.
        self._logins: dict[str, float] = {}
        self._greetings = 0
        self._strangers = 0

    def timestamp(self) -> bytes:
        """A timestamp that no greeting had before (RFC 1939, section 7)."""
        with self._guard:
            self._greetings += 1
            return f"<{self._greetings}.{self._stamp}@pop3spec.invalid>".encode()

    def secret(self, name: bytes) -> bytes | None:
        """The secret of an account, None if there is no such account."""
        account = self.accounts.get(name)
        return None if account is None else account[1]

    def user(self, name: bytes) -> str:
        """The account that goes by a name which has a secret."""
        return self.accounts[name][0]

    def is_account(self, name: bytes) -> bool:
        """Whether there is an account of this name."""
        return name in self.accounts

    def salt(self, hash_name: str, name: bytes) -> bytes:
        """The salt for a name, which does not tell whether there is such an account."""
        return hmac.digest(self._salts, hash_name.encode() + b" " + name, "sha256")[:16]

    def stranger(self) -> str:
        """A maildrop that no account has: no stranger reaches what others left."""
        with self._guard:
            self._strangers += 1
            return f"anonymous {self._strangers}"

    def is_password(self, name: bytes, password: bytes) -> bool:
        """Whether PASS has the right secret."""
        secret = self.secret(name)
        return secret is not None and hmac.compare_digest(secret, password)

    def is_digest(self, name: bytes, digest: bytes, timestamp: bytes) -> bool:
        """Whether APOP has the digest of this session's timestamp and the secret."""
        secret = self.secret(name)
        return secret is not None and hmac.compare_digest(self.digest(timestamp, secret), digest)

    def digest(self, timestamp: bytes, secret: bytes) -> bytes:
        """The digest that APOP has to give (RFC 1939, section 7)."""
        octets = hashlib.md5(timestamp + secret, usedforsecurity=False).hexdigest()
        return octets.encode()

    def lock(self, user: str) -> bool:
        """Acquire the maildrop; False if another session has it."""
        with self._guard:
            if user in self._locked:
                return False
            self._locked.add(user)
            return True

    def unlock(self, user: str) -> None:
        """Release the maildrop."""
        with self._guard:
            self._locked.discard(user)

    def has_logged_in(self, user: str) -> None:
        """A login succeeded: the next one has to wait."""
        with self._guard:
            self._logins[user] = time.monotonic()

    def is_early(self, user: str, delay: float) -> bool:
        """Whether the last login that succeeded is not so many seconds ago yet."""
        with self._guard:
            last = self._logins.get(user)
        return last is not None and time.monotonic() - last < delay

    def open(self, user: str) -> list[Message]:
        """Number the messages of a maildrop and note what is told of each."""
        return self.numbered(self.store.entries(user))

    def numbered(self, entries: Iterable[Entry]) -> list[Message]:
        """Entries of the store as messages, from 1 on."""
        return [
            Message(number, entry.key, entry.size, entry.unique_id)
            for number, entry in enumerate(entries, 1)
        ]

    def content(self, user: str, message: Message) -> bytes | None:
        """The octets of a message, None if it disappeared behind the session's back."""
        return self.store.content(user, message.key)

    def remove(self, user: str, messages: Iterable[Message]) -> bool:
        """Remove messages for good; whether none of them is left."""
        return self.store.remove(user, [message.key for message in messages])
