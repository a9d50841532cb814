"""What is in the store behind a session that was cut, and behind one that quit."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from pop3spec.fixtures import Maildrop, View, blocked, messages, side_by_side
from pop3spec.session import Session, refusal

FILLING = messages(4)
MARKED = (1, 3)
COMMANDS = (*(b"DELE %d\r\n" % number for number in MARKED), b"QUIT\r\n")

# Seconds that one kind of cut may take where logins are slow, without --slow.
BUDGET = 8.0

Cut = Callable[[Session], None]
cuts = pytest.mark.parametrize(
    "cut", [pytest.param(Session.close, id="fin"), pytest.param(Session.reset, id="reset")]
)


@dataclass(frozen=True)
class Place:
    """A place in the client's stream: so many octets of one of its lines were sent."""

    line: int
    octets: int


@cuts
@pytest.mark.rules("rfc1939-6-no-quit-no-removal")
def test_a_session_cut_before_the_end_of_quit_removes_nothing(
    maildrops: Sequence[Maildrop], cut: Cut
) -> None:
    """An end of the stream taken for QUIT, or for the end of a line, shows at some octet."""

    def cut_everywhere(maildrop: Maildrop) -> None:
        maildrop.fill(FILLING)
        begun = time.monotonic()
        before = maildrop.look()
        seconds = time.monotonic() - begun
        places = places_before_the_end(maildrop)[maildrops.index(maildrop) :: len(maildrops)]
        if not maildrop.run.settings.slow:
            places = places[: max(1, int(BUDGET / 2 / seconds))]
        for place in sorted(places, key=lambda place: (place.line, place.octets)):
            where = maildrop.patiently(partial(cut_at, maildrop, place, cut))
            nothing_is_lost(maildrop, before, where)
        # Once more, for a server that is slow to work off the last of these ends.
        nothing_is_lost(maildrop, before, "a session that was cut")

    side_by_side(cut_everywhere, maildrops)


@cuts
@pytest.mark.rules("rfc1939-6-unmarked-stay", "rfc1939-6-update-removes")
def test_a_session_cut_behind_quit_removes_all_that_is_marked_or_nothing(
    maildrop: Maildrop, cut: Cut
) -> None:
    """The client is gone before QUIT is worked off, or while it is."""
    maildrop.fill(FILLING)
    before = maildrop.look()

    maildrop.patiently(partial(cut_at, maildrop, end_of(lines_of(maildrop)), cut))

    def half_done() -> str:
        after = maildrop.look()
        maildrop.hold("rfc1939-6-unmarked-stay", before.lost(after, MARKED))
        return before.left(after, MARKED) if before.lost(after) else ""

    # Where maildrops have no locks, the server may still be at it.
    maildrop.hold("rfc1939-6-update-removes", maildrop.eventually(half_done))


def nothing_is_lost(maildrop: Maildrop, before: View, where: str) -> None:
    """A new session and the store show all that was there before."""
    lost = before.lost(maildrop.look())
    maildrop.hold("rfc1939-6-no-quit-no-removal", lost and f"{lost} after {where}")
    maildrop.forget_transcript()


def lines_of(maildrop: Maildrop) -> list[bytes]:
    """What the client sends, as long as it is in each session."""
    session = maildrop.patiently(partial(maildrop.greeted, "first"))
    lines = [*maildrop.login_lines(session), *COMMANDS]
    session.close()
    return lines


def end_of(lines: Sequence[bytes]) -> Place:
    """Behind the last octet."""
    return Place(len(lines) - 1, len(lines[-1]))


def places_before_the_end(maildrop: Maildrop) -> list[Place]:
    """Behind each octet, within QUIT first, then at the ends of lines."""
    lines = lines_of(maildrop)
    password = len(lines) - len(COMMANDS) - 1
    places = [
        Place(number, octets)
        for number, line in enumerate(lines)
        for octets in range(1, len(line) + 1)
        # Half a password may be taken for a wrong one, and too many of those close an account.
        if number != password
        or octets == len(line)
        or maildrop.run.target.max_failed_logins is None
    ]
    places.remove(end_of(lines))

    def importance(place: Place) -> tuple[bool, bool, int]:
        is_end = place.octets == len(lines[place.line])
        return place.line < len(lines) - 1, not is_end, place.octets % 8

    return sorted(places, key=importance)


def cut_at(maildrop: Maildrop, place: Place, cut: Cut) -> str:
    """A session that is cut there, and where that was; SessionRefused where there is none."""
    # From an address of its own, where half a login may count as a wrong one.
    session = maildrop.greeted("cut", source=maildrop.run.judge.source())
    login = maildrop.login_lines(session)
    lines = [*login, *COMMANDS]
    if place.line >= len(login):
        maildrop.log_in(session)
    for line in lines[len(login) if place.line >= len(login) else 0 : place.line]:
        session.send_octets(line)
        reply = session.receive()
        if not reply.is_ok:
            session.close()
            if line in login:
                raise refusal(reply)
            blocked(f"{reply.keyword} is refused")
    session.send_octets(lines[place.line][: place.octets])
    word = lines[place.line].split()[0].decode()
    where = f"octet {place.octets} of {len(lines[place.line])} of the line with {word}"
    maildrop.recorder.note("cut", f"the client ends the connection behind {where}")
    cut(session)
    return where


# --- QUIT ---


@pytest.mark.rules("rfc1939-6-unmarked-stay", "rfc1939-6-update-removes")
def test_quit_removes_exactly_what_is_marked_of_two_hundred_messages(maildrop: Maildrop) -> None:
    """Every third, then the last ones behind RSET, then all: marks that hit others, or too few."""
    maildrop.fill(messages(200))
    every_third = range(3, 201, 3)
    left = removed(maildrop, maildrop.look(), every_third, unmarked_before=())

    last_ones = [*range(2, left, 7), left]
    left = removed(maildrop, maildrop.look(), last_ones, unmarked_before=range(1, left, 2))

    removed(maildrop, maildrop.look(), range(1, left + 1), unmarked_before=())


def removed(
    maildrop: Maildrop, before: View, marked: Iterable[int], *, unmarked_before: Iterable[int]
) -> int:
    """A session that marks and quits, and may mark others and unmark them first; what is left."""
    marked = list(marked)
    session = maildrop.open("first")
    for number in unmarked_before:
        session.exchange(f"DELE {number}")
    if unmarked_before and not session.exchange("RSET").is_ok:
        blocked("RSET is refused")
    for number in marked:
        if not session.exchange(f"DELE {number}").is_ok:
            blocked("DELE is refused")
    if not session.exchange("QUIT").is_ok:
        blocked("QUIT is refused")

    after = maildrop.look()
    maildrop.hold("rfc1939-6-unmarked-stay", before.lost(after, marked))
    maildrop.hold("rfc1939-6-update-removes", before.left(after, marked))
    return after.contents.total()
