"""The TCP side of the reference server: a thread for each connection."""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable

from pop3spec.reference.session import Session

_CHUNK = 1 << 14
# How long input that nobody will answer is read, so that closing is no reset.
_LINGER = 2.0


class Front:
    """Accepts connections and carries octets between them and their sessions."""

    def __init__(
        self,
        listener: socket.socket,
        new_session: Callable[[], Session],
        autologout: float,
    ) -> None:
        self.listener = listener
        self.new_session = new_session
        self.autologout = autologout
        self.stopping = threading.Event()
        self._woken, self._waker = socket.socketpair()
        self._guard = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._accepting = threading.Thread(target=self.accept_all, name="accept", daemon=True)

    def start(self) -> None:
        """Begin to accept connections."""
        self._accepting.start()

    def accept_all(self) -> None:
        """Accept connections until `stop`."""
        with selectors.DefaultSelector() as ready:
            ready.register(self.listener, selectors.EVENT_READ)
            ready.register(self._woken, selectors.EVENT_READ)
            self.listener.setblocking(False)
            while True:
                ready.select()
                if self.stopping.is_set():
                    return
                # The client may have gone again before it was accepted.
                with contextlib.suppress(OSError):
                    self.accept(self.listener.accept()[0])

    def accept(self, connection: socket.socket) -> None:
        """Serve a connection in a thread of its own."""
        thread = threading.Thread(target=self.serve, args=(connection,), daemon=True)
        with self._guard:
            if self.stopping.is_set():
                connection.close()
                return
            self._connections[connection] = thread
        thread.start()

    def serve(self, connection: socket.socket) -> None:
        """One connection from its greeting to its close."""
        try:
            # A connection that breaks ends the session, whenever it does.
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(self.autologout)
                session = self.new_session()
                try:
                    self.talk(connection, session)
                finally:
                    # Before the close, so that whoever sees it may log in at once.
                    session.end()
                self.hang_up(connection)
        finally:
            with self._guard:
                self._connections.pop(connection, None)
            connection.close()

    def talk(self, connection: socket.socket, session: Session) -> None:
        """Carry octets until either side ends the session, or the autologout timer does."""
        self.send(connection, session.greeting())
        while not session.closing:
            octets = b"" if session.has_more else connection.recv(_CHUNK)
            if not octets and not session.has_more:
                return
            self.reply(connection, session, session.receive(octets))

    def reply(self, connection: socket.socket, session: Session, replies: bytes) -> None:
        """Send replies, when it is time for them."""
        if session.delay:
            self.stopping.wait(session.delay)
            session.delay = 0.0
        if replies:
            self.send(connection, replies)

    def send(self, connection: socket.socket, octets: bytes) -> None:
        """Send octets in one go."""
        connection.sendall(octets)

    def hang_up(self, connection: socket.socket) -> None:
        """Close our side; what the client still sends must not turn that into a reset."""
        connection.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + _LINGER
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(_CHUNK):
                return

    def stop(self) -> None:
        """Close the listener and every connection, and wait for their threads."""
        with self._guard:
            self.stopping.set()
            connections = dict(self._connections)
        self._waker.send(b"\0")
        if self._accepting.is_alive() and self._accepting is not threading.current_thread():
            self._accepting.join()
        self.listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            if thread is not threading.current_thread():
                thread.join(_LINGER)
        self._woken.close()
        self._waker.close()
