"""Checks of capability lists: their form, and what changes from one to the next (RFC 2449).

Lists are compared at one security layer: on another one another list may be in force.
"""

import math
import re
from collections.abc import Callable, Iterator

from pop3spec.protocol.commands import State
from pop3spec.rulebook.checks.capabilities import listed, listed_before_login
from pop3spec.rulebook.history import Capabilities, History, says_later
from pop3spec.rulebook.judgement import (
    HELD,
    Broken,
    Judgement,
    is_bare,
    is_judged,
    quote,
)
from pop3spec.transcript import Exchange

# Section 3, and section 4 with CRLF.
_CAPABILITY = re.compile(rb"[\x21-\x2d\x2f-\x7f]+(?: [\x21-\x7e]+)*")
_MAX_LINE = 512

# What each has a rule of its own about, or is not for the TRANSACTION state.
_JUDGED_APART = frozenset({"STLS", "USER", "SASL", "UTF8"})

# Those whose arguments may not differ, of those that may have some.
_FIXED = ("SASL", "UTF8")

_DELAY, _PERIOD = "LOGIN-DELAY", "EXPIRE"
_NUMBER = re.compile(r"[0-9]{1,20}")
_NEVER = "NEVER"


def _of_tag(exchange: Exchange, before: History, *tags: str) -> Iterator[tuple[str, ...]]:
    """The words of each line with one of these tags, which is in upper case then."""
    if listed(exchange, before) is None or exchange.reply is None:
        return
    for line in exchange.reply.lines:
        tag, *arguments = line.decode("latin-1").split() or [""]
        if tag.upper() in tags:
            yield tag.upper(), *arguments


# --- The list (section 5) ---


def both_states(exchange: Exchange, before: History) -> Judgement:
    """CAPA is answered with a list each time, or never."""
    if exchange.keyword != "CAPA" or exchange.arguments or not is_judged(exchange, before):
        return None
    if exchange.reply is None or says_later(exchange):
        return None
    status, layer = quote(exchange.reply.status_line), exchange.secure
    was_answered = any(secure is layer for secure, _ in before.lists)
    if exchange.is_err and was_answered:
        # Perhaps it is not recognised in small letters; behind USER nothing is due but PASS
        # and QUIT (RFC 1939, section 7).
        if not is_bare(exchange) or before.user_accepted:
            return None
        return Broken(f"{status}, where CAPA was answered before")
    if exchange.is_ok and layer in before.capa_refused_on:
        return Broken(f"{status}, where CAPA was refused before")
    return HELD if exchange.is_ok and was_answered else None


def capability_line(exchange: Exchange, before: History) -> Judgement:
    """A tag of printable ASCII without a dot, and each parameter behind one blank."""
    if listed(exchange, before) is None or exchange.reply is None:
        return None
    for line in exchange.reply.lines:
        if not _CAPABILITY.fullmatch(line):
            return Broken(f"{quote(line)} in the capability list" if line else "an empty line")
    return HELD if exchange.reply.lines else None


def line_length(exchange: Exchange, before: History) -> Judgement:
    """No line of the list has more than 512 octets with its CRLF."""
    if listed(exchange, before) is None or exchange.reply is None:
        return None
    longest = max(map(len, exchange.reply.wire_lines), default=0)
    return HELD if longest <= _MAX_LINE else Broken(f"a line of {longest} octets")


def announced_after_login(exchange: Exchange, before: History) -> Judgement:
    """What was announced before the login is announced after it."""
    now, earlier = listed(exchange, before), listed_before_login(exchange, before)
    if now is None or earlier is None or earlier.keys() <= _JUDGED_APART:
        return None
    missing = earlier.keys() - _JUDGED_APART - now.keys()
    return Broken(f"no {_in_words(missing)}, announced before the login") if missing else HELD


def same_arguments(exchange: Exchange, before: History) -> Judgement:
    """SASL and UTF8 have the same arguments before and after the login; others have none."""
    now, earlier = listed(exchange, before), listed_before_login(exchange, before)
    if now is None or earlier is None:
        return None
    return _compared(now, earlier, "before the login")


def same_list(exchange: Exchange, before: History) -> Judgement:
    """The list has the same tags as the last one in this state.

    But for STLS, which a server may refuse behind UTF8 (RFC 6856, section 2.1) and USER.
    """
    now = listed(exchange, before)
    earlier = before.lists.get((exchange.secure, before.state))
    if now is None or earlier is None:
        return None
    changed = (now.keys() ^ earlier.keys()) - {"STLS"}
    gone, new = changed - now.keys(), changed & now.keys()
    if gone:
        return Broken(f"no {_in_words(gone)}, announced before in this state")
    if new:
        return Broken(f"{_in_words(new)}, not announced before in this state")
    judgement = _compared(now, earlier, "before in this state")
    return HELD if judgement is None else judgement


def _compared(now: Capabilities, earlier: Capabilities, when: str) -> Judgement:
    both = [tag for tag in _FIXED if tag in now and tag in earlier]
    for tag in both:
        if {each.upper() for each in now[tag]} != {each.upper() for each in earlier[tag]}:
            words = (
                " ".join((tag, *arguments)).encode("latin-1")
                for arguments in (now[tag], earlier[tag])
            )
            here, there = map(quote, words)
            return Broken(f"{here}, {there} {when}")
    return HELD if both else None


def _in_words(tags: frozenset[str] | set[str]) -> str:
    return quote(" ".join(sorted(tags)).encode("latin-1"))


# --- The capabilities (section 6) ---

# How many arguments a capability has, and the only word that may be one.
_WITHOUT = ("TOP", "USER", "UIDL", "STLS", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "LANG")


def tag_arguments(exchange: Exchange, before: History) -> Judgement:
    """Arguments where there are some by the definition, and nowhere else."""
    judgement: Judgement = None
    for line in _of_tag(exchange, before, *_WITHOUT, "UTF8", "IMPLEMENTATION"):
        tag, *arguments = line
        if tag == "IMPLEMENTATION":
            is_right = bool(arguments)
        elif tag == "UTF8":
            is_right = [each.upper() for each in arguments] in ([], ["USER"])
        else:
            is_right = not arguments
        if not is_right:
            return Broken(f"{quote(' '.join(line).encode('latin-1'))} in the capability list")
        judgement = HELD
    return judgement


def login_delay_form(exchange: Exchange, before: History) -> Judgement:
    """LOGIN-DELAY has seconds, and before the login perhaps the word USER."""
    return _form(exchange, before, _DELAY)


def expire_form(exchange: Exchange, before: History) -> Judgement:
    """EXPIRE has days or NEVER, and before the login perhaps the word USER."""
    return _form(exchange, before, _PERIOD)


def _form(exchange: Exchange, before: History, tag: str) -> Judgement:
    judgement: Judgement = None
    for line in _of_tag(exchange, before, tag):
        words = [word.upper() for word in line[2:]]
        is_told = words == ["USER"] and before.state is State.AUTHORIZATION
        if _value(tag, line[1:]) is None or not (is_told or not words):
            return Broken(f"{quote(' '.join(line).encode('latin-1'))} ({before.state.value})")
        judgement = HELD
    return judgement


def largest_delay(exchange: Exchange, before: History) -> Judgement:
    """The delay before the login is as large as the one after it, or larger."""
    return _bounded(exchange, before, _DELAY, lambda bound, own: bound >= own)


def smallest_period(exchange: Exchange, before: History) -> Judgement:
    """The period before the login is as small as the one after it, or smaller."""
    return _bounded(exchange, before, _PERIOD, lambda bound, own: bound <= own)


def _bounded(
    exchange: Exchange, before: History, tag: str, holds: Callable[[float, float], bool]
) -> Judgement:
    values = _values(exchange, before, tag)
    if values is None or holds(*values):
        return None if values is None else HELD
    return Broken(_differing(exchange, before, tag))


def user_token(exchange: Exchange, before: History) -> Judgement:
    """What is another value after the login has had the word USER before it."""
    judgement: Judgement = None
    for tag in (_DELAY, _PERIOD):
        values, earlier = _values(exchange, before, tag), listed_before_login(exchange, before)
        if values is None or earlier is None or values[0] == values[1]:
            continue
        if "USER" not in map(str.upper, earlier[tag]):
            return Broken(_differing(exchange, before, tag))
        judgement = HELD
    return judgement


def _values(exchange: Exchange, before: History, tag: str) -> tuple[float, float] | None:
    """What a capability tells before and after the login."""
    now, earlier = listed(exchange, before), listed_before_login(exchange, before)
    if now is None or earlier is None:
        return None
    bound, own = _value(tag, earlier.get(tag, ())), _value(tag, now.get(tag, ()))
    return None if bound is None or own is None else (bound, own)


def _differing(exchange: Exchange, before: History, tag: str) -> str:
    lists = (listed(exchange, before), listed_before_login(exchange, before))
    lines = (" ".join((tag, *(each or {}).get(tag, ()))).encode("latin-1") for each in lists)
    now, earlier = map(quote, lines)
    return f"{now} after the login, {earlier} before it"


def _value(tag: str, arguments: tuple[str, ...]) -> float | None:
    """The number that stands first, where there is one; NEVER is above all others."""
    first = "".join(arguments[:1])
    if tag == _PERIOD and first.upper() == _NEVER:
        return math.inf
    return int(first) if _NUMBER.fullmatch(first) else None
