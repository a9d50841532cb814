"""Octets -> the steps of a conversation, decoded by tables as it goes on.

Each step takes a few octets. What they mean may depend on the model of the session, such as
which messages are marked; it never depends on the clock or on anything random.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pop3spec.fuzzing.play import Play
from pop3spec.fuzzing.steps import Act, Conversation, Step
from pop3spec.model import SessionModel
from pop3spec.protocol.commands import State

# Octets of a plan: a head, and so many for each step.
HEAD, WIDTH = 4, 3
MOST_STEPS = 20
SIZE = HEAD + WIDTH * MOST_STEPS

# How many messages there are at the beginning, by an octet of the head.
_FILLINGS = (3, 2, 4, 1, 3, 0, 5, 10)


@dataclass(frozen=True)
class Layout:
    """The sessions of a conversation: the maildrop of each, and how often a name changes."""

    maildrops: tuple[int, ...]

    @property
    def several(self) -> int:
        """How many maildrops there are."""
        return max(self.maildrops) + 1


ONE = Layout((0,))
# Two and three sessions, on one and on several maildrops.
SEVERAL = (Layout((0, 0)), Layout((0, 1)), Layout((0, 0, 1)), Layout((0, 0, 0)))

# What a step does -> how many of 256 octets mean it.
_WEIGHTS: Mapping[str, int] = {
    "DELE": 42,
    "RSET": 22,
    "RETR": 26,
    "check": 36,
    "LIST n": 14,
    "UIDL n": 14,
    "TOP": 14,
    "NOOP": 6,
    "error": 18,
    "refused": 8,
    "QUIT": 14,
    "close": 10,
    "reset": 6,
    "deliver": 10,
    "sweep": 8,
    "batch": 6,
    "empty": 2,
}


def _table(weights: Mapping[str, int]) -> tuple[str, ...]:
    table = tuple(name for name, weight in weights.items() for _ in range(weight))
    assert len(table) == 256
    return table


_ACTIONS = _table(_WEIGHTS)

# What a server refuses, and goes on (RFC 1939, section 3).
ERRORS = (
    b"XQZJ",
    b"RETR",
    b"DELE",
    b"DELE 0",
    b"TOP 1",
    b"LIST 1abc",
    b"UIDL -1",
    b"USER nobody-qx7zj4",
    b"RETR 1 2",
    b"DELE 4294967297",
    b"TOP 1 -1",
    b"XQZJ 1",
    b"LIST 99999",
    b"PASS x",
    b"DELE 2147483648",
    b"STLS",
)
_CHECK = (b"STAT", b"LIST", b"UIDL")


def conversation(octets: bytes, layouts: Sequence[Layout]) -> tuple[Conversation, Layout]:
    """What a plan begins with."""
    layout = layouts[octets[1] % len(layouts)]
    number = _FILLINGS[octets[0] % len(_FILLINGS)]
    in_tls = octets[2] % 16 == 9
    return Conversation((), number, layout.several, in_tls), layout


def steps(octets: bytes, layout: Layout, play: Play) -> Iterator[Step]:
    """The steps that a plan means, each made when the one before it was done."""
    head = octets[:HEAD]
    length = 4 + head[3] // 4 % (MOST_STEPS - 3)
    sessions = len(layout.maildrops)
    yield from _enter(0, layout.maildrops[0], 0, play)
    if head[2] & 1:
        yield from _read_everything(0, play)
    for place in range(length):
        if play.is_over:
            return
        at = HEAD + WIDTH * place
        action, choice, more = octets[at], octets[at + 1], octets[at + 2]
        session = more % sessions
        model = play.model_of(session)
        if model is None or model.state is not State.TRANSACTION:
            yield from _enter(session, layout.maildrops[session], choice, play)
            continue
        yield from _step(_ACTIONS[action], session, layout, model, choice, more // sessions, play)
    for session in range(sessions):
        model = play.model_of(session)
        if head[2] & 2 and model is not None and model.state is State.TRANSACTION:
            yield from _read_everything(session, play)
        if model is not None and head[3] & 1 << session:
            yield say(session, b"QUIT")
        elif model is not None:
            yield Step(Act.CLOSE, session)
    # A look at what there is behind all that.
    for maildrop in sorted(set(layout.maildrops)):
        last = sessions + maildrop
        yield from _enter(last, maildrop, 0, play)
        yield from _check(last, play)
        yield from _read_everything(last, play)
        yield say(last, b"QUIT")


def say(session: int, *lines: bytes) -> Step:
    """Commands in one segment."""
    return Step(Act.SAY, session, b"".join(line + b"\r\n" for line in lines))


def ask(session: int) -> Step:
    """A neighbour's NOOP, which has an answer whatever others do."""
    return Step(Act.ASK, session, b"NOOP\r\n")


def neighbour(session: int, play: Play) -> Iterator[Step]:
    """A session that does nothing, logged in to an account of its own where there is one."""
    if len(play.maildrops) > 1 and not play.stays_outside:
        yield Step(Act.CONNECT, session, maildrop=1)
        yield Step(Act.LOG_IN, session, play.usual_method, maildrop=1)
    else:
        yield Step(Act.CONNECT, session)


def _enter(session: int, maildrop: int, choice: int, play: Play) -> Iterator[Step]:
    methods = play.methods
    method = methods[choice // 3 % len(methods)] if choice % 3 == 1 else play.usual_method
    yield Step(Act.CONNECT, session, maildrop=maildrop)
    if choice % 32 == 31 and play.may_guess:
        yield Step(Act.LOG_IN, session, b"wrong", maildrop=maildrop)
    yield Step(Act.LOG_IN, session, method, maildrop=maildrop)


def _settle(layout: Layout, maildrop: int, play: Play) -> Iterator[Step]:
    """What sessions show of a maildrop does not depend on who is faster, they or a delivery."""
    for session, place in enumerate(layout.maildrops):
        if place == maildrop and play.is_fresh(session):
            yield say(session, b"STAT")


def _check(session: int, play: Play) -> Iterator[Step]:
    yield from _together(session, _CHECK if _has(play, "UIDL") else _CHECK[:2], play)


def _together(session: int, lines: Sequence[bytes], play: Play) -> Iterator[Step]:
    """These commands in one segment where the server permits that, for it takes less time."""
    if _has(play, "PIPELINING") and len(play.played) % 4:
        yield say(session, *lines)
    else:
        yield from (say(session, line) for line in lines)


def _has(play: Play, feature: str) -> bool:
    return feature in play.run.observed.features


def _read_everything(session: int, play: Play) -> Iterator[Step]:
    model = play.model_of(session)
    if model is None:
        return
    yield say(session, b"UIDL" if _has(play, "UIDL") else b"LIST")
    if model.present:
        yield from _together(session, [b"RETR %d" % each for each in model.present], play)


def number(model: SessionModel, choice: int) -> int:
    """A message-number: mostly one that is there, sometimes a marked one, one beyond, or 0."""
    count = model.count or 0
    present, marked = model.present, sorted(model.marked)
    if choice < 150 and present:
        return present[choice % len(present)]
    if choice < 180 and present:
        return present[-1]
    if choice < 225 and marked:
        return marked[choice % len(marked)]
    return (1, count + 1, count, count + 2, 0, count + 257)[choice % 6]


def _step(
    action: str,
    session: int,
    layout: Layout,
    model: SessionModel,
    choice: int,
    more: int,
    play: Play,
) -> Iterator[Step]:
    maildrop = layout.maildrops[session]
    named = b"%d" % number(model, choice)
    match action:
        case "check":
            yield from _check(session, play)
        case "error":
            yield say(session, ERRORS[choice % len(ERRORS)])
        case "refused":
            # A number that is refused: of a marked message, or of none.
            gone = sorted(model.marked) or [(model.count or 0) + 1]
            word = (b"DELE", b"RETR", b"LIST", b"TOP")[more % 4]
            tail = b" 0" if word == b"TOP" else b""
            if word != b"TOP" or _has(play, "TOP"):
                yield say(session, b"%b %d%b" % (word, gone[choice % len(gone)], tail))
        case "TOP":
            if _has(play, "TOP"):
                yield say(session, b"TOP %b %d" % (named, (0, 1, 2, 9, 2147483647)[more % 5]))
        case "UIDL n":
            if _has(play, "UIDL"):
                yield say(session, b"UIDL " + named)
        case "LIST n":
            yield say(session, b"LIST " + named)
        case "RETR" | "DELE":
            yield say(session, action.encode() + b" " + named)
        case "batch":
            lines = [b"STAT", b"DELE " + named, b"LIST", b"NOOP", b"RETR " + named, b"STAT"]
            if _has(play, "PIPELINING"):
                yield say(session, *lines[more % 3 :])
        case "sweep" if model.present:
            yield from _together(session, [b"DELE %d" % each for each in model.present], play)
        case "sweep":
            yield say(session, b"RSET")
        case "close":
            yield Step(Act.CLOSE, session)
        case "reset":
            yield Step(Act.RESET, session)
        case "deliver":
            yield from _settle(layout, maildrop, play)
            yield Step(Act.DELIVER, session, maildrop=maildrop)
        case "empty":
            yield from _settle(layout, maildrop, play)
            yield Step(Act.EMPTY, session, maildrop=maildrop)
        case _:
            yield say(session, action.encode())
    # Every second step that may change something is followed by a look at all of it.
    if action in ("DELE", "sweep", "RSET", "error", "refused") and more % 2:
        yield from _check(session, play)
