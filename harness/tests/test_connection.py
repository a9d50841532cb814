"""Octets out and replies in over real sockets, and how waiting ends."""

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
import trustme
from scripted import HELLO, Line, Scripted, close, flood, reset, tell, trickle, when

from pop3spec import connection as connections
from pop3spec.connection import (
    CertificateRejected,
    Connection,
    ConnectionFailed,
    NoCommonVersion,
    connect,
    tls_context,
)
from pop3spec.target import Address, Tls
from pop3spec.transcript import End

LISTING = b"+OK\r\n1 120\r\n.\r\n"


def opened(server: Scripted) -> Connection:
    return connect(server.address, 5.0)


@pytest.mark.parametrize("at", range(1, len(LISTING)))
def test_a_reply_is_read_wherever_its_segments_are_cut(at: int) -> None:
    with Scripted([LISTING[:at], "NOOP", LISTING[at:] + b"+OK\r\n"]) as server:
        client = opened(server)
        # The first segment is there before the second one is asked for.
        assert client._wait(5.0)
        client.send(b"NOOP\r\n", 5.0)
        first = client.next_reply(multiline=True, timeout=5.0)
        second = client.next_reply(multiline=False, timeout=5.0)
        client.close()

    assert first.reply is not None
    assert first.reply.wire == LISTING
    assert second.reply is not None
    assert second.reply.wire == b"+OK\r\n"


def test_a_reply_of_single_octets_is_read() -> None:
    with Scripted([trickle(LISTING), close]) as server:
        client = opened(server)
        arrival = client.next_reply(multiline=True, timeout=5.0)
        rest = client.until_closed(5.0)
        client.close()

    assert arrival.reply is not None
    assert arrival.reply.wire == LISTING
    assert (rest.partial, rest.end) == (b"", End.CLOSED)


@pytest.mark.parametrize(
    ("script", "partial", "end"),
    [
        ([], b"", End.TIMEOUT),
        ([b"+OK re"], b"+OK re", End.TIMEOUT),
        ([close], b"", End.CLOSED),
        ([b"+OK re", close], b"+OK re", End.CLOSED),
        ([b"+OK\r\n1 120\r\n", close], b"+OK\r\n1 120\r\n", End.CLOSED),
        ([reset], b"", End.RESET),
    ],
)
def test_waiting_ends_with_what_came_and_why_there_is_no_more(
    script: list[bytes], partial: bytes, end: End
) -> None:
    there = threading.Event()
    with Scripted([when(there), *script]) as server:
        client = opened(server)
        there.set()
        # Nothing else can come where the script is at its end.
        timeout = 0.3 if end is End.TIMEOUT else 5.0
        arrival = client.next_reply(multiline=True, timeout=timeout)
        client.close()

    assert (arrival.reply, arrival.partial, arrival.end) == (None, partial, end)


def test_replies_behind_one_another_are_kept_apart() -> None:
    with Scripted([b"+OK 1\r\n-ERR 2\r\n" + LISTING + b"+O", close]) as server:
        client = opened(server)
        asked = (False, True, True, False)
        arrivals = [client.next_reply(multiline=multiline, timeout=5.0) for multiline in asked]
        client.close()

    wires = [arrival.reply.wire for arrival in arrivals if arrival.reply is not None]
    assert wires == [b"+OK 1\r\n", b"-ERR 2\r\n", LISTING]
    assert (arrivals[3].partial, arrivals[3].end) == (b"+O", End.CLOSED)


def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_LINE", 100_000)
    with Scripted([flood(b"x" * 1000)]) as server:
        client = opened(server)
        arrival = client.next_reply(multiline=False, timeout=60.0)
        client.close()

    assert arrival.end is End.TOO_LONG
    assert 100_000 < len(arrival.partial) < 1_000_000


def test_a_listing_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_REPLY", 1_000_000)
    with Scripted([b"+OK\r\n", flood(b"1 120\r\n" * 100)]) as server:
        client = opened(server)
        arrival = client.next_reply(multiline=True, timeout=60.0)
        client.close()

    assert arrival.end is End.TOO_LONG
    assert 1_000_000 < len(arrival.partial) < 3_000_000


def test_slow_octets_do_not_stretch_the_deadline() -> None:
    stop = threading.Event()

    def drip(line: Line) -> None:
        while not stop.wait(0.02):
            line.say(b"x")

    with Scripted([drip]) as server:
        client = opened(server)
        begun = time.monotonic()
        arrival = client.next_reply(multiline=False, timeout=0.3)
        waited = time.monotonic() - begun
        stop.set()
        client.close()

    assert arrival.end is End.TIMEOUT
    assert arrival.partial.strip(b"x") == b""
    assert 0.3 <= waited < 5.0


def test_octets_that_nobody_asked_for_are_found_with_the_close_behind_them() -> None:
    cue = threading.Event()
    with Scripted([when(cue), b"-ERR", when(cue), b" bye\r\n", close]) as server:
        client = opened(server)
        nothing = client.unasked()
        cue.set()
        arrival = client.unasked(5.0)
        client.close()

    assert nothing is None
    assert arrival is not None
    assert (arrival.partial, arrival.end) == (b"-ERR bye\r\n", End.CLOSED)


def test_silence_is_waited_for_to_its_end() -> None:
    with Scripted([HELLO]) as server:
        client = opened(server)
        client.next_reply(multiline=False, timeout=5.0)
        begun = time.monotonic()
        arrival = client.unasked(0.2)
        waited = time.monotonic() - begun
        client.close()

    assert arrival is None
    assert waited >= 0.19


@pytest.mark.parametrize(
    ("script", "partial", "end"),
    [
        ([close], b"", End.CLOSED),
        ([b"+OK bye\r\n", close], b"+OK bye\r\n", End.CLOSED),
        ([reset], b"", End.RESET),
        ([b"more"], b"more", End.TIMEOUT),
    ],
)
def test_a_close_is_waited_for(script: list[bytes], partial: bytes, end: End) -> None:
    there = threading.Event()
    with Scripted([when(there), *script]) as server:
        client = opened(server)
        there.set()
        arrival = client.until_closed(0.3 if end is End.TIMEOUT else 5.0)
        client.close()

    assert (arrival.partial, arrival.end) == (partial, end)


def test_waiting_for_a_close_ends_where_octets_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_LINE", 100_000)
    with Scripted([flood(b"x" * 1000)]) as server:
        client = opened(server)
        arrival = client.until_closed(60.0)
        client.close()

    assert arrival.end is End.TOO_LONG


def test_sending_more_than_the_buffers_hold_reads_meanwhile() -> None:
    count = 120_000
    answered = threading.Event()

    def answer(line: Line) -> None:
        # Like a server that answers each command before it reads the next one.
        for _ in range(count):
            line.hear()
            line.say(b"+OK 0123456789012345678901234567890123456789\r\n")
        answered.set()

    with Scripted([answer]) as server:
        client = opened(server)
        client.send(b"NOOP\r\n" * count, 30.0)
        replies = sum(
            client.next_reply(multiline=False, timeout=30.0).reply is not None for _ in range(count)
        )
        client.close()

    assert answered.is_set()
    assert replies == count


def test_sending_to_a_server_that_reads_nothing_ends_at_the_deadline() -> None:
    stop = threading.Event()
    with Scripted([when(stop)]) as server:
        client = opened(server)
        begun = time.monotonic()
        client.send(b"x" * 50_000_000, 0.3)
        waited = time.monotonic() - begun
        client.close()
        stop.set()

    assert 0.3 <= waited < 5.0


def test_sending_to_a_server_that_has_gone_is_not_an_error_yet() -> None:
    there = threading.Event()
    with Scripted([when(there), reset]) as server:
        client = opened(server)
        there.set()
        assert client.until_closed(5.0).end is End.RESET
        client.send(b"NOOP\r\n", 5.0)
        arrival = client.next_reply(multiline=False, timeout=5.0)
        client.close()

    assert arrival.end is End.RESET


@pytest.mark.parametrize(("break_off", "heard"), [(False, b""), (True, None)])
def test_the_client_ends_a_connection_in_two_ways(break_off: bool, heard: bytes | None) -> None:
    seen: list[bytes | None] = []
    ended = threading.Event()

    def watch(line: Line) -> None:
        try:
            seen.append(line.hear())
        except ConnectionResetError:
            seen.append(None)

    with Scripted([watch, tell(ended)]) as server:
        client = opened(server)
        client.reset() if break_off else client.close()
        assert ended.wait(5.0)

    assert seen == [heard]


def test_why_there_is_no_connection_is_said_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = Address(*listener.getsockname())

    with pytest.raises(ConnectionFailed, match=r"no connection to 127\.0\.0\.1:\d+: .*refused"):
        connect(closed, 5.0)
    with pytest.raises(ConnectionFailed, match="the host 'no such host' is unknown"):
        connect(Address("no such host", 110), 5.0)
    with pytest.raises(ConnectionFailed, match="is no name of a host"):
        connect(Address("a..b", 110), 5.0)


def test_a_connection_comes_from_the_address_that_was_asked_for() -> None:
    with Scripted([HELLO]) as server:
        client = connect(server.address, 5.0, "127.0.0.9")
        source = client.source
        client.close()

    assert source == "127.0.0.9"


# --- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> Tls:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return Tls(ca=tmp_path / "ca.pem")


class Secured(Line):
    """The server's end behind a TLS handshake."""


def secured(authority: trustme.CA, name: str = "pop.example") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_replies_are_read_through_tls(authority: trustme.CA, trusted: Tls) -> None:
    context = secured(authority)
    quiet = threading.Event()

    def talk(line: Line) -> None:
        line.sock = context.wrap_socket(line.sock, server_side=True)
        trickle(LISTING)(line)
        assert quiet.wait(5.0)
        line.say(b"unasked")

    with Scripted([talk]) as server:
        client = opened(server)
        client.start_tls(tls_context(trusted), "pop.example", 5.0)
        arrival = client.next_reply(multiline=True, timeout=5.0)
        begun = time.monotonic()
        # Session tickets of TLS 1.3 are octets, but none of POP3.
        nothing = client.unasked(0.2)
        waited = time.monotonic() - begun
        quiet.set()
        something = client.unasked(5.0)
        client.close()

    assert client.is_secure
    assert arrival.reply is not None
    assert arrival.reply.wire == LISTING
    assert nothing is None
    assert waited >= 0.19
    assert something is not None
    assert something.partial == b"unasked"


def test_a_moment_for_what_the_server_says_is_not_over_with_a_ticket_of_tls(
    authority: trustme.CA, trusted: Tls
) -> None:
    context = secured(authority)
    heard = threading.Event()

    def talk(line: Line) -> None:
        line.sock = context.wrap_socket(line.sock, server_side=True)
        assert heard.wait(5.0)
        line.say(b"+OK hello again\r\n")

    with Scripted([talk]) as server:
        client = opened(server)
        client.start_tls(tls_context(trusted), "pop.example", 5.0)
        begun = time.monotonic()
        client.listen(0.2)
        waited = time.monotonic() - begun
        heard.set()
        client.listen(5.0)
        something = client.unasked()
        client.close()

    assert waited >= 0.19
    assert something is not None
    assert something.partial == b"+OK hello again\r\n"


@pytest.mark.parametrize(
    ("is_told", "end"), [(True, End.CLOSED), (False, End.CLOSED_WITHOUT_ALERT)]
)
def test_a_close_alert_is_told_from_a_bare_close(
    authority: trustme.CA, trusted: Tls, is_told: bool, end: End
) -> None:
    context = secured(authority)

    def talk(line: Line) -> None:
        within = context.wrap_socket(line.sock, server_side=True)
        within.sendall(b"+OK bye\r\n")
        line.sock = within.unwrap() if is_told else within
        close(line)

    with Scripted([talk]) as server:
        client = opened(server)
        client.start_tls(tls_context(trusted), "pop.example", 5.0)
        arrival = client.until_closed(5.0)
        client.close()

    assert (arrival.partial, arrival.end) == (b"+OK bye\r\n", end)


# An alert that no version will do, as old and new servers send it (RFC 5246, section 7.2.2).
NO_VERSION = b"\x15\x03\x01\x00\x02\x02\x46"


def test_no_common_version_is_said_so() -> None:
    with Scripted([NO_VERSION, close]) as server:
        client = opened(server)
        with pytest.raises(NoCommonVersion, match="which versions"):
            client.start_tls(tls_context(Tls(insecure=True)), "pop.example", 5.0)


def test_a_certificate_that_does_not_verify_is_said_so(authority: trustme.CA, trusted: Tls) -> None:
    context = secured(authority, "other.example")

    def shake(line: Line) -> None:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(line.sock, server_side=True)

    with Scripted([shake]) as server:
        client = opened(server)
        with pytest.raises(CertificateRejected, match="--tls-name"):
            client.start_tls(tls_context(trusted), "pop.example", 5.0)


def test_a_plain_port_is_no_tls_port() -> None:
    with Scripted([HELLO, close]) as server:
        client = opened(server)
        with pytest.raises(ConnectionFailed, match="is this a TLS port"):
            client.start_tls(tls_context(Tls(insecure=True)), "pop.example", 5.0)


@pytest.mark.parametrize("name", ["missing.pem", "empty.pem"])
def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.pem").touch()

    with pytest.raises(ConnectionFailed, match=f"--ca=.*{name}"):
        tls_context(Tls(ca=tmp_path / name))
    with pytest.raises(ConnectionFailed, match=f"--client-cert=.*{name}"):
        tls_context(Tls(client_cert=tmp_path / name))
