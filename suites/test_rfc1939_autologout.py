"""The autologout timer: at least ten minutes, reset by any command, and no QUIT (section 3).

The waits begin with the run and overlap. The embedded server is asked with its timer
shortened, on a server of its own.
"""

from concurrent.futures import Future
from functools import partial

import pytest

from pop3spec.fixtures import Maildrop, messages
from pop3spec.verdict import Outcome

STAYS_OPEN = "rfc1939-3-stays-open"


def stays_open(maildrop: Maildrop) -> None:
    """Silence that is a little shorter than the shortest timer."""
    session = maildrop.open("idle")
    closed = maildrop.leave_alone(session, maildrop.timer.least)
    maildrop.hold(STAYS_OPEN, how(closed))
    session.exchange("NOOP")
    session.quit()


def is_reset(maildrop: Maildrop) -> None:
    """Twice as much silence, with a command between the halves."""
    session = maildrop.open("idle")
    for _ in range(2):
        closed = maildrop.leave_alone(session, maildrop.timer.nap)
        maildrop.hold(STAYS_OPEN, how(closed))
        session.exchange("NOOP")
    session.quit()


def how(closed: float | None) -> str:
    """Words for a close that came too soon, none if there was none."""
    return "" if closed is None else f"a close {closed:.1f} s after the last command"


def removes_nothing(maildrop: Maildrop, begun: bytes) -> None:
    """A session that marks, perhaps begins with another line, and falls silent."""
    maildrop.fill(messages(4))
    before = maildrop.look()
    session = maildrop.open("silent")
    session.exchange("DELE 1")
    session.exchange("DELE 3")
    if begun:
        session.send_octets(begun)
    if maildrop.leave_alone(session, maildrop.timer.patience) is None:
        pytest.skip(f"not applicable: no timer within {maildrop.timer.patience:g} s")
    maildrop.hold("rfc1939-6-no-quit-no-removal", before.lost(maildrop.look()))


@pytest.mark.beside(work=stays_open)
@pytest.mark.rules(STAYS_OPEN)
def test_a_session_is_open_after_almost_ten_minutes_of_silence(beside: Future[Outcome]) -> None:
    """A timer below ten minutes, as in Mailpit before 1.18.6."""
    beside.result()


@pytest.mark.beside(work=is_reset)
@pytest.mark.rules(STAYS_OPEN)
def test_a_command_resets_the_autologout_timer(beside: Future[Outcome]) -> None:
    """A timer that counts from the login, as in WildDuck before July 2025."""
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
@pytest.mark.rules("rfc1939-6-no-quit-no-removal")
def test_a_session_that_falls_silent_removes_nothing(beside: Future[Outcome], begun: bytes) -> None:
    """The end by the timer is taken for QUIT, or for the end of the line."""
    del begun
    beside.result()
