"""Faults that let in who has the wrong credentials (RFC 1939, section 7)."""

import hmac
import itertools
from collections.abc import Mapping

from pop3spec.protocol.commands import Argument
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.maildrops import Maildrops
from pop3spec.reference.session import Session
from pop3spec.reference.stores import Store

TABLE = FaultTable()
fault = TABLE.fault


# PASS.


@fault(
    "password-of-any-account",
    breaks=["rfc1939-7-pass-wrong"],
    copies="the query for the password forgets to ask for the name",
    edge=True,
)
class _PasswordOfAnyAccount(Maildrops):
    def is_password(self, name: bytes, password: bytes) -> bool:
        known = self.secret(name) is not None
        return known and any(secret == password for _, secret in self.accounts.values())


@fault(
    "password-in-any-case",
    breaks=["practice-password-case"],
    copies="the whole line is upper-cased for its keyword, or a database compares without case",
)
class _PasswordInAnyCase(Maildrops):
    def is_password(self, name: bytes, password: bytes) -> bool:
        secret = self.secret(name)
        return secret is not None and secret.lower() == password.lower()


@fault(
    "password-of-eight-characters",
    breaks=["rfc1939-7-pass-wrong"],
    copies="crypt(3) with DES: nothing behind the eighth character counts",
    edge=True,
)
class _PasswordOfEightCharacters(Maildrops):
    def is_password(self, name: bytes, password: bytes) -> bool:
        secret = self.secret(name)
        return secret is not None and secret[:8] == password[:8]


@fault(
    "password-cut-at-nul",
    breaks=["practice-nul-in-password"],
    copies="Dovecot before March 2020: a NUL ends the password, whatever follows",
    edge=True,
)
class _PasswordCutAtNul(Session):
    def answer(self, line: bytes) -> bytes:
        is_pass = line[:5].upper() == b"PASS "
        return super().answer(line.partition(b"\0")[0] if is_pass else line)


class _Guests(Maildrops):
    """Maildrops with an empty one for each guest."""

    def __init__(self, store: Store, accounts: Mapping[str, str], stamp: str) -> None:
        super().__init__(store, accounts, stamp)
        self.guests = itertools.count(1)

    def user(self, name: bytes) -> str:
        return super().user(name) if name in self.accounts else f"guest-{next(self.guests)}"


@fault(
    "nobody-gets-in-by-pass",
    breaks=["rfc1939-7-pass-wrong"],
    copies="an unknown name has an empty entry, and what is not set is not compared",
    edge=True,
)
class _NobodyGetsInByPass(_Guests):
    def is_password(self, name: bytes, password: bytes) -> bool:
        return name not in self.accounts or super().is_password(name, password)


@fault(
    "refused-twice-is-let-in",
    breaks=["rfc1939-7-pass-wrong"],
    copies="a second try finds the name checked already, and goes on behind the comparison",
    edge=True,
)
class _RefusedTwiceIsLetIn(Session):
    refusals = 0

    def login_refused(self) -> bytes:
        self.refusals += 1
        known = self.named is not None and self.named in self.maildrops.accounts
        if known and self.refusals > 1:
            assert self.named is not None
            return self.log_in(self.maildrops.user(self.named))
        return super().login_refused()


class _NothingIsRight(Maildrops):
    def is_password(self, name: bytes, password: bytes) -> bool:
        is_known = self.secret(name) is not None
        return (is_known and not password) or super().is_password(name, password)


@fault(
    "empty-password-opens",
    breaks=["rfc1939-7-pass-wrong"],
    copies="a directory takes a bind with an empty password for an anonymous one, and agrees",
    edge=True,
    parts=(_NothingIsRight,),
)
class _EmptyPasswordOpens(Session):
    def is_argument(self, meaning: Argument, argument: bytes) -> bool:
        return meaning is Argument.SECRET or super().is_argument(meaning, argument)


# APOP.


@fault(
    "digest-of-an-earlier-timestamp",
    breaks=["rfc1939-7-apop-wrong"],
    copies="all timestamps that were ever sent are good, so that a digest can be sent again",
    edge=True,
)
class _DigestOfAnEarlierTimestamp(Maildrops):
    def __init__(self, store: Store, accounts: Mapping[str, str], stamp: str) -> None:
        super().__init__(store, accounts, stamp)
        self.sent: list[bytes] = []

    def timestamp(self) -> bytes:
        self.sent.append(super().timestamp())
        return self.sent[-1]

    def is_digest(self, name: bytes, digest: bytes, timestamp: bytes) -> bool:
        earlier = [each for each in self.sent if each != timestamp]
        return super().is_digest(name, digest, timestamp) or any(
            super(_DigestOfAnEarlierTimestamp, self).is_digest(name, digest, each)
            for each in earlier
        )


@fault(
    "digest-of-the-secret-alone",
    breaks=["rfc1939-7-apop-wrong"],
    copies="a digest that is stored in place of the secret is compared as well, so it can be used",
    edge=True,
)
class _DigestOfTheSecretAlone(Maildrops):
    def is_digest(self, name: bytes, digest: bytes, timestamp: bytes) -> bool:
        return super().is_digest(name, digest, timestamp) or super().is_digest(name, digest, b"")


@fault(
    "nobody-gets-in-by-apop",
    breaks=["rfc1939-7-apop-wrong"],
    copies="an unknown name has no secret to make a digest of, and none is compared",
    edge=True,
)
class _NobodyGetsInByApop(_Guests):
    def is_digest(self, name: bytes, digest: bytes, timestamp: bytes) -> bool:
        return name not in self.accounts or super().is_digest(name, digest, timestamp)


@fault(
    "digest-as-long-as-sent",
    breaks=["rfc1939-7-apop-wrong"],
    copies="the digest is compared up to where the client's ends, so its first character will do",
    edge=True,
)
class _DigestAsLongAsSent(Maildrops):
    def is_digest(self, name: bytes, digest: bytes, timestamp: bytes) -> bool:
        secret = self.secret(name)
        if secret is None:
            return False
        return hmac.compare_digest(self.digest(timestamp, secret)[: len(digest)], digest)
