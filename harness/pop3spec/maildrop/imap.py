"""The IMAP door: messages are appended to the account's INBOX (RFC 3501).

imap://host:port. Each job is a connection of its own, logged in with the account's own
name and password: in the clear where that is permitted and the server does not refuse it
(LOGINDISABLED), else behind STARTTLS. Nothing is added to a message. What the suite
appended is known by the journal of digests. Single messages are removed with UID EXPUNGE
(RFC 4315), or with EXPUNGE where no other message would go with them.

It refuses what an IMAP server need not take: line ends other than CRLF, NUL (RFC 3501,
section 4.3), octets above 127 in a header, and a message of no octets.
"""

import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

from pop3spec.maildrop import DoorError
from pop3spec.maildrop.access import NO_ACCESS, Access
from pop3spec.maildrop.bounds import bounded
from pop3spec.maildrop.delivery import readable
from pop3spec.maildrop.journal import Journal
from pop3spec.target import TargetError, parse_address

ANSWERS_WITHIN = 60.0
# Numbers in one command line, which servers bound.
_AT_ONCE = 500

_UID = re.compile(rb"\bUID ([0-9]+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
_QUOTED = re.compile(r'["\\]')


class ImapDoor:
    """Puts messages into an INBOX, and takes them out again."""

    adds_headers = False

    def __init__(
        self,
        rest: str,
        *,
        allow_delete: bool = False,
        access: Access = NO_ACCESS,
        journal: Journal | None = None,
    ) -> None:
        self.name = f"imap:{rest}"
        if not rest.startswith("//") or not rest[2:]:
            raise DoorError(f"{self.name} cannot be read; write imap://host:port")
        try:
            self._address = parse_address(rest[2:])
        except TargetError as error:
            raise DoorError(f"{self.name}: {error}") from error
        self._allow_delete = allow_delete
        self._access = access
        self._journal = journal or Journal()

    def refuses(self, message: bytes) -> str:
        """Why an IMAP server may not carry a message unchanged, empty if it has to."""
        header = message.partition(b"\r\n\r\n")[0]
        for is_so, reason in (
            (not message, "a message of no octets"),
            (
                not message.count(b"\r") == message.count(b"\n") == message.count(b"\r\n"),
                "a line end other than CRLF",
            ),
            (b"\0" in message, "a NUL"),
            (not header.isascii(), "a header with octets above 127"),
        ):
            if is_so:
                return f"IMAP does not keep {reason}"
        return ""

    def fill(self, user: str, messages: Sequence[bytes]) -> None:
        """Make these messages the whole content of the INBOX."""
        with self._opened(user) as client:
            stored = self._stored(client)
            ours = self._ours(user, client, stored)
            foreign = len(stored) - len(ours)
            if foreign and not self._allow_delete:
                raise DoorError(
                    f"{self.name}: the INBOX of {user} holds {foreign} messages that the suite"
                    " did not deliver; use an empty mailbox, or permit deleting them with"
                    " --allow-delete"
                )
            self._remove(client, stored, stored)
            try:
                for message in messages:
                    self._append(user, client, message)
            except BaseException:
                # A part of a filling is worth nothing.
                with suppress(DoorError, imaplib.IMAP4.error, OSError):
                    stored = self._stored(client)
                    self._remove(client, self._ours(user, client, stored), stored)
                raise

    def add(self, user: str, message: bytes) -> None:
        """Append one more message."""
        with self._opened(user) as client:
            self._append(user, client, message)

    def clear(self, user: str) -> None:
        """Remove what the suite delivered."""
        if not self._journal.knows(self._place(user)):
            return
        with self._opened(user) as client:
            stored = self._stored(client)
            self._remove(client, self._ours(user, client, stored), stored)

    def contents(self, user: str) -> list[bytes]:
        """The messages in the INBOX."""
        with self._opened(user) as client:
            return [octets for _, octets in self._fetched(client, self._stored(client))]

    def marks(self, user: str) -> list[str]:
        """The flags of each message."""
        with self._opened(user) as client:
            if not self._stored(client):
                return []
            found = (_FLAGS.search(each) for each in self._lines(client, "1:*", "(FLAGS)"))
            flags = (sorted(each[1].split()) for each in found if each is not None)
            return [
                b" ".join(flag for flag in each if flag != rb"\Recent").decode("latin-1")
                for each in flags
            ]

    def announce(self, user: str, message: bytes) -> None:
        """A message will come, delivered by the suite through another door."""
        self._journal.record(self._place(user), message)

    def show(self, user: str) -> None:
        """Nothing to do: what IMAP shows, the server knows."""

    def _place(self, user: str) -> str:
        return f"{self.name}/{user}"

    # --- The connection ---

    @contextmanager
    def _opened(self, user: str) -> Iterator[imaplib.IMAP4]:
        """A connection with the account's INBOX selected."""
        client: imaplib.IMAP4 | None = None
        try:
            with bounded(lambda: client.sock if client else None, ANSWERS_WITHIN):
                client = imaplib.IMAP4(
                    self._address.host, self._address.port, timeout=ANSWERS_WITHIN
                )
                self._log_in(client, user)
                self._wanted(client.select("INBOX"), "SELECT INBOX")
                yield client
                with suppress(imaplib.IMAP4.error, OSError):
                    client.logout()
        except TimeoutError as error:
            raise DoorError(f"{self.name} is not done within {ANSWERS_WITHIN:g} s") from error
        except imaplib.IMAP4.error as error:
            raise DoorError(f"{self.name}: {_told(error)}") from error
        except ssl.SSLError as error:
            raise DoorError(f"{self.name}: no TLS ({error.reason or error})") from error
        except OSError as error:
            raise DoorError(f"{self.name}: {error.strerror or error}") from error
        finally:
            if client is not None:
                with suppress(OSError):
                    client.shutdown()

    def _log_in(self, client: imaplib.IMAP4, user: str) -> None:
        password = self._access.passwords.get(user)
        if password is None:
            raise DoorError(f"{self.name}: no password is known for {user}")
        if not all(text.isascii() and text.isprintable() for text in (user, password)):
            raise DoorError(f"{self.name}: a name or a password of {user} that LOGIN cannot say")
        is_permitted = self._address.is_loopback or self._access.allow_cleartext
        if not is_permitted or "LOGINDISABLED" in client.capabilities:
            if "STARTTLS" not in client.capabilities:
                raise DoorError(
                    f"{self.name} offers no STARTTLS, and the password of {user} would go over"
                    " an unencrypted connection; permit it with --allow-cleartext"
                )
            # The name in the certificate is looked for by imaplib under this one.
            client.host = self._access.server_name or client.host
            client.starttls(self._access.context())
        # imaplib quotes the password alone.
        self._wanted(client.login(_quoted(user), password), "the login")

    def _wanted(self, reply: tuple[str, Sequence[Any]], what: str) -> Sequence[Any]:
        status, data = reply
        if status != "OK":
            words = b" ".join(each for each in data if isinstance(each, bytes))
            raise DoorError(f"{self.name} refuses {what}: {readable(words)}")
        return data

    # --- Messages ---

    def _append(self, user: str, client: imaplib.IMAP4, message: bytes) -> None:
        self._journal.record(self._place(user), message)
        reply = client.append("INBOX", "", "", message)
        self._wanted(reply, "a message")

    def _stored(self, client: imaplib.IMAP4) -> list[int]:
        """The identifiers of all messages."""
        data = self._wanted(client.uid("SEARCH", "ALL"), "UID SEARCH")
        return [int(word) for each in data if isinstance(each, bytes) for word in each.split()]

    def _ours(self, user: str, client: imaplib.IMAP4, stored: Sequence[int]) -> list[int]:
        """The messages that the suite delivered; none is read where it never delivered."""
        place = self._place(user)
        if not stored or not self._journal.knows(place):
            return []
        found = self._fetched(client, stored)
        return [uid for uid, octets in found if self._journal.has(place, octets)]

    def _fetched(self, client: imaplib.IMAP4, stored: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Each of these messages with its identifier, without a mark that it was read."""
        for some in _parts(stored):
            data = self._wanted(client.uid("FETCH", some, "(BODY.PEEK[])"), "UID FETCH")
            for each, behind in pairwise((*data, b"")):
                if not isinstance(each, tuple):
                    continue
                # Before the octets or behind them, as the server likes.
                rest = behind if isinstance(behind, bytes) else b""
                found = _UID.search(each[0]) or _UID.search(rest)
                if found is not None:
                    yield int(found[1]), each[1]

    def _lines(self, client: imaplib.IMAP4, numbers: str, items: str) -> Iterator[bytes]:
        data = self._wanted(client.uid("FETCH", numbers, items), "UID FETCH")
        yield from (each for each in data if isinstance(each, bytes))

    def _remove(self, client: imaplib.IMAP4, chosen: Sequence[int], stored: Sequence[int]) -> None:
        """Remove these of all stored messages, and no other that somebody marked."""
        if not chosen:
            return
        # Asked again behind the login, where it may be longer.
        data = self._wanted(client.capability(), "CAPABILITY")
        has_uid_expunge = any(b"UIDPLUS" in each.upper().split() for each in data if each)
        if not has_uid_expunge and len(chosen) < len(stored):
            data = self._wanted(client.uid("SEARCH", "DELETED"), "UID SEARCH")
            marked = {int(word) for each in data if each for word in each.split()}
            if marked - set(chosen):
                raise DoorError(
                    f"{self.name} cannot remove single messages (no UIDPLUS), and others are"
                    " marked as deleted"
                )
        for some in _parts(chosen):
            self._wanted(client.uid("STORE", some, "+FLAGS.SILENT", r"(\Deleted)"), "UID STORE")
            if has_uid_expunge:
                self._wanted(client.uid("EXPUNGE", some), "UID EXPUNGE")
        if not has_uid_expunge:
            self._wanted(client.expunge(), "EXPUNGE")


def _parts(numbers: Sequence[int]) -> Iterator[str]:
    """The numbers as sets that a command line can hold."""
    for start in range(0, len(numbers), _AT_ONCE):
        yield ",".join(map(str, numbers[start : start + _AT_ONCE]))


def _quoted(text: str) -> str:
    return '"' + _QUOTED.sub(r"\\\g<0>", text) + '"'


def _told(error: Exception) -> str:
    """What imaplib says, without the form that it gives octets."""
    words = error.args[0] if error.args else None
    if words in (None, "None"):
        return "no greeting of an IMAP server"
    return readable(words if isinstance(words, bytes) else str(words).encode())
