"""What a check says of an exchange, and the words that checks share."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pop3spec.protocol.commands import message_number
from pop3spec.protocol.text import show
from pop3spec.rulebook.history import History
from pop3spec.transcript import Exchange, Kind


@dataclass(frozen=True)
class Held:
    """The exchange shows that the rule is kept."""


@dataclass(frozen=True)
class Broken:
    """The exchange breaks the rule; `got` are words that fit behind 'got'."""

    got: str


Judgement = Held | Broken | None


Check = Callable[[Exchange, History], Judgement]


HELD = Held()


# Octets of a quotation, and message-numbers, in a finding.
QUOTED, SHOWN = 120, 8


STATUS = re.compile(rb"(\+OK|-ERR)( |\r|\n|$)")


def quote(octets: bytes) -> str:
    """The beginning of some octets, readable and in quotation marks."""
    return f"'{show(octets, QUOTED)}'"


def is_judged(exchange: Exchange, before: History) -> bool:
    """A command was sent, and nothing that no client may send came before it.

    Behind a positive reply to STLS the server waits for TLS, and for no command.
    """
    if _awaits_tls(before) and not exchange.secure:
        return False
    return exchange.kind is Kind.COMMAND and not exchange.deliberate and not before.illegal


def _awaits_tls(before: History) -> bool:
    return before.last is not None and before.last.keyword == "STLS" and before.last.is_ok


def is_judged_line(exchange: Exchange, before: History) -> bool:
    """The same of a command, or of a response in a SASL exchange."""
    is_response = exchange.kind is Kind.CONTINUATION and not exchange.deliberate
    return (is_response and not before.illegal) or is_judged(exchange, before)


def in_words(numbers: Iterable[int]) -> str:
    """Message-numbers in ascending order, the first ones of many."""
    shown = sorted(numbers)
    text = ", ".join(str(number) for number in shown[:SHOWN])
    return text if len(shown) <= SHOWN else f"{text} and more"


def count_of_messages(count: int) -> str:
    """A count with its noun."""
    return "1 message" if count == 1 else f"{count} messages"


def may_close(before: History) -> bool:
    """The RFC lets the server close here: section 4 after a failed login; garbage; its end."""
    last = before.last
    asked = last is not None and last.keyword == "QUIT"
    login = before.login_refused or before.user_refused
    ends = before.quit or before.is_ending or asked or _awaits_tls(before)
    return before.illegal or login or before.refusals > 1 or ends


def is_bare(exchange: Exchange) -> bool:
    """The keyword in upper case and CRLF, with nothing between them."""
    return exchange.sent == exchange.keyword.encode() + b"\r\n"


def names_plainly(exchange: Exchange, number: int) -> bool:
    """The command stands as RFC 1939 writes it: upper case, no zeros or blanks beside it."""
    line = b"%b %d" % (exchange.keyword.encode(), number)
    if exchange.keyword == "TOP":
        count = message_number(exchange.arguments[-1])
        if count is None or count > _MOST_LINES:
            return False  # above that a line count may be refused
        line += b" %d" % count
    return exchange.sent == line + b"\r\n"


# Of TOP: what a signed number of 32 bits holds.
_MOST_LINES = (1 << 31) - 1


def refused(exchange: Exchange, got: str) -> Judgement:
    """Held by a negative reply, broken by a positive one."""
    if exchange.is_err:
        return HELD
    if exchange.is_ok and exchange.reply is not None:
        return Broken(f"{quote(exchange.reply.status_line)} {got}")
    return None


def is_positive(exchange: Exchange, word: str) -> bool:
    """A positive reply to the command with this keyword."""
    return exchange.kind is Kind.COMMAND and exchange.keyword == word and exchange.is_ok


def is_localised(exchange: Exchange, before: History) -> bool:
    """The text of the reply may be in the language that LANG has chosen (RFC 6856, section 3.2)."""
    return before.has_language or (is_positive(exchange, "LANG") and bool(exchange.arguments))


def is_utf8(octets: bytes) -> bool:
    """Well-formed UTF-8 (RFC 3629)."""
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
