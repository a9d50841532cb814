"""The TCP side of the reference server: a thread for each connection."""

import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Callable

from pop3spec.reference.session import Session
from pop3spec.reference.tls import ServerTls
from pop3spec.reference.wire import LINGER, Wire


class Front:
    """Accepts connections and carries octets between them and their sessions.

    With `is_implicit` TLS comes first on each of them, else where STLS asks for it.
    """

    def __init__(
        self,
        listener: socket.socket,
        new_session: Callable[[], Session],
        autologout: float,
    ) -> None:
        self.listener = listener
        self.new_session = new_session
        self.autologout = autologout
        self.tls: ServerTls | None = None
        self.is_implicit = False
        self.stopping = threading.Event()
        self.killed = False
        self._woken, self._waker = socket.socketpair()
        self._guard = threading.Lock()
        self._connections: dict[Wire, threading.Thread] = {}
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
        wire = self.new_wire(connection)
        thread = threading.Thread(target=self.serve, args=(wire,), daemon=True)
        with self._guard:
            if self.stopping.is_set():
                wire.close()
                return
            self._connections[wire] = thread
        thread.start()

    def new_wire(self, connection: socket.socket) -> Wire:
        """What carries the octets of a connection."""
        return Wire(connection, self.autologout)

    def serve(self, wire: Wire) -> None:
        """One connection from its greeting to its close."""
        try:
            # A connection that breaks ends the session, whenever it does.
            with contextlib.suppress(OSError):
                session = self.new_session()
                try:
                    # A handshake that fails and the autologout timer end it properly.
                    with contextlib.suppress(ssl.SSLError, TimeoutError):
                        if self.is_implicit:
                            self.secure(wire, session)
                        self.talk(wire, session)
                finally:
                    # Before the close, so that whoever sees it may log in at once.
                    if not self.killed:
                        session.end()
                if not self.killed:
                    self.hang_up(wire)
        finally:
            with self._guard:
                self._connections.pop(wire, None)
            wire.close()

    def talk(self, wire: Wire, session: Session) -> None:
        """Carry octets until either side ends the session, or the autologout timer does."""
        self.send(wire, session.greeting())
        while not session.closing:
            octets = b"" if session.has_more else wire.receive()
            if not octets and not session.has_more:
                return
            replies = session.receive(octets)
            if session.starts_tls:
                self.drain(wire)
            self.reply(wire, session, replies)
            if session.starts_tls:
                self.secure(wire, session)

    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        """Send replies, when it is time for them."""
        if session.delay:
            self.stopping.wait(session.delay)
            session.delay = 0.0
        if replies:
            self.send(wire, replies)

    def send(self, wire: Wire, octets: bytes) -> None:
        """Send octets in one go."""
        wire.send(octets)

    def drain(self, wire: Wire) -> None:
        """Throw away what came behind STLS in the clear: no client may send it."""
        wire.drain()

    def secure(self, wire: Wire, session: Session) -> None:
        """Shake hands and tell the session; OSError where that fails."""
        session.secured(wire.secure(self.side()))

    def side(self) -> ServerTls:
        """Our side of TLS."""
        assert self.tls is not None
        return self.tls

    def wires(self) -> list[Wire]:
        """The connections that are open."""
        with self._guard:
            return list(self._connections)

    def hang_up(self, wire: Wire) -> None:
        """Close our side in order."""
        wire.say_goodbye()
        wire.hang_up()

    def stop(self) -> None:
        """Close the listener and every connection, and wait for their threads."""
        self._end_each(Wire.cut)

    def kill(self) -> None:
        """The end of a process that is killed: each connection reset, no session told of it."""
        self.killed = True
        self._end_each(Wire.break_off)

    def _end_each(self, end: Callable[[Wire], None]) -> None:
        with self._guard:
            self.stopping.set()
            connections = dict(self._connections)
        self._waker.send(b"\0")
        if self._accepting.is_alive() and self._accepting is not threading.current_thread():
            self._accepting.join()
        self.listener.close()
        for wire in connections:
            end(wire)
        for thread in connections.values():
            if thread is not threading.current_thread():
                thread.join(LINGER)
        self._woken.close()
        self._waker.close()
