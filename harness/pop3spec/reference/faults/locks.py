"""Faults in opening, locking and releasing a maildrop (RFC 1939, sections 4 and 6)."""

from collections.abc import Mapping, Sequence

from pop3spec.protocol.commands import State
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.front import Front
from pop3spec.reference.maildrops import Maildrops, Message
from pop3spec.reference.session import Session
from pop3spec.reference.stores import Store
from pop3spec.reference.wire import Wire

TABLE = FaultTable()
fault = TABLE.fault


# A maildrop that another session has.


@fault(
    "login-before-lock",
    breaks=["rfc1939-4-not-opened"],
    copies="'+OK' says that the password was right, and the lock is asked for by the first command",
)
class _LoginBeforeLock(Session):
    is_locked_out = False

    def log_in(self, user: str) -> bytes:
        reply = super().log_in(user)
        if self.state is State.TRANSACTION or self.comes_early(user):
            return reply
        self.is_locked_out = True
        self.state = State.TRANSACTION
        return self.positive(b"welcome")

    def perform(self, keyword: str, arguments: Sequence[bytes]) -> bytes:
        if self.is_locked_out and keyword not in ("CAPA", "QUIT"):
            return self.negative(b"maildrop already locked")
        return super().perform(keyword, arguments)


@fault(
    "locked-maildrop-shown-empty",
    breaks=["rfc1939-4-not-opened"],
    copies="Inbucket: a maildrop that cannot be read is shown as one without a message",
    edge=True,
)
class _LockedMaildropShownEmpty(Session):
    def log_in(self, user: str) -> bytes:
        reply = super().log_in(user)
        if self.state is State.AUTHORIZATION and not self.comes_early(user):
            self.enter("", [])
            return self.positive(b"maildrop has 0 messages")
        return reply


# A refused login and the lock.


class _HoldsLocks(Session):
    """A session that keeps a maildrop locked behind a refused login, for everybody else."""

    held = ""

    def hold(self, name: bytes) -> None:
        """Lock the maildrop that goes by a name, if there is one and it is free."""
        if self.maildrops.secret(name) is not None and not self.held:
            user = self.maildrops.user(name)
            self.held = user if self.maildrops.lock(user) else ""

    def let_go(self) -> None:
        """Unlock what a refused login left locked."""
        if self.held:
            self.maildrops.unlock(self.held)
            self.held = ""

    def log_in(self, user: str) -> bytes:
        # The lock is this session's own, so that it does not stand in its way.
        self.let_go()
        return super().log_in(user)

    def end(self) -> None:
        self.let_go()
        super().end()


@fault(
    "refused-password-keeps-lock",
    breaks=["rfc1939-4-lock-released"],
    copies="the maildrop is locked for the name, and given back when the connection ends",
)
class _RefusedPasswordKeepsLock(_HoldsLocks):
    def pass_command(self, password: bytes) -> bytes:
        reply = super().pass_command(password)
        if self.state is State.AUTHORIZATION and self.named is not None:
            self.hold(self.named)
        return reply


@fault(
    "refused-digest-keeps-lock",
    breaks=["rfc1939-4-lock-released"],
    copies="the second way to log in got no clean-up behind a refusal",
    edge=True,
)
class _RefusedDigestKeepsLock(_HoldsLocks):
    def apop_command(self, name: bytes, digest: bytes) -> bytes:
        reply = super().apop_command(name, digest)
        if self.state is State.AUTHORIZATION:
            self.hold(name)
        return reply


@fault(
    "refused-login-takes-the-lock-away",
    breaks=["rfc1939-4-lock-released"],
    copies="one clean-up serves all logins that fail, also those that failed for the lock",
    edge=True,
)
class _RefusedLoginTakesTheLockAway(Session):
    def log_in(self, user: str) -> bytes:
        reply = super().log_in(user)
        if self.state is State.AUTHORIZATION:
            self.maildrops.unlock(user)
        return reply


# QUIT and the lock.


@fault(
    "quit-behind-retr-keeps-lock",
    breaks=["rfc1939-6-lock-released"],
    copies="a message that was read is open still, and its lock is not the session's to release",
)
class _QuitBehindRetrKeepsLock(Session):
    has_read = False

    def retr_reply(self, message: Message, content: bytes) -> bytes:
        self.has_read = True
        return super().retr_reply(message, content)

    def end(self) -> None:
        if self.state is State.UPDATE and self.has_read:
            self.user = ""
        super().end()


@fault(
    "update-keeps-lock",
    breaks=["rfc1939-6-lock-released"],
    copies="the lock is on a file that is written anew, so that the new one stays locked",
    edge=True,
)
class _UpdateKeepsLock(Session):
    def end(self) -> None:
        if self.state is State.UPDATE and self.marked:
            self.user = ""
        super().end()


@fault(
    "reset-keeps-lock",
    breaks=["practice-lock-released-after-break"],
    copies="the end of the stream is cleaned up behind, and an error in reading leaves at once",
    edge=True,
)
class _ResetKeepsLock(Front):
    def talk(self, wire: Wire, session: Session) -> None:
        try:
            super().talk(wire, session)
        except ConnectionResetError:
            session.user = ""
            raise


# QUIT before a login.


class _KeepsMarks(Maildrops):
    def __init__(self, store: Store, accounts: Mapping[str, str], stamp: str) -> None:
        super().__init__(store, accounts, stamp)
        self.left: dict[str, set[str]] = {}


class _WorksOffMarks(Session):
    """A session whose QUIT, before a login, removes what a session that broke off had marked."""

    name: bytes | None = None
    was_refused = False

    def user_command(self, name: bytes) -> bytes:
        self.name = name
        return super().user_command(name)

    def login_refused(self) -> bytes:
        self.was_refused = True
        return super().login_refused()

    def enter(self, user: str, messages: list[Message]) -> None:
        assert isinstance(self.maildrops, _KeepsMarks)
        self.maildrops.left.pop(user, None)
        super().enter(user, messages)

    def end(self) -> None:
        assert isinstance(self.maildrops, _KeepsMarks)
        if self.user and self.state is State.TRANSACTION:
            marked = {each.key for each in self.messages if each.number in self.marked}
            self.maildrops.left[self.user] = marked
        super().end()

    def works_off(self) -> bool:
        """Whether QUIT works off the marks now."""
        return True

    def quit_command(self) -> bytes:
        assert isinstance(self.maildrops, _KeepsMarks)
        known = self.name is not None and self.maildrops.secret(self.name) is not None
        if self.state is State.AUTHORIZATION and known and self.works_off():
            assert self.name is not None
            user = self.maildrops.user(self.name)
            marked = self.maildrops.left.pop(user, set())
            self.maildrops.store.remove(user, marked)
        return super().quit_command()


@fault(
    "quit-behind-user-updates",
    breaks=["rfc1939-6-quit-before-login"],
    copies="marks are flags in the store, and QUIT sweeps the maildrop of the name that was given",
    parts=(_KeepsMarks,),
)
class _QuitBehindUserUpdates(_WorksOffMarks):
    pass


@fault(
    "quit-behind-refused-login-updates",
    breaks=["rfc1939-6-quit-before-login"],
    copies="the maildrop is opened before the password is compared, and QUIT closes it in UPDATE",
    edge=True,
    parts=(_KeepsMarks,),
)
class _QuitBehindRefusedLoginUpdates(_WorksOffMarks):
    def works_off(self) -> bool:
        return self.was_refused
