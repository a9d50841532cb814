"""TLS of the honest reference server: STLS, its port for implicit TLS, and its policy."""

import contextlib
import re
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command import judge_here
from rawclient import RawClient, connected, encoded, pem_file, trusting
from scripted import HELLO, Scripted

from pop3spec.connection import ConnectionFailed, connect, tls_context
from pop3spec.embedded import start_embedded
from pop3spec.opening import start_tls
from pop3spec.recorder import Recorder
from pop3spec.reference import MemoryStore, ReferenceServer
from pop3spec.reference.certificates import CERTIFICATES, Authority, authority
from pop3spec.reference.offer import Cleartext
from pop3spec.run import Run
from pop3spec.settings import Settings
from pop3spec.target import Address, Tls, Transport

ACCOUNTS = {"alice": "secret", "bob": "other"}
MESSAGE = b"Subject: one\r\n\r\nbody\r\n"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def server() -> Iterator[ReferenceServer]:
    store = MemoryStore()
    store.deliver("alice", MESSAGE)
    with ReferenceServer(store, ACCOUNTS, tls=authority().tls()) as running:
        yield running


@pytest.fixture(scope="module")
def strict() -> Iterator[ReferenceServer]:
    with ReferenceServer(
        MemoryStore(), ACCOUNTS, tls=authority().tls(), cleartext=Cleartext.REFUSED
    ) as running:
        yield running


@contextlib.contextmanager
def secured(server: ReferenceServer, way: str, context: ssl.SSLContext) -> Iterator[RawClient]:
    """A client in TLS, one way or the other."""
    if way == "tls":
        with connected(server.tls_address, context) as client:
            yield client
    else:
        with connected(server.address) as client:
            client.start_tls(context)
            yield client


both_ways = pytest.mark.parametrize("way", ["stls", "tls"])


@both_ways
@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_a_session_in_tls_goes_from_login_to_update(
    server: ReferenceServer, way: str, version: ssl.TLSVersion
) -> None:
    with secured(server, way, trusting(version=version)) as client:
        replies = [client.ask(line) for line in ("USER alice", "PASS secret", "STAT", "QUIT")]
        rest = client.rest()

    assert [reply[:3] for reply in replies] == [b"+OK"] * 4
    assert replies[2] == b"+OK 1 %d\r\n" % len(MESSAGE)
    assert rest == b""


@both_ways
def test_the_stream_ends_with_close_notify(server: ReferenceServer, way: str) -> None:
    with secured(server, way, trusting()) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        client.socket.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # unknown there
        client.ask("QUIT")

        assert client.rest() == b""  # a cut would raise SSLEOFError


def test_the_autologout_timer_ends_tls_properly() -> None:
    server = ReferenceServer(MemoryStore(), ACCOUNTS, tls=authority().tls(), autologout=0.2)
    with server, connected(server.tls_address, trusting()) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        client.socket.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # unknown there

        assert client.rest() == b""


def test_after_the_handshake_of_stls_there_is_no_greeting(server: ReferenceServer) -> None:
    with connected(server.address) as client:
        client.start_tls(trusting())
        client.socket.settimeout(0.2)

        with pytest.raises(TimeoutError):
            client.line()


def test_after_stls_the_user_is_forgotten(server: ReferenceServer) -> None:
    with connected(server.address) as client:
        client.ask("USER alice")
        client.start_tls(trusting())

        assert client.ask("PASS secret").startswith(b"-ERR")
        assert client.ask("STAT").startswith(b"-ERR")


BAIT = b"USER alice\r\nPASS secret\r\nDELE 1\r\n"


@pytest.mark.parametrize(
    "sent",
    [b"STLS\r\n" + BAIT, b"STLS\r\nNOO", b"STLS\r\n" + b"x" * 9000],
    ids=["commands", "a part of one", "an endless one"],
)
def test_what_came_behind_stls_in_the_clear_is_thrown_away(
    server: ReferenceServer, sent: bytes
) -> None:
    with connected(server.address) as client:
        client.send(sent)
        assert client.line().startswith(b"+OK")
        client.secure(trusting())
        first = client.ask("P")
        client.socket.settimeout(0.2)

        assert first == b"-ERR unknown command P\r\n"
        with pytest.raises(TimeoutError):
            client.line()


def test_what_was_sent_ahead_of_the_reply_never_runs(server: ReferenceServer) -> None:
    with connected(server.address) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(b"STLS\r\n")
        client.send(BAIT)
        assert client.line().startswith(b"+OK")
        # Where it was not there yet when the reply went out, the handshake fails on it.
        with contextlib.suppress(OSError):
            client.secure(trusting())
            client.ask("NOOP")

    with connected(server.address) as client:
        client.ask("USER alice")
        client.ask("PASS secret")
        assert client.ask("STAT").startswith(b"+OK 1 ")


def test_commands_ahead_of_stls_are_answered_in_the_clear(server: ReferenceServer) -> None:
    with connected(server.address) as client:
        client.send(b"NOOP\r\nSTLS\r\n")

        assert client.line().startswith(b"-ERR")
        assert client.line().startswith(b"+OK")
        client.secure(trusting())
        assert client.ask("QUIT").startswith(b"+OK")


# Where STLS is on offer.


def test_stls_is_announced_and_permitted_in_the_clear_before_the_login_alone(
    server: ReferenceServer,
) -> None:
    with connected(server.address) as client:
        assert b"STLS" in client.capabilities()
        client.ask("USER alice")
        client.ask("PASS secret")

        assert b"STLS" not in client.capabilities()
        assert client.ask("STLS").startswith(b"-ERR")
        assert client.ask("NOOP").startswith(b"+OK")


@both_ways
def test_in_tls_stls_is_neither_announced_nor_accepted(server: ReferenceServer, way: str) -> None:
    with secured(server, way, trusting()) as client:
        assert b"STLS" not in client.capabilities()
        assert client.ask("STLS").startswith(b"-ERR")
        assert client.ask("QUIT").startswith(b"+OK")


def test_stls_takes_no_argument(server: ReferenceServer) -> None:
    with connected(server.address) as client:
        assert client.ask("STLS now").startswith(b"-ERR")
        client.start_tls(trusting())


def test_without_a_certificate_there_is_no_stls() -> None:
    with (
        ReferenceServer(MemoryStore(), ACCOUNTS) as server,
        connected(server.address) as client,
    ):
        assert b"STLS" not in client.capabilities()
        assert client.ask("STLS").startswith(b"-ERR")
        with pytest.raises(RuntimeError, match="no TLS"):
            _ = server.tls_address


@both_ways
def test_capabilities_stay_after_the_login_in_tls(server: ReferenceServer, way: str) -> None:
    with secured(server, way, trusting()) as client:
        before = client.capabilities()
        client.ask("USER bob")
        client.ask("PASS other")

        assert client.capabilities() == before
        assert b"SCRAM-SHA-256-PLUS" in before[b"SASL"]


# Handshakes that fail.


@both_ways
@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("expired", "expired"),
        ("early", "not yet valid"),
        ("misnamed", "Hostname mismatch"),
        ("self-signed", "self-signed"),
        ("foreign", "unable to get local issuer"),
    ],
)
def test_a_client_that_verifies_rejects_a_bad_certificate(
    way: str, kind: str, problem: str
) -> None:
    with ReferenceServer(MemoryStore(), ACCOUNTS, tls=authority().tls(kind)) as server:
        with (
            pytest.raises(ssl.SSLCertVerificationError, match=problem),
            secured(server, way, trusting()),
        ):
            pass

        with connected(server.address) as client:  # the next client is served
            assert client.ask("QUIT").startswith(b"+OK")


def test_every_kind_of_certificate_is_tried() -> None:
    assert set(CERTIFICATES) == {"good", "expired", "early", "misnamed", "self-signed", "foreign"}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@both_ways
def test_tls_1_1_is_refused(server: ReferenceServer, way: str) -> None:
    context = trusting(version=ssl.TLSVersion.TLSv1_1)
    # Otherwise the client itself would not even try.
    context.set_ciphers("ALL:@SECLEVEL=0")

    with pytest.raises(ssl.SSLError, match="version"), secured(server, way, context):
        pass


@pytest.mark.parametrize("octets", [b"NOOP\r\n" * 20, b"\x16\x03\x01", b""])
@both_ways
def test_octets_that_are_no_handshake_end_one_connection_alone(
    server: ReferenceServer, way: str, octets: bytes
) -> None:
    with secured(server, "tls", trusting()) as other:
        sock = socket.create_connection(
            server.tls_address if way == "tls" else server.address, timeout=5
        )
        with sock:
            if way == "stls":
                sock.recv(512)
                sock.sendall(b"STLS\r\n")
                assert sock.recv(512).startswith(b"+OK")
            sock.sendall(octets)
            sock.shutdown(socket.SHUT_WR)
            said = b""
            while piece := sock.recv(512):
                said += piece

        assert b"+OK" not in said
        assert b"-ERR" not in said
        assert other.ask("QUIT").startswith(b"+OK")


def test_a_client_that_is_silent_in_the_handshake_holds_nobody_up(server: ReferenceServer) -> None:
    with (
        socket.create_connection(server.tls_address, timeout=5),
        connected(server.tls_address, trusting()) as client,
    ):
        assert client.ask("QUIT").startswith(b"+OK")


def test_the_autologout_timer_runs_in_the_handshake_as_well() -> None:
    server = ReferenceServer(MemoryStore(), ACCOUNTS, tls=authority().tls(), autologout=0.2)
    with server, socket.create_connection(server.tls_address, timeout=5) as sock:
        begun = time.monotonic()

        assert sock.recv(512) == b""
        assert time.monotonic() - begun < 2


def test_a_reset_in_tls_releases_the_maildrop(server: ReferenceServer) -> None:
    with secured(server, "tls", trusting()) as client:
        client.ask("USER bob")
        assert client.ask("PASS other").startswith(b"+OK")
        linger = struct.pack("ii", 1, 0)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.socket.close()

    with secured(server, "tls", trusting()) as client:
        deadline = time.monotonic() + 5
        reply = b""
        while not reply.startswith(b"+OK") and time.monotonic() < deadline:
            client.ask("USER bob")
            reply = client.ask("PASS other")
        assert reply.startswith(b"+OK")


def test_closing_the_server_ends_sessions_in_tls() -> None:
    server = ReferenceServer(MemoryStore(), ACCOUNTS, tls=authority().tls())
    server.start()
    client = RawClient(server.tls_address, trusting())
    begun = time.monotonic()
    server.close()

    assert time.monotonic() - begun < 1
    with contextlib.suppress(OSError):
        assert client.rest() == b""
    client.close()


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_a_certificate_of_another_authority_is_no_login(
    server: ReferenceServer, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    stranger = Authority().client("alice")
    context = trusting(version=version, certificate_file=pem_file(stranger, str(tmp_path)))

    # In TLS 1.3 the client's part is over before the server looks at the certificate.
    greeting = b""
    with contextlib.suppress(OSError), secured(server, "tls", context) as client:
        greeting = client.greeting

    assert greeting == b""


# The policy that passwords need TLS (RFC 8314, section 4).

REFUSED = [
    "USER alice",
    "USER nobody",
    "PASS secret",
    "PASS wrong",
    "AUTH PLAIN",
    "AUTH plain " + encoded(b"\0alice\0secret"),
    "AUTH PLAIN " + encoded(b"\0alice\0wrong"),
    "AUTH PLAIN " + encoded(b"no credentials at all"),
    "AUTH PLAIN ****",
    "AUTH LOGIN",
]


def test_a_password_in_the_clear_is_refused_the_same_way_right_or_wrong(
    strict: ReferenceServer,
) -> None:
    with connected(strict.address) as client:
        replies = {client.ask(line) for line in REFUSED}

    [reply] = replies
    assert reply.startswith(b"-ERR ")
    assert b"[" not in reply


def test_what_is_refused_in_the_clear_is_not_announced_there(strict: ReferenceServer) -> None:
    with connected(strict.address) as client:
        clear = client.capabilities()
        client.start_tls(trusting())
        within = client.capabilities()

    assert b"USER" not in clear
    assert not {b"PLAIN", b"LOGIN", b"OAUTHBEARER", b"XOAUTH2", b"EXTERNAL"} & {*clear[b"SASL"]}
    assert {b"SCRAM-SHA-256", b"CRAM-MD5", b"DIGEST-MD5"} <= {*clear[b"SASL"]}
    assert b"USER" in within
    assert {b"PLAIN", b"LOGIN"} <= {*within[b"SASL"]}


def test_apop_is_no_password_in_the_clear(strict: ReferenceServer) -> None:
    with connected(strict.address) as client:
        assert b"<" in client.greeting
        assert client.ask("APOP alice " + "0" * 32).startswith(b"-ERR [AUTH]")


@both_ways
def test_in_tls_passwords_are_welcome(strict: ReferenceServer, way: str) -> None:
    with secured(strict, way, trusting()) as client:
        assert client.ask("USER alice").startswith(b"+OK")
        assert client.ask("PASS secret").startswith(b"+OK")
        client.ask("QUIT")
    with secured(strict, way, trusting()) as client:
        line = "AUTH PLAIN " + encoded(b"\0alice\0secret")
        assert client.ask(line).startswith(b"+OK")


# On its own, and as a target.


def test_serve_says_where_tls_is_and_how_to_trust_it() -> None:
    command = [sys.executable, "-m", "pop3spec", "serve", "--port=0", "--cleartext=refused"]
    harness = Path(__file__).parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=harness, text=True) as process:
        assert process.stdout is not None
        plain = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", process.stdout.readline())
        tls = re.fullmatch(
            r"with TLS on 127\.0\.0\.1:(\d+); trust it with --ca=(.+)\n", process.stdout.readline()
        )
        assert plain is not None
        assert tls is not None
        ca = Path(tls[2])
        context = trusting(ca.read_bytes())
        with connected(("127.0.0.1", int(tls[1])), context) as client:
            assert client.ask("USER alice").startswith(b"+OK")
            assert client.ask("PASS wonderland").startswith(b"+OK")
        with connected(("127.0.0.1", int(plain[1]))) as client:
            assert client.ask("USER alice").startswith(b"-ERR")
            client.start_tls(context)
        process.terminate()

        assert process.wait(10) == 0
    assert not ca.exists()


@pytest.mark.parametrize("transport", Transport)
@pytest.mark.parametrize("cleartext", Cleartext)
def test_the_embedded_server_is_a_target_on_every_transport(
    transport: Transport, cleartext: Cleartext
) -> None:
    embedded = start_embedded(transports=(transport,), cleartext=cleartext)
    run = Run(Settings(embedded.target, Path()), embedded.target, embedded.door)
    try:
        run.begin()
        observed = run.observed
        accused = [found.rule for found in run.introduction.findings] if run.introduction else None
    finally:
        run.end()
        embedded.close()

    assert accused == []
    is_refused = transport is Transport.PLAIN and cleartext is Cleartext.REFUSED
    assert observed.login_problem == ""
    assert observed.use_apop == is_refused
    assert observed.transport is transport
    assert observed.tls_version == "TLSv1.3"  # of the other layers, where the run is in the clear
    assert not embedded.target.tls.ca.exists()  # type: ignore[union-attr]  # it has one


def test_scenarios_run_on_each_transport_that_is_asked_for(tmp_path: Path) -> None:
    ended = judge_here(
        tmp_path, "-k", "rset and nothing-marked", "-v", "--transport=plain,stls,tls"
    )

    assert ended.code == 0, ended.text
    told = re.findall(r"rset.yaml::nothing-marked\[(\w+)\] PASSED", ended.text)
    assert told == ["plain", "stls", "tls"]


def test_a_target_that_wants_tls_for_passwords_is_judged_in_tls() -> None:
    embedded = start_embedded(cleartext=Cleartext.REFUSED)
    run = Run(Settings(embedded.target, Path()), embedded.target, embedded.door)
    try:
        run.begin()
        observed = run.observed
    finally:
        run.end()
        embedded.close()

    assert observed.transport is Transport.STLS
    assert observed.login_problem == ""


def test_a_client_says_goodbye_in_tls(tmp_path: Path) -> None:
    ca = tmp_path / "authority.pem"
    ca.write_bytes(authority().pem)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)
    ours = connect(Address(*listener.getsockname()), 5)
    theirs, _ = listener.accept()
    context = authority().tls().context
    with listener, ThreadPoolExecutor(1) as pool:
        handshake = pool.submit(
            context.wrap_socket, theirs, server_side=True, suppress_ragged_eofs=False
        )
        ours.start_tls(tls_context(Tls(ca=ca)), "127.0.0.1", 5)
        ours.close()

        with handshake.result(5) as peer:
            assert peer.recv(512) == b""  # a cut would raise SSLEOFError


def test_octets_in_the_clear_behind_stls_are_seen_and_do_not_pass_for_tls() -> None:
    recorder = Recorder()
    with Scripted([HELLO, "STLS", b"+OK\r\n+OK injected\r\n"]) as scripted:
        session = scripted.session(recorder, scripted.target(connect=0.5))
        with pytest.raises(ConnectionFailed):
            start_tls(session)

    assert {found.rule for found in recorder.findings} == {"rfc2595-4-nothing-in-clear"}
