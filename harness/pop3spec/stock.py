"""Stock messages: messages with a name, kept for reuse, each for a reason.

The octets are made when they are first asked for, so that the table costs nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

CRLF = b"\r\n"

# RFC 5322, section 2.1.1: octets of a line at most, without its CRLF.
MAX_LINE = 998


@dataclass(frozen=True)
class StockMessage:
    """A message with the reason why it is kept.

    One that does not conform to RFC 5322 is for framing alone: what its lines
    have to look like is free.
    """

    make: Callable[[], bytes]
    reason: str
    conforms: bool = True

    @cached_property
    def octets(self) -> bytes:
        """The message, every line with its CRLF."""
        return self.make()


def header(name: str, subject: str = "") -> bytes:
    """The header of a stock message, without the blank line behind it."""
    lines = (
        "From: Alice Example <alice@example.org>",
        "To: Bob Example <bob@example.org>",
        "Date: Mon, 06 Jan 2025 09:30:00 +0000",
        f"Subject: {subject or name}",
        f"Message-ID: <{name}@stock.example.org>",
    )
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def message(name: str, lines: Sequence[bytes], subject: str = "") -> bytes:
    """Header, blank line and these lines."""
    return header(name, subject) + CRLF + b"".join(line + CRLF for line in lines)


def _folded_header() -> bytes:
    folded = header("folded-header", "a subject\r\n on three\r\n  lines")
    return folded + CRLF + b"One line." + CRLF


def _big() -> bytes:
    line = b"The quick brown fox jumps over the lazy dog, again and again and again." + CRLF
    return header("big") + CRLF + line * (1_000_000 // len(line))


# Where a line that begins with a dot stands, in octets from the edge: its dot is
# the last octet before it or the first behind it, or the CRLF before it is cut.
_FROM_EDGE = (-1, 0, 1, 2)


def _dot_at(edge: int) -> bytes:
    """A message with dots around its first eight multiples of an edge.

    The first four count a line end as two octets, as on the wire; the others
    count it as one, as in a store whose lines end with LF.
    """
    text = bytearray(header(f"dot-at-{edge}") + CRLF)
    for line_end in (2, 1):
        for offset in _FROM_EDGE:
            number = text.count(CRLF + b".edge") + 1
            _pad(text, edge * number + offset, line_end)
            text += b".edge %d" % number + CRLF
    return bytes(text)


def _pad(text: bytearray, size: int, line_end: int) -> None:
    """Add lines until the text has a size, a line end counted as so many octets."""
    while True:
        missing = size - len(text) + text.count(CRLF) * (2 - line_end) - line_end
        # A last line, or one that leaves room for another.
        length = missing if missing <= 72 else min(70, missing - 4)
        text += b"x" * length + CRLF
        if length == missing:
            return


_DOTS = (b".behind the blank line", b".", b"..", b"...", b".x", b". ", b"", b"x.", b".")
_NUMBERED = tuple(b"Line %d" % number for number in range(1, 101))
_LONG = tuple(letter * MAX_LINE for letter in (b"a", b"b", b".", b"c"))
_FROM = (
    b"From here on it is the text.",
    b"",
    b"From alice@example.org Mon Jan  6 09:30:00 2025",
    b"End.",
)

# Subject and lines of five messages that no listing can mix up.
_LETTERS: Mapping[str, tuple[str, Sequence[bytes]]] = {
    "plain-text": ("A letter", (b"Hello Bob,", b"", b"this is a letter.", b"", b"Alice")),
    "plain-text-2": ("Lunch", (b"Shall we meet at noon?",)),
    "plain-text-3": (
        "Minutes of the meeting",
        (
            b"Present were Alice, Bob and Carol.",
            b"The minutes of the last meeting were read.",
            b"Nothing was decided.",
        ),
    ),
    "plain-text-4": (
        "Re: Minutes of the meeting",
        (b"> Nothing was decided.", b"", b"One thing was, after you left: better coffee."),
    ),
    "plain-text-5": ("A poem", tuple(b"Line %d of a poem, forgotten." % n for n in range(1, 9))),
}

STOCK: Mapping[str, StockMessage] = {
    **{
        name: StockMessage(partial(message, name, lines, subject), "an ordinary message")
        for name, (subject, lines) in _LETTERS.items()
    },
    "one-line-body": StockMessage(
        partial(message, "one-line-body", (b"One line.",)),
        "the smallest body: TOP 1 is the whole message",
    ),
    "empty-body": StockMessage(
        partial(message, "empty-body", ()),
        "the blank line is the last: nothing for TOP to send behind it",
    ),
    "hundred-lines": StockMessage(
        partial(message, "hundred-lines", _NUMBERED),
        "numbered lines: TOP shows which it sent",
    ),
    "blank-lines-at-end": StockMessage(
        partial(message, "blank-lines-at-end", (b"One line.", b"", b"", b"")),
        "blank lines at the end, which some servers take off",
    ),
    "folded-header": StockMessage(_folded_header, "a header field on three lines"),
    "dots": StockMessage(
        partial(message, "dots", _DOTS),
        "lines that begin with a dot, directly behind the blank line and at the end too",
    ),
    **{
        f"dot-at-{edge}": StockMessage(
            partial(_dot_at, edge),
            f"lines that begin with a dot where a buffer of {edge} octets ends",
        )
        for edge in (512, 1024, 4096, 8192)
    },
    "long-lines": StockMessage(
        partial(message, "long-lines", _LONG),
        f"lines of {MAX_LINE} octets, the longest that RFC 5322 allows",
    ),
    "from-line": StockMessage(
        partial(message, "from-line", _FROM),
        "'From ' at the start of a line, which separates messages in an mbox",
    ),
    "big": StockMessage(_big, "a megabyte: more than any buffer of a socket"),
    # From here on: outside of what RFC 5322 allows.
    "no-final-line-end": StockMessage(
        lambda: message("no-final-line-end", (b"One line.",)) + b"The last line has no end.",
        "the stored form ends in a letter: the terminating dot must not be glued to it",
        conforms=False,
    ),
    "no-octets": StockMessage(
        lambda: b"", "nothing at all: there is no first block to send", conforms=False
    ),
    "first-line-a-dot": StockMessage(
        lambda: b"." + CRLF + message("first-line-a-dot", (b"One line.",)),
        "the first octet is a dot on a line of its own: unstuffed it ends the reply at once",
        conforms=False,
    ),
    "line-of-64-kib": StockMessage(
        lambda: message("line-of-64-kib", (b"x" * 65_536, b"The line behind it.")),
        "a line longer than the usual largest buffer",
        conforms=False,
    ),
}
