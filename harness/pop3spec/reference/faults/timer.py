"""Faults of the autologout timer (RFC 1939, section 3)."""

import time
from collections.abc import Sequence

from pop3spec.protocol.commands import State
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.front import Front
from pop3spec.reference.session import Session
from pop3spec.reference.wire import Wire

TABLE = FaultTable()
fault = TABLE.fault


# How long it is.


@fault(
    "timer-of-a-third",
    breaks=["rfc1939-3-autologout"],
    copies="Mailpit before 1.18.6: a timer well below ten minutes",
)
class _TimerOfAThird(Front):
    def talk(self, wire: Wire, session: Session) -> None:
        wire.wait_for(self.autologout / 3)
        super().talk(wire, session)


@fault(
    "timer-of-a-third-behind-a-mark",
    breaks=["rfc1939-3-autologout"],
    copies="a lock for writing has a timer of its own, and DELE is the first to take it",
    edge=True,
)
class _TimerOfAThirdBehindAMark(Front):
    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        super().reply(wire, session, replies)
        wire.wait_for(self.autologout / 3 if session.marked else self.autologout)


# What resets it.


class _KnowsItsEnd(Session):
    """A session that knows its last command, and when its timer expires."""

    last = ""
    expires = 0.0

    def perform(self, keyword: str, arguments: Sequence[bytes]) -> bytes:
        self.last = keyword
        return super().perform(keyword, arguments)


class _KeepsTime(Front):
    """A timer that not every command resets."""

    def talk(self, wire: Wire, session: Session) -> None:
        assert isinstance(session, _KnowsItsEnd)
        session.expires = time.monotonic() + self.autologout
        super().talk(wire, session)

    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        assert isinstance(session, _KnowsItsEnd)
        super().reply(wire, session, replies)
        if self.is_reset(session.last):
            session.expires = time.monotonic() + self.autologout
        wire.wait_for(max(session.expires - time.monotonic(), 0.001))

    def is_reset(self, keyword: str) -> bool:
        """Whether a command with this keyword resets the timer."""
        return keyword == "PASS"


@fault(
    "timer-from-the-login",
    breaks=["rfc1939-3-autologout-reset"],
    copies="WildDuck before July 2025: no command resets the timer",
    parts=(_KnowsItsEnd,),
)
class _TimerFromTheLogin(_KeepsTime):
    pass


@fault(
    "noop-resets-no-timer",
    breaks=["rfc1939-3-autologout-reset"],
    copies="the timer is reset where work is done, and NOOP does none",
    edge=True,
    parts=(_KnowsItsEnd,),
)
class _NoopResetsNoTimer(_KeepsTime):
    def is_reset(self, keyword: str) -> bool:
        return keyword != "NOOP"


# What it says.


@fault(
    "timer-says-why",
    breaks=["rfc1939-3-autologout-silent"],
    copies="Inbucket: '-ERR' tells that the session was idle for too long, and then it is closed",
)
class _TimerSaysWhy(Front):
    def talk(self, wire: Wire, session: Session) -> None:
        try:
            super().talk(wire, session)
        except TimeoutError:
            self.send(wire, session.negative(b"idle for too long"))
            raise


@fault(
    "timer-says-goodbye-behind-a-mark",
    breaks=["rfc1939-3-autologout-silent"],
    copies="a session with changes is ended like one that was asked to, with a farewell",
    edge=True,
)
class _TimerSaysGoodbyeBehindAMark(Front):
    def talk(self, wire: Wire, session: Session) -> None:
        try:
            super().talk(wire, session)
        except TimeoutError:
            if session.state is State.TRANSACTION and session.marked:
                self.send(wire, session.farewell())
            raise
