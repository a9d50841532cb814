"""Doors that cannot do their job: one sentence, nothing left behind, nothing of the user's lost."""

import os
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_doors import FOREIGN, ONE, TWO, Listener, opened, serving

from pop3spec.accounts import Mailbox
from pop3spec.maildrop import DoorError, command, delivery, smtp
from pop3spec.probe import PROBE_MESSAGE, probe
from pop3spec.recorder import Recorder
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MaildirStore
from pop3spec.run import Run
from pop3spec.settings import Settings
from pop3spec.target import Account, Address, Target

BIG = b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 20_000


@pytest.fixture(autouse=True)
def _impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POP3SPEC_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(delivery, "ARRIVES_WITHIN", 0.2)
    monkeypatch.setattr(command, "DONE_WITHIN", 0.5)


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    """Alice has an empty Maildir and an empty mbox; other users have what is no mailbox."""
    mail = tmp_path / "mail"
    for part in ("alice/tmp", "alice/new", "alice/cur", "folder.mbox"):
        (mail / part).mkdir(parents=True)
    (mail / "alice.mbox").touch()
    (mail / "file").write_text("no directory")
    (mail / "torn" / "cur").mkdir(parents=True)
    (mail / "torn" / "new").write_text("no directory")
    (mail / "text.mbox").write_text("a text that is no mbox\n")
    (mail / "linked.mbox").symlink_to(mail / "file")
    return mail


def tree(directory: Path) -> dict[str, bytes]:
    """Every file and directory below one, with what it holds."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else b""
        for path in directory.rglob("*")
    }


def assert_refused(spec: str, user: str, mail: Path, words: str, *messages: bytes) -> None:
    """It is said in one sentence, and all is as it was before."""
    before = tree(mail)

    with pytest.raises(DoorError) as caught:
        opened(spec).fill(user, messages or (ONE, TWO))

    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert tree(mail) == before


# --- Stores ---

PLACES = {
    "maildir-in-a-file": ("maildir:{mail}/file/{{user}}", "alice", "is no directory"),
    "maildir-is-a-file": ("maildir:{mail}/{{user}}", "file", "is no directory"),
    "maildir-with-a-file-in-it": ("maildir:{mail}/{{user}}", "torn", "Not a directory"),
    "maildir-below-nothing": ("maildir:{mail}/none/{{user}}", "alice", "is no directory"),
    "mbox-in-a-file": ("mbox:{mail}/file/{{user}}", "alice", "correct --maildrop"),
    "mbox-is-a-directory": ("mbox:{mail}/{{user}}.mbox", "folder", "cannot be opened"),
    "mbox-is-a-text": ("mbox:{mail}/{{user}}.mbox", "text", "is no mbox"),
    "mbox-is-a-link": ("mbox:{mail}/{{user}}.mbox", "linked", "a symbolic link"),
    "mbox-below-nothing": ("mbox:{mail}/none/{{user}}", "alice", "is no directory"),
}


@pytest.mark.parametrize(("spec", "user", "words"), PLACES.values(), ids=PLACES)
def test_a_place_that_is_no_mailbox_stays_what_it_is(
    mail: Path, spec: str, user: str, words: str
) -> None:
    assert_refused(spec.format(mail=mail), user, mail, words)


@contextmanager
def tiny_disk(directory: Path) -> Iterator[None]:
    """A file system with room for a few messages."""
    directory.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(directory)]
    if os.geteuid() != 0 or os.spawnvp(os.P_WAIT, mount[0], mount) != 0:
        pytest.skip("no small file system can be mounted here")
    try:
        yield
    finally:
        os.spawnvp(os.P_WAIT, "umount", ["umount", str(directory)])


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
@pytest.mark.parametrize("is_there", [True, False], ids=["there", "to-be-made"])
def test_a_full_disk_keeps_what_was_there(tmp_path: Path, kind: str, is_there: bool) -> None:
    with tiny_disk(tmp_path / "disk"):
        disk = tmp_path / "disk"
        if is_there and kind == "maildir":
            for folder in ("tmp", "new", "cur"):
                (disk / "root" / folder).mkdir(parents=True)
        if is_there and kind == "mbox":
            (disk / "root").write_bytes(b"")
        messages = (ONE, BIG) if is_there else (BIG,)
        assert_refused(f"{kind}:{disk}/{{user}}", "root", disk, "No space left", *messages)


def test_mail_of_the_user_survives_a_full_disk(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk"):
        box = tmp_path / "disk" / "alice"
        box.write_bytes(b"From friend Thu Jan  1 00:00:00 2026\n" + FOREIGN + b"\n")
        before = box.read_bytes()

        with pytest.raises(DoorError, match="No space left"):
            opened(f"mbox:{tmp_path}/disk/{{user}}").add("alice", BIG)

        assert box.read_bytes() == before
        assert not box.with_name("alice.lock").exists()


def test_what_a_killed_run_left_half_written_is_removed(mail: Path) -> None:
    half = mail / "alice" / "tmp" / "1.M000001P1Q000001pop3spec.host"
    theirs = mail / "alice" / "tmp" / "1.M000001P1Q000001.host"
    half.touch()
    theirs.touch()

    opened(f"maildir:{mail}/{{user}}").clear("alice")

    assert list((mail / "alice" / "tmp").iterdir()) == [theirs]


# --- LMTP ---


def refusing(message: str) -> dict[str, str]:
    return {"message": message}


@pytest.mark.parametrize(
    ("refusals", "words"),
    [
        (refusing("452 4.2.2 over quota"), "refuses the message: 452 4.2.2 over quota"),
        (refusing("552 5.2.2 mailbox full"), "refuses the message: 552 5.2.2 mailbox full"),
        ({"RCPT": "550 no such user"}, "refuses the recipient alice: 550 no such user"),
    ],
    ids=["quota", "full", "nobody"],
)
def test_a_refused_delivery_leaves_nothing(
    mail: Path, refusals: dict[str, str], words: str
) -> None:
    listener = Listener(mail, refusals=refusals)
    with serving(listener):
        assert_refused(f"{listener.spec}+maildir:{mail}/{{user}}", "alice", mail, words)


def test_a_delivery_that_is_promised_and_not_made_leaves_nothing(mail: Path) -> None:
    listener = Listener(mail, delivers=False)
    with serving(listener):
        spec = f"{listener.spec}+maildir:{mail}/{{user}}"
        assert_refused(spec, "alice", mail, "took 2 messages for alice, but 2 did not arrive")


Talk = Callable[[socket.socket], None]


@contextmanager
def talking(talk: Talk) -> Iterator[str]:
    """A server that treats each client so, until the client has gone."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            while True:
                client, _ = listener.accept()
                with client:
                    talk(client)
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"lmtp://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def says(octets: bytes) -> Talk:
    def talk(client: socket.socket) -> None:
        client.sendall(octets)
        while client.recv(4096):
            client.sendall(octets)

    return talk


def hangs(client: socket.socket) -> None:
    while client.recv(4096):
        pass


def never_ends(client: socket.socket) -> None:
    while True:
        client.sendall(b"220-go on\r\n")
        time.sleep(0.02)  # busy without an end, as slow as it likes


TALKS: Sequence[tuple[str, Talk, str]] = (
    ("silent", hangs, "is not done within 0.5 s"),
    ("endless", never_ends, "is not done within 0.5 s"),
    ("http", says(b"HTTP/1.1 400 Bad Request\r\n"), "answers the connection with what is no LMTP"),
    ("octets", says(b"\x00\xff\x1b[2J\r\n"), "answers the connection with what is no LMTP"),
    ("long-line", says(b"220 " + b"x" * 9000 + b"\r\n"), "Line too long"),
    ("pop3", says(b"+OK ready\r\n"), "answers the connection with what is no LMTP"),
    ("closes", lambda client: None, "Connection unexpectedly closed"),
)


@pytest.mark.parametrize(("talk", "words"), [pytest.param(*rest, id=name) for name, *rest in TALKS])
def test_a_listener_that_is_no_lmtp_server_is_given_up(
    mail: Path, monkeypatch: pytest.MonkeyPatch, talk: Talk, words: str
) -> None:
    if "is not done" in words:
        monkeypatch.setattr(smtp, "ANSWERS_WITHIN", 0.5)
    with talking(talk) as spec:
        assert_refused(f"{spec}+maildir:{mail}/{{user}}", "alice", mail, words)


# --- Commands ---

PROGRAMS = {
    "full": ("print('quota exceeded'); raise SystemExit(75)", "exit code 75: quota exceeded"),
    "refuses": ("raise SystemExit('unknown user')", "exit code 1: unknown user"),
    "swallows": (
        "import sys; sys.stdin.buffer.read()",
        "took 2 messages for alice, but 2 did not arrive",
    ),
    "hangs": ("import time; time.sleep(60)", "did not end within 0.5 s"),
    "killed": ("import os; os.kill(os.getpid(), 15)", "with signal 15"),
}


@pytest.mark.parametrize(("program", "words"), PROGRAMS.values(), ids=PROGRAMS)
def test_a_command_that_delivers_nothing_leaves_nothing(
    mail: Path, monkeypatch: pytest.MonkeyPatch, program: str, words: str
) -> None:
    if "sleep" not in program:  # to start takes its time on a machine that has other work
        monkeypatch.setattr(command, "DONE_WITHIN", 20.0)
    words_of_it = shlex.join([sys.executable, "-c", program])

    assert_refused(f"command:{words_of_it} {{user}} +maildir:{mail}/{{user}}", "alice", mail, words)


# --- What a run makes of it ---

ALICE, BOB = Account("alice", "correct-horse"), Account("bob", "battery-staple")


def test_a_mailbox_whose_door_fails_is_left_out_and_the_others_are_used(mail: Path) -> None:
    (mail / "bob").write_text("no directory")
    accounts = {account.user: account.password for account in (ALICE, BOB)}
    mailboxes = [Mailbox(ALICE), Mailbox(BOB)]
    before = tree(mail)

    with ReferenceServer(MaildirStore(mail), accounts) as server:
        target = Target(Address(*server.address), (ALICE, BOB), allow_cleartext=True)
        observed = probe(target, mailboxes, opened(f"maildir:{mail}/{{user}}"), Recorder())

    assert observed.door_problem == ""
    assert mailboxes[0].problem == ""
    assert mailboxes[1].problem.startswith(f"bob: {mail}/bob")
    assert tree(mail) == before


def test_what_arrives_too_late_is_removed_at_the_end_of_the_run(mail: Path) -> None:
    listener = Listener(mail, delivers=False)
    door = f"{{}}+maildir:{mail}/{{{{user}}}}"
    with serving(listener), ReferenceServer(MaildirStore(mail), {"alice": "correct-horse"}) as pop:
        target = Target(Address(*pop.address), (ALICE,), allow_cleartext=True)
        run = Run(Settings(target, Path()), target, opened(door.format(listener.spec)))
        run.begin()
        listener.delivers = True
        listener.deliver("alice", PROBE_MESSAGE)
        problems = run.end()

    assert "did not arrive" in run.observed.door_problem
    assert problems == []
    assert [path for path in mail.glob("alice/*/*") if path.is_file()] == []
