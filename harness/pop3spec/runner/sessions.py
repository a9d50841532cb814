"""The sessions of one scenario, each in the state that it wants; opened with patience."""

import time
from collections.abc import Iterator

from pop3spec.harm import HarnessError
from pop3spec.opening import open_session
from pop3spec.protocol.commands import State
from pop3spec.recorder import Recorder
from pop3spec.refusals import SessionRefused
from pop3spec.runner.blocked import Blocked
from pop3spec.runner.case import Case
from pop3spec.runner.filling import Filler
from pop3spec.runner.judge import Judge
from pop3spec.session import Session
from pop3spec.target import TargetError

# Before the first wait that is as long a plain login tells whether there is anybody.
_LONG_DELAY = 1.0
# Seconds that the second look waits for octets or a close that nobody asked for.
_PATIENCE = 0.03


class Sessions:
    """The sessions by their names; `is_crowded` says that one was turned away at first."""

    def __init__(self, judge: Judge, case: Case, recorder: Recorder, filler: Filler) -> None:
        self.is_crowded = False
        self._judge = judge
        self._case = case
        self._recorder = recorder
        self._filler = filler
        self._by_name: dict[str, Session] = {}
        self._source = judge.source() if case.scenario.failed_logins or case.alone else None
        # A second look has the time to see what comes late.
        self._patience = _PATIENCE if case.alone else 0.0

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_name.values())

    @property
    def first(self) -> Session:
        """The one that was opened first, perhaps no longer open."""
        return next(iter(self))

    @property
    def any_open(self) -> bool:
        """The target has one, for all that was seen."""
        return any(session.is_open for session in self)

    def any_open_beside(self, session: Session) -> bool:
        """Another one than this is open."""
        return any(each.is_open for each in self if each is not session)

    def named(self, name: str) -> Session:
        """The session of this name, opened where there is none yet."""
        session = self._by_name.get(name)
        if session is None:
            session = self._by_name[name] = self._open(name)
        return session

    def _open(self, name: str) -> Session:
        """A session in the scenario's state; a target that is busy is asked again."""
        liveness = self._judge.liveness
        is_beside = self.any_open
        patience = () if is_beside and liveness.is_single else self._judge.back_off
        for delay in (*patience, None):
            try:
                session = self._open_once(name)
                if is_beside:
                    liveness.opened_beside(is_given=True)
                return session
            except SessionRefused as error:
                self.is_crowded |= error.is_full
                if is_beside and delay is None and error.is_full:
                    liveness.opened_beside(is_given=False)
                if not error.is_limit or error.timed_out or delay is None:
                    raise
                if error.is_lost and self._is_gone(error, delay):
                    raise
                self._recorder.note(name, f"{error}; asked again after {delay:g} s")
            except TargetError as error:
                raise Blocked(str(error)) from error
            # A wait that an interrupted run ends at once.
            if self._judge.stopped.wait(delay):
                raise Blocked("the run was interrupted")
        raise AssertionError("unreachable")

    def _is_gone(self, error: SessionRefused, delay: float) -> bool:
        """The target was given up; looked at anew where it is no limit of connections.

        A login that was lost may be due to the filling, so that others say whether it serves.
        """
        liveness = self._judge.liveness
        if not (error.is_unserved or error.is_full):
            return bool(liveness.why)
        # For who has sessions open a target that turns clients away may be full of these.
        if delay >= _LONG_DELAY and (
            not error.is_full or (not self.any_open and liveness.is_quiet)
        ):
            liveness.check(time.monotonic())
        return bool(liveness.why)

    def _open_once(self, name: str) -> Session:
        judge, scenario = self._judge, self._case.scenario
        mailbox = self._case.mailbox if scenario.needs_account else None
        session = open_session(
            judge.target,
            self._recorder,
            self._case.transport,
            name=name,
            account=mailbox.account if mailbox else None,
            filling=self._filler.known(is_first=not self._by_name),
            filling_name=mailbox.filling_name if mailbox else "",
            may_delete=scenario.maildrop is not None or judge.target.allow_delete,
            source=self._source,
            patience=self._patience,
            capabilities=judge.observed.announced_on(self._case.transport),
            logins=judge.logins,
        )
        if scenario.state is State.TRANSACTION and mailbox is not None:
            try:
                session.log_in(mailbox.account, use_apop=judge.observed.use_apop)
            except SessionRefused:
                session.close()
                raise
        return session

    def expect_change(self) -> None:
        """Mail has come, perhaps beside an open session."""
        for session in self:
            session.expect_change()

    def end(self, *, politely: bool) -> None:
        """End all; `politely` with QUIT, where it removes nothing from somebody's mailbox."""
        for session in self:
            try:
                if politely and self._may_quit(session):
                    session.quit()
                else:
                    session.close()
            except HarnessError:
                session.close()

    def _may_quit(self, session: Session) -> bool:
        # QUIT may remove what was retrieved from somebody's mailbox.
        ours = self._case.scenario.maildrop is not None
        untouched = session.may_quit and not session.history.marked
        return (
            session.is_open
            and session.history.state is State.TRANSACTION
            and not session.history.illegal
            and (ours or untouched)
            and not self._judge.liveness.unanswered(("QUIT",))
        )
