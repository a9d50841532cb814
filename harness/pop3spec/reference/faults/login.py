"""Faults in the AUTHORIZATION state: greeting, USER, PASS, APOP (RFC 1939, sections 4 and 7)."""
# ruff: noqa: ARG002 -- a step that replaces another need not use all that it is given

import hmac
import os
import time

from pop3spec.protocol.commands import State
from pop3spec.protocol.replies import CRLF
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.maildrops import Maildrops
from pop3spec.reference.session import Session

TABLE = FaultTable()
fault = TABLE.fault


# The greeting and QUIT.


@fault(
    "greeting-without-status-indicator",
    breaks=["rfc1939-4-greeting", "rfc1939-3-status-indicator"],
    copies="older memos allowed any string as the greeting (RFC 1939, appendix A)",
)
class _GreetingWithoutStatusIndicator(Session):
    def greeting(self) -> bytes:
        return super().greeting().removeprefix(b"+OK ")


@fault(
    "greeting-of-two-lines",
    breaks=["rfc1939-4-greeting"],
    copies="a legal notice is appended to the banner on a line of its own",
)
class _GreetingOfTwoLines(Session):
    def greeting(self) -> bytes:
        return super().greeting() + self.positive(b"authorised users only")


class _RemembersBrokenSession(Maildrops):
    is_broken = False


@fault(
    "greeting-tells-of-broken-session",
    breaks=["rfc1939-4-greeting"],
    copies="a line that could not be sent to a client who was gone is flushed to the next one",
    edge=True,
    parts=(_RemembersBrokenSession,),
)
class _GreetingTellsOfBrokenSession(Session):
    def end(self) -> None:
        assert isinstance(self.maildrops, _RemembersBrokenSession)
        if self.state is State.TRANSACTION:
            self.maildrops.is_broken = True
        super().end()

    def greeting(self) -> bytes:
        assert isinstance(self.maildrops, _RemembersBrokenSession)
        stale = self.negative(b"connection lost") if self.maildrops.is_broken else b""
        self.maildrops.is_broken = False
        return super().greeting() + stale


@fault(
    "quit-needs-login",
    breaks=["rfc1939-4-quit"],
    copies="QUIT is only known as the way into the UPDATE state",
)
class _QuitNeedsLogin(Session):
    def quit_command(self) -> bytes:
        if self.state is State.TRANSACTION:
            return super().quit_command()
        self.closing = True
        return self.wrong_state("QUIT")


@fault(
    "quit-refused-behind-user",
    breaks=["rfc1939-4-quit"],
    copies="behind USER nothing but PASS is awaited",
    edge=True,
)
class _QuitRefusedBehindUser(Session):
    def quit_command(self) -> bytes:
        reply = super().quit_command()
        return reply if self.named is None else self.negative(b"send PASS")


# Refused logins.


@fault(
    "one-login-for-each-connection",
    breaks=["rfc1939-4-login-refused"],
    copies="the login dialogue is run once, and a refused session only understands QUIT",
)
class _OneLoginForEachConnection(Session):
    was_refused = False

    def login_refused(self) -> bytes:
        self.was_refused = True
        return super().login_refused()

    def is_in_state(self, keyword: str) -> bool:
        is_login = keyword in ("USER", "PASS", "APOP")
        return super().is_in_state(keyword) and not (self.was_refused and is_login)


@fault(
    "refused-login-keeps-lock",
    breaks=["rfc1939-4-lock-released"],
    copies="the maildrop is locked before the password is compared, and stays so until the end",
    edge=True,
)
class _RefusedLoginKeepsLock(Session):
    held = ""

    def pass_command(self, password: bytes) -> bytes:
        reply = super().pass_command(password)
        if self.state is State.TRANSACTION or self.held or self.named is None:
            return reply
        if self.maildrops.secret(self.named) is not None:
            user = self.maildrops.user(self.named)
            self.held = user if self.maildrops.lock(user) else ""
        return reply

    def end(self) -> None:
        if self.held:
            self.maildrops.unlock(self.held)
            self.held = ""
        super().end()


# USER and PASS.


@fault(
    "pass-always-refused",
    breaks=["rfc1939-7-user-pass"],
    copies="the secret is compared with its line end still on it, so no password is right",
)
class _PassAlwaysRefused(Maildrops):
    def is_password(self, name: bytes, password: bytes) -> bool:
        return super().is_password(name, password + CRLF)


@fault(
    "pass-refused-on-empty-maildrop",
    breaks=["rfc1939-7-user-pass"],
    copies="Dovecot, January 2003: an empty maildrop cannot be opened",
    edge=True,
)
class _PassRefusedOnEmptyMaildrop(Session):
    def pass_command(self, password: bytes) -> bytes:
        reply = super().pass_command(password)
        if self.state is State.AUTHORIZATION or self.messages:
            return reply
        self.end()
        self.state = State.AUTHORIZATION
        return self.negative(b"the maildrop cannot be opened")


@fault(
    "command-behind-user-spoils-login",
    breaks=["rfc1939-4-login-refused"],
    copies="servers met by fetchmail 5.6.5: what comes between USER and PASS upsets the dialogue",
    edge=True,
)
class _CommandBehindUserSpoilsLogin(Session):
    is_upset = False

    def answer(self, line: bytes) -> bytes:
        is_expected = self.keyword_of(line) in ("USER", "PASS", "APOP", "QUIT")
        self.is_upset |= self.naming is not None and not is_expected
        return super().answer(line)

    def keyword_of(self, line: bytes) -> str:
        return line.partition(b" ")[0].decode("latin-1").upper()

    def pass_command(self, password: bytes) -> bytes:
        return self.login_refused() if self.is_upset else super().pass_command(password)


@fault(
    "any-password",
    breaks=["rfc1939-7-pass-wrong"],
    copies="the name is looked up, and the result of the comparison is thrown away",
)
class _AnyPassword(Maildrops):
    def is_password(self, name: bytes, password: bytes) -> bool:
        return self.secret(name) is not None


@fault(
    "password-with-more-behind-it",
    breaks=["rfc1939-7-pass-wrong"],
    copies="strncmp with the length of the stored secret, so anything may follow it",
    edge=True,
)
class _PasswordWithMoreBehindIt(Maildrops):
    def is_password(self, name: bytes, password: bytes) -> bool:
        secret = self.secret(name)
        return secret is not None and password.startswith(secret)


@fault(
    "beginning-of-the-password",
    breaks=["rfc1939-7-pass-wrong"],
    copies="strncmp with the length of what was sent, so a beginning is enough",
    edge=True,
)
class _BeginningOfThePassword(Maildrops):
    def is_password(self, name: bytes, password: bytes) -> bool:
        secret = self.secret(name)
        return secret is not None and secret.startswith(password)


@fault(
    "pass-without-user",
    breaks=["rfc1939-7-pass-after-user", "practice-pass-directly-after-user"],
    copies="Mailpit before 1.18.6: PASS is processed without a name, for whom it fits",
)
class _PassWithoutUser(Session):
    def pass_command(self, password: bytes) -> bytes:
        if self.named is None:
            fitting = [
                name for name, (_, secret) in self.maildrops.accounts.items() if secret == password
            ]
            self.named = fitting[0] if fitting else None
        return super().pass_command(password)


@fault(
    "pass-may-come-first",
    breaks=["rfc1939-7-pass-after-user"],
    copies="name and password are collected in any order while both are empty",
    edge=True,
)
class _PassMayComeFirst(Session):
    commands = 0
    password: bytes | None = None

    def answer(self, line: bytes) -> bytes:
        self.commands += 1
        return super().answer(line)

    def pass_command(self, password: bytes) -> bytes:
        if self.commands > 1:
            return super().pass_command(password)
        self.password = password
        return self.positive(b"send the name")

    def user_command(self, name: bytes) -> bytes:
        reply = super().user_command(name)
        if self.password is None:
            return reply
        self.named, self.naming = name, None
        password, self.password = self.password, None
        return super().pass_command(password)


@fault(
    "name-remembered",
    breaks=["practice-pass-directly-after-user"],
    copies="the name stays with the connection until another USER replaces it",
)
class _NameRemembered(Session):
    remembered: bytes | None = None

    def user_command(self, name: bytes) -> bytes:
        self.remembered = name
        return super().user_command(name)

    def pass_command(self, password: bytes) -> bytes:
        self.named = self.remembered
        return super().pass_command(password)


@fault(
    "user-after-login",
    breaks=["rfc1939-7-login-in-transaction"],
    copies="USER only stores a name, so its handler asks for no state",
)
class _UserAfterLogin(Session):
    def is_in_state(self, keyword: str) -> bool:
        return super().is_in_state(keyword) or keyword == "USER"


@fault(
    "apop-after-login",
    breaks=["rfc1939-7-login-in-transaction"],
    copies="the second way to log in is told that the session already is",
    edge=True,
)
class _ApopAfterLogin(Session):
    def is_in_state(self, keyword: str) -> bool:
        return super().is_in_state(keyword) or keyword == "APOP"

    def apop_command(self, name: bytes, digest: bytes) -> bytes:
        if self.state is State.TRANSACTION:
            return self.positive(b"already logged in")
        return super().apop_command(name, digest)


@fault(
    "pass-after-login",
    breaks=["rfc1939-7-login-in-transaction"],
    copies="PASS is valid while the name is known, and it is not forgotten at login",
    edge=True,
)
class _PassAfterLogin(Session):
    def is_in_state(self, keyword: str) -> bool:
        return super().is_in_state(keyword) or keyword == "PASS"

    def pass_command(self, password: bytes) -> bytes:
        if self.state is State.TRANSACTION:
            return self.positive(b"already logged in")
        return super().pass_command(password)


# APOP.


@fault(
    "two-timestamps",
    breaks=["rfc1939-7-apop-timestamp"],
    copies="a proxy adds its own timestamp to the banner that it passes on",
)
class _TwoTimestamps(Session):
    def greeting(self) -> bytes:
        return super().greeting().removesuffix(CRLF) + b" " + self._second + CRLF

    @property
    def _second(self) -> bytes:
        return self.timestamp.replace(b"@", b".proxy@")

    def apop_command(self, name: bytes, digest: bytes) -> bytes:
        # A client may take either.
        if self.maildrops.is_digest(name, digest, self._second):
            return self.log_in(self.maildrops.user(name))
        return super().apop_command(name, digest)


@fault(
    "timestamp-domain-ends-in-dot",
    breaks=["rfc1939-7-apop-timestamp"],
    copies="the host name is taken from DNS with its final dot, which no msg-id has",
    edge=True,
)
class _TimestampDomainEndsInDot(Maildrops):
    def timestamp(self) -> bytes:
        return super().timestamp().replace(b">", b".>")


@fault(
    "timestamp-of-the-process",
    breaks=["rfc1939-7-apop-timestamp-differs"],
    copies="Cyrus 2.1 snapshots: a reused process greets everybody with the same timestamp",
)
class _TimestampOfTheProcess(Maildrops):
    first = b""

    def timestamp(self) -> bytes:
        self.first = self.first or super().timestamp()
        return self.first


@fault(
    "digest-by-the-first-timestamp",
    breaks=["rfc1939-7-apop"],
    copies="the timestamp of a worker's first greeting is kept and used for its later clients",
    edge=True,
)
class _DigestByTheFirstTimestamp(Maildrops):
    first = b""

    def is_digest(self, name: bytes, digest: bytes, timestamp: bytes) -> bool:
        self.first = self.first or timestamp
        return super().is_digest(name, digest, self.first)


@fault(
    "timestamp-in-whole-seconds",
    breaks=["rfc1939-7-apop-timestamp-differs"],
    copies="process-ID and clock as in the example of the RFC, in a server of one process",
    edge=True,
)
class _TimestampInWholeSeconds(Maildrops):
    def timestamp(self) -> bytes:
        return b"<%d.%d@pop3spec.invalid>" % (os.getpid(), time.time())


@fault(
    "digest-without-angle-brackets",
    breaks=["rfc1939-7-apop"],
    copies="the digest is made of what stands between the angle brackets",
)
class _DigestWithoutAngleBrackets(Maildrops):
    def digest(self, timestamp: bytes, secret: bytes) -> bytes:
        return super().digest(timestamp.strip(b"<>"), secret)


@fault(
    "timestamp-without-apop",
    breaks=["rfc1939-7-apop"],
    copies="Dovecot 2.0.0: the timestamp is shown although APOP is not enabled",
)
class _TimestampWithoutApop(Session):
    def apop_command(self, name: bytes, digest: bytes) -> bytes:
        return self.unknown(b"APOP")


@fault(
    "timestamp-used-up-by-refused-login",
    breaks=["rfc1939-4-login-refused"],
    copies="the timestamp is wiped against replay after the first refused login",
    edge=True,
)
class _TimestampUsedUpByRefusedLogin(Session):
    def login_refused(self) -> bytes:
        self.timestamp = b""
        return super().login_refused()


@fault(
    "any-digest",
    breaks=["rfc1939-7-apop-wrong"],
    copies="a helper answers with a code for errors, and not zero is read as true",
)
class _AnyDigest(Maildrops):
    def is_digest(self, name: bytes, digest: bytes, timestamp: bytes) -> bool:
        return self.secret(name) is not None


@fault(
    "digest-of-the-empty-secret",
    breaks=["rfc1939-7-apop-wrong"],
    copies="vpopmail 5.4.14 (CVE-2006-2346): the digest of an empty secret opens any account",
    edge=True,
)
class _DigestOfTheEmptySecret(Maildrops):
    def is_digest(self, name: bytes, digest: bytes, timestamp: bytes) -> bool:
        if self.secret(name) is not None and digest == self.digest(timestamp, b""):
            return True
        return super().is_digest(name, digest, timestamp)


@fault(
    "half-a-digest",
    breaks=["rfc1939-7-apop-wrong"],
    copies="16 characters are compared, for a digest has 16 octets",
    edge=True,
)
class _HalfADigest(Maildrops):
    def is_digest(self, name: bytes, digest: bytes, timestamp: bytes) -> bool:
        secret = self.secret(name)
        if secret is None:
            return False
        return hmac.compare_digest(self.digest(timestamp, secret)[:16], digest[:16])


@fault(
    "refused-digest-opens",
    breaks=["rfc1939-4-login-refused"],
    copies="the session changes its state first and compares the digest for the reply alone",
    edge=True,
)
class _RefusedDigestOpens(Session):
    def apop_command(self, name: bytes, digest: bytes) -> bytes:
        reply = super().apop_command(name, digest)
        if self.state is State.AUTHORIZATION and self.maildrops.secret(name) is not None:
            self.log_in(self.maildrops.user(name))
        return reply


class _WithoutTimestamp(Session):
    """A session that may have no timestamp, so that the secret alone makes its digest."""

    def has_timestamp(self) -> bool:
        """Whether the greeting of this session has a timestamp."""
        return False

    def greeting(self) -> bytes:
        if not self.has_timestamp():
            self.timestamp = b""
        return super().greeting()


@fault(
    "apop-without-timestamp",
    breaks=["rfc1939-7-apop-without-timestamp"],
    copies="the banner is a text of the operator's own, and APOP goes on without a timestamp",
)
class _ApopWithoutTimestamp(_WithoutTimestamp):
    pass


@fault(
    "every-fourth-greeting-without-timestamp",
    breaks=["rfc1939-7-apop-without-timestamp"],
    copies="a look-up that fails leaves the host name empty, and the timestamp with it",
    edge=True,
)
class _EveryFourthGreetingWithoutTimestamp(_WithoutTimestamp):
    def has_timestamp(self) -> bool:
        place = int(self.timestamp[1:].partition(b".")[0])
        return place % 4 != 0
