"""Server bytes in, replies out.

The reader describes what arrived and never judges it. It does no I/O, and it
loses no octet: the `wire` of every reply that it returned, followed by
`unread`, is the input.
"""

import re
from dataclasses import dataclass
from functools import cached_property

CRLF = b"\r\n"
TERMINATOR = b".\r\n"
_END_OF_LINES = b"\r\n.\r\n"
# In long replies `re` searches octets at twice the speed of `bytes.find` and `bytes.replace`.
_END = re.compile(rb"\r\n\.\r\n")
_LINE_WITH_DOT = re.compile(rb"\r\n\.")


@dataclass(frozen=True)
class Reply:
    """One complete reply of a server, as it came.

    `status_line` holds its line end. `payload` is what a multi-line reply has
    between the status line and the terminating line, as transmitted; None for
    a reply of one line.
    """

    status_line: bytes
    payload: bytes | None = None

    @property
    def is_ok(self) -> bool:
        """The status indicator is `+OK`, in whatever case."""
        return self.status_line[:3].upper() == b"+OK"

    @property
    def is_err(self) -> bool:
        """The status indicator is `-ERR`, in whatever case."""
        return self.status_line[:4].upper() == b"-ERR"

    @property
    def is_challenge(self) -> bool:
        """The line continues a SASL exchange, well-formed or not (RFC 5034, section 4)."""
        return self.status_line[:1] == b"+" and not self.is_ok

    @property
    def is_multiline(self) -> bool:
        """Lines and a terminating line followed the status line."""
        return self.payload is not None

    @property
    def wire(self) -> bytes:
        """Every octet of the reply."""
        if self.payload is None:
            return self.status_line
        return self.status_line + self.payload + TERMINATOR

    @property
    def text(self) -> bytes:
        """What follows the status indicator and one blank, without the line end."""
        line = self.status_line.rstrip(CRLF)
        return line.partition(b" ")[2]

    @property
    def wire_lines(self) -> tuple[bytes, ...]:
        """The lines of a multi-line reply as transmitted, CRLF included."""
        return tuple(part + CRLF for part in _split(self.payload or b""))

    @property
    def lines(self) -> tuple[bytes, ...]:
        """The lines of a multi-line reply, unstuffed, without CRLF."""
        return tuple(_split(self.content))

    @cached_property
    def content(self) -> bytes:
        """The octets of a multi-line reply after unstuffing (RFC 1939, section 3).

        One leading dot is taken from each line; every CRLF is kept; the
        terminating line does not belong to it.
        """
        return unstuff(self.payload or b"")


def _split(octets: bytes) -> list[bytes]:
    parts = octets.split(CRLF)
    if parts[-1] == b"":
        parts.pop()
    return parts


def unstuff(payload: bytes) -> bytes:
    """Lines as a client reads them: without the first dot of each line.

    A line begins at the start and behind each CRLF.
    """
    if payload[:1] == b".":
        payload = payload[1:]
    # The second and later lines in one pass over the octets, never line by line.
    return _LINE_WITH_DOT.sub(CRLF, payload)


def stuff(content: bytes) -> bytes:
    """Lines as a server has to send them: one more dot before a leading dot."""
    if content[:1] == b".":
        content = b"." + content
    return _LINE_WITH_DOT.sub(b"\r\n..", content)


class ReplyReader:
    """Cuts replies out of a stream of octets, however the stream is cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._line_end = -1  # behind the status line's LF, -1: not found yet
        self._searched = 0  # no line end, or no terminator, begins before this

    def feed(self, octets: bytes) -> None:
        """Take what arrived."""
        self._buffer += octets

    @property
    def unread(self) -> bytes:
        """What arrived and belongs to no reply yet."""
        return bytes(self._buffer)

    def unread_within(self, most: int, last: int) -> tuple[bytes, int]:
        """What is unread, and how many octets in its middle are left out of it.

        Of more than `most` octets there are about so many, the `last` ones of them from the
        end; where there are lines, whole lines are left out.
        """
        size = len(self._buffer)
        if size <= most:
            return self.unread, 0
        line_end = self._buffer.rfind(CRLF, 0, most - last)
        begin = line_end + len(CRLF) if line_end >= 0 else most - last
        line_end = self._buffer.find(CRLF, size - last)
        end = line_end + len(CRLF) if line_end >= 0 else size - last
        with memoryview(self._buffer) as whole:
            return bytes(whole[:begin]) + bytes(whole[end:]), end - begin

    @property
    def size(self) -> int:
        """How many octets are unread."""
        return len(self._buffer)

    @property
    def in_payload(self) -> bool:
        """The status line of the next reply is complete."""
        return self._line_end >= 0

    def next_reply(self, *, multiline: bool) -> Reply | None:
        """The next complete reply, None if it is not there yet.

        `multiline` states that a positive reply has further lines; only the
        caller knows what was asked. The status line ends at the first LF, with
        or without a CR before it; the lines end at CRLF `.` CRLF alone.
        """
        if self._line_end < 0:
            at = self._buffer.find(b"\n", self._searched)
            if at < 0:
                self._searched = len(self._buffer)
                return None
            self._line_end = self._searched = at + 1
        if not multiline or self._buffer[:3].upper() != b"+OK":
            status_line = bytes(self._buffer[: self._line_end])
            self._drop(self._line_end)
            return Reply(status_line)
        return self._multiline_reply()

    def _multiline_reply(self) -> Reply | None:
        buffer, start = self._buffer, self._line_end
        if buffer.startswith(TERMINATOR, start):
            reply = Reply(bytes(buffer[:start]), b"")
            self._drop(start + len(TERMINATOR))
            return reply
        found = _END.search(buffer, self._searched)
        if found is None:
            # Start a few octets back: part of the terminator may have come
            # with the last piece. The status line's CRLF is not part of it.
            self._searched = max(start, len(buffer) - len(_END_OF_LINES) + 1)
            return None
        at = found.start()
        # It holds on to the buffer, which is about to shrink.
        del found
        status_line = bytes(memoryview(buffer)[:start])
        payload = bytes(memoryview(buffer)[start : at + len(CRLF)])
        self._drop(at + len(_END_OF_LINES))
        return Reply(status_line, payload)

    def _drop(self, count: int) -> None:
        """Forget what was cut out; the room of a large reply is given back."""
        if count == len(self._buffer):
            self._buffer = bytearray()
        else:
            del self._buffer[:count]
        self._line_end = -1
        self._searched = 0
