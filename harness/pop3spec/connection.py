"""Socket, TLS and clock around ReplyReader.

A Connection moves octets and tells how waiting ended. It knows nothing of
right and wrong, and every wait has a deadline.
"""

import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import cast

from pop3spec.protocol.replies import Reply, ReplyReader
from pop3spec.protocol.tls_records import is_record
from pop3spec.target import Address, Tls
from pop3spec.transcript import End

# A server that sends slower than this, octets a second, has not answered in time.
_SLOWEST = 20_000
# Seconds that a reply may take beside its timeout, however much of it has come.
_LONGEST = 120.0
# Octets that one reply may have: beyond it the reply has no end.
MAX_REPLY = 64 * 1024 * 1024
MAX_LINE = 1024 * 1024
_PIECE = 256 * 1024
# Octets that are kept of a reply without end, and at its end those behind what is left out.
_KEPT = 1024 * 1024
_KEPT_LAST = 64 * 1024
# Replies of more octets than this are read a few at a time, since memory has a bound.
_LARGE = 4 * 1024 * 1024
_few_at_a_time = threading.BoundedSemaphore(2)
# Seconds without an octet after which what nobody asked for is complete.
_SETTLES = 0.1
# The same where that has happened before: who always says more is not waited for each time.
_OFTEN, _SETTLES_SOON = 3, 0.01


class ConnectionFailed(Exception):
    """No connection, or no TLS on it; the message says why in one sentence."""


class NoCommonVersion(ConnectionFailed):
    """The server speaks no version of TLS that was offered."""


class CertificateRejected(ConnectionFailed):
    """The server's certificate does not verify."""


@dataclass(frozen=True)
class Arrival:
    """What waiting for a reply brought: the reply, or octets and why there are no more."""

    reply: Reply | None = None
    partial: bytes = b""
    end: End | None = None
    left_out: int = 0  # octets in the middle of `partial` that were not kept


class TlsVersion(Enum):
    """A version of TLS that is up to date (RFC 8996)."""

    TLS_1_2 = "TLSv1.2"
    TLS_1_3 = "TLSv1.3"


@lru_cache(maxsize=16)  # loading what is trusted takes longer than a session
def tls_context(tls: Tls, only: TlsVersion | None = None) -> ssl.SSLContext:
    """The client's side of TLS as the target wants it; ConnectionFailed for bad files.

    With `only` this version alone is offered.
    """
    cafile = None if tls.ca is None or tls.insecure else str(tls.ca)
    try:
        context = ssl.create_default_context(cafile=cafile)
    except (OSError, ssl.SSLError) as error:
        raise ConnectionFailed(
            f"--ca={tls.ca}: not a readable file of PEM certificates ({_reason(error)})"
        ) from error
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.client_cert is not None:
        try:
            context.load_cert_chain(tls.client_cert, tls.client_key)
        except (OSError, ssl.SSLError) as error:
            raise ConnectionFailed(
                f"--client-cert={tls.client_cert}: {_key_problem(tls)} ({_reason(error)})"
            ) from error
    if only is not None:
        version = ssl.TLSVersion[only.value.replace(".", "_")]
        context.minimum_version = context.maximum_version = version
    return context


def _key_problem(tls: Tls) -> str:
    if tls.client_key is None:
        return "no certificate with its key in one file; name the key with --client-key=FILE"
    return f"it cannot be used with --client-key={tls.client_key}"


def client_hello(tls: Tls, server_name: str) -> bytes:
    """What a client sends first in TLS, as one or more records."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    begun = tls_context(tls).wrap_bio(incoming, outgoing, server_hostname=server_name)
    with suppress(ssl.SSLWantReadError):
        begun.do_handshake()
    return outgoing.read()


# What OpenSSL says where the server has no version that was offered, or chose another one.
_ABOUT_VERSIONS = frozenset(
    {"UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION", "TLSV1_ALERT_PROTOCOL_VERSION"}
)

# What OpenSSL says of a certificate (x509_vfy.h) -> what that means, and the mend.
_NOT_VALID_YET, _EXPIRED, _SELF_SIGNED, _SELF_SIGNED_ROOT = 9, 10, 18, 19
_WRONG_NAME, _WRONG_ADDRESS = 62, 64
_BAD_CERTIFICATES: Mapping[int, tuple[str, str]] = {
    _NOT_VALID_YET: ("is not valid yet", "correct the clocks, or use --insecure"),
    _EXPIRED: ("has expired", "renew it, or use --insecure"),
    _SELF_SIGNED: ("is self-signed", "trust it with --ca=FILE, or use --insecure"),
    _SELF_SIGNED_ROOT: (
        "comes from a self-signed authority",
        "trust that with --ca=FILE, or use --insecure",
    ),
    _WRONG_NAME: ("is for another name", "give its name with --tls-name=NAME, or use --insecure"),
    _WRONG_ADDRESS: (
        "is for another name",
        "give its name with --tls-name=NAME, or use --insecure",
    ),
}
_UNTRUSTED = ("has no issuer that is trusted", "name its issuer with --ca=FILE, or use --insecure")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


class Connection:
    """An open connection to a server: octets out, replies in."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        self._name = name
        self._reader = ReplyReader()
        self._end: End | None = None
        self._unasked = 0
        self._use(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _use(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._readable = select.poll()
        self._readable.register(sock, select.POLLIN)
        self._ready = select.poll()
        self._ready.register(sock, select.POLLIN | select.POLLOUT)
        self._pending = sock.pending if isinstance(sock, ssl.SSLSocket) else _nothing_pending

    @property
    def is_secure(self) -> bool:
        """TLS protects the connection."""
        return isinstance(self._socket, ssl.SSLSocket)

    @property
    def tls_version(self) -> str | None:
        """The version of TLS, None in the clear."""
        return self._socket.version() if isinstance(self._socket, ssl.SSLSocket) else None

    @property
    def cipher_suite(self) -> str | None:
        """The cipher suite of TLS, None in the clear."""
        if not isinstance(self._socket, ssl.SSLSocket):
            return None
        cipher = self._socket.cipher()
        return cipher[0] if cipher else None

    @property
    def certificate(self) -> str | None:
        """Names and end of the server's certificate, None where it was not verified."""
        shown = self._socket.getpeercert() if isinstance(self._socket, ssl.SSLSocket) else None
        if not shown:
            return None
        # Pairs of a kind and a name.
        names = cast("Sequence[tuple[str, str]]", shown.get("subjectAltName", ()))
        listed = ", ".join(f"{kind} {name}" for kind, name in names)
        return f"{listed or 'no names'}; valid until {shown.get('notAfter')}"

    @property
    def source(self) -> str:
        """Our address, as the server sees it."""
        return str(self._socket.getsockname()[0])

    def bindings(self) -> dict[str, bytes]:
        """Channel bindings by type (RFC 5929, section 3 and 4); empty without TLS."""
        sock = self._socket
        if not isinstance(sock, ssl.SSLSocket):
            return {}
        found: dict[str, bytes] = {}
        # TLS 1.3 has none of this type.
        if sock.version() == "TLSv1.2" and (unique := sock.get_channel_binding("tls-unique")):
            found["tls-unique"] = unique
        if certificate := sock.getpeercert(binary_form=True):
            found["tls-server-end-point"] = certificate
        return found

    def send(self, octets: bytes, timeout: float) -> None:
        """Send all octets; meanwhile take what arrives, so that neither side gets stuck.

        A connection that the server has ended swallows them: the end shows
        when the reply is awaited.
        """
        view = memoryview(octets)
        begun = moved = time.monotonic()
        while view and self._reader.size <= MAX_REPLY:
            unread = self._reader.size
            try:
                view = view[self._socket.send(view) :]
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                # As long as octets go in one direction or the other, and not for ever.
                now = time.monotonic()
                if now > moved + timeout or now > begun + timeout + _LONGEST:
                    return
                self._ready.poll(500)
                self._take()
                if self._reader.size == unread:
                    continue
            except OSError:
                return
            moved = time.monotonic()

    def next_reply(self, *, multiline: bool, timeout: float, most: int = MAX_REPLY) -> Arrival:
        """The next reply, or what came instead of it before the deadline.

        A reply of more than `most` octets has no end.
        """
        arrival = self._read_reply(multiline, timeout, most, _LARGE)
        if arrival is not None:
            return arrival
        with _few_at_a_time:
            whole = self._read_reply(multiline, timeout, most, None)
        assert whole is not None
        return whole

    def _read_reply(
        self, multiline: bool, timeout: float, most: int, turn: int | None
    ) -> Arrival | None:
        """The next reply; None where it has more octets than may be read out of `turn`."""
        reader = self._reader
        begun = time.monotonic()
        while True:
            reply = reader.next_reply(multiline=multiline)
            if reply is not None:
                return Arrival(reply)
            if self._end is not None:
                return self._rest(self._end)
            if reader.size > (most if reader.in_payload else MAX_LINE):
                return self._rest(End.TOO_LONG)
            if turn is not None and reader.size > turn:
                return None
            left = begun + timeout + min(reader.size / _SLOWEST, _LONGEST) - time.monotonic()
            # However much has come: a reply that stands still is not coming.
            if left <= 0 or not self._wait(min(left, timeout)):
                return self._rest(End.TIMEOUT)

    def _rest(self, end: End) -> Arrival:
        partial, left_out = self._reader.unread_within(_KEPT, _KEPT_LAST)
        self._reader = ReplyReader()
        return Arrival(partial=partial, end=end, left_out=left_out)

    def listen(self, seconds: float) -> bool:
        """Give the server a moment, and keep what it says in it for whoever reads next.

        True where there is something to read.
        """
        deadline = time.monotonic() + seconds
        # TLS may have something to read that is no octet of POP3.
        while not self._reader.size and self._end is None:
            if not self._wait(deadline - time.monotonic()):
                break
        return bool(self._reader.size)

    def unasked(self, timeout: float = 0.0) -> Arrival | None:
        """What is there although nothing was asked, None if there is nothing."""
        deadline = time.monotonic() + timeout
        # TLS may have something to read that is no octet of POP3.
        while not self._reader.size and self._end is None:
            if not self._wait(deadline - time.monotonic()):
                return None
        # The rest, and the close, of what comes in several pieces.
        self._unasked += 1
        settles = _SETTLES if self._unasked <= _OFTEN else _SETTLES_SOON
        deadline = time.monotonic() + settles * 5
        while self._end is None and self._reader.size < MAX_LINE:
            if time.monotonic() > deadline or not self._wait(settles):
                break
        rest = self._rest(End.CLOSED)
        return Arrival(partial=rest.partial, end=self._end, left_out=rest.left_out)

    def until_closed(self, timeout: float) -> Arrival:
        """Wait for the server to close; what came before that, and how it ended."""
        deadline = time.monotonic() + timeout
        while self._end is None and self._reader.size < MAX_LINE:
            left = deadline - time.monotonic()
            if left <= 0 or not self._wait(left):
                return self._rest(End.TIMEOUT)
        return self._rest(self._end or End.TOO_LONG)

    def _wait(self, seconds: float) -> bool:
        """Take what arrives within the time; False if nothing did."""
        if not self._pending() and not self._readable.poll(max(seconds, 0.0) * 1000):
            return False
        self._take()
        return True

    def _take(self) -> None:
        try:
            piece = self._socket.recv(_PIECE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except (ConnectionResetError, BrokenPipeError):
            self._end = End.RESET
            return
        except ssl.SSLEOFError:
            self._end = End.CLOSED_WITHOUT_ALERT
            return
        except OSError:
            self._end = End.CLOSED
            return
        if piece:
            self._reader.feed(piece)
        else:
            self._end = End.CLOSED

    def start_tls(self, context: ssl.SSLContext, server_name: str, timeout: float) -> None:
        """Secure the connection; ConnectionFailed says why where it fails."""
        secured: ssl.SSLSocket | None = None
        try:
            # First, since ssl leaves its socket open where the name cannot be encoded.
            server_name.encode("idna")
            # An end without a close alert is to be told from one with it.
            secured = context.wrap_socket(
                self._socket,
                server_hostname=server_name,
                suppress_ragged_eofs=False,
                do_handshake_on_connect=False,
            )
            _shake_hands(secured, timeout)
        except ssl.SSLCertVerificationError as error:
            (secured or self._socket).close()
            fault, mend = _BAD_CERTIFICATES.get(error.verify_code, _UNTRUSTED)
            raise CertificateRejected(
                f"the certificate of {self._name} {fault} ({error.verify_message}); {mend}"
            ) from error
        except ValueError as error:  # a name that no certificate can have
            (secured or self._socket).close()
            raise ConnectionFailed(
                f"--tls-name={server_name}: it is no name of a server ({error})"
            ) from error
        except (OSError, ssl.SSLError) as error:
            (secured or self._socket).close()
            is_version = isinstance(error, ssl.SSLError) and error.reason in _ABOUT_VERSIONS
            if is_version:
                raise NoCommonVersion(
                    f"no TLS with {self._name}: {_reason(error)}; which versions does it speak?"
                ) from error
            raise ConnectionFailed(
                f"no TLS with {self._name}: {_reason(error)}; is this a TLS port,"
                f" or one in the clear, for --target={self._name}?"
            ) from error
        # Nothing that came in the clear may pass for something in TLS.
        self._reader = ReplyReader()
        self._use(secured)

    def end_sending(self) -> None:
        """Send nothing more (FIN), and go on to read."""
        # Below TLS, whose own shutdown would end both directions.
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def close(self) -> None:
        """End the connection (FIN), in TLS with a goodbye before it."""
        if isinstance(self._socket, ssl.SSLSocket):
            # The server's own goodbye need not be awaited.
            with suppress(OSError, ValueError):
                self._socket.unwrap()
        self._socket.close()

    def reset(self) -> None:
        """Break the connection (RST)."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


def _nothing_pending() -> int:
    return 0


def _shake_hands(secured: ssl.SSLSocket, timeout: float) -> None:
    """The handshake as a whole within the time, in however many pieces it comes."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            secured.do_handshake()
            return
        except ssl.SSLWantReadError:
            wanted = select.POLLIN
        except ssl.SSLWantWriteError:
            wanted = select.POLLOUT
        ready = select.poll()
        ready.register(secured, wanted)
        left = deadline - time.monotonic()
        if left <= 0 or not ready.poll(left * 1000):
            raise TimeoutError("the handshake did not end in time")


def connect(address: Address, timeout: float, source: str | None = None) -> Connection:
    """Open a TCP connection; ConnectionFailed says why where there is none."""
    try:
        sock = socket.create_connection(
            (address.host, address.port), timeout, (source, 0) if source else None
        )
    except TimeoutError as error:
        raise ConnectionFailed(f"{address} does not answer within {timeout:g} s") from error
    except socket.gaierror as error:
        raise ConnectionFailed(
            f"the host {address.host!r} is unknown ({error.strerror})"
        ) from error
    except UnicodeError as error:  # a label that is empty or too long
        raise ConnectionFailed(f"the host {address.host!r} is no name of a host") from error
    except OSError as error:
        raise ConnectionFailed(f"no connection to {address}: {_reason(error)}") from error
    return Connection(sock, str(address))


def speaks_tls(address: Address, timeout: float) -> bool:
    """The server answers the beginning of TLS with a record of TLS."""
    try:
        connection = connect(address, timeout)
    except ConnectionFailed:
        return False
    connection.send(client_hello(Tls(insecure=True), address.host), timeout)
    came = connection.unasked(timeout)
    connection.close()
    return came is not None and is_record(came.partial)
