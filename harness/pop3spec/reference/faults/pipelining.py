"""Faults that show where commands are sent together (RFC 2449, section 6.6)."""

from pop3spec.protocol.commands import State
from pop3spec.protocol.replies import CRLF, TERMINATOR
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.front import Front
from pop3spec.reference.session import Session
from pop3spec.reference.wire import Wire

TABLE = FaultTable()
fault = TABLE.fault

IN_TURN = "rfc2449-6.6-in-turn"

# What has many lines, or more than a buffer.
_LONG = 1 << 9
_BUFFER = 1 << 10
_OUTPUT = 1 << 16
_MUCH = 1 << 18


class _Waiting(Session):
    """A session that looks at what waits behind a command."""

    def drop_input(self) -> None:
        """Forget what has arrived behind this command."""
        self._lines.clear()
        self._rest = b""

    def next_line(self) -> bytes:
        """The command that waits next, in capitals, nothing where there is none."""
        return self._lines[0].removesuffix(b"\r").upper() if self._lines else b""

    def take_next(self) -> bytes:
        """The reply to the command that waits next."""
        return Session.take(self, self._lines.popleft().removesuffix(b"\r"))


# The order of replies.


@fault(
    "status-line-before-the-dot",
    breaks=[IN_TURN],
    copies="the end of a message is written by a callback, behind the status line of the next"
    " RETR (WildDuck before 2026)",
)
class _StatusLineBeforeTheDot(_Waiting):
    is_open = False

    def take(self, line: bytes) -> bytes:
        reply = super().take(line)
        if self.is_open:
            status, line_end, rest = reply.partition(CRLF)
            reply = status + line_end + TERMINATOR + rest
        self.is_open = (
            line.upper().startswith(b"RETR")
            and self.next_line().startswith(b"RETR")
            and reply.endswith(CRLF + TERMINATOR)
        )
        return reply.removesuffix(TERMINATOR) if self.is_open else reply


@fault(
    "stat-overtakes-list",
    breaks=[IN_TURN],
    copies="a listing waits for the index, and STAT, which does not, is answered meanwhile",
    edge=True,
)
class _StatOvertakesList(_Waiting):
    def take(self, line: bytes) -> bytes:
        if line.upper() == b"LIST" and self.next_line() == b"STAT":
            return self.take_next() + super().take(line)
        return super().take(line)


@fault(
    "a-worker-for-each-command",
    breaks=[IN_TURN],
    copies="commands are handed to a pool of threads, which write messages in blocks as they come",
)
class _AWorkerForEachCommand(_Waiting):
    def take(self, line: bytes) -> bytes:
        reply = super().take(line)
        if len(reply) <= _LONG or not self.next_line().startswith(b"RETR"):
            return reply
        other = self.take_next()
        last = max(len(reply), len(other))
        return b"".join(
            reply[at : at + _LONG] + other[at : at + _LONG] for at in range(0, last, _LONG)
        )


@fault(
    "quit-overtakes-messages",
    breaks=[IN_TURN],
    copies="QUIT is served by the loop that reads, the queue of commands is thrown away",
    edge=True,
)
class _QuitOvertakesMessages(_Waiting):
    def take(self, line: bytes) -> bytes:
        behind = [waiting.removesuffix(b"\r").upper() for waiting in list(self._lines)[1:]]
        if line.upper().startswith(b"RETR") and b"QUIT" in behind:
            self.drop_input()
            return super().take(b"QUIT")
        return super().take(line)


@fault(
    "dele-behind-quit-carried-out",
    breaks=[IN_TURN],
    copies="marks are set as the input is parsed, before UPDATE looks at them",
    edge=True,
)
class _DeleBehindQuitCarriedOut(Session):
    def quit_command(self) -> bytes:
        if self.state is State.TRANSACTION:
            for line in self._lines:
                word, _, argument = line.strip().partition(b" ")
                message = self.message(argument) if argument.isdigit() else None
                if word.upper() == b"DELE" and message is not None:
                    self.mark(message)
        return super().quit_command()


# Input that is lost, or read twice.


@fault(
    "input-buffer-of-1024",
    breaks=[IN_TURN],
    copies="a command that is cut by the end of a full buffer is lost (servers met by mpop)",
    edge=True,
)
class _InputBufferOf1024(Session):
    def receive(self, octets: bytes) -> bytes:
        replies = []
        for at in range(0, max(len(octets), 1), _BUFFER):
            buffer = octets[at : at + _BUFFER]
            replies.append(super().receive(buffer))
            if len(buffer) == _BUFFER and b"\n" in buffer:
                self._rest = b""
        return b"".join(replies)


@fault(
    "input-behind-pass-dropped",
    breaks=[IN_TURN],
    copies="another process goes on with the session, and what was read with PASS stays behind",
    edge=True,
)
class _InputBehindPassDropped(_Waiting):
    def pass_command(self, password: bytes) -> bytes:
        reply = super().pass_command(password)
        if self.state is State.TRANSACTION:
            self.drop_input()
        return reply


@fault(
    "input-behind-initial-response-dropped",
    breaks=[IN_TURN],
    copies="the input is flushed before an exchange, whose first message is there already",
    edge=True,
)
class _InputBehindInitialResponseDropped(_Waiting):
    def auth_command(self, name: bytes, initial: bytes | None = None) -> bytes:
        reply = super().auth_command(name, initial)
        if initial is not None:
            self.drop_input()
        return reply


@fault(
    "input-behind-a-refusal-dropped",
    breaks=[IN_TURN],
    copies="the input is flushed behind an error, so that garbage is refused once",
    edge=True,
)
class _InputBehindARefusalDropped(_Waiting):
    def take(self, line: bytes) -> bytes:
        reply = super().take(line)
        if reply.startswith(b"-ERR"):
            self.drop_input()
        return reply


@fault(
    "input-during-a-message-dropped",
    breaks=[IN_TURN],
    copies="the loop that sends a message reads and forgets, to notice a client that is gone",
    edge=True,
)
class _InputDuringAMessageDropped(Front):
    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        if session.security is None and len(replies) > _MUCH:
            self.send(wire, replies[:-1])
            wire.drain()
            replies = replies[-1:]
        super().reply(wire, session, replies)


@fault(
    "cut-dele-carried-out-twice",
    breaks=[IN_TURN],
    copies="behind a read that ends within a line the buffer is parsed from there once more",
    edge=True,
)
class _CutDeleCarriedOutTwice(Session):
    is_behind = False

    def receive(self, octets: bytes) -> bytes:
        cut = self._rest
        line, line_end, _ = octets.partition(b"\n")
        if self.is_behind and line_end and cut.upper().startswith(b"DELE"):
            super().receive(line + line_end)
            octets = cut + octets
        replies = super().receive(octets)
        self.is_behind = b"\n" in octets and self._rest != b""
        return replies


# More than there is room for.


@fault(
    "queue-of-128-commands",
    breaks=[IN_TURN],
    copies="reading stops when the queue of commands is full, and nobody begins it again",
    edge=True,
)
class _QueueOf128Commands(Session):
    is_full = False

    def receive(self, octets: bytes) -> bytes:
        lines = octets.split(b"\n")
        if self.is_full:
            octets = b""
        elif len(lines) > 128:
            self.is_full = True
            octets = b"\n".join(lines[:128]) + b"\n"
        return super().receive(octets)


@fault(
    "output-buffer-of-64-kib",
    breaks=[IN_TURN],
    copies="replies that wait together are gathered in a buffer, and what it cannot hold is lost",
    edge=True,
)
class _OutputBufferOf64Kib(Session):
    def receive(self, octets: bytes) -> bytes:
        waited = len(self._lines) + octets.count(b"\n")
        replies = super().receive(octets)
        is_several = waited - len(self._lines) > 1
        return replies[:_OUTPUT] if is_several else replies
