"""Each fault of the reference server in STLS and TLS: visibly wrong on the wire."""

import contextlib
import socket
import ssl
import warnings
from collections.abc import Callable

import pytest
from faultscripts import (
    Script,
    ask,
    capa,
    certified,
    clear,
    listen,
    login,
    patience,
    send,
    shows,
    stls,
    tls,
)
from rawclient import RawClient, connected, trusting

from pop3spec.reference import ReferenceServer

OK = rb"\+OK"
FATAL_ALERT = bytes.fromhex("15030300020228")
SOON = 0.4
LATE = 1.0


def garbage_for_a_hello(client: RawClient) -> bytes:
    """Octets that are no TLS, and all that comes until STLS is tried again."""
    client.ask("STLS")
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    # An alert may come or not.
    with patience(client, SOON), contextlib.suppress(TimeoutError, ConnectionError):
        client.socket.recv(4096)
    return ask("STLS")(client)


def alert_behind_the_hello(client: RawClient) -> bytes:
    """A negotiation that the client gives up, and what comes then."""
    client.ask("STLS")
    outgoing = ssl.MemoryBIO()
    hello = trusting(version=ssl.TLSVersion.TLSv1_2).wrap_bio(
        ssl.MemoryBIO(), outgoing, server_hostname="localhost"
    )
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    client.send(outgoing.read())
    client.socket.recv(4096)
    client.send(FATAL_ALERT)
    came = listen(SOON)(client)
    client.socket.settimeout(SOON)
    return came


def plain_on_the_tls_port(*steps: Callable[[RawClient], bytes]) -> Callable[..., bytes]:
    """The steps on the port for TLS, without TLS."""

    def run(server: ReferenceServer) -> bytes:
        client = RawClient.__new__(RawClient)
        client.socket, client.unread = socket.create_connection(server.tls_address, 5), b""
        with contextlib.closing(client):
            return b"".join(step(client) for step in steps)

    return run


def everything(client: RawClient) -> bytes:
    """All up to the end of the stream."""
    with patience(client, SOON), contextlib.suppress(OSError):
        return client.rest()
    return b"<silence>"


def while_another_negotiation_waits(server: ReferenceServer) -> bytes:
    with socket.create_connection(server.tls_address, 5):
        try:
            with socket.create_connection(server.tls_address, SOON) as other:
                trusting().wrap_socket(other, server_hostname="localhost").close()
        except OSError:
            return b"<silence>"
    return b"<TLS>"


def end_of_tls(server: ReferenceServer) -> bytes:
    """How a session in TLS ends behind QUIT."""
    with socket.create_connection(server.tls_address, 5) as connection:
        secured = trusting().wrap_socket(
            connection, server_hostname="localhost", suppress_ragged_eofs=False
        )
        with secured:
            secured.send(b"QUIT\r\n")
            try:
                while secured.recv(4096):
                    pass
            except ssl.SSLEOFError:
                return b"<cut>"
    return b"<closed>"


def versions(*, is_implicit: bool, most: str) -> Callable[[ReferenceServer], bytes]:
    """The version that is negotiated with a client that goes up to this one."""

    def run(server: ReferenceServer) -> bytes:
        context = trusting(version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion[most]
        try:
            if is_implicit:
                with connected(server.tls_address, context) as client:
                    return version_of(client)
            with connected(server.address) as client:
                client.start_tls(context)
                return version_of(client)
        except OSError:
            return b"<no TLS>"

    return run


def version_of(client: RawClient) -> bytes:
    assert isinstance(client.socket, ssl.SSLSocket)
    return (client.socket.version() or "").encode()


def behind_stls(octets: bytes) -> Callable[[ReferenceServer], bytes]:
    """Octets in one segment with STLS, and what comes inside TLS behind one more line."""

    def say(client: RawClient) -> bytes:
        client.send(octets)
        came = client.line()
        if not came.startswith(b"+OK"):
            return came
        client.secure(trusting())
        with patience(client, SOON):
            return came + ask("PA")(client)

    return clear(say)


SCRIPTS: dict[str, Script] = {
    # announced and taken
    "capa-missing": Script(rb"-ERR", clear(ask("CAPA"))),
    "capa-missing-inside-tls": Script(rb"-ERR", clear(stls, ask("CAPA"))),
    "stls-announced-everywhere": Script(rb"STLS", clear(stls, capa)),
    "stls-announced-on-the-port-for-tls": Script(rb"STLS", tls(capa)),
    "stls-announced-after-login": Script(rb"STLS", clear(login, capa)),
    "stls-leads-nowhere": Script(rb"<no TLS>", clear(stls)),
    "stls-refused-behind-a-refused-login": Script(
        rb"-ERR.*-ERR", clear(ask("USER alice", "PASS no", "STLS"))
    ),
    "stls-after-login": Script(rb"begin TLS", clear(login, ask("STLS"))),
    "stls-after-rset": Script(rb"begin TLS", clear(login, ask("RSET", "STLS"))),
    "stls-inside-tls": Script(rb"begin TLS", clear(stls, ask("STLS"))),
    "stls-on-the-port-for-tls": Script(rb"begin TLS", tls(ask("STLS"))),
    "argument-of-stls-ignored": Script(OK, clear(ask("STLS now"))),
    # the negotiation
    "failed-negotiation-counts-as-tls": Script(rb"active already", clear(garbage_for_a_hello)),
    "alert-of-the-client-is-waited-out": Script(rb"<silence>", clear(alert_behind_the_hello)),
    "hint-behind-stls": Script(rb"our own", clear(ask("STLS"), listen(SOON))),
    "slow-client-is-reminded-of-tls": Script(rb"waiting", clear(ask("STLS"), listen(LATE))),
    # what came in the clear
    "commands-survive-stls": Script(rb"\n\+OK send", behind_stls(b"STLS\r\nUSER alice\r\n")),
    "half-a-line-survives-stls": Script(rb"\n\+OK capa", behind_stls(b"STLS\r\nCA")),
    "commands-survive-stls-in-lower-case": Script(
        rb"\n\+OK send", behind_stls(b"StLs\r\nUSER alice\r\n")
    ),
    "commands-survive-stls-with-blanks": Script(
        rb"\n\+OK send", behind_stls(b"STLS \r\nUSER alice\r\n")
    ),
    "negotiations-in-the-accepting-thread": Script(rb"<silence>", while_another_negotiation_waits),
    "first-command-inside-tls-lost": Script(
        rb"\A<TLS>\+OK goodbye", clear(stls, send(b"NOOP\r\n"), ask("QUIT"))
    ),
    "greeting-again-inside-tls": Script(rb"ready", clear(stls, listen(SOON))),
    # the port for TLS
    "no-tls-on-the-port-for-tls": Script(OK, plain_on_the_tls_port(listen(SOON))),
    "bad-hello-is-answered-in-the-clear": Script(
        rb"-ERR", plain_on_the_tls_port(send(b"CAPA\r\nCAPA\r\n"), everything)
    ),
    "certificate-logs-in": Script(OK, certified("alice", is_implicit=False)),
    "certificate-logs-in-on-the-port-for-tls": Script(OK, certified("alice", is_implicit=True)),
    "closes-without-an-alert": Script(rb"<cut>", end_of_tls),
    "port-for-tls-of-old-versions": Script(rb"TLSv1.1", versions(is_implicit=True, most="TLSv1_3")),
    "port-for-tls-bears-no-newer-version": Script(
        rb"<no TLS>", versions(is_implicit=True, most="TLSv1_3")
    ),
    "old-versions-left-in": Script(rb"TLSv1\Z", versions(is_implicit=True, most="TLSv1")),
    "tls-1-1-left-in-behind-stls": Script(rb"TLSv1.1", versions(is_implicit=False, most="TLSv1_1")),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_fault_shows_and_the_honest_server_does_not(name: str) -> None:
    assert shows(name, SCRIPTS[name]) == (True, False)


@pytest.mark.parametrize(
    ("name", "is_implicit", "most", "version"),
    [
        # Each is wrong in one place, and right beside it.
        ("port-for-tls-of-old-versions", False, "TLSv1_3", b"TLSv1.3"),
        ("port-for-tls-bears-no-newer-version", True, "TLSv1_2", b"TLSv1.2"),
        ("old-versions-left-in", False, "TLSv1_3", b"TLSv1.3"),
        ("tls-1-1-left-in-behind-stls", False, "TLSv1", b"<no TLS>"),
        ("tls-1-1-left-in-behind-stls", True, "TLSv1_1", b"<no TLS>"),
    ],
)
def test_a_fault_of_versions_is_wrong_nowhere_else(
    name: str, is_implicit: bool, most: str, version: bytes
) -> None:
    script = Script(version, versions(is_implicit=is_implicit, most=most))

    assert shows(name, script)[0]
