"""One connection of the reference server: octets in the clear, from `secure` on in TLS."""

import contextlib
import socket
import ssl
import struct
import time

from pop3spec.reference.sasl.mechanism import Security
from pop3spec.reference.tls import ServerTls, security_of

_CHUNK = 1 << 14
# How long input that nobody will answer is read, so that closing is no reset.
LINGER = 2.0
# Seconds that a client has for its part of the handshake.
_HANDSHAKE = 30.0


class Wire:
    """A socket that may change to TLS, and says goodbye in its manner."""

    def __init__(self, connection: socket.socket, patience: float) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self.settimeout(patience)

    def settimeout(self, patience: float) -> None:
        """How long either side may be silent."""
        self._patience = patience
        self._socket.settimeout(patience)

    def wait_for(self, patience: float) -> None:
        """From now on wait so many seconds for what arrives."""
        self._patience = patience
        self._socket.settimeout(patience)

    def receive(self) -> bytes:
        """What arrives next, nothing at the end of the stream; TimeoutError after the patience."""
        return self._socket.recv(_CHUNK)

    def send(self, octets: bytes) -> None:
        """Send all octets."""
        self._socket.sendall(octets)

    def drain(self) -> None:
        """Read what has arrived already, for nothing."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(_CHUNK):
                pass
        self._socket.settimeout(self._patience)

    def secure(self, tls: ServerTls) -> Security:
        """Shake hands; OSError where the client does not, or not in time."""
        # OSError where the client is gone: ssl would leave a socket of its own open then.
        self._socket.getpeername()
        secured = tls.context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False
        )
        self._socket = secured
        secured.settimeout(min(self._patience, _HANDSHAKE))
        secured.do_handshake()
        secured.settimeout(self._patience)
        return security_of(secured, tls)

    def say_goodbye(self) -> None:
        """End the TLS stream, so that the client can tell it from a cut (close_notify)."""
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.setblocking(False)
            # It also wants to wait for the client's goodbye, which may never come.
            with contextlib.suppress(OSError, ValueError):
                self._socket.unwrap()

    def hang_up(self) -> None:
        """Close our side; what the client still sends must not turn that into a reset."""
        self._socket.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + LINGER
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            if not self._socket.recv(_CHUNK):
                return

    def cut(self) -> None:
        """End the connection from another thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def break_off(self) -> None:
        """Have the connection reset, from another thread: its own wakes up and lets go of it."""
        with contextlib.suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            # Below TLS, whose shutdown would forget the rest of the stream.
            socket.socket.shutdown(self._socket, socket.SHUT_RD)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
