"""A server that plays a script: given octets on given cues, over a real loopback socket.

A script is a sequence of moves: octets are sent, a text is the command line that
has to come, and a function does anything else with the connection. Behind its
last move the server keeps the connection open until the client has closed it.
"""

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from pop3spec.opening import open_session
from pop3spec.recorder import Recorder
from pop3spec.rulebook.history import Filling
from pop3spec.session import Session
from pop3spec.target import Account, Address, Target, Timeouts

# Whatever waits longer than this in a test waits for ever.
PATIENCE = 10.0
ALICE = Account("alice", "correct-horse")
LOGIN = ("USER alice", b"+OK\r\n", "PASS correct-horse", b"+OK\r\n")
HELLO = b"+OK ready\r\n"


class Line:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard = b""
        self._unread = b""
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def say(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def hear(self) -> bytes:
        """The next line with its end; less where the client closed."""
        while b"\n" not in self._unread:
            piece = self.sock.recv(65536)
            self.heard += piece
            if not piece:
                break
            self._unread += piece
        line, end, self._unread = self._unread.partition(b"\n")
        return line + end


Move = bytes | str | Callable[[Line], object]


def close(line: Line) -> None:
    """End the connection as soon as all was sent."""
    # The client may have ended it first, as it does behind a negative greeting.
    with contextlib.suppress(OSError):
        line.sock.shutdown(socket.SHUT_WR)


def reset(line: Line) -> None:
    """Break the connection (RST)."""
    line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.sock.close()


def trickle(octets: bytes) -> Callable[[Line], None]:
    """Each octet in a segment of its own."""

    def move(line: Line) -> None:
        for octet in octets:
            line.say(bytes([octet]))

    return move


def flood(piece: bytes) -> Callable[[Line], None]:
    """The same octets until the client has had enough."""

    def move(line: Line) -> None:
        with contextlib.suppress(OSError):
            while True:
                line.say(piece)

    return move


def when(event: threading.Event) -> Callable[[Line], None]:
    """Wait until something else has happened."""

    def move(line: Line) -> None:
        assert event.wait(PATIENCE)

    return move


def tell(event: threading.Event) -> Callable[[Line], None]:
    """Say that the script has come this far."""

    def move(line: Line) -> None:
        event.set()

    return move


class Scripted:
    """Listens, and plays a script to each connection; the last script serves all others."""

    def __init__(self, *scripts: Sequence[Move]) -> None:
        self._scripts = itertools.chain(scripts, itertools.repeat(scripts[-1]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._problems: list[BaseException] = []
        self.lines: list[Line] = []

    @property
    def address(self) -> Address:
        return Address(*self._listener.getsockname())

    def target(self, **timeouts: float) -> Target:
        return Target(
            self.address,
            (ALICE,),
            timeouts=Timeouts(**({"connect": 5.0, "login": 5.0, "reply": 5.0} | timeouts)),
            allow_cleartext=True,
            allow_stress=True,
        )

    def session(
        self,
        recorder: Recorder,
        target: Target | None = None,
        *,
        filling: Filling | None = None,
        may_delete: bool = False,
        login: bool = False,
    ) -> Session:
        """A session with it, greeted, and logged in where that is asked for."""
        opened = open_session(
            target or self.target(),
            recorder,
            account=ALICE,
            filling=filling,
            filling_name="alice#1",
            may_delete=may_delete,
        )
        if login:
            opened.log_in(ALICE)
        return opened

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                line = Line(sock)
                self.lines.append(line)
                thread = threading.Thread(target=self._play, args=(line,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _play(self, line: Line) -> None:
        script = next(self._scripts)
        try:
            for move in script:
                self._do(line, move)
            with contextlib.suppress(OSError):
                while line.hear():
                    pass
        except (ConnectionError, BrokenPipeError):
            pass  # the client has gone, as it may
        except BaseException as error:
            self._problems.append(error)
        finally:
            line.sock.close()

    def _do(self, line: Line, move: Move) -> None:
        if isinstance(move, bytes):
            line.say(move)
        elif isinstance(move, str):
            heard, wanted = line.hear(), move.encode() + b"\r\n"
            # A client that has given up says nothing more.
            if heard not in (wanted, b""):
                raise AssertionError(f"heard {heard!r} instead of {wanted!r}")
        elif line.sock.fileno() >= 0:
            move(line)

    def __enter__(self) -> Self:
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An accept that waits is not ended by close alone.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(PATIENCE)
        for line in self.lines:
            with contextlib.suppress(OSError):
                line.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        if error is None and self._problems:
            raise self._problems[0]
