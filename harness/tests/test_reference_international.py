"""The honest reference server with UTF8 and LANG (RFC 6856), over raw sockets."""

from collections.abc import Iterator
from hashlib import md5

import pytest
from rawclient import RawClient

from pop3spec.protocol.listings import timestamps
from pop3spec.reference import MemoryStore, ReferenceServer
from pop3spec.reference.languages import language_for

ACCOUNTS = {"jürgen": "größe-7", "alice": "secret"}
ASCII = b"Subject: one\r\n\r\nOne line.\r\n"
BEYOND = "Subject: Grüße\r\n\r\nOne line.\r\n".encode()
NAMES = ["jürgen", "jürg\u00aden", "ｊürgen"]


@pytest.fixture
def client() -> Iterator[RawClient]:
    store = MemoryStore()
    for message in (ASCII, BEYOND):
        store.deliver("alice", message)
    with ReferenceServer(store, ACCOUNTS, is_international=True) as server:
        client = RawClient(server.address)
        yield client
        client.close()


def log_in(client: RawClient) -> None:
    assert client.ask("USER alice").startswith(b"+OK")
    assert client.ask("PASS secret").startswith(b"+OK")


@pytest.mark.parametrize("command", ["TOP 2 0", "RETR 2"])
def test_a_message_with_utf8_in_its_header_is_for_utf8_mode(
    client: RawClient, command: str
) -> None:
    log_in(client)

    assert client.ask(command).startswith(b"-ERR [UTF8] ")
    assert client.ask(command.replace("2", "1", 1)).startswith(b"+OK")


def test_in_utf8_mode_it_is_sent_as_it_is(client: RawClient) -> None:
    assert client.ask("UTF8").startswith(b"+OK")
    log_in(client)
    first = client.ask("RETR 2")

    assert first.startswith(b"+OK")
    assert client.line() == "Subject: Grüße\r\n".encode()


@pytest.mark.parametrize("command", ["UTF8", "STLS"])
def test_utf8_belongs_before_the_login_and_behind_tls(client: RawClient, command: str) -> None:
    assert client.ask("UTF8").startswith(b"+OK")
    if command == "UTF8":
        log_in(client)

    assert client.ask(command).startswith(b"-ERR")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_utf8_logs_in_however_it_is_spelled(client: RawClient, name: str) -> None:
    client.send(f"USER {name}\r\nPASS größe-7\r\n".encode())

    assert [client.line()[:3], client.line()[:3]] == [b"+OK", b"+OK"]


def test_apop_takes_the_digest_of_a_password_in_utf8(client: RawClient) -> None:
    [timestamp] = timestamps(client.greeting)
    digest = md5(timestamp + "größe-7".encode(), usedforsecurity=False).hexdigest()
    client.send(f"APOP jürgen {digest}\r\n".encode())

    assert client.line().startswith(b"+OK")


@pytest.mark.parametrize(
    "line", [b"USER j\xfcrgen", b"USER alice\xc3", b"STAT \xc3\xbc", b"NOOP \xff", b"USER \0"]
)
def test_what_is_not_utf8_is_refused_and_so_is_utf8_elsewhere(
    client: RawClient, line: bytes
) -> None:
    client.send(line + b"\r\n")

    assert client.line().startswith(b"-ERR")


def test_replies_are_in_the_language_that_was_chosen(client: RawClient) -> None:
    assert client.ask("LANG de") == "+OK de Sprache geändert\r\n".encode()
    assert client.ask("LANG qfy").startswith(b"-ERR")
    assert client.ask("QUIT") == "+OK auf Wiederhören\r\n".encode()


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        (b"de", b"de"),
        (b"DE-ch", b"de-CH"),
        (b"de-AT", b"de"),
        (b"en-US-x-y", b"en"),
        (b"*", b"en"),
        (b"d", None),
        (b"den", None),
        (b"qfy", None),
        (b"-", None),
    ],
)
def test_a_range_finds_a_language(wanted: bytes, tag: bytes | None) -> None:
    found = language_for(wanted)

    assert (found.tag if found else None) == tag


def test_a_server_that_is_not_asked_to_has_neither() -> None:
    with ReferenceServer(MemoryStore(), ACCOUNTS) as server:
        client = RawClient(server.address)
        replies = [client.ask(command) for command in ("UTF8", "LANG", "LANG de")]
        client.close()

    assert all(reply.startswith(b"-ERR unknown") for reply in replies)
