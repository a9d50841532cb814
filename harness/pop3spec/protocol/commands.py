"""The COMMANDS table: what the RFCs say of each command keyword.

The table knows states, arguments and multi-line forms. Whether a server obeys
it is for the rulebook to say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache


class State(Enum):
    """A state of a POP3 session (RFC 1939, section 3)."""

    AUTHORIZATION = "AUTHORIZATION"
    TRANSACTION = "TRANSACTION"
    UPDATE = "UPDATE"


class Multiline(Enum):
    """When a positive reply to a command is multi-line."""

    NEVER = "never"
    ALWAYS = "always"
    WITHOUT_ARGUMENT = "without argument"


class Argument(Enum):
    """What one argument of a command means."""

    NAME = "name"
    SECRET = "secret"
    MESSAGE_NUMBER = "message-number"
    LINE_COUNT = "line count"
    MECHANISM = "mechanism"
    LANGUAGE = "language tag"


IN_AUTHORIZATION = frozenset({State.AUTHORIZATION})
IN_TRANSACTION = frozenset({State.TRANSACTION})
IN_EITHER = IN_AUTHORIZATION | IN_TRANSACTION


@dataclass(frozen=True)
class Command:
    """What the RFCs say of one command keyword.

    `required` of the `arguments` have to be given; the others may be left out.
    `rest` says that the last argument is the rest of the line, blanks included.
    """

    states: frozenset[State]
    arguments: tuple[Argument, ...] = ()
    required: int = 0
    multiline: Multiline = Multiline.NEVER
    rest: bool = False
    source: str = "RFC 1939, section 5"

    @property
    def names_message(self) -> bool:
        """The first argument is a message-number."""
        return self.arguments[:1] == (Argument.MESSAGE_NUMBER,)


_MESSAGE = (Argument.MESSAGE_NUMBER,)

COMMANDS: Mapping[str, Command] = {
    "STAT": Command(IN_TRANSACTION),
    "LIST": Command(IN_TRANSACTION, _MESSAGE, 0, Multiline.WITHOUT_ARGUMENT),
    "RETR": Command(IN_TRANSACTION, _MESSAGE, 1, Multiline.ALWAYS),
    "DELE": Command(IN_TRANSACTION, _MESSAGE, 1),
    "NOOP": Command(IN_TRANSACTION),
    "RSET": Command(IN_TRANSACTION),
    "QUIT": Command(IN_EITHER, source="RFC 1939, sections 4 and 6"),
    "TOP": Command(
        IN_TRANSACTION,
        (Argument.MESSAGE_NUMBER, Argument.LINE_COUNT),
        2,
        Multiline.ALWAYS,
        source="RFC 1939, section 7",
    ),
    "UIDL": Command(
        IN_TRANSACTION,
        _MESSAGE,
        0,
        Multiline.WITHOUT_ARGUMENT,
        source="RFC 1939, section 7",
    ),
    "USER": Command(IN_AUTHORIZATION, (Argument.NAME,), 1, source="RFC 1939, section 7"),
    "PASS": Command(
        IN_AUTHORIZATION, (Argument.SECRET,), 1, rest=True, source="RFC 1939, section 7"
    ),
    "APOP": Command(
        IN_AUTHORIZATION,
        (Argument.NAME, Argument.SECRET),
        2,
        source="RFC 1939, section 7",
    ),
    "CAPA": Command(IN_EITHER, multiline=Multiline.ALWAYS, source="RFC 2449, section 5"),
    "STLS": Command(IN_AUTHORIZATION, source="RFC 2595, section 4"),
    # Without a mechanism it is not in RFC 5034: a dialect that lists the mechanisms.
    "AUTH": Command(
        IN_AUTHORIZATION,
        (Argument.MECHANISM, Argument.SECRET),
        1,
        Multiline.WITHOUT_ARGUMENT,
        source="RFC 5034, section 4",
    ),
    "UTF8": Command(IN_AUTHORIZATION, source="RFC 6856, section 2"),
    "LANG": Command(
        IN_EITHER,
        (Argument.LANGUAGE,),
        0,
        Multiline.WITHOUT_ARGUMENT,
        source="RFC 6856, section 3",
    ),
}

# Those whose reply says whether a login succeeded.
LOGIN = frozenset({"PASS", "APOP", "AUTH"})
# RFC 2449, section 4: the octets of a command line, CRLF included.
MAX_COMMAND = 255

# What a lenient server reads: blanks and tabs before the keyword, one of them behind it.
_LINE = re.compile(rb"[ \t]*([^ \t]*)([ \t]?)(.*)", re.DOTALL)
_BLANK = re.compile(rb"[ \t]")
_SHORT = 255


def _parts(line: bytes) -> tuple[str, bytes, bytes]:
    # Each line is asked about many times; long ones are rare, and not worth keeping.
    return _parts_of_short(line) if len(line) <= _SHORT else _cut(line)


@lru_cache(maxsize=512)
def _parts_of_short(line: bytes) -> tuple[str, bytes, bytes]:
    return _cut(line)


def _cut(line: bytes) -> tuple[str, bytes, bytes]:
    found = _LINE.fullmatch(line.rstrip(b"\r\n"))
    assert found is not None
    # Only ASCII has cases here: in Latin-1 more than one letter could come of one octet.
    return found[1].upper().decode("latin-1"), found[2], found[3]


def keyword(line: bytes) -> str:
    """The keyword of a command line in upper case, '' where there is none."""
    return _parts(line)[0]


def arguments(line: bytes) -> tuple[bytes, ...]:
    """The arguments of a command line, split at each single blank.

    PASS has one argument, which is the rest of the line (RFC 1939, section 7).
    """
    word, blank, rest = _parts(line)
    if not blank:
        return ()
    command = COMMANDS.get(word)
    if command is not None and command.rest:
        return (rest,)
    return tuple(_BLANK.split(rest))


def is_multiline(line: bytes) -> bool:
    """Whether a positive reply to this command line has further lines."""
    command = COMMANDS.get(keyword(line))
    if command is None or command.multiline is Multiline.NEVER:
        return False
    if command.multiline is Multiline.ALWAYS:
        return True
    return not b"".join(arguments(line))


def message_number(argument: bytes) -> int | None:
    """The message-number that an argument is, None if it is not a plain decimal."""
    if not argument.isdigit():
        return None
    digits = argument.lstrip(b"0")
    # A number of a thousand digits names no message and is slow to convert.
    return int(digits or b"0") if len(digits) <= 20 else None
