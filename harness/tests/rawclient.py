"""A client of tests: lines over a raw socket, in the clear or in TLS, and nothing interpreted."""

import base64
import contextlib
import socket
import ssl
from collections.abc import Iterator

from pop3spec.reference.certificates import authority
from pop3spec.reference.tls import Certificate


def trusting(
    ca: bytes | None = None,
    *,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    certificate_file: str | None = None,
) -> ssl.SSLContext:
    """A client's side of TLS in one version."""
    context = ssl.create_default_context(cadata=(ca or authority().pem).decode("ascii"))
    context.minimum_version = context.maximum_version = version
    if certificate_file is not None:
        context.load_cert_chain(certificate_file)
    return context


def pem_file(certificate: Certificate, directory: str) -> str:
    path = f"{directory}/certificate.pem"
    with open(path, "wb") as file:
        file.write(certificate.pem)
    return path


class RawClient:
    """A connection whose lines are read one by one."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(address, timeout=5)
        self.unread = b""
        try:
            if context is not None:
                self.secure(context)
            self.greeting = self.line()
        except BaseException:
            self.close()
            raise

    def secure(self, context: ssl.SSLContext, name: str = "localhost") -> None:
        assert self.unread == b""
        self.socket = context.wrap_socket(self.socket, server_hostname=name)

    def start_tls(self, context: ssl.SSLContext) -> None:
        assert self.ask("STLS").startswith(b"+OK")
        self.secure(context)

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def line(self) -> bytes:
        """The next line, b'' at the end of the stream."""
        while b"\n" not in self.unread:
            piece = self.socket.recv(4096)
            if not piece:
                return b""
            self.unread += piece
        line, end, self.unread = self.unread.partition(b"\n")
        return line + end

    def ask(self, command: str) -> bytes:
        self.send(command.encode() + b"\r\n")
        return self.line()

    def lines(self, command: str) -> list[bytes]:
        """What a multi-line reply lists."""
        assert self.ask(command).startswith(b"+OK")
        return [line.removesuffix(b"\r\n") for line in iter(self.line, b".\r\n")]

    def capabilities(self) -> dict[bytes, list[bytes]]:
        return {line.split()[0]: line.split()[1:] for line in self.lines("CAPA")}

    def challenge(self, command: str) -> bytes:
        """What a challenge says, checked for its form on the way."""
        return challenge_in(self.ask(command))

    def answer(self, response: bytes) -> bytes:
        return self.ask(encoded(response))

    def rest(self) -> bytes:
        """Everything up to the end of the stream, which has to come."""
        found = self.unread
        while piece := self.socket.recv(4096):
            found += piece
        return found

    def close(self) -> None:
        """Go, and wait until the server has seen it: then the maildrop is free again."""
        with contextlib.suppress(OSError):
            # Below TLS, whose own shutdown would end both directions.
            socket.socket.shutdown(self.socket, socket.SHUT_WR)
            while socket.socket.recv(self.socket, 4096):
                pass
        self.socket.close()


def encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def challenge_in(line: bytes) -> bytes:
    assert line.startswith(b"+ "), line
    assert line.endswith(b"\r\n")
    return base64.b64decode(line[2:-2], validate=True)


@contextlib.contextmanager
def connected(
    address: tuple[str, int], context: ssl.SSLContext | None = None
) -> Iterator[RawClient]:
    client = RawClient(address, context)
    try:
        yield client
    finally:
        client.close()
