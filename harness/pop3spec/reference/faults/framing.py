"""Faults in status lines, line ends, stuffing and the ends of replies (RFC 1939, section 3)."""
# ruff: noqa: ARG002 -- a step that replaces another need not use all that it is given

import re

from pop3spec.protocol.commands import COMMANDS
from pop3spec.protocol.replies import CRLF, TERMINATOR, stuff
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.maildrops import Message
from pop3spec.reference.session import Session

TABLE = FaultTable()
fault = TABLE.fault


# Status lines.


@fault(
    "negative-in-lower-case",
    breaks=["rfc1939-3-status-indicator"],
    copies="refusals come from a library whose status indicators are lower-case words",
)
class _NegativeInLowerCase(Session):
    def negative(self, text: bytes) -> bytes:
        return super().negative(text).replace(b"-ERR", b"-err", 1)


@fault(
    "rset-literal-in-lower-case",
    breaks=["rfc1939-3-status-indicator"],
    copies="one handler writes its own literal instead of the shared constant",
    edge=True,
)
class _RsetLiteralInLowerCase(Session):
    def rset_command(self) -> bytes:
        return super().rset_command().replace(b"+OK", b"+ok", 1)


@fault(
    "no-blank-behind-err",
    breaks=["rfc1939-3-status-indicator"],
    copies="the one refusal that is put together by hand, '-ERR' + text, without a blank",
    edge=True,
)
class _NoBlankBehindErr(Session):
    def no_such_message(self) -> bytes:
        return super().no_such_message().replace(b"-ERR ", b"-ERR", 1)


@fault(
    "negative-ends-in-lf",
    breaks=["rfc1939-3-response-crlf"],
    copies="refusals are printed with the platform's line end (servers met by MailKit)",
)
class _NegativeEndsInLf(Session):
    def negative(self, text: bytes) -> bytes:
        return super().negative(text).removesuffix(CRLF) + b"\n"


@fault(
    "greeting-ends-in-lf",
    breaks=["rfc1939-3-response-crlf"],
    copies="the greeting is text from a configuration file and is sent with its own line end",
    edge=True,
)
class _GreetingEndsInLf(Session):
    def greeting(self) -> bytes:
        return super().greeting().removesuffix(CRLF) + b"\n"


@fault(
    "farewell-ends-in-cr-cr-lf",
    breaks=["rfc1939-3-response-crlf"],
    copies="a CRLF is written to a stream in text mode, which makes CRLF of its LF once more",
    edge=True,
)
class _FarewellEndsInCrCrLf(Session):
    def farewell(self) -> bytes:
        return super().farewell().removesuffix(CRLF) + b"\r\r\n"


@fault(
    "help-in-refusals",
    breaks=["rfc1939-3-response-length"],
    copies="the refusal of an unknown command explains all the others in the same line",
)
class _HelpInRefusals(Session):
    def unknown(self, word: bytes) -> bytes:
        known = b", ".join(
            b"%s (%s)" % (keyword.encode(), command.source.encode())
            for keyword, command in COMMANDS.items()
        )
        return self.negative(b"unknown command; commands may be " + known)


@fault(
    "greeting-one-octet-too-long",
    breaks=["rfc1939-3-response-length"],
    copies="a banner is cut to 512 octets, and the LF of its CRLF is added behind the cut",
    edge=True,
)
class _GreetingOneOctetTooLong(Session):
    def greeting(self) -> bytes:
        text = super().greeting().removesuffix(CRLF)
        return text.ljust(511, b"*") + CRLF


# Line ends and the end of multi-line replies.


@fault(
    "first-line-ends-in-lf",
    breaks=["rfc1939-3-line-crlf", "rfc1939-11-exact-size"],
    copies="the first header line is written apart from the others, with the stored LF",
)
class _FirstLineEndsInLf(Session):
    def retr_payload(self, text: bytes) -> bytes:
        payload = super().retr_payload(text)
        # A message of one line has to end in CRLF all the same.
        return payload if payload.count(CRLF) < 2 else payload.replace(CRLF, b"\n", 1)


@fault(
    "line-end-lost-at-buffer-end",
    breaks=["rfc1939-3-line-crlf", "rfc1939-11-exact-size"],
    copies="a CR that is the last octet of a 4096-octet buffer is dropped, waiting for its LF",
    edge=True,
)
class _LineEndLostAtBufferEnd(Session):
    def retr_payload(self, text: bytes) -> bytes:
        buffers = [text[at : at + 4096] for at in range(0, len(text), 4096)]
        *full, last = buffers or [b""]
        lossy = b"".join([buffer.removesuffix(b"\r") for buffer in full]) + last
        return super().retr_payload(lossy)


@fault(
    "empty-listing-without-end",
    breaks=["rfc1939-3-multi-line-end", "rfc1939-5-list-empty"],
    copies="netius 1.64.0: a listing is only written when it has at least one line",
    edge=True,
)
class _EmptyListingWithoutEnd(Session):
    def multiline(self, text: bytes, payload: bytes) -> bytes:
        reply = super().multiline(text, payload)
        return reply if payload else reply.removesuffix(TERMINATOR)


@fault(
    "uidl-ends-in-close",
    breaks=["rfc1939-3-multi-line-end"],
    copies="the writer marks the end of a listing as HTTP/1.0 did, by closing the connection",
)
class _UidlEndsInClose(Session):
    def uidl_command(self, argument: bytes | None = None) -> bytes:
        reply = super().uidl_command(argument)
        if argument is not None:
            return reply
        self.closing = True
        return reply.removesuffix(TERMINATOR)


@fault(
    "end-glued-to-last-line",
    breaks=["rfc1939-3-multi-line-end"],
    copies="Exchange 2000: the dot is glued to a last line that was stored without a line end",
    edge=True,
)
class _EndGluedToLastLine(Session):
    def content(self, message: Message) -> bytes | None:
        return self.maildrops.content(self.user, message)


@fault(
    "top-lines-end-in-lf",
    breaks=["rfc1939-3-line-crlf", "rfc1939-7-top", "rfc1939-7-top-whole"],
    copies="WildDuck 603ee5bf: TOP sends the stored line ends, where RETR makes CRLF of them",
    edge=True,
)
class _TopLinesEndInLf(Session):
    def top_payload(self, text: bytes) -> bytes:
        stuffed = super().top_payload(text).removesuffix(CRLF)
        return stuffed.replace(CRLF, b"\n") + CRLF if stuffed else stuffed


@fault(
    "dot-of-top-ends-in-lf",
    breaks=["rfc1939-3-multi-line-end"],
    copies="servers met by MailKit: the terminating dot is printed with the platform's line end",
)
class _DotOfTopEndsInLf(Session):
    def top_reply(self, message: Message, content: bytes, count: int) -> bytes:
        return super().top_reply(message, content, count).removesuffix(TERMINATOR) + b".\n"


@fault(
    "error-in-place-of-the-end",
    breaks=["rfc1939-3-multi-line-end"],
    copies="Inbucket: behind '+OK' an error in reading ends the reply with '-ERR' and no dot",
    edge=True,
)
class _ErrorInPlaceOfTheEnd(Session):
    def retr_reply(self, message: Message, content: bytes) -> bytes:
        read = b""
        for line in content.splitlines(keepends=True):
            if len(line) >= 65536:
                reply = super().retr_reply(message, read).removesuffix(TERMINATOR)
                return reply + self.negative(b"token too long")
            read += line
        return super().retr_reply(message, content)


# Byte-stuffing.


@fault(
    "retr-not-stuffed",
    breaks=[
        "rfc1939-3-byte-stuffing",
        "rfc1939-3-nothing-unasked",
        "rfc1939-5-retr",
        "rfc1939-11-exact-size",
    ],
    copies="Mailpit before 1.18.3, GreenMail 1.6.9, CVE-2001-0996: lines are copied as they are",
)
class _RetrNotStuffed(Session):
    def retr_payload(self, text: bytes) -> bytes:
        return text


@fault(
    "top-not-stuffed",
    breaks=[
        "rfc1939-3-byte-stuffing",
        "rfc1939-3-nothing-unasked",
        "rfc1939-7-top",
        "rfc1939-7-top-whole",
    ],
    copies="hMailServer up to 5.6: two code paths, and the one of TOP forgets to stuff",
)
class _TopNotStuffed(Session):
    def top_payload(self, text: bytes) -> bytes:
        return text


@fault(
    "first-octet-not-stuffed",
    breaks=["rfc1939-3-byte-stuffing", "rfc1939-3-nothing-unasked", "rfc1939-11-exact-size"],
    copies="Dovecot 2.3.19: the octet before the first one is not taken for a line end",
    edge=True,
)
class _FirstOctetNotStuffed(Session):
    def retr_payload(self, text: bytes) -> bytes:
        return text.replace(b"\r\n.", b"\r\n..")


@fault(
    "dot-at-buffer-start-not-stuffed",
    breaks=["rfc1939-3-byte-stuffing", "rfc1939-5-retr", "rfc1939-11-exact-size"],
    copies="netius 2026: buffers of 4096 octets are stuffed one by one, without what came before",
    edge=True,
)
class _DotAtBufferStartNotStuffed(Session):
    def retr_payload(self, text: bytes) -> bytes:
        buffers = [text[at : at + 4096] for at in range(0, len(text), 4096)]
        later = [buffer.replace(b"\r\n.", b"\r\n..") for buffer in buffers[1:]]
        return stuff(text[:4096]) + b"".join(later)


@fault(
    "only-lone-dots-stuffed",
    breaks=["rfc1939-3-byte-stuffing", "rfc1939-5-retr", "rfc1939-11-exact-size"],
    copies="only what would end the reply is thought of: a line of one dot, not '.x'",
    edge=True,
)
class _OnlyLoneDotsStuffed(Session):
    def retr_payload(self, text: bytes) -> bytes:
        return CRLF.join([b".." if line == b"." else line for line in text.split(CRLF)])


@fault(
    "first-octet-of-top-not-stuffed",
    breaks=["rfc1939-3-byte-stuffing", "rfc1939-3-nothing-unasked"],
    copies="Dovecot 2.3.19, Mailpit 408b30d: what stuffs TOP starts as though within a line",
    edge=True,
)
class _FirstOctetOfTopNotStuffed(Session):
    def top_payload(self, text: bytes) -> bytes:
        return text.replace(b"\r\n.", b"\r\n..")


@fault(
    "dot-at-buffer-start-stuffed-twice",
    breaks=["rfc1939-3-byte-stuffing", "rfc1939-5-retr", "rfc1939-11-exact-size"],
    copies="each buffer of 8192 octets is taken for the start of a line, also by what remembers",
    edge=True,
)
class _DotAtBufferStartStuffedTwice(Session):
    def retr_payload(self, text: bytes) -> bytes:
        payload = stuff(text[:8192])
        for at in range(8192, len(text), 8192):
            begins_a_line = text[at - 2 : at + 1] == b"\r\n."
            payload += b"." * begins_a_line + stuff(text[at : at + 8192])
        return payload


@fault(
    "first-dot-alone-stuffed",
    breaks=[
        "rfc1939-3-byte-stuffing",
        "rfc1939-3-nothing-unasked",
        "rfc1939-5-retr",
        "rfc1939-11-exact-size",
    ],
    copies="a replacement that, by the rules of its language, is of the first place alone",
    edge=True,
)
class _FirstDotAloneStuffed(Session):
    def retr_payload(self, text: bytes) -> bytes:
        return text.replace(b"\r\n.", b"\r\n..", 1)


@fault(
    "every-second-lone-dot-stuffed",
    breaks=[
        "rfc1939-3-byte-stuffing",
        "rfc1939-3-nothing-unasked",
        "rfc1939-5-retr",
        "rfc1939-11-exact-size",
    ],
    copies="'CRLF.CRLF' is replaced, and the CRLF that two lines of a dot share is used up",
    edge=True,
)
class _EverySecondLoneDotStuffed(Session):
    def retr_payload(self, text: bytes) -> bytes:
        others = re.sub(rb"\r\n\.(?!\r\n)", b"\r\n..", text)
        begin = b"." if text.startswith(b".") else b""
        return begin + others.replace(b"\r\n.\r\n", b"\r\n..\r\n")


# One reply to one command.


@fault(
    "unknown-closes-silently",
    breaks=["rfc1939-3-unknown-command", "rfc1939-3-stays-open"],
    copies="netius 1.64.0: an unknown command ends the connection without a reply",
)
class _UnknownClosesSilently(Session):
    def unknown(self, word: bytes) -> bytes:
        self.closing = True
        return b""


@fault(
    "quit-unanswered",
    breaks=["rfc1939-4-quit", "rfc1939-6-quit"],
    copies="Stalwart before 0.8.3: QUIT closes the connection with no reply",
)
class _QuitUnanswered(Session):
    def quit_command(self) -> bytes:
        super().quit_command()
        return b""


@fault(
    "quit-unanswered-behind-a-big-message",
    breaks=["rfc1939-6-quit"],
    copies="Dovecot 2.2.7 and 2.2.8: the connection is closed before the last reply is flushed",
    edge=True,
)
class _QuitUnansweredBehindABigMessage(Session):
    is_full = False

    def retr_reply(self, message: Message, content: bytes) -> bytes:
        self.is_full = len(content) > 1 << 19
        return super().retr_reply(message, content)

    def quit_command(self) -> bytes:
        reply = super().quit_command()
        return b"" if self.is_full else reply


@fault(
    "pipelined-command-dropped",
    breaks=["rfc1939-3-reply-per-command"],
    copies="the input buffer is emptied behind each command (servers met by MailKit and mpop)",
    edge=True,
)
class _PipelinedCommandDropped(Session):
    def receive(self, octets: bytes) -> bytes:
        first, line_end, _ = octets.partition(b"\n")
        return super().receive(first + line_end)


@fault(
    "empty-message-unanswered",
    breaks=["rfc1939-3-reply-per-command"],
    copies="the status line is sent with the first block of the message, and there is none",
    edge=True,
)
class _EmptyMessageUnanswered(Session):
    def retr_reply(self, message: Message, content: bytes) -> bytes:
        return super().retr_reply(message, content) if content else b""


@fault(
    "dele-answered-twice",
    breaks=["rfc1939-3-nothing-unasked"],
    copies="the handler and the dispatcher behind it both report success",
)
class _DeleAnsweredTwice(Session):
    def dele_reply(self, message: Message) -> bytes:
        return super().dele_reply(message) + self.positive(b"done")


@fault(
    "notice-when-all-are-marked",
    breaks=["rfc1939-3-nothing-unasked"],
    copies="a notice for the user is sent as a line of its own when the maildrop becomes empty",
    edge=True,
)
class _NoticeWhenAllAreMarked(Session):
    def dele_reply(self, message: Message) -> bytes:
        reply = super().dele_reply(message)
        return reply if self.visible() else reply + self.positive(b"maildrop is empty")


@fault(
    "error-behind-long-line",
    breaks=["rfc1939-3-nothing-unasked"],
    copies="Inbucket e56c6d5: a scanner gives up at a line of 65536 octets, behind the dot -ERR",
    edge=True,
)
class _ErrorBehindLongLine(Session):
    def retr_reply(self, message: Message, content: bytes) -> bytes:
        read = b""
        for line in content.splitlines(keepends=True):
            if len(line) >= 65536:
                return super().retr_reply(message, read) + self.negative(b"token too long")
            read += line
        return super().retr_reply(message, content)


@fault(
    "error-behind-the-end-of-top",
    breaks=["rfc1939-3-nothing-unasked"],
    copies="WildDuck before December 2025: TOP finds no body and says so behind the dot",
    edge=True,
)
class _ErrorBehindTheEndOfTop(Session):
    def top_reply(self, message: Message, content: bytes, count: int) -> bytes:
        reply = super().top_reply(message, content, count)
        has_body = self.body_start(content) < len(content)
        return reply if has_body else reply + self.negative(b"no body")


@fault(
    "refused-retr-has-an-end",
    breaks=["rfc1939-3-error-single-line"],
    copies="the terminating line is written where the function leaves, on every path",
)
class _RefusedRetrHasAnEnd(Session):
    def retr_command(self, argument: bytes) -> bytes:
        reply = super().retr_command(argument)
        return reply if reply.endswith(TERMINATOR) else reply + TERMINATOR


@fault(
    "refused-uidl-has-an-end",
    breaks=["rfc1939-3-error-single-line"],
    copies="the listing of one message takes the path of the whole one when it fails",
    edge=True,
)
class _RefusedUidlHasAnEnd(Session):
    def uidl_command(self, argument: bytes | None = None) -> bytes:
        reply = super().uidl_command(argument)
        return reply + TERMINATOR if reply.startswith(b"-") else reply


@fault(
    "usage-of-top-on-a-second-line",
    breaks=["rfc1939-3-error-single-line"],
    copies="a refusal with a usage text is printed with a line break in it",
    edge=True,
)
class _UsageOfTopOnASecondLine(Session):
    def malformed(self, keyword: str) -> bytes:
        reply = super().malformed(keyword)
        return reply + b"usage: TOP msg n\r\n" if keyword == "TOP" else reply


@fault(
    "dele-has-an-end",
    breaks=["rfc1939-3-single-line"],
    copies="one function sends all positive replies, and it ends each with a dot",
)
class _DeleHasAnEnd(Session):
    def dele_reply(self, message: Message) -> bytes:
        return super().dele_reply(message) + TERMINATOR


@fault(
    "rset-lists-what-it-unmarked",
    breaks=["rfc1939-3-single-line"],
    copies="RSET tells which messages came back, a line each, when there are any",
    edge=True,
)
class _RsetListsWhatItUnmarked(Session):
    def rset_command(self) -> bytes:
        unmarked = self.lines([b"%d" % number for number in sorted(self.marked)])
        reply = super().rset_command()
        return reply + unmarked + TERMINATOR if unmarked else reply
