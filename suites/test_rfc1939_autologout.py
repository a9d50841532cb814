"""The autologout timer: at least ten minutes, reset by any command, and no QUIT (section 3).

The waits begin with the run and overlap. The embedded server is asked with its timer
shortened, on a server of its own. How long a session may be silent before the login is
nobody's fault (`autologout-before-login`), so that all of this is behind it.
"""

from concurrent.futures import Future
from functools import partial

import pytest

from pop3spec.fixtures import Maildrop, Wait, messages
from pop3spec.session import Session
from pop3spec.verdict import Outcome

TIMER = "rfc1939-3-autologout"
RESET = "rfc1939-3-autologout-reset"
SILENT = "rfc1939-3-autologout-silent"
NO_REMOVAL = "rfc1939-6-no-quit-no-removal"

# No maildrop of a test has so many messages.
NOBODY = 999


def stays_open(maildrop: Maildrop) -> None:
    """Silence that is a little shorter than the shortest timer, with something to lose."""
    maildrop.fill(messages(1))
    session = maildrop.open("idle")
    maildrop.mark(session, [1])
    problem = how(maildrop.leave_alone(session, maildrop.timer.least))
    maildrop.hold(TIMER, problem or is_gone(maildrop, session))
    session.close()


def is_reset(maildrop: Maildrop, line: str) -> None:
    """Twice as much silence, with a command between the halves."""
    session = maildrop.open("idle")
    maildrop.hold(TIMER, how(maildrop.leave_alone(session, maildrop.timer.nap)))
    session.exchange(line)
    problem = how(maildrop.leave_alone(session, maildrop.timer.nap))
    maildrop.hold(RESET, problem or is_gone(maildrop, session))
    session.quit()


def how(wait: Wait) -> str:
    """Words for a close that came too soon, none if there was none."""
    return "" if wait.closed is None else f"a close {wait.closed:.1f} s after the last command"


def is_gone(maildrop: Maildrop, session: Session) -> str:
    """Words for a session that is found to be over with the next command, none if it goes on."""
    found = len(maildrop.recorder.findings)
    if session.exchange("NOOP").reply is not None:
        return ""
    # One cause, one accusation: the wait.
    for rule in ("rfc1939-3-stays-open", TIMER):
        maildrop.recorder.forget(rule, found)
    return "a close in answer to the next command"


def removes_nothing(maildrop: Maildrop, begun: bytes) -> None:
    """A session that marks, perhaps begins with another line, and falls silent."""
    maildrop.fill(messages(4))
    before = maildrop.look()
    session = maildrop.open("silent")
    session.exchange("DELE 1")
    session.exchange("DELE 3")
    if begun:
        session.send_octets(begun)
    wait = maildrop.leave_alone(session, maildrop.timer.patience)
    if wait.closed is None:
        maildrop.observe("autologout-timer", f"none within {maildrop.timer.patience:g} s")
        pytest.skip(f"not applicable: no timer within {maildrop.timer.patience:g} s")
    minutes = round(wait.closed / 60)
    maildrop.observe("autologout-timer", f"after {minutes or 'less than 1'} min")
    for after in maildrop.looks():
        maildrop.hold(NO_REMOVAL, before.lost(after))
    # What answers an unfinished line may be meant for that.
    if not begun:
        maildrop.hold(SILENT, f"{wait.said[:60]!r} before the close" if wait.said else "")


@pytest.mark.beside(work=stays_open)
@pytest.mark.rules(TIMER)
def test_a_session_is_open_after_almost_ten_minutes_of_silence(beside: Future[Outcome]) -> None:
    """A timer below ten minutes, as in Mailpit before 1.18.6."""
    beside.result()


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(
            begun, id=name, marks=pytest.mark.beside(work=partial(removes_nothing, begun=begun))
        )
        for name, begun in (
            ("behind-dele", b""),
            ("within-quit", b"QU"),
            ("quit-without-its-end", b"QUIT"),
        )
    ],
)
@pytest.mark.rules(NO_REMOVAL, SILENT)
def test_a_session_that_falls_silent_removes_nothing(beside: Future[Outcome], begun: bytes) -> None:
    """The end by the timer is taken for QUIT, or for the end of the line; or it is announced."""
    del begun
    beside.result()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, id=name, marks=pytest.mark.beside(work=partial(is_reset, line=line)))
        for name, line in (
            ("noop", "NOOP"),
            ("stat", "STAT"),
            ("refused", f"LIST {NOBODY}"),
        )
    ],
)
@pytest.mark.rules(RESET, TIMER)
def test_a_command_resets_the_autologout_timer(beside: Future[Outcome], line: str) -> None:
    """A timer that counts from the login, as in WildDuck before July 2025, or from a success."""
    del line
    beside.result()
