"""Where the reference server keeps mail, and the door to its memory."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pop3spec.maildrop import Door, DoorError
from pop3spec.reference import MaildirStore, MemoryDoor, MemoryStore, ReferenceServer

LATE, SOON = "1700000000.M20P1Q9.host", "1700000000.M3P1Q1.host"


def deliver(root: Path, name: str, octets: bytes, folder: str = "new") -> Path:
    for each in ("tmp", "new", "cur"):
        (root / "alice" / each).mkdir(parents=True, exist_ok=True)
    file = root / "alice" / folder / name
    file.write_bytes(octets)
    return file


# Maildir.


def test_a_maildir_gives_new_and_cur_in_the_order_of_delivery(tmp_path: Path) -> None:
    deliver(tmp_path, LATE, b"late\n")
    deliver(tmp_path, SOON + ":2,S", b"soon\n", "cur")
    deliver(tmp_path, "unfinished", b"no\n", "tmp")
    store = MaildirStore(tmp_path)

    entries = store.entries("alice")

    assert [store.content("alice", entry.key) for entry in entries] == [b"soon\r\n", b"late\r\n"]


def test_line_ends_of_a_maildir_become_crlf_and_count_as_two(tmp_path: Path) -> None:
    deliver(tmp_path, SOON, b"a: b\n\nmixed\r\nend")
    store = MaildirStore(tmp_path)

    [entry] = store.entries("alice")

    assert store.content("alice", entry.key) == b"a: b\r\n\r\nmixed\r\nend"
    assert entry.size == len(b"a: b\r\n\r\nmixed\r\nend\r\n")


def test_a_maildir_keeps_unique_ids_when_flags_and_folder_change(tmp_path: Path) -> None:
    file = deliver(tmp_path, SOON + "x" * 150, b"text\n")
    store = MaildirStore(tmp_path)
    [before] = store.entries("alice")
    file.rename(tmp_path / "alice" / "cur" / (file.name + ":2,RS"))

    [after] = store.entries("alice")

    assert after == before
    assert 1 <= len(after.unique_id) <= 70
    assert store.content("alice", before.key) == b"text\r\n"


def test_removing_from_a_maildir_leaves_the_others(tmp_path: Path) -> None:
    deliver(tmp_path, SOON + ":2,S", b"soon\n", "cur")
    kept = deliver(tmp_path, LATE, b"late\n")
    store = MaildirStore(tmp_path)
    key = store.entries("alice")[0].key

    assert store.remove("alice", [key])
    assert store.content("alice", key) is None
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [kept]


def test_a_user_without_a_maildir_has_no_mail(tmp_path: Path) -> None:
    assert MaildirStore(tmp_path).entries("alice") == []


@pytest.mark.skipif(os.name == "nt", reason="a file in place of a directory reads otherwise")
def test_a_maildrop_that_cannot_be_opened_refuses_the_login(tmp_path: Path) -> None:
    deliver(tmp_path, SOON, b"text\n")
    (tmp_path / "alice" / "new" / "directory").mkdir()
    server = ReferenceServer(MaildirStore(tmp_path), {"alice": "secret"})
    with server, socket.create_connection(server.address, timeout=5) as client:
        client.sendall(b"USER alice\r\nPASS secret\r\nSTAT\r\nQUIT\r\n")
        replies = client.makefile("rb").readlines()

    assert [line[:4] for line in replies] == [b"+OK ", b"+OK ", b"-ERR", b"-ERR", b"+OK "]


# Memory and its door.


def test_the_door_delivers_octet_for_octet() -> None:
    store = MemoryStore()
    door: Door = MemoryDoor(store)
    messages = [b"one\r\n", b"no line end", b""]

    door.fill("alice", messages)
    door.add("alice", b"four\r\n")

    assert door.contents("alice") == [*messages, b"four\r\n"]
    assert door.contents("bob") == []


def test_a_filling_replaces_the_one_before() -> None:
    store = MemoryStore()
    door = MemoryDoor(store)
    door.fill("alice", [b"old\r\n"])
    [old] = store.entries("alice")

    door.fill("alice", [b"new\r\n"])
    [new] = store.entries("alice")

    assert door.contents("alice") == [b"new\r\n"]
    assert new.unique_id != old.unique_id


def test_the_door_leaves_foreign_messages_alone() -> None:
    store = MemoryStore()
    store.deliver("alice", b"foreign\r\n")
    door = MemoryDoor(store)
    door.add("alice", b"ours\r\n")

    with pytest.raises(DoorError, match="allow-delete"):
        door.fill("alice", [b"more\r\n"])
    assert door.contents("alice") == [b"foreign\r\n", b"ours\r\n"]
    door.clear("alice")
    assert door.contents("alice") == [b"foreign\r\n"]


def test_the_door_removes_foreign_messages_where_that_is_allowed() -> None:
    store = MemoryStore()
    store.deliver("alice", b"foreign\r\n")

    MemoryDoor(store, allow_delete=True).fill("alice", [b"ours\r\n"])

    assert [store.content("alice", each.key) for each in store.entries("alice")] == [b"ours\r\n"]


# The server on its own.

SERVE = """
import sys
from pathlib import Path
from pop3spec.reference.serve import serve
serve(host="127.0.0.1", port=0, accounts={"alice": "secret"}, maildir=Path(sys.argv[1]),
      faults=(), ready=lambda address, *_: print(address[1], flush=True))
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM cannot be caught there")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_serve_runs_until_it_is_told_to_stop(tmp_path: Path, end: signal.Signals) -> None:
    deliver(tmp_path, SOON, b"text\n")
    harness = Path(__file__).parents[1]
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=harness) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(b"USER alice\r\nPASS secret\r\nRETR 1\r\nQUIT\r\n")
            replies = client.makefile("rb").read()
        process.send_signal(end)

        assert process.wait(5) == 0
    assert b"\r\ntext\r\n.\r\n" in replies
