"""What an exchange shows of the freedom that the RFCs leave: recorded, never judged.

Values are the same in each run against the same server: they hold no times, counts or
names of a run, so that a difference between two results says that the server changed.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from pop3spec.protocol.listings import timestamps
from pop3spec.protocol.text import show
from pop3spec.rulebook.history import History, body_of, number_of
from pop3spec.transcript import Exchange, Kind

# An observation's id, and what was seen.
Seen = tuple[str, str]

Observer = Callable[[Exchange, History], str | None]

_NUMBER = re.compile(r"[0-9]+")
_IN_BRACKETS = re.compile(rb"<[^<>]*>")
# Octets of a server's words that are kept.
_WIDTH = 120


def bare_status_indicator(exchange: Exchange, before: History) -> str | None:
    """A reply without text."""
    del before
    reply = exchange.reply
    if reply is None or reply.text or not (reply.is_ok or reply.is_err):
        return None
    return "a bare +OK" if reply.is_ok else "a bare -ERR"


def parting_line(exchange: Exchange, before: History) -> str | None:
    """What comes unasked before the server closes."""
    del before
    if exchange.kind in (Kind.UNASKED, Kind.SILENCE) and exchange.is_closed and exchange.partial:
        return _words(exchange.partial)
    return None


def text_behind_drop_listing(exchange: Exchange, before: History) -> str | None:
    """What stands behind the octets."""
    del before
    drop = exchange.drop_listing
    return _words(drop.more) if drop is not None and drop.more else None


def text_behind_scan_listing(exchange: Exchange, before: History) -> str | None:
    """What stands behind the size."""
    del before
    more = next((each.more for each in exchange.scan_listings or () if each.more), b"")
    return _words(more) if more else None


def order_of_listings(exchange: Exchange, before: History) -> str | None:
    """Whether the numbers rise."""
    del before
    numbers = [each.number for each in exchange.scan_listings or ()]
    numbers += [each.number for each in exchange.unique_id_listings or ()]
    if len(numbers) < 2:
        return None
    rises = all(one < other for one, other in pairwise(numbers))
    return f"{exchange.keyword}: {'ascending' if rises else 'not ascending'}"


def shared_unique_id(exchange: Exchange, before: History) -> str | None:
    """Whether messages that are alike are listed under one unique-id."""
    listings = exchange.unique_id_listings or ()
    if len(listings) < 2 or before.filling.is_distinct or before.filling.may_change:
        return None
    ids = {each.unique_id for each in listings}
    return "shared" if len(ids) < len(listings) else "apart"


def blank_line_without_body(exchange: Exchange, before: History) -> str | None:
    """Whether TOP ends a header that nothing follows with a blank line."""
    reply, number = exchange.reply, number_of(exchange)
    if exchange.keyword != "TOP" or reply is None or not reply.is_multiline or number is None:
        return None
    known = before.contents.get(number)
    if known is None or not known.is_whole or body_of(known.beginning):
        return None
    return "left out" if body_of(reply.content) is None else "sent"


def close_after_refused_login(exchange: Exchange, before: History) -> str | None:
    """Whether the connection outlives a refused login."""
    last = before.last
    if last is None or not last.is_err or last.keyword not in ("PASS", "APOP", "AUTH"):
        return None
    if exchange.reply is None and exchange.is_closed:
        return "closed"
    return "open" if exchange.kind is Kind.COMMAND and exchange.reply is not None else None


def brackets_without_at_sign(exchange: Exchange, before: History) -> str | None:
    """An expression in angle brackets that is no timestamp."""
    del before
    if exchange.kind is not Kind.GREETING or exchange.reply is None:
        return None
    line = exchange.reply.status_line
    return "yes" if set(_IN_BRACKETS.findall(line)) - set(timestamps(line)) else None


# What RFC 5322 does not allow in the body of a message, where it may be told apart.
_UNUSUAL: Mapping[str, re.Pattern[bytes]] = {
    "NUL": re.compile(rb"\0"),
    "octets above 127": re.compile(rb"[\x80-\xff]"),
    "a CR alone": re.compile(rb"\r(?!\n)"),
}


def unusual_octets(exchange: Exchange, before: History) -> str | None:
    """What became of octets that RFC 5322 does not allow in the body of the only message."""
    stored, reply = before.filling.body, exchange.reply
    if exchange.keyword != "RETR" or stored is None or not before.filling.is_unusual:
        return None
    if reply is None or not reply.is_multiline:
        return None
    kinds = [kind for kind, octets in _UNUSUAL.items() if octets.search(stored)]
    if not kinds:
        return None
    became = "as stored" if body_of(reply.content) == stored else "changed"
    return f"{' and '.join(kinds)}: {became}"


OBSERVERS: Mapping[str, Observer] = {
    "bare-status-indicator": bare_status_indicator,
    "parting-line": parting_line,
    "text-behind-drop-listing": text_behind_drop_listing,
    "text-behind-scan-listing": text_behind_scan_listing,
    "order-of-listings": order_of_listings,
    "shared-unique-id": shared_unique_id,
    "close-after-refused-login": close_after_refused_login,
    "blank-line-without-body": blank_line_without_body,
    "brackets-without-at-sign": brackets_without_at_sign,
    "unusual-octets": unusual_octets,
}


def observe(exchange: Exchange, before: History) -> Iterator[Seen]:
    """What an exchange shows; nothing behind a stimulus that no client may send."""
    if exchange.kind is Kind.EVENT or exchange.deliberate or before.illegal:
        return
    for name, observer in OBSERVERS.items():
        value = observer(exchange, before)
        if value is not None:
            yield name, value


def came_back(exchange: Exchange) -> str:
    """What a stimulus came to, in a word or two."""
    if exchange.is_ok:
        return "+OK"
    if exchange.is_err:
        return "-ERR"
    if exchange.is_closed:
        return "closed"
    return "no reply" if exchange.reply is None else "another reply"


def _words(octets: bytes) -> str:
    """A server's words; their numbers are those of one run."""
    return _NUMBER.sub("N", show(octets.rstrip(b"\r\n"), _WIDTH))
