"""The IMAP door, into an IMAP server from PyPI and into servers that say what a test wants."""

import imaplib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pop3spec.maildrop import Door, DoorError, imap
from pop3spec.maildrop.access import Access
from pop3spec.maildrop.doors import open_door
from servers.processes import free_ports

PASSWORD = 'with "quotes" and a \\'
ONE = b"Subject: one\r\n\r\nfirst\r\n.\r\n"
TWO = b"Subject: two\r\n\r\nsecond \xe9\r\n"
FOREIGN = b"Subject: theirs\r\n\r\nnot ours\r\n"


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POP3SPEC_STATE", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """An IMAP server with one account."""
    [number] = free_ports(1)
    code = "import sys; from pymap.main import main; sys.exit(main())"
    options = ["--host", "127.0.0.1", "--port", str(number), "--no-tls"]
    account = ["dict", "--demo-user", "alice", "--demo-password", PASSWORD]
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *options, *account],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            if server.poll() is not None:
                pytest.fail(f"pymap ended with {server.returncode}")
            with socket.socket() as asked:
                asked.settimeout(0.1)
                if asked.connect_ex(("127.0.0.1", number)) == 0:
                    break
            threading.Event().wait(0.05)
        yield number
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def inbox(port: int) -> Iterator[imaplib.IMAP4]:
    """The INBOX as its owner sees it, empty at the beginning."""
    with imaplib.IMAP4("127.0.0.1", port, timeout=10) as client:
        client.login('"alice"', PASSWORD)
        client.select()
        client.store("1:*", "+FLAGS", r"(\Deleted)")
        client.expunge()
        yield client


def door_at(port: int, password: str = PASSWORD, *, allow_delete: bool = False) -> Door:
    access = Access({"alice": password})
    door = open_door(f"imap://127.0.0.1:{port}", allow_delete=allow_delete, access=access)
    assert door is not None
    return door


def told_of(door: Door, user: str = "alice") -> str:
    with pytest.raises(DoorError) as refusal:
        door.fill(user, [ONE])
    return str(refusal.value)


def test_a_filling_is_the_whole_inbox_octet_for_octet(port: int, inbox: imaplib.IMAP4) -> None:
    door = door_at(port)

    door.fill("alice", [FOREIGN])
    door.fill("alice", [ONE, TWO])
    door.add("alice", ONE)

    assert door.contents("alice") == [ONE, TWO, ONE]
    assert len(door.marks("alice")) == 3
    door.clear("alice")
    assert door.contents("alice") == []
    assert door.marks("alice") == []


def test_mail_of_somebody_else_is_left_as_it_is(port: int, inbox: imaplib.IMAP4) -> None:
    inbox.append("INBOX", "", "", FOREIGN)

    problem = told_of(door_at(port))

    assert "holds 1 messages that the suite did not deliver" in problem
    assert "--allow-delete" in problem
    assert door_at(port).contents("alice") == [FOREIGN]


def test_what_others_marked_as_deleted_does_not_go_with_ours(
    port: int, inbox: imaplib.IMAP4
) -> None:
    door = door_at(port)
    door.fill("alice", [ONE])
    inbox.append("INBOX", "", "", FOREIGN)
    inbox.noop()
    inbox.store("2", "+FLAGS", r"(\Deleted)")

    door.clear("alice")

    assert door.contents("alice") == [FOREIGN]


def test_where_it_is_permitted_other_mail_makes_room(port: int, inbox: imaplib.IMAP4) -> None:
    inbox.append("INBOX", "", "", FOREIGN)

    door_at(port, allow_delete=True).fill("alice", [ONE])

    assert door_at(port).contents("alice") == [ONE]


def test_what_an_earlier_run_left_is_known_again(port: int, inbox: imaplib.IMAP4) -> None:
    door_at(port).fill("alice", [ONE])

    door_at(port).fill("alice", [TWO])

    assert door_at(port).contents("alice") == [TWO]


def test_a_wrong_password_is_told_without_it(port: int) -> None:
    problem = told_of(door_at(port, "not the password"))

    assert problem.startswith(f"imap://127.0.0.1:{port}")
    assert "password" not in problem.replace("Invalid authentication credentials", "")
    assert "\n" not in problem


def test_an_account_without_a_known_password_is_named() -> None:
    with saying({"CAPABILITY": ["* CAPABILITY IMAP4rev1"]}) as number:
        assert "no password is known for bob" in told_of(door_at(number), "bob")


REFUSED: Mapping[str, tuple[bytes, str]] = {
    "no octets": (b"", "a message of no octets"),
    "LF alone": (b"A: b\n\nc\n", "a line end other than CRLF"),
    "CR alone": (b"A: b\r\n\r\nc\rd\r\n", "a line end other than CRLF"),
    "NUL": (b"A: b\r\n\r\n\0\r\n", "a NUL"),
    "8-bit header": (b"A: \xe9\r\n\r\n\r\n", "a header with octets above 127"),
}


@pytest.mark.parametrize(("message", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_would_not_come_through_is_not_put_in(message: bytes, reason: str) -> None:
    assert reason in door_at(1).refuses(message)


# --- Servers that say what a test wants ---


@contextmanager
def saying(replies: Mapping[str, Sequence[str]], greeting: bytes = b"* OK hi\r\n") -> Iterator[int]:
    """An IMAP server that answers commands by their beginnings, each with these lines and OK."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(client: socket.socket) -> None:
        client.sendall(greeting)
        for line in client.makefile("rb"):
            tag, _, command = line.decode().strip().partition(" ")
            lines = next((told for word, told in replies.items() if command.startswith(word)), ())
            for told in lines:
                client.sendall(f"{told}\r\n".encode())
            status = "NO" if lines == ("NO",) else "OK"
            client.sendall(f"{tag} {status} done\r\n".encode())

    def serve() -> None:
        try:
            while True:
                client, _ = listener.accept()
                with client:
                    try:
                        talk(client)
                    except OSError:
                        continue
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_without_uidplus_a_marked_message_of_others_keeps_ours_in_place() -> None:
    replies = {
        "CAPABILITY": ["* CAPABILITY IMAP4rev1"],
        "SELECT": ["* 2 EXISTS"],
        "UID SEARCH ALL": ["* SEARCH 1 2"],
        "UID SEARCH DELETED": ["* SEARCH 2"],
        "UID FETCH": [f"* 1 FETCH (UID 1 BODY[] {{{len(ONE)}}}\r\n{ONE.decode()})"],
    }
    with saying(replies) as number:
        door = door_at(number)
        assert isinstance(door, imap.ImapDoor)
        door.announce("alice", ONE)

        with pytest.raises(DoorError, match="others are marked as deleted"):
            door.clear("alice")


def test_a_password_goes_over_no_unencrypted_connection_that_the_server_refuses() -> None:
    with saying({"CAPABILITY": ["* CAPABILITY IMAP4rev1 LOGINDISABLED"]}) as number:
        problem = told_of(door_at(number))

    assert "offers no STARTTLS" in problem


NO_IMAP: Mapping[str, tuple[bytes, str]] = {
    "http": (b"HTTP/1.1 400 Bad Request\r\n", "unexpected response"),
    "pop3": (b"+OK ready\r\n", "no greeting of an IMAP server"),
    "closes": (b"* BYE\r\n", ""),
    "long line": (b"* OK " + b"x" * 2_000_000 + b"\r\n", "got more than"),
}


@pytest.mark.parametrize(("greeting", "words"), NO_IMAP.values(), ids=NO_IMAP)
def test_what_is_no_imap_server_is_told_in_a_sentence(greeting: bytes, words: str) -> None:
    with saying({}, greeting) as number:
        problem = told_of(door_at(number))

    assert problem.startswith(f"imap://127.0.0.1:{number}: ")
    assert words in problem
    assert "\n" not in problem
    assert len(problem) < 400


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "ANSWERS_WITHIN", 0.5)
    with saying({}, b"") as number:
        assert "is not done within 0.5 s" in told_of(door_at(number))


SPECS = {
    "imap:": "write imap://host:port",
    "imap://": "write imap://host:port",
    "imap://host:port": "port",
}


@pytest.mark.parametrize(("spec", "words"), SPECS.items(), ids=SPECS)
def test_a_malformed_place_is_told_with_the_mend(spec: str, words: str) -> None:
    with pytest.raises(DoorError, match=words):
        open_door(spec)
