"""Octets -> command lines: from the COMMANDS table, with arguments that fit, nearly fit, or do not.

Most examples have lines that a client may send; in the others the last line is none of those.
"""

from collections.abc import Iterator

from pop3spec.fuzzing.plans import ask, neighbour, say
from pop3spec.fuzzing.play import Play
from pop3spec.fuzzing.steps import Act, Conversation, Step
from pop3spec.protocol.commands import COMMANDS, MAX_COMMAND, Argument, State

HEAD, WIDTH, LINES = 4, 4, 12
SIZE = HEAD + WIDTH * LINES

_UNKNOWN = (
    "XQZJ",
    "QZXV",
    "RETRX",
    "NOO",
    "DELETE",
    "X",
    "LISTS",
    "NOOPX",
    "STATX",
    "Q2",
    "XQZJ:",
    "RETR:1",
    "%s%n",
)
# What has a meaning of its own before the login, or behind it, is left to other tests.
_KNOWN = tuple(word for word in COMMANDS if word not in ("QUIT", "STLS", "AUTH"))
_NUMBERED = tuple(word for word in _KNOWN if COMMANDS[word].names_message)
_WORDS = (*_KNOWN, *_NUMBERED * 4, *_UNKNOWN)

# Numbers by what is wrong with them; each kind is drawn as often as another one.
_NUMBERS: tuple[tuple[bytes, ...], ...] = (
    *((b"1", b"2", b"3", b"1"), (b"1", b"3", b"2", b"3")),
    (b"0", b"4", b"99", b"256", b"257", b"65535", b"65536", b"65537", b"00"),
    (b"2147483647", b"2147483648", b"4294967295", b"4294967296", b"4294967297", b"4294967298"),
    (b"18446744073709551615", b"18446744073709551617", b"9" * 40, b"1" * 200),
    (b"-1", b"-0", b"-2147483648", b"-2", b"+1", b"01"),
    (b"abc", b"x", b"all", b"one"),
    (b"1abc", b"1.5", b"1e0", b"0x1", b"1,2", b"1-2", b"1;2", b"1:*", b"2x"),
    (b"*", b"%d", b"%s%s%n", b"'1'", b"~", b"$1", b"", b"1 2", b"1 1 1", b"@"),
)
_NAMES: tuple[bytes, ...] = (
    *(b"nobody-qx7zj4", b"a@b@c", b"nobody@qx7zj4.invalid", b"..", b"../../etc/passwd", b"%s%n%x"),
    *(b"x" * 39, b"x" * 40, b"x" * 41, b"x" * 120, b"x" * 240, b"'", b'"', b"<>", b"a b", b""),
    *(b"+OK", b"-ERR", b".", b"=", b"*", b"root;id", b"(){}", b"\\", b"nobody+tag", b"-", b"@"),
)
_LANGUAGES = (b"*", b"en", b"i-default", b"xx-unknown", b"", b"en en", b"x" * 60)

_NEIGHBOUR = 2
_TOUCHES_MAIL = (b"DELE", b"RETR", b"TOP")
# How many lines an example has: behind a few refusals a server may close the connection.
_LENGTHS = (1, 2, 2, 3, 4, 6, 8, LINES)
# What no client may send, as the last line of an example.
_ILLEGAL: tuple[bytes, ...] = (
    *(b"NO\0OP\r\n", b"USER a\0b\r\n", b"\0\r\n", b"STAT\0rubbish\r\n", b"STAT\n", b"NOOP\r\r\n"),
    *(b"\r\n", b" \r\n", b"\tNOOP\r\n", b" NOOP\r\n", b"LIST\t1\r\n", b"RETR 1\x07\r\n"),
    *(b"USER \xff\xfe\r\n", b"\x80\x81\r\n", b"NOOP " + b"x" * 300 + b"\r\n", b"\x1b[31mNOOP\r\n"),
    *(b"LIST " + b"9" * 600 + b"\r\n", b"A" * 2000 + b"\r\n", b"USER " + b"%s" * 500 + b"\r\n"),
    *(b"UIDL " + b"1 " * 400 + b"\r\n", b"STAT\rLIST\r\n", b"TOP 1 " + b"1" * 5000 + b"\r\n"),
)
# Longer ones, where they are permitted.
_STRESS: tuple[bytes, ...] = (
    b"USER " + b"x" * 65536 + b"\r\n",
    b"RETR " + b"1" * 20000 + b"\r\n",
    b"Q" * 100_000 + b"\r\n",
)


def begin(octets: bytes) -> Conversation:
    """Every example has three messages, and is rarely in TLS."""
    return Conversation((), 3, 1 + _has_neighbour(octets), octets[3] % 32 == 9)


def _has_neighbour(octets: bytes) -> bool:
    return octets[0] // 3 % 2 == 1


def steps(octets: bytes, play: Play) -> Iterator[Step]:
    """Some lines before or behind the login, one by one, together, or in pieces.

    In every second example a neighbour is there from the beginning to the end.
    """
    is_in = octets[0] % 3 != 2 and not play.stays_outside
    has_neighbour = _has_neighbour(octets)
    if has_neighbour:
        yield from neighbour(_NEIGHBOUR, play)
    yield Step(Act.CONNECT, 0)
    if is_in:
        yield Step(Act.LOG_IN, 0, play.usual_method)
    model = play.model_of(0)
    if model is None or (is_in and model.state is not State.TRANSACTION):
        return
    length = _LENGTHS[octets[1] % len(_LENGTHS)]
    places = [HEAD + WIDTH * place for place in range(length)]
    lines = [line(octets[at : at + WIDTH]) for at in places]
    # What may be a login is not tried more often than is permitted.
    lines = [each for each in lines if is_in or play.may_guess or not _guesses(each)]
    if not play.has_door:
        # What is there is somebody's mail.
        lines = [each for each in lines if not any(word in each.upper() for word in _TOUCHES_MAIL)]
    may_pipeline = "PIPELINING" in play.run.observed.features
    if octets[2] % 4 == 1 and may_pipeline:
        yield Step(Act.SAY, 0, b"".join(lines))
    else:
        pieces = octets[2] % 16 == 2
        for place, each in enumerate(lines):
            cut = 1 + octets[places[place]] % (len(each) - 1)
            yield Step(Act.SAY, 0, each, (cut,) if pieces else ())
    if has_neighbour:
        yield ask(_NEIGHBOUR)
    if is_in:
        yield say(0, *((b"STAT", b"LIST") if may_pipeline else (b"STAT",)))
    if octets[3] % 4 == 3:
        table = _ILLEGAL + (_STRESS if play.run.target.allow_stress else ())
        yield Step(Act.SAY, 0, table[octets[3] // 4 * 7 % len(table)])
        yield Step(Act.CLOSE, 0)
    else:
        yield say(0, b"QUIT")
    if has_neighbour:
        yield ask(_NEIGHBOUR)
    # The next client is served.
    yield Step(Act.CONNECT, 1)
    yield say(1, b"QUIT")


def line(octets: bytes) -> bytes:
    """A command line that a client may send, CRLF included."""
    word = _WORDS[octets[0] % len(_WORDS)]
    command = COMMANDS.get(word)
    written = _written(word, octets[1])
    parts = [written.encode()]
    number = octets[1] // 8 % 4
    wanted = command.arguments if command is not None else (Argument.NAME, Argument.NAME)
    # Mostly as many arguments as it takes, sometimes one less or one more.
    count = max(0, len(wanted) - (number == 1) + (number == 2))
    kinds = (*wanted, Argument.MESSAGE_NUMBER)[:count]
    choices = octets[2:4] + octets[2:4]
    for place, (kind, choice) in enumerate(zip(kinds, choices, strict=False)):
        # Of two arguments mostly one is wrong.
        parts.append(_argument(kind, 0 if number == 3 and place == choice % 2 else choice))
    whole = b" ".join(parts)[: MAX_COMMAND - 2]
    return whole + b"\r\n" if whole.strip() else b"NOOP\r\n"


def _argument(kind: Argument, choice: int) -> bytes:
    if kind in (Argument.MESSAGE_NUMBER, Argument.LINE_COUNT):
        of_kind = _NUMBERS[choice % len(_NUMBERS)]
        return of_kind[choice // len(_NUMBERS) % len(of_kind)]
    table = _LANGUAGES if kind is Argument.LANGUAGE else _NAMES
    return table[choice % len(table)]


def _written(word: str, octet: int) -> str:
    """A keyword in one of its spellings."""
    match octet % 8:
        case 0:
            return word.lower()
        case 1:
            return word.capitalize()
        case _:
            return word


def _guesses(whole: bytes) -> bool:
    return whole[:4].upper() in (b"PASS", b"APOP", b"AUTH")
