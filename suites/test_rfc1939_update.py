"""What is in the store behind a session that was cut, or ended by the server, or that quit."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from pop3spec.fixtures import Maildrop, View, blocked, messages, side_by_side
from pop3spec.refusals import refusal
from pop3spec.session import Session

FILLING = messages(4)
MARKED = (1, 3)
QUIT = b"QUIT\r\n"
COMMANDS = (*(b"DELE %d\r\n" % number for number in MARKED), QUIT)

NO_REMOVAL = "rfc1939-6-no-quit-no-removal"
UNMARKED_STAY = "rfc1939-6-unmarked-stay"
REMOVES = "rfc1939-6-update-removes"
BEFORE_LOGIN = "rfc1939-6-quit-before-login"
PERSISTENT = "rfc1939-7-uidl-persistent"

# Seconds that one kind of cut may take where logins are slow, without --slow.
BUDGET = 8.0
# Seconds that a server has to end its side of a half-closed connection, or to say something.
HALF_OPEN = 0.3

Cut = Callable[[Session], None]


def half_close(session: Session) -> None:
    """End our direction alone, read what still comes, and only then end the connection."""
    session.end_sending()
    session.await_close(HALF_OPEN)
    session.close()


cuts = pytest.mark.parametrize(
    "cut",
    [
        pytest.param(Session.close, id="fin"),
        pytest.param(Session.reset, id="reset"),
        pytest.param(half_close, id="half-closed"),
    ],
)


@dataclass(frozen=True)
class Place:
    """A place in the client's stream: so many octets of one of its lines were sent."""

    line: int
    octets: int


# --- A session that is cut ---


@cuts
@pytest.mark.rules(NO_REMOVAL)
def test_a_session_cut_before_quit_removes_nothing(maildrops: Sequence[Maildrop], cut: Cut) -> None:
    """Behind each octet of a session that logs in, marks and begins with QUIT."""

    def cut_everywhere(maildrop: Maildrop) -> None:
        maildrop.fill(FILLING)
        begun = time.monotonic()
        before = maildrop.look()
        seconds = time.monotonic() - begun + (HALF_OPEN if cut is half_close else 0.0)
        places = places_before_quit(maildrop)[maildrops.index(maildrop) :: len(maildrops)]
        if not maildrop.run.settings.slow:
            places = places[: max(1, int(BUDGET / 2 / seconds))]
        for place in sorted(places, key=lambda place: (place.line, place.octets)):
            where = maildrop.patiently(partial(cut_at, maildrop, place, cut))
            nothing_is_lost(maildrop, before, maildrop.look(), where)
        for after in maildrop.looks():
            nothing_is_lost(maildrop, before, after, "a session that was cut")

    side_by_side(cut_everywhere, maildrops)


@pytest.mark.parametrize("octets", [len(QUIT), len(QUIT) - 1, len(QUIT) - 2])
@cuts
@pytest.mark.rules(UNMARKED_STAY, REMOVES)
def test_a_session_cut_behind_quit_removes_all_that_is_marked_or_nothing(
    maildrop: Maildrop, cut: Cut, octets: int
) -> None:
    """The client is gone before QUIT is worked off, or while it is, or before its line ends.

    Commands end with CRLF (section 3); that a server takes the end of the
    stream for the end of the line does what the client wanted, so it is no fault.
    """
    maildrop.fill(FILLING)
    before = maildrop.look()
    session = maildrop.open("cut")
    may_go = maildrop.mark(session, MARKED)
    session.send_octets(QUIT[:octets])
    cut(session)

    def half_done() -> str:
        after = maildrop.look()
        maildrop.hold(UNMARKED_STAY, before.lost(after, may_go))
        return before.left(after, len(may_go)) if before.lost(after) else ""

    # Where maildrops have no locks, the server may still be at it.
    maildrop.hold(REMOVES, maildrop.eventually(half_done))


def nothing_is_lost(maildrop: Maildrop, before: View, after: View, where: str) -> None:
    """A new session and the store show all that was there before."""
    lost = before.lost(after)
    maildrop.hold(NO_REMOVAL, lost and f"{lost} after {where}")
    maildrop.forget_transcript()


def lines_of(maildrop: Maildrop) -> list[bytes]:
    """What the client sends, as long as it is in each session."""
    session = maildrop.patiently(partial(maildrop.greeted, "first"))
    lines = [*maildrop.login_lines(session), *COMMANDS]
    session.close()
    return lines


def places_before_quit(maildrop: Maildrop) -> list[Place]:
    """Behind each octet before the word is whole, within it first, then at the ends of lines."""
    lines = lines_of(maildrop)
    last, password = len(lines) - 1, len(lines) - len(COMMANDS) - 1
    places = [
        Place(number, octets)
        for number, line in enumerate(lines)
        for octets in range(1, len(b"QUIT") if number == last else len(line) + 1)
        # Half a password may be taken for a wrong one, and too many of those close an account.
        if number != password
        or octets == len(line)
        or maildrop.run.target.max_failed_logins is None
    ]

    def importance(place: Place) -> tuple[bool, bool, int]:
        is_end = place.octets == len(lines[place.line])
        return place.line < last, not is_end, place.octets % 8

    return sorted(places, key=importance)


def cut_at(maildrop: Maildrop, place: Place, cut: Cut) -> str:
    """A session that is cut there, and where that was; SessionRefused where there is none."""
    # From an address of its own, where half a login may count as a wrong one.
    session = maildrop.greeted("cut", source=maildrop.run.judge.source())
    login = maildrop.login_lines(session)
    lines = [*login, *COMMANDS]
    for number, line in enumerate(lines[: place.line]):
        session.send_octets(line)
        reply = session.receive()
        if not reply.is_ok and number < len(login):
            session.close()
            raise refusal(reply)
        if not reply.is_ok:
            blocked(f"{reply.keyword} is refused")
    session.send_octets(lines[place.line][: place.octets])
    word = lines[place.line].split()[0].decode()
    where = f"octet {place.octets} of {len(lines[place.line])} of the line with {word}"
    maildrop.recorder.note("cut", f"the client ends the connection behind {where}")
    cut(session)
    return where


# --- QUIT before the login ---


def says_nothing(maildrop: Maildrop, session: Session) -> None:
    """Quit at once."""
    del maildrop, session


def names_user(maildrop: Maildrop, session: Session) -> None:
    """Say whose maildrop it would be, as far as that can be said without a login."""
    if not maildrop.run.observed.use_apop:
        session.exchange(f"USER {maildrop.mailbox.account.user}")


strangers = pytest.mark.parametrize(
    "say",
    [
        pytest.param(says_nothing, id="at-once"),
        pytest.param(names_user, id="behind-user"),
        pytest.param(Maildrop.refuse, id="behind-a-refused-login"),
    ],
)


def quits_before_login(maildrop: Maildrop, say: Callable[[Maildrop, Session], None]) -> None:
    """A session that ends with QUIT and never was in the TRANSACTION state."""

    def greeted() -> Session:
        return maildrop.greeted("stranger", source=maildrop.run.judge.source())

    session = maildrop.patiently(greeted)
    say(maildrop, session)
    # A refused login may end the connection (section 4).
    session.look()
    if session.is_open:
        session.exchange("QUIT")
    session.close()


@strangers
@pytest.mark.rules(BEFORE_LOGIN)
def test_quit_before_login_leaves_the_marks_of_an_open_session(
    maildrop: Maildrop, say: Callable[[Maildrop, Session], None]
) -> None:
    """QUIT carries out what is marked in the maildrop of that user, whoever marked it.

    Nothing else ends while the store is looked at, so that nothing else can be the reason.
    """
    maildrop.fill(FILLING)
    owner = maildrop.open("owner")
    maildrop.mark(owner, MARKED)
    before = maildrop.contents()
    quits_before_login(maildrop, say)

    for after in maildrop.contents_over_time():
        gone = (before - after).total()
        maildrop.hold(
            BEFORE_LOGIN, f"{gone} messages gone behind QUIT before the login" if gone else ""
        )
    # The test is about the store: what becomes of the owner's session is in others.
    owner.expect_end()
    owner.close()


@strangers
@pytest.mark.rules(BEFORE_LOGIN)
def test_quit_before_login_removes_nothing_that_a_dropped_session_had_marked(
    maildrop: Maildrop, say: Callable[[Maildrop, Session], None]
) -> None:
    """Marks that outlive a dropped session wait for the next QUIT, and that is a stranger's."""
    maildrop.fill(FILLING)
    before = maildrop.look()
    dropped = maildrop.open("dropped")
    maildrop.mark(dropped, MARKED)
    dropped.close()
    for after in maildrop.contents_over_time():
        if after != before.contents:
            blocked("a dropped session has removed messages, which is another rule")
    quits_before_login(maildrop, say)

    gone = (before.contents - maildrop.contents()).total()
    problem = f"{gone} messages gone behind QUIT before the login" if gone else ""
    maildrop.hold(BEFORE_LOGIN, problem)


# --- A server that is killed ---


@pytest.mark.rules(NO_REMOVAL, PERSISTENT)
def test_a_server_killed_between_dele_and_quit_has_removed_nothing(
    restart: Callable[[], None], maildrop: Maildrop
) -> None:
    """Marks that are written down, and carried out when the server comes up again."""
    maildrop.fill(FILLING)
    before = maildrop.look()
    session = maildrop.open("killed")
    maildrop.mark(session, MARKED)
    session.expect_end()
    restart()
    session.close()

    after = maildrop.look()
    maildrop.hold(NO_REMOVAL, before.lost(after))
    maildrop.hold(PERSISTENT, before.renamed(after))


@pytest.mark.rules(UNMARKED_STAY, REMOVES, PERSISTENT)
def test_a_server_killed_while_it_works_off_quit_has_removed_all_that_is_marked_or_nothing(
    restart: Callable[[], None], maildrop: Maildrop
) -> None:
    """A removal that is left half done, or that takes with it what was not marked."""
    maildrop.fill(FILLING)
    before = maildrop.look()
    session = maildrop.open("killed")
    may_go = maildrop.mark(session, MARKED)
    session.expect_end()
    session.send_octets(QUIT)
    restart()
    session.close()

    after = maildrop.look()
    maildrop.hold(UNMARKED_STAY, before.lost(after, may_go))
    maildrop.hold(REMOVES, before.left(after, len(may_go)) if before.lost(after) else "")
    maildrop.hold(PERSISTENT, before.renamed(after))


@pytest.mark.rules(REMOVES, UNMARKED_STAY, PERSISTENT)
def test_a_server_killed_behind_the_reply_to_quit_has_removed_what_was_marked(
    restart: Callable[[], None], maildrop: Maildrop
) -> None:
    """QUIT is answered before the removal has reached the store."""
    maildrop.fill(FILLING)
    before = maildrop.look()
    session = maildrop.open("quits")
    may_go = maildrop.mark(session, MARKED)
    if not session.exchange("QUIT").is_ok:
        blocked("QUIT is refused")
    restart()

    after = maildrop.look()
    maildrop.hold(UNMARKED_STAY, before.lost(after, may_go))
    maildrop.hold(REMOVES, before.left(after, len(may_go)))
    maildrop.hold(PERSISTENT, before.renamed(after))


# --- A session that quits ---


@pytest.mark.rules(UNMARKED_STAY, REMOVES)
def test_quit_removes_exactly_what_is_marked_of_two_hundred_messages(maildrop: Maildrop) -> None:
    """Every third, every second of the rest behind RSET, then all: marks that hit others."""
    maildrop.fill(messages(200))

    left = removes_exactly(maildrop, range(3, 201, 3))
    left = removes_exactly(maildrop, range(2, left + 1, 2), unmarked=range(1, left, 2))
    removes_exactly(maildrop, range(1, left + 1))


def removes_exactly(
    maildrop: Maildrop, numbers: Iterable[int], *, unmarked: Iterable[int] = ()
) -> int:
    """A session that marks and quits, perhaps behind marks that it took back; what is left."""
    before = maildrop.look()
    session = maildrop.open("quits")
    if unmarked:
        maildrop.mark(session, unmarked)
        if not session.exchange("RSET").is_ok:
            blocked("RSET is refused")
    marked = maildrop.mark(session, numbers)
    if not session.exchange("QUIT").is_ok:
        blocked("QUIT is refused")

    after = maildrop.look()
    maildrop.hold(UNMARKED_STAY, before.lost(after, marked))
    maildrop.hold(REMOVES, before.left(after, len(marked)))
    return after.contents.total()
