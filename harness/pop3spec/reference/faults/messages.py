"""Faults in what RETR and TOP send of a message (RFC 1939, sections 5 and 7)."""
# ruff: noqa: ARG002 -- a step that replaces another need not use all that it is given

import re

from pop3spec.protocol.replies import CRLF
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.maildrops import Maildrops, Message
from pop3spec.reference.session import Session

TABLE = FaultTable()
fault = TABLE.fault

_OTHER_OCTETS = ["rfc1939-5-retr", "rfc1939-11-exact-size"]


# RETR.


@fault(
    "retr-leaves-out-last-line",
    breaks=_OTHER_OCTETS,
    copies="a loop over the line ends that writes the line before each but the last",
)
class _RetrLeavesOutLastLine(Session):
    def retr_reply(self, message: Message, content: bytes) -> bytes:
        lines = content.split(CRLF)
        return super().retr_reply(message, b"".join(line + CRLF for line in lines[:-2]))


@fault(
    "retr-adds-a-line-end",
    breaks=[*_OTHER_OCTETS, "practice-final-line-end"],
    copies="netius 2026, Mailpit 408b30d: a line end always goes before the dot, needed or not",
)
class _RetrAddsALineEnd(Session):
    def retr_payload(self, text: bytes) -> bytes:
        return super().retr_payload(text) + CRLF


@fault(
    "retr-trims-blank-lines",
    breaks=_OTHER_OCTETS,
    copies="the text is trimmed at its end before the dot is written, blank lines included",
    edge=True,
)
class _RetrTrimsBlankLines(Session):
    def retr_payload(self, text: bytes) -> bytes:
        trimmed = text.rstrip(CRLF)
        return super().retr_payload(trimmed + CRLF if trimmed else text)


@fault(
    "retr-drops-received-fields",
    breaks=_OTHER_OCTETS,
    copies="mail.geocities.com in the 1990s: the first Received field vanishes",
    edge=True,
)
class _RetrDropsReceivedFields(Session):
    def retr_payload(self, text: bytes) -> bytes:
        first, line_end, rest = text.partition(CRLF)
        is_received = first.lower().startswith(b"received:") and not rest.startswith((b" ", b"\t"))
        return super().retr_payload(rest if is_received else first + line_end + rest)


@fault(
    "retr-unfolds-the-header",
    breaks=_OTHER_OCTETS,
    copies="the header is parsed and written anew, each field on a line of its own",
    edge=True,
)
class _RetrUnfoldsTheHeader(Session):
    def retr_payload(self, text: bytes) -> bytes:
        at = self.body_start(text)
        return super().retr_payload(re.sub(rb"\r\n(?=[ \t])", b"", text[:at]) + text[at:])


@fault(
    "retr-cut-at-64-kib",
    breaks=_OTHER_OCTETS,
    copies="a message is read into one buffer of 65536 octets, and the buffer sent",
    edge=True,
)
class _RetrCutAt64KiB(Session):
    def retr_payload(self, text: bytes) -> bytes:
        cut = text if len(text) <= 65536 else text[: text.rfind(CRLF, 0, 65536) + 2]
        return super().retr_payload(cut)


@fault(
    "retr-counts-visible",
    breaks=[*_OTHER_OCTETS, "rfc1939-5-retr-same"],
    copies="smtp4dev 738a75ff: the number is an index into what is left after DELE",
    edge=True,
)
class _RetrCountsVisible(Session):
    def retr_reply(self, message: Message, content: bytes) -> bytes:
        later = self.visible()[message.number - 1 : message.number]
        other = self.content(later[0]) if later else None
        return super().retr_reply(message, content if other is None else other)


@fault(
    "second-retr-not-rewound",
    breaks=[*_OTHER_OCTETS, "rfc1939-5-retr-same"],
    copies="the message's stream stays open and stands at its end when RETR comes again",
)
class _SecondRetrNotRewound(Session):
    def __init__(self, maildrops: Maildrops, failed_login_delay: float = 0.0) -> None:
        super().__init__(maildrops, failed_login_delay)
        self.read: set[int] = set()

    def retr_reply(self, message: Message, content: bytes) -> bytes:
        rest = b"" if message.number in self.read else content
        self.read.add(message.number)
        return super().retr_reply(message, rest)


@fault(
    "retr-back-gives-the-last-one",
    breaks=[*_OTHER_OCTETS, "rfc1939-5-retr-same"],
    copies="a buffer of one message is only loaded anew for a higher number than it holds",
    edge=True,
)
class _RetrBackGivesTheLastOne(Session):
    loaded: tuple[int, bytes] = (0, b"")

    def retr_reply(self, message: Message, content: bytes) -> bytes:
        if message.number > self.loaded[0]:
            self.loaded = (message.number, content)
        return super().retr_reply(message, self.loaded[1])


# TOP.


@fault(
    "top-counts-the-blank-line",
    breaks=["rfc1939-7-top"],
    copies="the count begins at the blank line, so one line of the body is missing",
)
class _TopCountsTheBlankLine(Session):
    def top_text(self, content: bytes, count: int) -> bytes:
        return super().top_text(content, max(0, count - 1))


@fault(
    "top-counts-header-lines",
    breaks=["rfc1939-7-top", "rfc1939-7-top-whole"],
    copies="Stalwart: lines are counted from the first header field on (pinned by its own test)",
)
class _TopCountsHeaderLines(Session):
    def top_text(self, content: bytes, count: int) -> bytes:
        header_lines = content.count(CRLF, 0, self.body_start(content))
        return super().top_text(content, max(0, count - header_lines))


@fault(
    "top-sends-the-whole-body",
    breaks=["rfc1939-7-top"],
    copies="Mailpit 408b30d: the split keeps the unsplit rest as its last piece",
)
class _TopSendsTheWholeBody(Session):
    def top_text(self, content: bytes, count: int) -> bytes:
        return content if count else super().top_text(content, count)


@fault(
    "top-of-no-lines-sends-all",
    breaks=["rfc1939-7-top"],
    copies="Stalwart 0.16.3: a count of 0 means no limit",
    edge=True,
)
class _TopOfNoLinesSendsAll(Session):
    def top_text(self, content: bytes, count: int) -> bytes:
        return super().top_text(content, count) if count else content


@fault(
    "top-of-no-lines-without-blank-line",
    breaks=["rfc1939-7-top"],
    copies="the blank line is written with the first line of the body (pinned by a peer's test)",
    edge=True,
)
class _TopOfNoLinesWithoutBlankLine(Session):
    def top_text(self, content: bytes, count: int) -> bytes:
        text = super().top_text(content, count)
        is_bare = count == 0 and len(text) > 2 and text.endswith(CRLF + CRLF)
        return text.removesuffix(CRLF) if is_bare else text


@fault(
    "top-needs-a-blank-line",
    breaks=["rfc1939-7-top"],
    copies="WildDuck 603ee5bf: a header is sent once its blank line was seen, else nothing",
    edge=True,
)
class _TopNeedsABlankLine(Session):
    def top_text(self, content: bytes, count: int) -> bytes:
        has_blank_line = content.startswith(CRLF) or CRLF + CRLF in content
        return super().top_text(content, count) if has_blank_line else b""


@fault(
    "top-of-a-long-header-cut",
    breaks=["rfc1939-7-top", "rfc1939-7-top-whole"],
    copies="a header is read into a buffer of 8192 octets, and the text goes on behind it",
    edge=True,
)
class _TopOfALongHeaderCut(Session):
    def top_text(self, content: bytes, count: int) -> bytes:
        at = self.body_start(content)
        if at > 8192:
            content = content[: content.rfind(CRLF, 0, 8192) + 2] + CRLF + content[at:]
        return super().top_text(content, count)


@fault(
    "top-of-ten-lines-at-most",
    breaks=["rfc1939-7-top", "rfc1939-7-top-whole"],
    copies="usa.net 2.2: about ten lines come, whatever the count is",
)
class _TopOfTenLinesAtMost(Session):
    def top_text(self, content: bytes, count: int) -> bytes:
        return super().top_text(content, min(count, 10))


@fault(
    "top-count-in-32-bits",
    breaks=["rfc1939-7-top-whole"],
    copies="qpopper 2.3: arithmetic on a big count overflows, and little is sent",
    edge=True,
)
class _TopCountIn32Bits(Session):
    def top_text(self, content: bytes, count: int) -> bytes:
        wrapped = (count + (1 << 31)) % (1 << 32) - (1 << 31)
        return super().top_text(content, wrapped)


@fault(
    "top-cut-at-64-kib",
    breaks=["rfc1939-7-top-whole"],
    copies="Maillennium POP3/PROXY: what TOP sends is cut after 64 kB",
    edge=True,
)
class _TopCutAt64KiB(Session):
    def top_text(self, content: bytes, count: int) -> bytes:
        text = super().top_text(content, count)
        return text if len(text) <= 65536 else text[: text.rfind(CRLF, 0, 65536) + 2]


@fault(
    "top-leaves-out-unended-line",
    breaks=["rfc1939-7-top-whole"],
    copies="WildDuck 603ee5bf: only lines that are stored with a line end are counted and sent",
    edge=True,
)
class _TopLeavesOutUnendedLine(Session):
    def top_reply(self, message: Message, content: bytes, count: int) -> bytes:
        stored = self.maildrops.content(self.user, message) or b""
        ended = stored[: stored.rfind(CRLF) + 2] if CRLF in stored else b""
        return super().top_reply(message, ended, count)


# Messages that RFC 5322 does not allow.


@fault(
    "question-marks-for-eight-bits",
    breaks=["practice-octets-unchanged"],
    copies="GreenMail before mid-2022: text is encoded anew, and what does not fit becomes '?'",
)
class _QuestionMarksForEightBits(Session):
    def content(self, message: Message) -> bytes | None:
        content = super().content(message)
        return None if content is None else re.sub(rb"[\x80-\xff]", b"?", content)


@fault(
    "text-ends-at-nul",
    breaks=["practice-octets-unchanged"],
    copies="servers met by node-poplib: a line is a C string, and what is behind its NUL is lost",
    edge=True,
)
class _TextEndsAtNul(Session):
    def retr_payload(self, text: bytes) -> bytes:
        lines = [line.partition(b"\0")[0] for line in text.split(CRLF)]
        return super().retr_payload(CRLF.join(lines))
