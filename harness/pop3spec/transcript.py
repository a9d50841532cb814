"""Exchanges, what came before them, and their C:/S: rendering.

An exchange is what was sent and what came back, as octets with times. It says
nothing about right or wrong.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TypeVar

from pop3spec.protocol.commands import arguments, keyword
from pop3spec.protocol.listings import (
    DropListing,
    ScanListing,
    UniqueIdListing,
    capabilities,
    drop_listing,
    scan_listing,
    unique_id_listing,
)
from pop3spec.protocol.replies import Reply
from pop3spec.protocol.sasl import decoded, decoded_challenge
from pop3spec.protocol.text import show


class Kind(Enum):
    """What the client was doing when the octets of an exchange came."""

    GREETING = "greeting"  # it had opened the connection
    COMMAND = "command"  # it had sent one command
    CONTINUATION = "continuation"  # it had answered a SASL challenge
    SILENCE = "silence"  # it waited, with nothing outstanding
    UNASKED = "unasked"  # nothing was outstanding, and octets were there
    CLOSE = "close"  # it waited for the close behind QUIT
    HANDSHAKE = "handshake"  # it began with TLS
    EVENT = "event"  # it did what `note` says; nothing to judge


class End(Enum):
    """Why reading stopped without a complete reply."""

    TIMEOUT = "no reply in time"
    CLOSED = "the server closed the connection"
    CLOSED_WITHOUT_ALERT = "the server closed the connection, and TLS without a close alert"
    RESET = "the server reset the connection"
    TOO_LONG = "the reply went on without end"


@dataclass(frozen=True)
class TlsParameters:
    """What a TLS handshake came to."""

    version: str
    cipher_suite: str


@dataclass(frozen=True)
class Exchange:
    """One command and its reply, or another thing that happened in a session.

    `sent` is the command line with its line end, as sent. `partial` holds the
    octets that came and are no complete reply. Times are seconds since the
    transcript began. `deliberate` marks a stimulus that no client may send. `tls` is
    what a handshake came to, None of one where no version was found. So many octets in the
    middle of `partial` were `left_out`. `is_followed`: more commands were on the way behind it.
    """

    kind: Kind
    sent: bytes = field(default=b"", repr=False)  # perhaps a password
    reply: Reply | None = None
    partial: bytes = b""
    end: End | None = None
    sent_at: float = 0.0
    answered_at: float = 0.0
    session: str = "first"
    secure: bool = False
    deliberate: bool = False
    note: str = ""
    tls: TlsParameters | None = None
    left_out: int = 0
    is_followed: bool = False

    @property
    def is_ok(self) -> bool:
        """A positive reply came."""
        return self.reply is not None and self.reply.is_ok

    @property
    def is_err(self) -> bool:
        """A negative reply came."""
        return self.reply is not None and self.reply.is_err

    @cached_property
    def keyword(self) -> str:
        """The keyword of the command in upper case, '' where none was sent.

        A response belongs to AUTH, whatever its base64 looks like.
        """
        return "AUTH" if self.kind is Kind.CONTINUATION else keyword(self.sent)

    @cached_property
    def arguments(self) -> tuple[bytes, ...]:
        """The arguments of the command that are not empty."""
        if self.kind is Kind.CONTINUATION:
            return ()
        return tuple(argument for argument in arguments(self.sent) if argument)

    @cached_property
    def drop_listing(self) -> DropListing | None:
        """What a positive reply to STAT says, None without one or in another form."""
        if not self.is_ok or self.keyword != "STAT" or self.reply is None:
            return None
        return drop_listing(self.reply.text)

    @cached_property
    def scan_listings(self) -> tuple[ScanListing, ...] | None:
        """What a positive reply to LIST says, None without one or with a line of another form."""
        if self.keyword != "LIST":
            return None
        return _read_all(self.listing_texts, scan_listing)

    @cached_property
    def unique_id_listings(self) -> tuple[UniqueIdListing, ...] | None:
        """What a positive reply to UIDL says, None without one or with a line of another form."""
        if self.keyword != "UIDL":
            return None
        return _read_all(self.listing_texts, unique_id_listing)

    @cached_property
    def capabilities(self) -> Mapping[str, tuple[str, ...]] | None:
        """The list that CAPA is answered with, None without one."""
        if not self.is_ok or self.keyword != "CAPA" or self.reply is None:
            return None
        return MappingProxyType(capabilities(self.reply)) if self.reply.is_multiline else None

    @property
    def listing_texts(self) -> tuple[bytes, ...] | None:
        """The lines of a positive reply, or the text of its only line."""
        if not self.is_ok or self.reply is None:
            return None
        return self.reply.lines if self.reply.is_multiline else (self.reply.text,)

    @property
    def continues_sasl(self) -> bool:
        """A challenge came, which the next line answers (RFC 5034, section 4)."""
        asked = self.kind in (Kind.COMMAND, Kind.CONTINUATION) and self.keyword == "AUTH"
        return asked and self.reply is not None and self.reply.is_challenge

    @property
    def challenge(self) -> bytes | None:
        """What a challenge says, None without one or where it is not in base64."""
        if not self.continues_sasl or self.reply is None:
            return None
        return decoded_challenge(self.reply.status_line)

    @property
    def response(self) -> bytes | None:
        """What the client says in a SASL exchange; None where it says nothing, or no base64."""
        if self.kind is Kind.CONTINUATION:
            return decoded(self.sent.rstrip(b"\r\n"))
        if self.kind is not Kind.COMMAND or self.keyword != "AUTH" or len(self.arguments) != 2:
            return None
        initial = self.arguments[1]
        return b"" if initial == b"=" else decoded(initial)

    @property
    def is_closed(self) -> bool:
        """The server ended the connection."""
        return self.end in (End.CLOSED, End.CLOSED_WITHOUT_ALERT, End.RESET)


_Listing = TypeVar("_Listing")


def _read_all(
    texts: tuple[bytes, ...] | None, read: Callable[[bytes], _Listing | None]
) -> tuple[_Listing, ...] | None:
    listings = []
    for text in texts or ():
        listing = read(text)
        if listing is None:
            return None
        listings.append(listing)
    return None if texts is None else tuple(listings)


MASK = "***"

# Rendered lines of one reply, the first and the last ones.
_HEAD, _TAIL = 24, 4
# Octets of one rendered line.
_WIDTH = 400
# Octets at either end of a reply in which the rendered lines are looked for.
_PART = 1 << 17

# Shorter values are everyday words; to hide them would hide the report.
MIN_SECRET = 4

# A secret behind its command. A misspelt or oddly separated one still carries it.
_SECRET = re.compile(
    rb"(?is)(?:\A|[\r\n])[ \t]*(?:PASS[ \t]?+|(?:APOP|AUTH)[ \t]*[^ \t]+[ \t]+)(?=.)"
)


def secret_span(exchange: Exchange) -> tuple[int, int] | None:
    """Where a secret stands in what was sent, by its position in the command."""
    line = exchange.sent.rstrip(b"\r\n")
    if exchange.kind is Kind.CONTINUATION:
        return (0, len(line))
    found = _SECRET.search(line)
    return None if found is None else (found.end(), len(line))


@dataclass(frozen=True)
class Masker:
    """Hides secrets, given in every form in which they may come back."""

    forms: tuple[bytes, ...] = ()

    def mask(self, octets: bytes) -> bytes:
        """The octets with each known secret replaced."""
        for form in self.forms:
            if form in octets:
                octets = octets.replace(form, MASK.encode())
        return octets

    def mask_text(self, text: str) -> str:
        """Text of our own making, with each known secret replaced."""
        if len(text) < MIN_SECRET:
            return text
        cuts = [cut for cut in _CUTS if cut in text]
        for form in self.forms:
            for shown in _as_shown(form):
                if shown in text:
                    text = text.replace(shown, MASK)
                for cut in cuts:
                    text = _mask_cut(text, shown, cut)
        return text

    def mask_observations(self, seen: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Observations by name, with each known secret in their values replaced."""
        return frozenset((name, self.mask_text(value)) for name, value in seen)

    def with_sent(self, exchanges: Iterable[Exchange]) -> "Masker":
        """A masker that hides as well what was sent as a secret, for servers that echo it."""
        forms = set()
        for exchange in exchanges:
            start, end = secret_span(exchange) or (0, 0)
            if end - start >= MIN_SECRET:
                forms.add(exchange.sent[start:end])
        return self if forms.issubset(self.forms) else masker_of({*self.forms, *forms})


@lru_cache(maxsize=4096)  # every text is searched for every form
def _as_shown(form: bytes) -> tuple[str, ...]:
    return tuple(dict.fromkeys((show(form), form.decode("utf-8", "replace"))))


# In place of what is too long: behind its beginning by show(), in its middle by pytest.
_CUTS = ("…", "...")


def _mask_cut(text: str, secret: str, cut: str) -> str:
    """The text without a beginning of the secret before a cut, and an end of it behind one."""
    beginning, end = secret[:MIN_SECRET], secret[-MIN_SECRET:]
    for length in range(len(secret) - 1, MIN_SECRET - 1, -1):
        if beginning in text:
            text = text.replace(secret[:length] + cut, MASK + cut)
        if end in text:
            text = text.replace(cut + secret[-length:], cut + MASK)
    return text


def masker_of(forms: Iterable[bytes]) -> Masker:
    """A masker of these forms, the longest first, so that none hides a part of another."""
    return Masker(tuple(sorted(forms, key=lambda form: (-len(form), form))))


def shown_command(exchange: Exchange, masker: Masker) -> str:
    """What was sent, readable, with secrets hidden by position and by value."""
    span = secret_span(exchange)
    line = exchange.sent
    if span is None:
        return show(masker.mask(line), _WIDTH)
    return show(masker.mask(line[: span[0]])) + MASK + show(line[span[1] :])


def shown_reply(octets: bytes, masker: Masker, left_out: int = 0) -> Iterator[str]:
    """What came, readable, a line each, long replies without their middle.

    So many octets were `left_out` there before.
    """
    if len(octets) > 2 * _PART:
        # A reply without end has millions of lines.
        first, last = _masked_lines(octets[:_PART], masker), _masked_lines(octets[-_PART:], masker)
        yield from (show(line, _WIDTH) for line in first[:_HEAD])
        yield f"… ({len(octets) + left_out} octets in all)"
        yield from (show(line, _WIDTH) for line in last[-_TAIL:])
        return
    lines = _masked_lines(octets, masker)
    if len(lines) > _HEAD + _TAIL + 1:
        left_out = len(lines) - _HEAD - _TAIL
        yield from (show(line, _WIDTH) for line in lines[:_HEAD])
        yield f"… ({left_out} lines left out)"
        lines = lines[-_TAIL:]
    yield from (show(line, _WIDTH) for line in lines)


def _masked_lines(octets: bytes, masker: Masker) -> list[bytes]:
    return masker.mask(octets).splitlines(keepends=True)


def render(transcript: Iterable[Exchange], masker: Masker) -> list[str]:
    """A transcript as lines: seconds, session if there are several, C: or S:, octets."""
    exchanges = list(transcript)
    masker = masker.with_sent(exchanges)
    several = len({exchange.session for exchange in exchanges}) > 1
    lines = []
    for exchange in exchanges:
        name = f"{exchange.session} " if several else ""
        mark = "TLS " if exchange.secure else ""
        sent = f"{exchange.sent_at:.3f} {name}{mark}"
        came = f"{exchange.answered_at:.3f} {name}{mark}"
        if exchange.note:
            lines.append(f"{sent}-- {exchange.note}")
        if exchange.sent:
            lines.append(f"{sent}C: {shown_command(exchange, masker)}")
        octets = exchange.reply.wire if exchange.reply is not None else exchange.partial
        lines += [f"{came}S: {line}" for line in shown_reply(octets, masker, exchange.left_out)]
        if exchange.end is not None:
            lines.append(f"{came}-- {exchange.end.value}")
    return lines
