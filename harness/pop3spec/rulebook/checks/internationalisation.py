"""Checks of UTF8 and LANG (RFC 6856)."""

import re

from pop3spec.protocol.commands import State
from pop3spec.rulebook.history import History, number_of
from pop3spec.rulebook.judgement import (
    HELD,
    STATUS,
    Broken,
    Judgement,
    is_judged,
    is_localised,
    is_positive,
    is_utf8,
    quote,
    refused,
)
from pop3spec.transcript import Exchange, Kind

# A language tag (RFC 5646, section 2.1). No language has a first subtag of more than three
# letters, which would be a word, more likely.
_TAG = re.compile(rb"(?:[A-Za-z]{2,3}|[IXix](?=-))(?:-[A-Za-z0-9]{1,8})*")

_CODE = b"[UTF8]"
_WITH_CODE = frozenset({"LIST", "TOP", "RETR"})


def _announces(before: History, tag: str) -> bool:
    return before.capabilities is not None and tag in before.capabilities


# --- UTF8 (section 2) ---


def utf8_in_transaction(exchange: Exchange, before: History) -> Judgement:
    """After the login UTF8 is refused."""
    if exchange.keyword != "UTF8" or not is_judged(exchange, before):
        return None
    if before.state is not State.TRANSACTION or not _announces(before, "UTF8"):
        return None
    return refused(exchange, "in the TRANSACTION state")


def list_size(exchange: Exchange, before: History) -> Judgement:
    """The octets that RETR sends are as many as LIST says, where UTF8 is announced."""
    if not before.announces_utf8 or before.illegal:
        return None
    told = _told_sizes(exchange, before)
    if told is None:
        return None
    number, listed, sent = told
    if listed == sent:
        return HELD
    if sent - listed == 2 and not before.filling.is_clean:
        return None  # the line end that RETR adds to a message without one
    if before.filling.is_unusual and not before.filling.is_clean:
        return None  # what a store makes of CR or LF alone is free
    return Broken(f"{sent} octets of message {number}, {listed} in LIST")


def _told_sizes(exchange: Exchange, before: History) -> tuple[int, int, int] | None:
    """Number, size by LIST and octets by RETR, where this exchange completes the two."""
    reply, number = exchange.reply, number_of(exchange)
    if is_positive(exchange, "RETR") and reply is not None and reply.is_multiline:
        size = None if number is None else before.sizes.get(number)
        return None if number is None or size is None else (number, size, len(reply.content))
    found = None
    for listing in exchange.scan_listings or ():
        known = before.contents.get(listing.number)
        if known is not None:
            found = (listing.number, listing.octets, known.octets)
            if found[1] != found[2]:
                return found
    return found


def utf8_code(exchange: Exchange, before: History) -> Judgement:
    """The code UTF8 is a reply to LIST, TOP or RETR, and to them outside of UTF-8 mode alone."""
    if exchange.kind not in (Kind.COMMAND, Kind.CONTINUATION) or exchange.reply is None:
        return None
    if exchange.deliberate or before.illegal or not _announces(before, "RESP-CODES"):
        return None
    if not exchange.is_err or not exchange.reply.text.upper().startswith(_CODE):
        return None
    if exchange.keyword not in _WITH_CODE:
        return Broken(f"{quote(exchange.reply.status_line)} to {exchange.keyword}")
    if before.is_utf8_mode:
        return Broken(f"{quote(exchange.reply.status_line)} in UTF-8 mode")
    return HELD


# --- LANG (section 3.2) ---


def _selected(exchange: Exchange, before: History) -> tuple[bytes, bytes] | None:
    """The range that LANG asks for, and the first word of the positive reply to it."""
    if not is_positive(exchange, "LANG") or exchange.reply is None:
        return None
    if len(exchange.arguments) != 1 or not is_judged(exchange, before):
        return None
    return exchange.arguments[0], exchange.reply.text.partition(b" ")[0]


def _is_language(word: bytes, wanted: bytes) -> bool:
    """The word is a language tag, or a range of letters that is repeated."""
    is_repeated = word.lower() == wanted.lower() and wanted != b"*"
    return is_repeated or _TAG.fullmatch(word) is not None


def selected_language(exchange: Exchange, before: History) -> Judgement:
    """Behind +OK and one blank stands the tag of the language, and perhaps a blank and text."""
    selected = _selected(exchange, before)
    if selected is None or exchange.reply is None:
        return None
    wanted, word = selected
    if exchange.reply.status_line[:4] == b"+OK " and _is_language(word, wanted):
        return HELD
    return Broken(f"{quote(exchange.reply.status_line)}, without a language tag behind '+OK'")


def matching_language(exchange: Exchange, before: History) -> Judgement:
    """The range begins with the tag or the tag with the range, subtag by subtag."""
    selected = _selected(exchange, before)
    if selected is None or not _is_language(selected[1], selected[0]):
        return None
    wanted, tag = (words.lower() for words in selected)
    if wanted == b"*" or (wanted + b"-").startswith(tag + b"-"):
        return HELD
    if (tag + b"-").startswith(wanted + b"-"):
        return HELD
    if wanted.partition(b"-")[0] == tag.partition(b"-")[0]:
        return None  # the same language elsewhere
    return Broken(f"the language {quote(selected[1])} for {quote(selected[0])}")


def language_listing(exchange: Exchange, before: History) -> Judgement:
    """Each line that LANG gives is a language tag, and perhaps one blank and a description."""
    if not is_positive(exchange, "LANG") or exchange.arguments or exchange.reply is None:
        return None
    if not exchange.reply.is_multiline or not is_judged(exchange, before):
        return None
    for line in exchange.reply.lines:
        tag, _, description = line.partition(b" ")
        if not _TAG.fullmatch(tag):
            return Broken(f"the line {quote(line)}, which does not begin with a language tag")
        if description.startswith(b" "):
            return Broken(f"the line {quote(line)}, with more than one blank behind the tag")
        if not is_utf8(description):
            return Broken(f"the line {quote(line)}, which is not UTF-8")
    return HELD


def utf8_text(exchange: Exchange, before: History) -> Judgement:
    """After LANG the first line of a reply is well-formed UTF-8."""
    if exchange.kind not in (Kind.COMMAND, Kind.CONTINUATION) or exchange.reply is None:
        return None
    if exchange.deliberate or before.illegal or not is_localised(exchange, before):
        return None
    line = exchange.reply.status_line.rstrip(b"\r\n")
    if not STATUS.match(line):
        return None
    return HELD if is_utf8(line) else Broken(f"{quote(line)}, which is not UTF-8")
