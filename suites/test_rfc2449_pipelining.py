"""Commands that are sent together (RFC 2449, section 6.6; RFC 1939, section 3).

The same commands are sent one by one first: their replies, but for the free text, are
those that are due. Where they come otherwise, they are sent one by one once more, as often,
so that what has nothing to do with pipelining is left to the rules that it breaks.
"""

import random
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice

import pytest

from pop3spec.expectations import got_instead
from pop3spec.fixtures import Entrance, Maildrop, blocked, not_applicable
from pop3spec.protocol.commands import LOGIN
from pop3spec.protocol.listings import capabilities
from pop3spec.refusals import refusal
from pop3spec.rulebook.checks import FRAMING_RULES
from pop3spec.rulebook.history import OPTIONAL
from pop3spec.rulebook.judgement import quote
from pop3spec.session import Session
from pop3spec.stock import STOCK
from pop3spec.target import Account, Transport
from pop3spec.transcript import End, Exchange

IN_TURN = "rfc2449-6.6-in-turn"
# What is answered behind QUIT.
AFTER_QUIT = "rfc1939-6-close"

# Numbered as the mixes name them.
FILLING = (
    *("plain-text", "dots", "hundred-lines", "many-header-fields", "plain-text-2"),
    "dots-within",
)
BIG = ("big", "plain-text", "dot-at-65536", "hundred-lines")

# Each leaves nothing marked, so that it can follow itself.
MIXES: Mapping[str, tuple[str, ...]] = {
    "listings": (
        *("STAT", "LIST", "UIDL", "LIST 2", "UIDL 3", "STAT", "LIST", "STAT", "CAPA", "UIDL"),
        *("NOOP", "STAT", "LIST 6", "CAPA", "STAT", "UIDL 1", "LIST", "STAT"),
    ),
    "messages": (
        *("RETR 1", "RETR 2", "RETR 3", "RETR 4", "TOP 1 0", "TOP 4 0", "TOP 3 50", "TOP 2 5"),
        *("STAT", "RETR 6", "LIST 6", "RETR 5", "RETR 5", "NOOP", "RETR 4", "UIDL", "RETR 2"),
    ),
    "refusals": (
        *("NOOP", "XQZJV", "STAT", "LIST 3", "RETR 99", "RETR 3", "TOP 2 1"),
        *("LIST 99", "UIDL 1", "NOOP", "STAT"),
    ),
    "marks": (
        *("DELE 1", "DELE 2", "STAT", "LIST", "UIDL", "DELE 1", "RETR 3", "RSET", "STAT"),
        *("LIST 1", "DELE 6", "DELE 2", "STAT", "UIDL", "RETR 6", "RSET", "RETR 6", "STAT"),
    ),
    "everything": (
        *("NOOP", "STAT", "LIST", "RETR 4", "DELE 4", "TOP 3 10", "UIDL 3", "RETR 2", "DELE 2"),
        *("LIST", "RSET", "STAT", "DELE 1", "RETR 3", "LIST 4", "STAT", "UIDL", "RSET", "NOOP"),
    ),
}

# Few octets, for the streams that are cut at each of them.
SHORT = ("DELE 1", "DELE 2", "STAT", "LIST", "RSET", "RETR 1", "LIST 2", "NOOP", "TOP 1 1", "STAT")
SMALL = 32
PIECES = (1, 2, 4, 8, 16, SMALL, 64, 128, 256, 512)
# Seconds between two pieces, unless replies come: enough for a server to read them apart.
APART = 0.002

REPEATS = 20
# Commands without marks: the reply to each is the same wherever it stands.
ANYWHERE = (
    *("STAT", "NOOP", "LIST 1", "UIDL 2", "TOP 3 2", "LIST", "LIST 6", "TOP 1 0", "UIDL 5"),
    *("NOOP", "RETR 1", "UIDL", "STAT", "TOP 5 1", "LIST 4", "RETR 5", "NOOP"),
)
LOADS: Mapping[str, tuple[str, ...]] = {
    "500-noop": ("NOOP",) * 500,
    "1000-mixed": tuple(islice(cycle(ANYWHERE), 1000)),
}

# Commands that have more octets than a socket takes before anybody reads.
FLOOD = 30_000

# Fields that a server changes when a message was read.
_REWRITTEN = re.compile(
    rb"^(?:Status|X-Status|X-UIDL?|X-Keywords|X-IMAP(?:base)?|Lines|Content-Length):[^\n]*\n",
    re.MULTILINE | re.IGNORECASE,
)


# --- In one session ---


@dataclass(frozen=True)
class Batch:
    """Commands that are sent together, cut at the given offsets."""

    lines: tuple[str, ...]
    pieces: tuple[int, ...] = ()


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.rules(IN_TURN)
def test_commands_in_one_segment_are_answered_as_one_by_one(maildrop: Maildrop, mix: str) -> None:
    """Listings, messages, refusals and marks: each is answered whole and carried out once."""
    same_as_one_by_one(maildrop, FILLING, [Batch(MIXES[mix])])


@pytest.mark.rules(IN_TURN)
def test_commands_in_pieces_of_so_many_octets_are_answered_as_one_by_one(
    maildrop: Maildrop,
) -> None:
    """Pieces that are smaller than a command, and those that have many and a part of one."""
    batches = []
    for octets in PIECES:
        lines = offered(maildrop, SHORT if octets < SMALL else MIXES["everything"] * 8)
        batches.append(Batch(lines, tuple(range(octets, len(wire(lines)), octets))))

    same_as_one_by_one(maildrop, FILLING, batches)


@pytest.mark.rules(IN_TURN)
def test_commands_in_two_pieces_are_answered_as_one_by_one(maildrop: Maildrop) -> None:
    """Cut behind each octet: within a keyword, a number and a line end, and between lines."""
    lines = offered(maildrop, SHORT)

    same_as_one_by_one(
        maildrop, FILLING, [Batch(lines, (place,)) for place in range(1, len(wire(lines)))]
    )


@pytest.mark.rules(IN_TURN)
def test_the_same_commands_are_answered_alike_again_and_again(maildrop: Maildrop) -> None:
    """Threads that race for the connection do not do so each time."""
    same_as_one_by_one(maildrop, FILLING, [Batch(MIXES["messages"])] * REPEATS)


@pytest.mark.rules(IN_TURN)
def test_mixes_that_were_drawn_are_answered_as_one_by_one(maildrop: Maildrop) -> None:
    """Any order of commands, cut anywhere; the seed of the run brings the same ones again."""
    draw = random.Random(maildrop.run.settings.seed)  # noqa: S311 -- nothing is kept secret by it

    same_as_one_by_one(maildrop, FILLING, [drawn(maildrop, draw) for _ in range(REPEATS)])


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.rules(IN_TURN)
def test_as_many_commands_as_are_sent_at_once_are_answered(maildrop: Maildrop, load: str) -> None:
    """More of them than a buffer or a queue holds, in one write; we read while we write."""
    same_as_one_by_one(maildrop, FILLING, [Batch(LOADS[load])])


@pytest.mark.rules(IN_TURN)
def test_more_commands_than_a_socket_holds_do_not_stand_still(maildrop: Maildrop) -> None:
    """A server that sends and does not read meanwhile can do so only if we read meanwhile."""
    need_pipelining(maildrop)
    if not maildrop.run.target.allow_stress:
        blocked(f"it sends {FLOOD} commands; permit that with --allow-stress")
    session = maildrop.open("flood")
    if not session.exchange("NOOP").is_ok:
        return  # judged already
    session.send_raw(wire(("NOOP",) * FLOOD + ("QUIT",)), f"{FLOOD} times NOOP, and QUIT")
    arrival = session.hear(maildrop.run.target.timeouts.login, to_the_end=True)
    came = arrival.partial
    while arrival.partial and arrival.end in (End.TIMEOUT, End.TOO_LONG):
        arrival = session.hear(maildrop.run.target.timeouts.login, to_the_end=True)
        came += arrival.partial
    session.close()
    maildrop.forget_transcript()

    lines = came.splitlines()
    wrong = [line for line in lines if not line.startswith(b"+OK")]
    if not wrong and len(lines) <= FLOOD and arrival.end is not End.TIMEOUT:
        blocked(f"the server closes the connection behind {len(lines)} commands")
    words = ""
    if len(lines) != FLOOD + 1:
        words = f"{len(lines)} lines for {FLOOD + 1} commands sent together"
    elif wrong:
        words = f"{quote(wrong[0])} for one of {FLOOD + 1} commands sent together"
    maildrop.hold(IN_TURN, words)


@pytest.mark.rules(IN_TURN)
def test_big_messages_that_are_asked_for_together_are_sent_one_after_the_other(
    maildrop: Maildrop,
) -> None:
    """Each of about as many octets as a socket holds, with other commands between them."""
    lines = ("RETR 1", "STAT", "RETR 3", "LIST", "DELE 1", "RETR 3", "TOP 3 9000", "RSET", "RETR 2")

    same_as_one_by_one(maildrop, BIG, [Batch(lines)])


@pytest.mark.rules(IN_TURN)
def test_commands_that_come_while_messages_are_sent_are_answered_behind_them(
    maildrop: Maildrop,
) -> None:
    """The server cannot send all of it before we read: the commands arrive meanwhile."""
    messages = ("RETR 1",) * 4
    behind = len(wire(messages))
    lines = (*messages, "STAT", "NOOP", "LIST", "RETR 2", "LIST 3", "NOOP")

    same_as_one_by_one(maildrop, BIG, [Batch(lines, (behind,)), Batch(lines, (behind, behind + 3))])


# --- With a login ---


@dataclass(frozen=True)
class Way:
    """A way to log in whose commands need no answer of the server before they are made."""

    needs: str
    lines: Callable[[Session, Account], tuple[str, ...]]


def initial_response(account: Account) -> str:
    """The message of PLAIN as an initial response (RFC 4616, section 2)."""
    return b64encode(f"\0{account.user}\0{account.password}".encode()).decode()


WAYS: Mapping[str, Way] = {
    "user": Way("USER", lambda _, account: (f"USER {account.user}", f"PASS {account.password}")),
    "apop": Way(
        "APOP",
        lambda session, account: (f"APOP {account.user} {session.apop_digest(account.password)}",),
    ),
    "plain": Way("SASL PLAIN", lambda _, account: (f"AUTH PLAIN {initial_response(account)}",)),
}

# Octets of an initial response that fit into a command of 255.
MAX_INITIAL = 255 - len("AUTH PLAIN \r\n")

BEHIND_LOGIN = ("STAT", "LIST", "NOOP", "LIST 2", "RETR 2", "STAT")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.rules(IN_TURN)
def test_commands_behind_a_login_in_one_segment_are_answered(
    maildrop: Maildrop, entrance: Entrance, way: str
) -> None:
    """Another process may go on with a session that has logged in, and with what waits."""
    run, layer = maildrop.run, maildrop.transport or maildrop.run.observed.transport
    need_pipelining(maildrop)
    if "PIPELINING" not in (run.observed.listed(layer) or ()):
        not_applicable("PIPELINING is not offered before the login")
    if not entrance.announces(WAYS[way].needs, layer):
        not_applicable(f"{WAYS[way].needs} is not offered")
    if way != "apop" and layer is Transport.PLAIN and not run.target.allow_cleartext:
        blocked("a password would go over an unencrypted connection; see --allow-cleartext")
    if way == "plain" and len(initial_response(maildrop.mailbox.account)) > MAX_INITIAL:
        not_applicable("name and password are too long for an initial response")
    fill(maildrop, FILLING)
    log_in_alone = partial(logged_in_alone, maildrop, WAYS[way])
    alone = maildrop.patiently(log_in_alone)
    if is_misframed(maildrop) or not all(exchange.is_ok for exchange in alone):
        return  # judged already
    due = [told(exchange) for exchange in alone]

    def problem() -> str:
        noted = Noted(maildrop)
        came = maildrop.patiently(partial(logged_in, maildrop, WAYS[way], sent_together))
        found = noted.out_of_turn(other_replies(due, came, loosely=True))
        refused = [each for each in came if each.keyword in LOGIN and each.is_err]
        if found and refused and refusal(refused[0]).is_limit:
            return "later"
        if found and not refused:
            again = maildrop.patiently(log_in_alone)
            maildrop.hold(IN_TURN, "" if other_replies(due, again, loosely=True) else found)
        return found if refused else ""

    # The last session may have its lock still.
    found = maildrop.eventually(problem)
    if found == "later":
        blocked("the login is refused for now")
    maildrop.hold(IN_TURN, found)


# --- With QUIT ---


@dataclass(frozen=True)
class Ending:
    """Commands up to QUIT, and behind it, and which messages it removes."""

    lines: tuple[str, ...]
    behind: tuple[str, ...] = ()
    marked: tuple[int, ...] = ()
    filling: tuple[str, ...] = FILLING


ENDINGS: Mapping[str, Ending] = {
    "last": Ending(("STAT", "DELE 2", "RETR 3", "DELE 4", "LIST", "QUIT"), marked=(2, 4)),
    "behind-reset": Ending(("DELE 1", "DELE 2", "RSET", "DELE 3", "QUIT"), marked=(3,)),
    "behind-big-messages": Ending(
        ("RETR 1", "TOP 3 5", "RETR 3", "DELE 2", "QUIT"), marked=(2,), filling=BIG
    ),
    "in-the-middle": Ending(("DELE 2", "STAT", "QUIT"), ("DELE 4", "RSET", "NOOP"), (2,)),
    "first": Ending(("QUIT",), ("DELE 1", "DELE 4", "QUIT")),
}


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.rules(IN_TURN)
def test_quit_ends_the_session_where_it_stands(maildrop: Maildrop, name: str) -> None:
    """All before it is done and answered; what stands behind it is never carried out."""
    ending = ENDINGS[name]
    need_pipelining(maildrop)
    alone, words = ended(maildrop, ending, sent_alone)
    if words or is_misframed(maildrop) or not all(exchange.is_ok for exchange in alone):
        return  # judged where commands come one by one
    noted = Noted(maildrop)
    came, words = ended(maildrop, ending, partial(sent_together, behind=ending.behind))
    # A server that closes with commands unread may lose replies that are on their way.
    is_cut = bool(ending.behind) and came[-1].reply is None and came[-1].is_closed
    due = [told(exchange) for exchange in alone]
    other = "" if is_cut else other_replies(due, came, loosely=True)
    if is_cut:
        noted.take_back()
    found = noted.out_of_turn(other or words)
    if found:
        again, words = ended(maildrop, ending, sent_alone)
        if words or other_replies(due, again, loosely=True):
            return  # wrong one by one as well, the second time
    maildrop.hold(IN_TURN, found)


# --- Where it is not announced ---


@pytest.mark.rules("rfc1939-3-reply-per-command")
def test_whether_commands_that_were_sent_together_are_answered_all_the_same(
    maildrop: Maildrop,
) -> None:
    """Nothing obliges the server to: for the record, in a session of which no more is asked."""
    if "PIPELINING" in maildrop.run.observed.features:
        not_applicable("PIPELINING is offered")
    session = maildrop.open("together")
    session.send_raw(b"NOOP\r\nNOOP\r\nNOOP\r\n", "three commands together")
    came = session.hear(maildrop.run.target.timeouts.reply).partial.count(b"+OK")
    session.close()
    maildrop.observe("unannounced-pipelining", f"{came} of 3 commands are answered")


# --- What is sent ---


def need_pipelining(maildrop: Maildrop) -> None:
    """End the test where PIPELINING is not announced: the client has to wait then."""
    if "PIPELINING" not in maildrop.run.observed.features:
        not_applicable("PIPELINING is not offered")


def fill(maildrop: Maildrop, names: Sequence[str]) -> None:
    """These stock messages, where there is something to send to them."""
    need_pipelining(maildrop)
    maildrop.fill([STOCK[name].octets for name in names])


def wire(lines: Iterable[str]) -> bytes:
    """Command lines as they are sent."""
    return b"".join([line.encode() + b"\r\n" for line in lines])


def offered(maildrop: Maildrop, lines: Iterable[str]) -> tuple[str, ...]:
    """The commands without those that the server need not have, and has not."""
    missing = (OPTIONAL | {"CAPA"}) - maildrop.run.observed.features
    return tuple(line for line in lines if line.split()[0] not in missing)


def drawn(maildrop: Maildrop, draw: random.Random) -> Batch:
    """Some commands in any order, none of them refused, with nothing marked at the end."""
    left = list(range(1, len(FILLING) + 1))
    lines = []
    for _ in range(draw.randrange(4, 20)):
        number = draw.choice(left)
        line = draw.choice(
            (
                *("NOOP", "STAT", "LIST", "UIDL", "RSET", f"TOP {number} {draw.randrange(9)}"),
                *(f"{word} {number}" for word in ("RETR", "LIST", "UIDL", "DELE")),
            )
        )
        if line.startswith("DELE") and len(left) > 2:
            left.remove(number)
        elif line.startswith("DELE"):
            line = "RSET"
        if line == "RSET":
            left = list(range(1, len(FILLING) + 1))
        lines.append(line)
    chosen = offered(maildrop, (*lines, "RSET", "STAT"))
    pieces = draw.sample(range(1, len(wire(chosen))), draw.randrange(4))
    return Batch(chosen, tuple(sorted(pieces)))


# --- What comes back ---

Told = tuple[str, object]


def told(exchange: Exchange) -> Told:
    """What a reply says, without its free text: the status indicator and what is in it."""
    reply = exchange.reply
    if reply is None or not exchange.is_ok:
        return (reply.status_line[:4].decode("latin-1") if reply else "no reply", None)
    told: object = None
    if exchange.drop_listing is not None:
        told = (exchange.drop_listing.count, exchange.drop_listing.octets)
    elif exchange.scan_listings is not None:
        told = sorted((each.number, each.octets) for each in exchange.scan_listings)
    elif exchange.unique_id_listings is not None:
        told = sorted((each.number, each.unique_id) for each in exchange.unique_id_listings)
    elif exchange.keyword == "CAPA":
        told = sorted(capabilities(reply))
    elif exchange.keyword in ("RETR", "TOP"):
        told = without_rewritten(reply.content)
    return ("+OK", told)


def without_rewritten(message: bytes) -> bytes:
    """A message without the header fields that servers change."""
    head, blank, body = message.partition(b"\r\n\r\n")
    return _REWRITTEN.sub(b"", head + b"\r\n") + blank + body


def other_replies(due: Sequence[Told], came: Sequence[Exchange], *, loosely: bool = False) -> str:
    """The first reply that is not the one that is due, in words.

    Between two sessions header fields may change, and sizes with them.
    """
    for place, (told_alone, exchange) in enumerate(zip(due, came, strict=False), 1):
        now = told(exchange)
        if now == told_alone or (loosely and now[0] == told_alone[0] and is_like(now, told_alone)):
            continue
        where = f"for {exchange.keyword}, number {place} of {len(due)} commands sent together"
        if now[0] == told_alone[0]:
            return f"something else than when sent alone {where}: {got_instead(exchange)}"
        return f"{got_instead(exchange)} {where}, '{told_alone[0]}' when sent alone"
    return ""


def is_like(now: Told, alone: Told) -> bool:
    """The same messages are counted, listed or sent, perhaps with other sizes."""

    def outline(content: object) -> object:
        if isinstance(content, bytes):
            return content.partition(b"\r\n\r\n")[2]
        if isinstance(content, tuple):
            return content[0]
        return [each[0] for each in content] if isinstance(content, list) else content

    return outline(now[1]) == outline(alone[1])


# --- One by one, and together ---


class Noted:
    """What a recorder has before commands are sent together."""

    def __init__(self, maildrop: Maildrop) -> None:
        self._recorder = maildrop.recorder
        self._findings = len(self._recorder.findings)
        self._facts = len(self._recorder.facts)

    def out_of_turn(self, problem: str, session: Session | None = None) -> str:
        """What is wrong with commands sent together, in words; it is taken from other rules.

        They hold where the same commands are sent one by one. What a server says behind
        QUIT has a rule of its own.
        """
        if problem and session is not None:
            session.close()
        found = [
            each for each in self._recorder.findings[self._findings :] if each.rule != AFTER_QUIT
        ]
        if not problem and found:
            problem = f"{found[0].got}, of commands sent together"
        if problem:
            self.take_back()
        return problem

    def take_back(self) -> None:
        """What a session out of step shows is no evidence."""
        for each in self._recorder.findings[self._findings :]:
            if each.rule != AFTER_QUIT:
                self._recorder.forget(each.rule, self._findings)
        del self._recorder.facts[self._facts :]


def same_as_one_by_one(
    maildrop: Maildrop, filling: Sequence[str], batches: Sequence[Batch]
) -> None:
    """In one session send commands one by one, and then together."""
    fill(maildrop, filling)
    session = maildrop.open("together")
    due: dict[tuple[str, ...], list[Told]] = {}
    for number, batch in enumerate(batches, 1):
        lines = offered(maildrop, batch.lines)
        if lines not in due:
            due[lines] = one_by_one(session, lines)
            if is_misframed(maildrop) or session.history.illegal or not session.is_open:
                return  # judged already
        maildrop.forget_transcript()
        noted = Noted(maildrop)
        came = sent_together(session, lines, batch.pieces)
        if came[-1].is_closed and session.history.refusals > 1:
            blocked("the server closes behind refused commands")
        problem = other_replies(due[lines], came)
        if not problem:
            problem = out_of_step(session)
        if found := noted.out_of_turn(problem, session):
            if is_right_one_by_one(maildrop, filling, batches[:number]):
                maildrop.hold(IN_TURN, found)
            return
    session.quit()
    maildrop.hold(IN_TURN, "")


def is_misframed(maildrop: Maildrop) -> bool:
    """Where replies end is not clear even if each is awaited."""
    return any(found.rule in FRAMING_RULES for found in maildrop.recorder.findings)


def one_by_one(session: Session, lines: Sequence[str]) -> list[Told]:
    """What the replies say; where nothing is marked, a command is sent once."""
    changes = any(line.startswith("DELE") for line in lines)
    known: dict[str, Told] = {}
    due: list[Told] = []
    for line in lines:
        if changes or line not in known:
            if not session.is_open or session.history.illegal:
                return due
            known[line] = told(session.exchange(line))
        due.append(known[line])
    return due


def sent_alone(session: Session, lines: Sequence[str]) -> list[Exchange]:
    """Send commands one by one, up to the first that is not answered with +OK."""
    came: list[Exchange] = []
    for line in lines:
        came.append(session.exchange(line))
        if not came[-1].is_ok:
            break
    return came


def sent_together(
    session: Session,
    lines: Sequence[str],
    pieces: tuple[int, ...] = (),
    behind: Sequence[str] = (),
) -> list[Exchange]:
    """Send commands together; the replies up to the first that is missing.

    To those behind them no reply is due.
    """
    session.send_octets(wire((*lines, *behind)), pieces, apart=APART)
    came: list[Exchange] = []
    for _ in lines:
        came.append(session.receive())
        if came[-1].reply is None:
            break
    return came


def out_of_step(session: Session) -> str:
    """What a command alone shows behind all replies, in words."""
    session.look()
    if not session.is_open:
        return "the connection closed behind commands sent together"
    alone = session.exchange("NOOP")
    return "" if alone.is_ok else f"{got_instead(alone)} for NOOP, behind commands sent together"


def is_right_one_by_one(
    maildrop: Maildrop, filling: Sequence[str], batches: Sequence[Batch]
) -> bool:
    """The same commands, as often as they were sent, are answered alike one by one."""
    # Anew, for reading messages may have changed what is stored.
    fill(maildrop, filling)
    noted = len(maildrop.recorder.findings)
    session = maildrop.open("one-by-one-again")
    due: dict[tuple[str, ...], list[Told]] = {}
    for batch in batches:
        lines = offered(maildrop, batch.lines)
        for _ in range(1 if lines in due else 2):
            said = [told(session.exchange(line)) for line in lines if session.is_open]
            if said != due.setdefault(lines, said):
                return False
    session.quit()
    return len(maildrop.recorder.findings) == noted


def logged_in(
    maildrop: Maildrop, way: Way, send: Callable[[Session, Sequence[str]], list[Exchange]]
) -> list[Exchange]:
    """The replies to a login and to commands behind it."""
    session = maildrop.greeted("login")
    login = way.lines(session, maildrop.mailbox.account)
    came = send(session, (*login, *offered(maildrop, BEHIND_LOGIN)))
    session.quit()
    return came


def logged_in_alone(maildrop: Maildrop, way: Way) -> list[Exchange]:
    """The same one by one; SessionRefused where the login is refused."""
    came = logged_in(maildrop, way, sent_alone)
    if came[-1].keyword in LOGIN and not came[-1].is_ok:
        raise refusal(came[-1])
    return came


def ended(
    maildrop: Maildrop,
    ending: Ending,
    send: Callable[[Session, Sequence[str]], list[Exchange]],
) -> tuple[list[Exchange], str]:
    """The replies up to that to QUIT, and what is wrong with the maildrop then, in words."""
    fill(maildrop, ending.filling)
    before = maildrop.look()
    session = maildrop.open("ends")
    unique_ids = maildrop.unique_ids_in(session) or {}
    may_go = [unique_ids.get(number) for number in ending.marked]
    came = send(session, offered(maildrop, ending.lines))
    session.close()

    def problem() -> str:
        after = maildrop.look()
        left = before.left(after, len(may_go)) if came[-1].is_ok else ""
        return before.lost(after, may_go) or left

    return came, maildrop.eventually(problem)
