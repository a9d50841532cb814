"""Stock messages: messages with a name, kept for reuse, each for a reason.

The octets are made when they are first asked for, so that the table costs nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

CRLF = b"\r\n"

# Sizes of buffers; 1460 octets fit into a segment on Ethernet.
EDGES = (512, 1024, 1460, 4096, 8192, 16384, 65536)

# RFC 5322, section 2.1.1: octets of a line at most, without its CRLF.
MAX_LINE = 998


@dataclass(frozen=True)
class StockMessage:
    """A message with the reason why it is kept.

    One that does not conform to RFC 5322 is for framing alone: what becomes of its
    content is a matter of practice, or free.
    """

    make: Callable[[], bytes]
    reason: str
    conforms: bool = True

    @cached_property
    def octets(self) -> bytes:
        """The message, every line with its CRLF.

        A store whose lines end with LF has LF for each CRLF, and every other CR as it
        is: CR CRLF stands for a line that the store ends with CRLF.
        """
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


# Lines around an edge, two octets and a line end each: dot, CR and LF are cut at every place.
_RUN = 8


def _dot_at(edge: int) -> bytes:
    """A message with lines that begin with a dot around the first seven multiples of an edge.

    The runs around the first four count a line end as two octets, as on the wire, the
    others as one, as in a store whose lines end with LF. Each begins an octet later than
    the one before, so that together they have a dot at each offset around the edge.
    """
    text = bytearray(header(f"dot-at-{edge}") + CRLF)
    number = 0
    for line_end in (2, 1):
        length = len(b".a") + line_end
        for later in range(length):
            number += 1
            _pad(text, edge * number - _RUN // 2 * length + later, line_end)
            text += (b".%c" % (ord("a") + number - 1) + CRLF) * _RUN
    return bytes(text)


def _pad(text: bytearray, size: int, line_end: int) -> None:
    """Add lines until the text has a size, a line end counted as so many octets."""
    missing = size - len(text) + text.count(CRLF) * (2 - line_end)
    while missing:
        # A last line, or one that leaves room for another.
        length = missing if missing <= 72 else min(70, missing - 4)
        text += b"x" * (length - line_end) + CRLF
        missing -= length


_DOTS = (b".behind the blank line", b".", b"..", b"...", b".x", b". ", b"", b"x.", b".")
_DOTS_WITHIN = (
    *(b".", b".", b".", b".", b".."),
    *(
        line
        for count in range(1, 21)
        for line in (b"." * count, b"x" * count + b".", b"." * count + b"x", b". " * count + b"x")
    ),
)
# In a cycle of 297 octets, which no power of two divides: another place of it is at each edge.
_DOTS_ON_EACH_LINE = tuple(b"." * (1 + n % 3) + b"x" * (n % 11) for n in range(7001))
_NUMBERED = tuple(b"Line %d" % number for number in range(1, 101))
_LONG = tuple(letter * MAX_LINE for letter in (b"a", b"b", b".", b"c"))
_FOLDED = tuple(b"  Guest Number %d <guest-%d@example.org>," % (n, n) for n in range(1, 401))
_FIELDS = b"".join(b"X-Field-%d: this is field %d\r\n" % (n, n) for n in range(1, 401))
_FROM = (
    b"From here on it is the text.",
    b"",
    b"From alice@example.org Mon Jan  6 09:30:00 2025",
    b"End.",
)

_QUOTED_FROM = (
    b">From here on it was quoted.",
    b"",
    b">>From alice@example.org Mon Jan  6 09:30:00 2025",
    b">>>From",
    b"> From",
    b"From",
)

# As a store has it: lines that end with CR, CRLF and LF, and dots behind each of them.
_MIXED = b"One.\r.Two.\r\n.Three.\n.\n.\r.\r\n.\r\n.Four.\r\rFive.\n"

# Each octet but NUL, CR and LF; the line ends add these two.
_EACH_OCTET = bytes(octet for octet in range(1, 256) if octet not in CRLF)


def _many_header_fields() -> bytes:
    guests = (
        b"Cc: Dave <dave@example.org>," + CRLF + CRLF.join(_FOLDED) + b" carol@example.org" + CRLF
    )
    return header("many-header-fields") + guests + _FIELDS + CRLF + b"One line." + CRLF


def _utf_8_header() -> bytes:
    ascii_alone = message("utf-8-header", (b"One line.",))
    return ascii_alone.replace(b"Subject: utf-8-header", "Subject: Grüße aus Köln".encode())


def _nul_in_header() -> bytes:
    fields = b"X-Nul: a\0b" + CRLF + b"X-N\0l: ab" + CRLF
    return header("nul-in-header") + fields + CRLF + b"One line." + CRLF


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
    "blank-lines-at-start": StockMessage(
        partial(message, "blank-lines-at-start", (b"", b"", b"One line.")),
        "blank lines behind the one that ends the header",
    ),
    "only-blank-lines": StockMessage(
        partial(message, "only-blank-lines", (b"", b"", b"")),
        "a body of blank lines: trimmed it is none",
    ),
    "only-a-header": StockMessage(
        lambda: header("only-a-header"),
        "neither body nor blank line: a search for the blank line finds none",
    ),
    "folded-header": StockMessage(_folded_header, "a header field on three lines"),
    "many-header-fields": StockMessage(
        _many_header_fields,
        "a header of 800 lines, half of them one folded field: more than a buffer for it holds",
    ),
    "dots": StockMessage(
        partial(message, "dots", _DOTS),
        "lines that begin with a dot, directly behind the blank line and at the end too",
    ),
    "dots-within": StockMessage(
        partial(message, "dots-within", _DOTS_WITHIN),
        "four lines of one dot in a row, and up to twenty dots at either end of lines",
    ),
    "dots-on-each-line": StockMessage(
        partial(message, "dots-on-each-line", _DOTS_ON_EACH_LINE),
        "7001 lines that begin with a dot, so that some are at the end of any buffer",
    ),
    "last-line-a-dot": StockMessage(
        partial(message, "last-line-a-dot", (b"One line.", b".")),
        "a last line of one dot, directly before the one that ends the reply",
    ),
    **{
        f"dot-at-{edge}": StockMessage(
            partial(_dot_at, edge),
            f"lines that begin with a dot where a buffer of {edge} octets ends",
        )
        for edge in EDGES
    },
    "long-lines": StockMessage(
        partial(message, "long-lines", _LONG),
        f"lines of {MAX_LINE} octets, the longest that RFC 5322 allows",
    ),
    "from-line": StockMessage(
        partial(message, "from-line", _FROM),
        "'From ' at the start of a line, which separates messages in an mbox",
    ),
    "quoted-from-line": StockMessage(
        partial(message, "quoted-from-line", _QUOTED_FROM),
        "'From ' behind one and more '>', which a store may take for its own quoting",
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
    "ends-in-a-dot": StockMessage(
        lambda: message("ends-in-a-dot", (b"One line.",)) + b".",
        "the stored form ends in a dot on a line of its own, without line end",
        conforms=False,
    ),
    "no-header": StockMessage(
        lambda: CRLF.join((b"This is no header field.", b"One line.", b"", b"Another line.", b"")),
        "text from the first octet on: where the body begins is open",
        conforms=False,
    ),
    "blank-line-first": StockMessage(
        lambda: CRLF + b"One line." + CRLF,
        "the blank line comes first: a body without a header",
        conforms=False,
    ),
    "one-octet": StockMessage(
        lambda: b"x", "the smallest message that has something: one letter", conforms=False
    ),
    "latin-1": StockMessage(
        partial(message, "latin-1", ("Prüfung: ÄÖÜ, à la carte, 50 µm".encode("latin-1"), b"Bye.")),
        "octets above 127 that are no UTF-8",
        conforms=False,
    ),
    "utf-8-header": StockMessage(
        _utf_8_header,
        "UTF-8 in the header (RFC 6532): with UTF8 announced it may be refused or replaced",
        conforms=False,
    ),
    "utf-8-body": StockMessage(
        partial(message, "utf-8-body", ("Zwölf Boxkämpfer, πάντα ῥεῖ, 文字.".encode(), b"Bye.")),
        "UTF-8 in the body alone",
        conforms=False,
    ),
    "each-octet": StockMessage(
        partial(
            message,
            "each-octet",
            (*(_EACH_OCTET[at : at + 32] for at in range(0, len(_EACH_OCTET), 32)), b"Bye."),
        ),
        "each of the 256 octets but NUL, and CR and LF as line ends",
        conforms=False,
    ),
    "nul": StockMessage(
        partial(
            message,
            "nul",
            (b"\0first", b"in\0the\0middle", b"last\0", b"The line behind it.", b"Bye."),
        ),
        "NUL at the start, in the middle and at the end of lines: the end of a string in C",
        conforms=False,
    ),
    "nul-in-header": StockMessage(
        _nul_in_header,
        "NUL in the name and in the value of header fields",
        conforms=False,
    ),
    "line-of-999": StockMessage(
        partial(message, "line-of-999", (b"x" * (MAX_LINE + 1), b"The line behind it.")),
        "a line one octet longer than RFC 5322 allows",
        conforms=False,
    ),
    "lines-of-8-kib": StockMessage(
        partial(
            message, "lines-of-8-kib", (*(b"x" * n for n in (2048, *range(8188, 8195))), b"Bye.")
        ),
        "lines that just fit into a buffer of 8192 octets with their line end, or just not",
        conforms=False,
    ),
    "lone-cr": StockMessage(
        partial(message, "lone-cr", (b"\rfirst", b"in\rthe\r\rmiddle", b"\r.\r", b"last\r")),
        "CR within lines, and before the line end, which is CRLF in the store",
        conforms=False,
    ),
    "ends-in-a-cr": StockMessage(
        lambda: message("ends-in-a-cr", (b"One line.",)) + b"Half a line end.\r",
        "the stored form ends in a CR without LF",
        conforms=False,
    ),
    "crlf-in-store": StockMessage(
        lambda: message("crlf-in-store", (b"One line.", b".", b"")).replace(CRLF, b"\r" + CRLF),
        "every line ends with CRLF in the store, where LF is enough",
        conforms=False,
    ),
    "cr-in-store": StockMessage(
        lambda: message("cr-in-store", (b"One line.", b".")).replace(CRLF, b"\r"),
        "every line ends with CR in the store: one line without an end, for all others",
        conforms=False,
    ),
    "mixed-line-ends": StockMessage(
        lambda: message("mixed-line-ends", ()) + _MIXED.replace(b"\n", CRLF),
        "LF, CR and CRLF as line ends of one store, with dots behind them",
        conforms=False,
    ),
}
