"""Faults in response codes and in the delay between logins (RFC 2449, RFC 3206)."""

from pop3spec.protocol.commands import State
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.sasl.mechanism import Refused
from pop3spec.reference.session import Session

TABLE = FaultTable()
fault = TABLE.fault


# The form of a code.


@fault(
    "code-with-a-blank",
    breaks=["rfc2449-8-response-code-form"],
    copies="the word of the description was taken for the code",
)
class _CodeWithABlank(Session):
    def log_in(self, user: str) -> bytes:
        return super().log_in(user).replace(b"[IN-USE]", b"[IN USE]")


@fault(
    "empty-code",
    breaks=["rfc2449-8-response-code-form"],
    copies="a cause that is not in the table of codes has the empty one",
    edge=True,
)
class _EmptyCode(Session):
    def malformed(self, keyword: str) -> bytes:
        super().malformed(keyword)
        return self.negative(b"[] wrong arguments of " + keyword.encode())


# Where a code stands.


@fault(
    "code-of-a-login-that-succeeds",
    breaks=["rfc2449-8.1-errors-only"],
    copies="whatever the authentication says goes out under the code of authentication",
)
class _CodeOfALoginThatSucceeds(Session):
    def log_in(self, user: str) -> bytes:
        reply = super().log_in(user)
        if self.state is State.AUTHORIZATION:
            return reply
        return self.positive(b"[AUTH] logged in")


class _KeepsTheCode(Session):
    """A session in which the code of a refused login is kept."""

    kept = b""

    def login_refused(self) -> bytes:
        reply = super().login_refused()
        self.kept = b"[AUTH] "
        return reply


@fault(
    "code-kept-for-the-next-success",
    breaks=["rfc2449-8.1-errors-only"],
    copies="the code is a field of the session, which only the next refusal clears",
    edge=True,
)
class _CodeKeptForTheNextSuccess(_KeepsTheCode):
    def positive(self, text: bytes) -> bytes:
        kept, self.kept = self.kept, b""
        return super().positive(kept + text)


@fault(
    "code-of-the-lock-for-any-message",
    breaks=["rfc2449-8.1-fitting-command"],
    copies="one code for whatever cannot be had, a maildrop or a message",
)
class _CodeOfTheLockForAnyMessage(Session):
    def no_such_message(self) -> bytes:
        super().no_such_message()
        return self.negative(b"[IN-USE] the message cannot be had")


@fault(
    "code-kept-for-the-next-refusal",
    breaks=["rfc2449-8.1-fitting-command"],
    copies="the code is a field of the session, and stays until something succeeds",
    edge=True,
)
class _CodeKeptForTheNextRefusal(_KeepsTheCode):
    def wrong_state(self, keyword: str) -> bytes:
        super().wrong_state(keyword)
        return self.negative(self.kept + keyword.encode() + b" is not for this state")


# IN-USE.


@fault(
    "every-refused-login-is-in-use",
    breaks=["rfc2449-8.1.2-in-use"],
    copies="Dovecot 1.0-test: one code for all logins that fail",
)
class _EveryRefusedLoginIsInUse(Session):
    def login_refused(self) -> bytes:
        super().login_refused()
        return self.negative(b"[IN-USE] the login failed")


@fault(
    "lock-before-the-password",
    breaks=["rfc2449-8.1.2-in-use"],
    copies="the lock is looked at first, for it costs less than the password",
    edge=True,
)
class _LockBeforeThePassword(Session):
    def pass_command(self, password: bytes) -> bytes:
        named = None if self.named is None else self.compared(self.named)
        if named is not None and self.maildrops.is_account(named):
            user = self.maildrops.user(named)
            if not self.maildrops.lock(user):
                return self.negative(b"[IN-USE] another session has the maildrop")
            self.maildrops.unlock(user)
        return super().pass_command(password)


# What is announced.


@fault(
    "codes-unannounced",
    breaks=["rfc2449-8-announced"],
    copies="the codes came with a release, and the list was not thought of",
)
class _CodesUnannounced(Session):
    def capabilities(self) -> list[bytes]:
        return [each for each in super().capabilities() if each != b"RESP-CODES"]


@fault(
    "auth-code-unannounced",
    breaks=["rfc3206-5-announced"],
    copies="qpopper-like: [AUTH] is sent, and RFC 3206 brought a capability besides",
)
class _AuthCodeUnannounced(Session):
    def capabilities(self) -> list[bytes]:
        return [each for each in super().capabilities() if each != b"AUTH-RESP-CODE"]


# AUTH.


@fault(
    "auth-code-from-pass-alone",
    breaks=["rfc3206-6-auth-code"],
    copies="the code was added where PASS is refused, and AUTH has a refusal of its own",
)
class _AuthCodeFromPassAlone(Session):
    def failed(self, step: Refused) -> bytes:
        return super().failed(step).replace(b"[AUTH] ", b"")


@fault(
    "auth-code-for-the-first-refusal",
    breaks=["rfc3206-6-auth-code"],
    copies="from the second failure on the text is that of the penalty, which has no code",
    edge=True,
)
class _AuthCodeForTheFirstRefusal(Session):
    def login_refused(self) -> bytes:
        reply = super().login_refused()
        return reply if self.refused_logins == 1 else self.negative(b"still not right")


@fault(
    "user-names-nobody-with-a-code",
    breaks=["rfc3206-5-not-to-user", "practice-same-refusal"],
    copies="USER looks the name up, and says so at once",
)
class _UserNamesNobodyWithACode(Session):
    def user_command(self, name: bytes) -> bytes:
        reply = super().user_command(name)
        if self.naming is None or self.maildrops.is_account(self.compared(name)):
            return reply
        self.naming = None
        return self.negative(b"[AUTH] no such user")


# LOGIN-DELAY.


@fault(
    "delay-only-announced",
    breaks=["rfc2449-6.5-enforced"],
    copies="the delay is a line of the configuration that only CAPA reads",
)
class _DelayOnlyAnnounced(Session):
    def comes_early(self, user: str) -> bool:
        return not user


@fault(
    "refused-login-begins-the-delay-again",
    breaks=["rfc2449-6.5-delay-ends"],
    copies="Cyrus before 2007: the time is noted when the password was right, then it is looked at",
)
class _RefusedLoginBeginsTheDelayAgain(Session):
    def too_early(self, user: str) -> bytes:
        self.maildrops.has_logged_in(user)
        return super().too_early(user)


@fault(
    "delay-looked-up-for-the-name",
    breaks=["rfc2449-8.1.1-not-to-user"],
    copies="to save the work of the password the delay is looked at by USER",
)
class _DelayLookedUpForTheName(Session):
    def user_command(self, name: bytes) -> bytes:
        reply = super().user_command(name)
        known = self.compared(name)
        if self.naming is not None and self.maildrops.is_account(known):
            user = self.maildrops.user(known)
            if self.comes_early(user):
                self.naming = None
                return self.too_early(user)
        return reply
