"""Records of TLS that are made by hand: servers take them for what they are to be."""

import contextlib
import socket
import ssl
import tempfile
import threading
import warnings
from collections.abc import Iterator

import pytest

from pop3spec.protocol.tls_records import (
    FATAL_ALERT,
    Version,
    chosen_version,
    hopeless_hello,
    is_record,
    old_hello,
)
from pop3spec.reference.certificates import authority

RANDOM = bytes(range(32))


@contextlib.contextmanager
def server(least: ssl.TLSVersion) -> Iterator[tuple[str, int]]:
    """The address of a TLS server with weak suites, from a version on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = least
    with tempfile.NamedTemporaryFile() as file:
        file.write(authority().server().pem)
        file.flush()
        context.load_cert_chain(file.name)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shake_hands() -> None:
            client, _ = listener.accept()
            with client, contextlib.suppress(OSError):
                context.wrap_socket(client, server_side=True)

        thread = threading.Thread(target=shake_hands)
        thread.start()
        yield listener.getsockname()
        thread.join(5)


def answer(address: tuple[str, int], *records: bytes) -> bytes:
    """What a server says to the first of these records; the others follow that."""
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(records[0])
        came = client.recv(1 << 14)
        for record in records[1:]:
            client.sendall(record)
        return came


@pytest.mark.parametrize("version", [Version.TLS_1_0, Version.TLS_1_1])
@pytest.mark.parametrize("name", ["pop.example", "127.0.0.1", "::1"])
def test_a_server_of_old_versions_chooses_the_one_that_is_offered(
    version: Version, name: str
) -> None:
    with server(ssl.TLSVersion.TLSv1) as address:
        came = answer(address, old_hello(version, name, RANDOM), FATAL_ALERT)

    assert is_record(came)
    assert chosen_version(came) == version


@pytest.mark.parametrize(
    "hello",
    [
        old_hello(Version.TLS_1_0, "pop.example", RANDOM),
        old_hello(Version.TLS_1_1, "pop.example", RANDOM),
        hopeless_hello(RANDOM),
    ],
)
def test_a_recent_server_refuses_what_it_cannot_speak_with_an_alert(hello: bytes) -> None:
    with server(ssl.TLSVersion.TLSv1_2) as address:
        came = answer(address, hello)

    assert is_record(came)
    assert chosen_version(came) is None


@pytest.mark.parametrize(
    ("octets", "is_one"),
    [
        (b"\x16\x03\x01", True),
        (b"\x15", True),
        (b"+OK\r\n", False),
        (b"\x16+", False),
        (b"", False),
    ],
)
def test_a_record_is_told_from_a_line(octets: bytes, *, is_one: bool) -> None:
    assert is_record(octets) is is_one
