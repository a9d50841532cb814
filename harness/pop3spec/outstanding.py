"""What a client has sent, line by line, and what of it has no reply yet."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pop3spec.client_lines import may_be_cut, problem_of_answer, problem_of_line
from pop3spec.protocol.commands import MAX_COMMAND
from pop3spec.transcript import Exchange, Kind


@dataclass(frozen=True)
class Line:
    """A line that was sent; a `deliberate` one is a line that no client may send."""

    sent: bytes
    sent_at: float
    deliberate: bool
    kind: Kind = Kind.COMMAND


class Outstanding:
    """The lines that have no reply yet, and the beginning of one that has no end.

    The first line behind a challenge answers it, and is no command (RFC 5034, section 4).
    """

    def __init__(self) -> None:
        self._lines: deque[Line] = deque()
        self._unfinished = b""
        self._is_challenged = False

    def __bool__(self) -> bool:
        return bool(self._lines)

    @property
    def sent(self) -> Iterator[bytes]:
        """The octets of each line, its end included."""
        return (line.sent for line in self._lines)

    @property
    def is_unfinished(self) -> bool:
        """A line was begun, and has no end."""
        return bool(self._unfinished)

    @property
    def may_be_answered(self) -> bool:
        """A server may reply, or end the connection, for what was sent."""
        return bool(self._lines) or may_be_cut(self._unfinished)

    def commands_in(self, octets: bytes) -> list[bytes]:
        """What a server would take for commands, the one that has no end yet included."""
        lines = (self._unfinished + octets).split(b"\n")
        answers = self._is_challenged and not problem_of_answer(lines[0] + b"\n")
        return lines[1:] if answers else lines

    def add(self, octets: bytes, now: float) -> None:
        """Take octets that are sent now."""
        *lines, self._unfinished = (self._unfinished + octets).split(b"\n")
        for line in lines:
            self._lines.append(self._line(line + b"\n", now))
            self._is_challenged = False

    def _line(self, sent: bytes, now: float) -> Line:
        if not self._is_challenged:
            return Line(sent, now, bool(problem_of_line(sent)))
        # A long response may be taken for several commands: that alone is judged then.
        is_long = len(sent) > MAX_COMMAND
        return Line(sent, now, is_long or bool(problem_of_answer(sent)), Kind.CONTINUATION)

    def oldest(self) -> Line | None:
        """Take out the line whose reply comes next, None where nothing is outstanding."""
        return self._lines.popleft() if self._lines else None

    def replied(self, exchange: Exchange) -> None:
        """Heed what came for the line that was taken out."""
        self._is_challenged = exchange.continues_sasl
        if self._is_challenged and self._lines:
            # Sent too early, so it is no command either.
            early = replace(self._lines[0], kind=Kind.CONTINUATION, deliberate=True)
            self._lines[0], self._is_challenged = early, False
        if exchange.end is not None:
            self._lines.clear()

    def forget(self) -> None:
        """Expect no replies to anything that was sent."""
        self._lines.clear()
        self._unfinished = b""
