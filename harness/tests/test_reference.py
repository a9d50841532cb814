"""The honest reference server, over raw sockets."""

import contextlib
import hashlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from pop3spec.protocol.commands import COMMANDS, State
from pop3spec.protocol.replies import unstuff
from pop3spec.reference import MemoryStore, ReferenceServer
from pop3spec.reference.session import HANDLERS

ACCOUNTS = {"alice": "secret", "bob": "two words  x"}
PLAIN = [
    b"Subject: one\r\n\r\nfirst body\r\n",
    b"Subject: two\r\n\r\nl1\r\nl2\r\nl3\r\n",
    b"Subject: three\r\n\r\n",
]


class Client:
    """A raw socket that reads lines and never interprets them."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=5)
        self.file = self.socket.makefile("rb")
        self.greeting = self.line()

    def line(self) -> bytes:
        return self.file.readline()

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def ask(self, command: str) -> bytes:
        """The first line of the reply to one command."""
        self.send(command.encode() + b"\r\n")
        return self.line()

    def lines(self, command: str) -> list[bytes]:
        """The wire lines of a positive multi-line reply, with the terminating one."""
        assert self.ask(command).startswith(b"+OK")
        found = [self.line()]
        while found[-1] not in (b".\r\n", b""):
            found.append(self.line())
        return found

    def payload(self, command: str) -> bytes:
        *lines, end = self.lines(command)
        assert end == b".\r\n"
        return b"".join(lines)

    def rest(self) -> bytes:
        """Everything up to the end of the stream."""
        return self.file.read()

    def log_in(self, user: str = "alice") -> None:
        assert self.ask(f"USER {user}").startswith(b"+OK")
        assert self.ask(f"PASS {ACCOUNTS[user]}").startswith(b"+OK")

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    for message in PLAIN:
        store.deliver("alice", message)
    return store


@pytest.fixture
def server(store: MemoryStore) -> Iterator[ReferenceServer]:
    with ReferenceServer(store, ACCOUNTS) as server:
        yield server


@contextlib.contextmanager
def connected(server: ReferenceServer, user: str | None = None) -> Iterator[Client]:
    client = Client(server.address)
    try:
        if user is not None:
            client.log_in(user)
        yield client
    finally:
        client.close()


@pytest.fixture
def client(server: ReferenceServer) -> Iterator[Client]:
    with connected(server) as client:
        yield client


@pytest.fixture
def session(server: ReferenceServer) -> Iterator[Client]:
    with connected(server, "alice") as client:
        yield client


# The AUTHORIZATION state.


def test_each_greeting_has_a_timestamp_of_its_own(server: ReferenceServer) -> None:
    greetings = []
    for _ in range(5):
        with connected(server) as client:
            greetings.append(client.greeting)

    stamps = [re.findall(rb"<[^<>@\s]+@[^<>@\s]+>", greeting) for greeting in greetings]
    assert all(greeting.startswith(b"+OK ") for greeting in greetings)
    assert all(len(found) == 1 for found in stamps)
    assert len({found[0] for found in stamps}) == 5


def test_a_password_may_hold_blanks(server: ReferenceServer) -> None:
    with connected(server, "bob") as client:
        assert client.ask("STAT") == b"+OK 0 0\r\n"


def test_user_is_answered_alike_for_every_name(client: Client) -> None:
    assert client.ask("USER nobody") == client.ask("USER alice")


@pytest.mark.parametrize(
    "between",
    ["CAPA", "NOOP", "XYZZY", "", "PASS wrong", "USER", "APOP alice 0"],
)
def test_pass_is_refused_when_something_stands_behind_user(client: Client, between: str) -> None:
    client.ask("USER alice")
    client.ask(between)
    if between == "CAPA":
        while client.line() != b".\r\n":
            pass

    assert client.ask("PASS secret").startswith(b"-ERR")
    client.log_in()


def test_apop_takes_the_digest_of_this_greeting_alone(server: ReferenceServer) -> None:
    with connected(server) as client:
        stamp = re.findall(rb"<.*>", client.greeting)[0]
        digest = hashlib.md5(stamp + b"secret").hexdigest()
        wrong = hashlib.md5(stamp).hexdigest()

        assert client.ask(f"APOP alice {wrong}").startswith(b"-ERR")
        assert client.ask(f"APOP nobody {digest}").startswith(b"-ERR")
        assert client.ask(f"APOP alice {digest}").startswith(b"+OK")
    with connected(server) as other:
        assert other.ask(f"APOP alice {digest}").startswith(b"-ERR")


def test_quit_before_login_closes(client: Client) -> None:
    assert client.ask("QUIT").startswith(b"+OK")
    assert client.rest() == b""


def test_a_refused_login_waits_as_long_as_asked_and_leaves_the_next_try(
    store: MemoryStore,
) -> None:
    server = ReferenceServer(store, ACCOUNTS, failed_login_delay=0.2)
    with server, connected(server) as client:
        client.ask("USER alice")
        before = time.monotonic()

        assert client.ask("PASS wrong").startswith(b"-ERR")
        assert time.monotonic() - before >= 0.2
        client.log_in()


# Both states.


@pytest.mark.parametrize("user", [None, "alice"])
def test_capa_is_the_same_in_both_states(server: ReferenceServer, user: str | None) -> None:
    with connected(server, user) as client:
        tags = [line.split()[0] for line in client.lines("CAPA")]

    assert tags == [
        b"TOP",
        b"UIDL",
        b"RESP-CODES",
        b"AUTH-RESP-CODE",
        b"PIPELINING",
        b"EXPIRE",
        b"IMPLEMENTATION",
        b"USER",
        b"SASL",
        b".",
    ]


REFUSED_ANYWHERE = [
    b"",
    b" ",
    b"XYZZY",
    b"NOOPX",
    b" NOOP",
    b"NOOP\t",
    b"N\0OOP",
    b"NO\xd6P",
    b"STLS",
    b"AUTH",
    b"CAPA x",
    b"QUIT x",
]


@pytest.mark.parametrize("user", [None, "alice"])
@pytest.mark.parametrize("line", REFUSED_ANYWHERE)
def test_what_is_no_command_is_refused_and_the_session_goes_on(
    server: ReferenceServer, user: str | None, line: bytes
) -> None:
    with connected(server, user) as client:
        client.send(line + b"\r\n")

        assert client.line().startswith(b"-ERR ")
        assert client.ask("QUIT").startswith(b"+OK")


# UTF8 and LANG are for a server that is asked to have them.
@pytest.mark.parametrize("keyword", sorted(HANDLERS.keys() - {"UTF8", "LANG"}))
@pytest.mark.parametrize("state", [State.AUTHORIZATION, State.TRANSACTION])
def test_a_command_of_the_other_state_is_refused(
    server: ReferenceServer, keyword: str, state: State
) -> None:
    arguments = {"USER": " alice", "PASS": " secret", "APOP": " alice 0", "TOP": " 1 0"}
    number = " 1" if COMMANDS[keyword].required and keyword not in arguments else ""
    line = keyword + arguments.get(keyword, number)

    with connected(server, "alice" if state is State.TRANSACTION else None) as client:
        reply = client.ask(line)

    is_refused_as_wrong = b"is not for the" in reply
    assert is_refused_as_wrong is (state not in COMMANDS[keyword].states)
    assert reply.startswith(b"-ERR") or not is_refused_as_wrong


def test_a_line_over_8192_octets_is_refused_and_the_connection_closed(client: Client) -> None:
    client.send(b"A" * 8193)

    assert client.line().startswith(b"-ERR")
    assert client.rest() == b""


def test_refusals_have_no_bound(client: Client) -> None:
    client.send(b"XYZZY\r\n" * 2000 + b"QUIT\r\n")

    assert client.rest().count(b"-ERR") == 2000


def test_a_bare_lf_ends_a_command(session: Client) -> None:
    session.send(b"NOOP\n")

    assert session.line().startswith(b"+OK")


def test_keywords_are_known_in_any_case(session: Client) -> None:
    assert [session.ask(word)[:3] for word in ("noop", "Stat", "rSET")] == [b"+OK"] * 3


# Arguments.


@pytest.mark.parametrize(
    "line",
    [
        "STAT 1",
        "NOOP x",
        "RSET 1",
        "STAT ",
        "LIST ",
        "LIST 1 2",
        "LIST 1abc",
        "LIST -1",
        "LIST +1",
        "LIST 0x1",
        "LIST 0",
        "LIST 4",
        "LIST 4294967297",
        "LIST 18446744073709551617",
        "LIST " + "1" * 5000,
        "UIDL 4",
        "UIDL 1 1",
        "RETR",
        "RETR 0",
        "RETR 1 2",
        "RETR 1.5",
        "DELE",
        "DELE 4",
        "DELE 1 2",
        "TOP",
        "TOP 1",
        "TOP 1 ",
        "TOP 1 -1",
        "TOP 1 x",
        "TOP x 1",
        "TOP 4 0",
        "TOP 1 1 1",
    ],
)
def test_wrong_arguments_are_refused(session: Client, line: str) -> None:
    assert session.ask(line).startswith(b"-ERR")
    assert session.ask("NOOP").startswith(b"+OK")


# Listings and messages.


def test_listings_agree_with_the_messages(session: Client) -> None:
    sizes = [len(message) for message in PLAIN]

    assert session.ask("STAT") == b"+OK 3 %d\r\n" % sum(sizes)
    assert session.payload("LIST") == b"".join(b"%d %d\r\n" % line for line in enumerate(sizes, 1))
    assert session.ask("LIST 2") == b"+OK 2 %d\r\n" % sizes[1]
    ids = session.payload("UIDL").split()[1::2]
    assert len(set(ids)) == 3
    assert session.ask("UIDL 3") == b"+OK 3 " + ids[2] + b"\r\n"


def test_listings_of_an_empty_maildrop_are_empty(server: ReferenceServer) -> None:
    with connected(server, "bob") as client:
        assert client.ask("STAT") == b"+OK 0 0\r\n"
        assert client.lines("LIST") == [b".\r\n"]
        assert client.lines("UIDL") == [b".\r\n"]


@pytest.mark.parametrize(
    "message",
    [
        b".\r\nat the start\r\n",
        b"..\r\n",
        b"Subject: dots\r\n\r\n.one\r\n..two\r\n.\r\n.\r\n...\r\n. \r\n",
        b"Subject: no final line end\r\n\r\nlast",
        b"Subject: no final line end\r\n\r\n.",
        b"header: only\r\n",
        b"\r\nbody only\r\n",
        b"",
        bytes(octet for octet in range(256) if octet not in b"\r\n") + b"\r\n",
        b"Subject: big\r\n\r\n" + b".234567\r\n" * 40000,
    ],
)
def test_retr_and_top_give_the_message_as_it_is_stored(message: bytes) -> None:
    store = MemoryStore()
    store.deliver("alice", message)
    expected = message if not message or message.endswith(b"\r\n") else message + b"\r\n"
    with ReferenceServer(store, ACCOUNTS) as server, connected(server, "alice") as client:
        sent = client.payload("RETR 1")
        top = client.payload("TOP 1 99999999999999999999999")
        scan_listing = client.ask("LIST 1")

    assert unstuff(sent) == expected
    assert top == sent
    assert scan_listing == b"+OK 1 %d\r\n" % len(expected)


@pytest.mark.parametrize(
    ("count", "body"),
    [
        ("0", b""),
        ("1", b"l1\r\n"),
        ("2", b"l1\r\nl2\r\n"),
        ("3", b"l1\r\nl2\r\nl3\r\n"),
        ("4", b"l1\r\nl2\r\nl3\r\n"),
        ("4294967296", b"l1\r\nl2\r\nl3\r\n"),
        ("0000000000000000000000001", b"l1\r\n"),
    ],
)
def test_top_gives_header_blank_line_and_as_many_lines(
    session: Client, count: str, body: bytes
) -> None:
    assert session.payload(f"TOP 2 {count}") == b"Subject: two\r\n\r\n" + body


# Marks and UPDATE.


def test_a_marked_message_is_in_no_listing_and_named_by_nothing(session: Client) -> None:
    assert session.ask("DELE 2").startswith(b"+OK")

    assert session.ask("STAT") == b"+OK 2 %d\r\n" % (len(PLAIN[0]) + len(PLAIN[2]))
    assert [line.split()[0] for line in session.lines("LIST")] == [b"1", b"3", b"."]
    assert [line.split()[0] for line in session.lines("UIDL")] == [b"1", b"3", b"."]
    for command in ("LIST 2", "UIDL 2", "RETR 2", "TOP 2 0", "DELE 2"):
        assert session.ask(command).startswith(b"-ERR")


def test_rset_takes_back_every_mark(session: Client) -> None:
    before = session.payload("LIST")
    session.ask("DELE 1")
    session.ask("DELE 3")

    assert session.ask("RSET").startswith(b"+OK")
    assert session.payload("LIST") == before


def test_quit_removes_the_marked_messages_and_no_others(server: ReferenceServer) -> None:
    with connected(server, "alice") as client:
        ids = client.payload("UIDL").split()[1::2]
        client.ask("DELE 1")
        client.ask("DELE 3")
        assert client.ask("QUIT").startswith(b"+OK")
        assert client.rest() == b""

    with connected(server, "alice") as client:
        assert client.payload("UIDL") == b"1 " + ids[1] + b"\r\n"
        assert client.payload("RETR 1") == PLAIN[1]


@pytest.mark.parametrize("by_reset", [False, True])
def test_a_session_that_breaks_off_removes_nothing_and_frees_the_maildrop(
    server: ReferenceServer, by_reset: bool
) -> None:
    client = Client(server.address)
    client.log_in()
    client.ask("DELE 1")
    if by_reset:
        linger = struct.pack("ii", 1, 0)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.close()

    deadline = time.monotonic() + 5
    with connected(server) as other:
        reply = b"-ERR [IN-USE]"
        while reply.startswith(b"-ERR [IN-USE]") and time.monotonic() < deadline:
            other.ask("USER alice")
            reply = other.ask("PASS secret")
        assert other.ask("STAT").startswith(b"+OK 3 ")


def test_a_second_login_is_told_that_the_maildrop_is_in_use(server: ReferenceServer) -> None:
    with connected(server, "alice") as first, connected(server) as second:
        second.ask("USER alice")
        assert second.ask("PASS secret").startswith(b"-ERR [IN-USE] ")

        first.ask("QUIT")  # the reply comes when the lock is free again
        second.log_in()


def test_the_view_of_a_session_is_fixed_at_login(
    server: ReferenceServer, store: MemoryStore
) -> None:
    with connected(server, "alice") as client:
        before = client.ask("STAT"), client.payload("LIST"), client.payload("UIDL")
        store.deliver("alice", b"Subject: late\r\n\r\n")
        store.remove("alice", [store.entries("alice")[0].key])

        assert (client.ask("STAT"), client.payload("LIST"), client.payload("UIDL")) == before
        assert client.ask("RETR 1").startswith(b"-ERR")
        assert client.ask("TOP 1 0").startswith(b"-ERR")
        assert client.ask("RETR 4").startswith(b"-ERR")
        assert client.payload("RETR 2") == PLAIN[1]
        client.ask("DELE 1")
        assert client.ask("QUIT").startswith(b"+OK")
    assert len(store.entries("alice")) == 3


# Segments, pipelines, many clients.

SCRIPT = (
    b"CAPA\r\nUSER alice\r\nPASS secret\r\nSTAT\r\nLIST\r\nRETR 1\r\nTOP 2 1\r\nUIDL 1\r\n"
    b"DELE 1\r\nXYZZY\r\nRSET\r\nNOOP\r\nQUIT\r\nDELE 2\r\nNOOP\r\n"
)


def test_pipelined_commands_are_answered_in_order_as_single_ones_are(
    server: ReferenceServer, store: MemoryStore
) -> None:
    with connected(server) as client:
        client.send(SCRIPT)
        together = client.rest()
    with connected(server) as client:
        for octet in SCRIPT.partition(b"DELE 2")[0]:
            client.send(bytes([octet]))
        apart = client.rest()

    assert together == apart
    assert together.endswith(b"+OK goodbye\r\n")
    assert len(store.entries("alice")) == 3


def test_large_pipelines_do_not_wait_for_a_slow_reader(store: MemoryStore) -> None:
    big = b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n"
    store.deliver("bob", big + b"line\r\n" * 20000)
    with ReferenceServer(store, ACCOUNTS) as server, connected(server, "bob") as client:
        client.send(b"RETR 1\r\n" * 40 + b"QUIT\r\n")

        assert client.rest().count(b"Subject: big\r\n") == 40


def test_thirty_two_clients_are_served_at_once() -> None:
    accounts = {f"user{number}": "secret" for number in range(32)}
    barrier = threading.Barrier(32)
    answers = []

    def visit(server: ReferenceServer, user: str) -> None:
        with connected(server) as client:
            client.ask(f"USER {user}")
            client.ask("PASS secret")
            barrier.wait(5)
            answers.append(client.ask("STAT"))

    with ReferenceServer(MemoryStore(), accounts) as running:
        threads = [threading.Thread(target=visit, args=(running, user)) for user in accounts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert answers == [b"+OK 0 0\r\n"] * 32


# The server as a whole.


def test_the_autologout_timer_closes_without_update_or_reply(store: MemoryStore) -> None:
    with ReferenceServer(store, ACCOUNTS, autologout=0.2) as server:
        with connected(server, "alice") as client:
            client.ask("DELE 1")

            assert client.rest() == b""
        with connected(server, "alice") as client:
            assert client.ask("STAT").startswith(b"+OK 3 ")


def test_close_ends_every_session_at_once(store: MemoryStore) -> None:
    server = ReferenceServer(store, ACCOUNTS, failed_login_delay=60)
    server.start()
    with connected(server, "alice") as idle, connected(server) as waiting:
        waiting.send(b"USER alice\r\nPASS wrong\r\n")
        before = time.monotonic()
        server.close()

        assert time.monotonic() - before < 1
        assert idle.rest() == b""
    with pytest.raises(OSError):
        socket.create_connection(server.address, timeout=1)


def test_a_port_can_be_taken_again_at_once(store: MemoryStore) -> None:
    with ReferenceServer(store, ACCOUNTS) as server, connected(server) as client:
        port = server.address[1]
        client.ask("QUIT")

    with ReferenceServer(store, ACCOUNTS, port=port) as again, connected(again) as client:
        assert client.greeting.startswith(b"+OK")


def test_the_address_is_known_once_it_runs(store: MemoryStore) -> None:
    server = ReferenceServer(store, ACCOUNTS)

    with pytest.raises(RuntimeError, match="not started"):
        _ = server.address


# --- Killed and started again


def test_a_restart_resets_each_connection_and_keeps_the_store_alone() -> None:
    store = MemoryStore()
    with ReferenceServer(store, ACCOUNTS) as server:
        for octets in PLAIN:
            store.deliver("alice", octets)
        client = Client(server.address)
        for line in ("USER alice", "PASS secret", "DELE 1"):
            assert client.ask(line).startswith(b"+OK")
        before, address = client.greeting, server.address

        server.restart()

        with pytest.raises(ConnectionResetError):
            client.rest()
        client.close()
        after = Client(address)
        assert after.greeting != before
        assert after.ask("USER alice").startswith(b"+OK")
        assert after.ask("PASS secret").startswith(b"+OK")
        assert after.ask("STAT").split()[1] == b"3"
        after.close()
