"""Checks of RETR and TOP: sizes and content of messages (RFC 1939, sections 5, 7 and 11)."""

import re
from dataclasses import dataclass

from pop3spec.protocol.commands import message_number
from pop3spec.rulebook.checks.listings import wrongly_refused
from pop3spec.rulebook.history import History, body_of, content_of, is_unusual_line, number_of
from pop3spec.rulebook.judgement import HELD, Broken, Judgement, is_judged, is_positive, quote
from pop3spec.transcript import Exchange


def _retrieved(exchange: Exchange) -> tuple[int, bytes] | None:
    number = number_of(exchange)
    if number is None or not is_positive(exchange, "RETR") or exchange.reply is None:
        return None
    return (number, exchange.reply.content) if exchange.reply.is_multiline else None


def exact_size(exchange: Exchange, before: History) -> Judgement:
    """The octets that RETR sends are as many as LIST says."""
    off = _size_difference(exchange, before)
    if off is None:
        return None
    number, listed, sent = off
    if before.filling.is_unusual:
        return None  # section 11 speaks of messages that conform; see octets_unchanged
    if listed == sent:
        return HELD
    if sent - listed == 2 and not before.filling.is_clean:
        return None  # judged by final_line_end
    return Broken(f"{sent} octets of message {number}, {listed} in LIST")


def final_line_end(exchange: Exchange, before: History) -> Judgement:
    """The size counts the line end that RETR adds to a message without one."""
    off = _size_difference(exchange, before)
    if off is None or before.filling.is_clean or before.filling.is_unusual:
        return None
    number, listed, sent = off
    if sent - listed == 2:
        return Broken(f"{sent} octets of message {number}, {listed} in LIST")
    return HELD if sent == listed else None


def octets_unchanged(exchange: Exchange, before: History) -> Judgement:
    """Lines that are too long or not ASCII are among those of the body, as they are stored.

    Not with CR or LF alone: what a store makes of them is free. Where other lines are
    missing as well, or were not asked for, it says nothing of these.
    """
    filling, reply = before.filling, exchange.reply
    if filling.body is None or not filling.is_unusual or not filling.is_clean:
        return None
    if before.announces_utf8 and not filling.body.isascii():
        return None  # such lines may be replaced or converted (RFC 6856, section 2.1)
    if exchange.keyword not in ("RETR", "TOP") or reply is None or not reply.is_multiline:
        return None
    stored, sent = _lines(filling.body), set(_lines(body_of(reply.content) or b""))
    unusual = [line for line in stored if is_unusual_line(line)]
    others = set(stored) - set(unusual)
    if not unusual or not others or not others <= sent:
        return None
    for line in unusual:
        if not _is_among(line, sent):
            return Broken(f"no line {quote(line)} of {len(line)} octets, as it is stored")
    return HELD


def _is_among(line: bytes, sent: set[bytes]) -> bool:
    """The line was sent; what became of a NUL in it is free."""
    if line in sent or b"\0" not in line:
        return line in sent
    wanted = re.compile(b".{0,3}".join(map(re.escape, line.split(b"\0"))), re.DOTALL)
    return any(map(wanted.fullmatch, sent))


def _size_difference(exchange: Exchange, before: History) -> tuple[int, int, int] | None:
    """Number, size by LIST and octets by RETR, where this exchange completes the two."""
    if before.announces_utf8:
        return None
    retrieved = _retrieved(exchange)
    if retrieved is not None:
        number, content = retrieved
        size = before.sizes.get(number)
        return None if size is None else (number, size, len(content))
    found = None
    for listing in exchange.scan_listings or ():
        known = before.contents.get(listing.number)
        if known is None:
            continue
        found = (listing.number, listing.octets, known.octets)
        if found[1] != found[2]:
            return found
    return found


def retr_same(exchange: Exchange, before: History) -> Judgement:
    """RETR of a number gives the body that it gave before."""
    retrieved = _retrieved(exchange)
    if retrieved is None:
        return None
    number, content = retrieved
    earlier = before.contents.get(number)
    if earlier is None:
        return None
    if content_of(content).body_digest == earlier.body_digest:
        return HELD
    return Broken(f"another body of message {number} than before ({len(content)} octets)")


@dataclass(frozen=True)
class _Top:
    """A reply to TOP beside what RETR gave of the same message."""

    count: int
    lines: list[bytes] | None  # of the body; None: no blank line
    whole: list[bytes] | None  # the body's lines by RETR, None: not known


def _top(exchange: Exchange, before: History) -> _Top | None:
    if before.filling.is_unusual:
        return None  # what is a line, and where the header ends, is open
    if not is_positive(exchange, "TOP") or exchange.reply is None or len(exchange.arguments) != 2:
        return None
    number, count = (message_number(argument) for argument in exchange.arguments)
    if number is None or count is None or not exchange.reply.is_multiline:
        return None
    body = body_of(exchange.reply.content)
    return _Top(
        count,
        None if body is None else _lines(body),
        _whole_body(number, before),
    )


def _lines(body: bytes) -> list[bytes]:
    lines = body.split(b"\r\n")
    return lines[:-1] if lines[-1] == b"" else lines


def _whole_body(number: int, before: History) -> list[bytes] | None:
    """The lines of the body: as they were put in, else as RETR sent them."""
    if before.filling.body is not None and number == 1:
        return _lines(before.filling.body)
    content = before.contents.get(number)
    if content is None or not content.is_whole:
        return None
    # Where RETR itself sent another size than LIST told, it is no measure for TOP.
    if before.sizes.get(number) != content.octets:
        return None
    body = body_of(content.beginning)
    return None if body is None else _lines(body)


def top(exchange: Exchange, before: History) -> Judgement:
    """TOP has the blank line and no more than the given number of lines, the first ones."""
    if exchange.keyword == "TOP" and exchange.is_err:
        plain = is_judged(exchange, before) and len(exchange.arguments) == 2
        return wrongly_refused(exchange, before) if plain and before.offers("TOP") else None
    seen = _top(exchange, before)
    if seen is None:
        return None
    if seen.lines is None:
        if seen.whole:
            return Broken("no blank line between header and body")
        return None
    if len(seen.lines) > seen.count:
        return Broken(f"{len(seen.lines)} lines of the body, {seen.count} asked for")
    if seen.whole is None:
        return HELD
    if seen.count > len(seen.whole):
        return None  # judged by top_whole
    if seen.lines == seen.whole[: seen.count]:
        return HELD
    return Broken(f"{len(seen.lines)} lines that are not the first {seen.count} of the body")


def top_whole(exchange: Exchange, before: History) -> Judgement:
    """TOP with a count above the body's lines has all of them."""
    seen = _top(exchange, before)
    if seen is None or seen.whole is None or seen.lines is None:
        return None
    if seen.count <= len(seen.whole):
        return None
    if seen.lines == seen.whole:
        return HELD
    return Broken(f"{len(seen.lines)} lines, which are not the {len(seen.whole)} of the body")
