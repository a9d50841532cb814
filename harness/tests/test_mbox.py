"""The mbox door: what it writes, what it leaves alone, and whom it waits for."""

import fcntl
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pop3spec.maildrop import DoorError, mbox
from pop3spec.maildrop.journal import Journal
from pop3spec.maildrop.mbox import MboxDoor
from pop3spec.stock import STOCK

ONE = b"Subject: one\r\n\r\nfirst\r\n"
TWO = b"Subject: two\r\n\r\nsecond\r\n"
FOREIGN = b"From friend@example.org Thu Jan  1 00:00:00 2026\nSubject: mine\n\nhello\n\n"
PSEUDO = (
    b"From MAILER-DAEMON Thu Jan  1 00:00:00 2026\n"
    b"From: Mail System Internal Data <MAILER-DAEMON@localhost>\n"
    b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
    b"X-IMAP: 1767225600 0000000001\n"
    b"\n"
    b"This text is part of the internal format of your mail folder.\n"
    b"\n"
)


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POP3SPEC_STATE", str(tmp_path / "state"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "mail").mkdir()
    path = tmp_path / "mail" / "alice"
    path.touch(mode=0o640)
    return path


@pytest.fixture
def door(path: Path) -> MboxDoor:
    return MboxDoor(f"{path.parent}/{{user}}")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mbox, "LOCKED_WITHIN", 0.05)


def test_entries_have_a_from_line_bare_lf_and_a_blank_line_behind(
    door: MboxDoor, path: Path
) -> None:
    door.fill("alice", [ONE, TWO])

    entries = path.read_bytes().split(b"From pop3spec@delivery.invalid ")
    assert [entry.partition(b"\n")[2] for entry in entries] == [
        b"",
        b"Subject: one\n\nfirst\n\n",
        b"Subject: two\n\nsecond\n\n",
    ]


def test_lines_that_begin_with_from_are_quoted_and_come_back(door: MboxDoor, path: Path) -> None:
    message = b"Subject: x\r\n\r\nFrom here\r\n>From there\r\n>> From\r\n"

    door.fill("alice", [message])

    assert b"\n>From here\n>>From there\n>> From\n" in path.read_bytes()
    assert door.contents("alice") == [message]


@pytest.mark.parametrize("name", STOCK)
def test_a_stock_message_is_refused_or_comes_back_unchanged(door: MboxDoor, name: str) -> None:
    message = STOCK[name].octets

    if door.refuses(message):
        return
    door.fill("alice", [message, ONE])

    assert door.contents("alice") == [message, ONE]


@pytest.mark.parametrize(
    "message",
    [
        STOCK["from-line"].octets,
        b"Subject: x\r\n\r\n>>From a quote of a quote\r\n",
        b"Subject: x\r\n\r\nno end",
        b"Subject: x\r\n",
        b".\r\n\r\nbody\r\n",
        b"Subject: x\r\n\r\na line\nand another\r\n",
        b"Subject: x\r\nstatus: RO\r\n\r\nbody\r\n",
        b"Subject: x\r\nX-Empty:\r\n\r\nbody\r\n",
    ],
    ids=[
        "from",
        "quoted-from",
        "no-line-end",
        "header-alone",
        "no-header",
        "lf-alone",
        "status",
        "no-value",
    ],
)
def test_a_message_that_an_mbox_changes_is_refused_with_a_reason(
    door: MboxDoor, message: bytes
) -> None:
    reason = door.refuses(message)

    assert reason.startswith("an mbox does not keep ")


def test_fields_of_the_store_in_a_body_are_no_reason_to_refuse(door: MboxDoor) -> None:
    assert door.refuses(b"\r\nStatus: RO\r\nX-Empty:\r\n") == ""


def test_owner_and_mode_stay_and_the_file_is_written_in_place(door: MboxDoor, path: Path) -> None:
    before = path.stat()

    door.fill("alice", [ONE])
    door.clear("alice")

    after = path.stat()
    assert (after.st_ino, after.st_uid, after.st_gid, after.st_mode, after.st_size) == (
        before.st_ino,
        before.st_uid,
        before.st_gid,
        before.st_mode,
        0,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root delivers for others")
def test_a_file_of_another_stays_his_and_none_is_made_for_an_unknown(
    door: MboxDoor, path: Path
) -> None:
    os.chown(path, 20001, 8)

    door.fill("alice", [ONE])

    assert (path.stat().st_uid, path.stat().st_gid) == (20001, 8)
    with pytest.raises(DoorError, match="create it, owned by the user"):
        door.fill("no such user", [ONE])
    assert os.listdir(path.parent) == ["alice"]


def test_the_same_second_is_never_given_twice(door: MboxDoor, path: Path) -> None:
    seen = set()
    for number in range(20):
        door.fill("alice", [ONE, b"Subject: %02d\r\n\r\n" % number])
        seen.add(int(path.stat().st_mtime))

    assert len(seen) == 20
    assert max(seen) < int(path.stat().st_ctime)


def test_foreign_mail_is_refused_and_left_as_it_is(door: MboxDoor, path: Path) -> None:
    path.write_bytes(FOREIGN)

    with pytest.raises(DoorError, match=r"alice holds 1 messages .* --allow-delete"):
        door.fill("alice", [ONE])

    assert path.read_bytes() == FOREIGN


def test_foreign_mail_that_came_between_survives_the_cleaning(door: MboxDoor, path: Path) -> None:
    door.fill("alice", [ONE])
    path.write_bytes(path.read_bytes() + FOREIGN)
    door.add("alice", TWO)

    door.clear("alice")

    assert path.read_bytes() == FOREIGN


def test_foreign_mail_is_removed_where_that_is_permitted(path: Path) -> None:
    path.write_bytes(FOREIGN)
    door = MboxDoor(f"{path.parent}/{{user}}", allow_delete=True)

    door.fill("alice", [ONE])

    assert door.contents("alice") == [ONE]


def test_a_message_is_added_behind_mail_without_a_blank_line_at_its_end(
    door: MboxDoor, path: Path
) -> None:
    path.write_bytes(FOREIGN.rstrip(b"\n"))

    door.add("alice", ONE)

    assert path.read_bytes().startswith(FOREIGN)
    assert door.contents("alice") == [b"Subject: mine\r\n\r\nhello\r\n", ONE]


def test_the_stores_own_data_is_no_message_and_stays(door: MboxDoor, path: Path) -> None:
    path.write_bytes(PSEUDO)

    door.fill("alice", [ONE])

    assert door.contents("alice") == [ONE]
    door.clear("alice")
    assert path.read_bytes() == PSEUDO


def test_what_a_server_rewrote_is_known_again(door: MboxDoor, path: Path) -> None:
    door.fill("alice", [b"From: a@b\r\nSubject: long\r\n subject\r\n\r\nfirst\r\n\r\n"])
    path.write_bytes(
        b"From a@b Thu Jan  1 00:00:00 2026\n"
        b"X-IMAPbase:   1767225600      1\n"
        b"From: a@b\nSubject: long subject\nX-UID: 1\nStatus: OR\n\nfirst\n\n"
    )

    door.clear("alice")

    assert path.read_bytes() == b""


def test_what_a_server_spoiled_is_known_by_its_sender(door: MboxDoor, path: Path) -> None:
    door.fill("alice", [ONE])
    path.write_bytes(path.read_bytes().replace(b"first", b"spoiled") + FOREIGN)

    door.clear("alice")

    assert path.read_bytes() == FOREIGN


def test_what_a_run_left_that_died_is_known_to_the_next(door: MboxDoor, path: Path) -> None:
    door.fill("alice", [ONE])

    MboxDoor(f"{path.parent}/{{user}}").fill("alice", [TWO])

    assert door.contents("alice") == [TWO]


def test_the_journal_holds_digests_alone_and_knows_other_places_not(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")

    journal.record("mbox:/mail/alice", ONE)

    text = (tmp_path / "journal").read_text()
    assert len(text.strip()) == 80
    assert set(text.strip()) <= set("0123456789abcdef")
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600
    assert Journal(tmp_path / "journal").has("mbox:/mail/alice", ONE)
    assert not journal.has("mbox:/mail/bob", ONE)
    assert not journal.has("mbox:/mail/alice", TWO)


def test_the_journal_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pop3spec.maildrop.journal.MOST_LINES", 10)
    journal = Journal(tmp_path / "journal")
    for number in range(40):
        journal.record("mbox:/mail/alice", b"Subject: %d\r\n\r\n" % number)

    assert len((tmp_path / "journal").read_text().splitlines()) <= 11
    assert Journal(tmp_path / "journal").has("mbox:/mail/alice", b"Subject: 39\r\n\r\n")


def test_without_a_place_for_the_journal_this_run_still_knows_its_own(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POP3SPEC_STATE", str(path / "no directory"))
    door = MboxDoor(f"{path.parent}/{{user}}")

    door.fill("alice", [ONE])
    door.clear("alice")

    assert path.read_bytes() == b""


def test_what_is_no_mbox_is_refused_and_left_as_it_is(door: MboxDoor, path: Path) -> None:
    path.write_bytes(b"root:x:0:0\n")

    with pytest.raises(DoorError, match="is no mbox"):
        door.add("alice", ONE)

    assert path.read_bytes() == b"root:x:0:0\n"


@pytest.mark.parametrize("kind", ["symbolic link", "hard link", "directory", "pipe"])
def test_only_a_plain_file_is_written(door: MboxDoor, path: Path, kind: str) -> None:
    other = path.with_name("other")
    other.write_bytes(b"")
    path.unlink()
    if kind == "symbolic link":
        path.symlink_to(other)
    elif kind == "hard link":
        path.hardlink_to(other)
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)

    with pytest.raises(DoorError, match="correct --maildrop"):
        door.fill("alice", [ONE])

    assert other.read_bytes() == b""


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(DoorError, match=r"missing is no directory; create it"):
        MboxDoor(f"{tmp_path}/missing/{{user}}").fill("alice", [ONE])


@pytest.mark.parametrize("user", ["", "..", "a/b"])
def test_a_user_name_that_leads_elsewhere_is_refused(door: MboxDoor, user: str) -> None:
    with pytest.raises(DoorError, match="is no name of a file"):
        door.fill(user, [ONE])


@pytest.fixture
def _small_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_small_files")
def test_where_the_disk_is_full_what_was_there_is_put_back(door: MboxDoor, path: Path) -> None:
    door.fill("alice", [ONE])
    before = path.read_bytes()

    with pytest.raises(DoorError, match="cannot be written: File too large"):
        door.fill("alice", [TWO, b"Subject: x\r\n\r\n" + b"x\r\n" * 10_000])

    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["alice"]


@pytest.mark.usefixtures("impatient")
def test_a_dot_lock_is_waited_for_and_left_alone(door: MboxDoor, path: Path) -> None:
    lock = path.with_name("alice.lock")
    lock.write_text("1\n")

    with pytest.raises(DoorError, match=r"is locked, .*remove \S+/alice\.lock if no program"):
        door.fill("alice", [ONE])

    assert lock.read_text() == "1\n"
    assert path.read_bytes() == b""


@pytest.mark.usefixtures("impatient")
def test_a_kernel_lock_of_another_program_is_waited_for(door: MboxDoor, path: Path) -> None:
    # Locks of this process would not hold it up, so another one takes it.
    holder = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'r+b')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()

        with pytest.raises(DoorError, match="is locked"):
            door.fill("alice", [ONE])

        process.communicate()
    door.fill("alice", [ONE])
    assert door.contents("alice") == [ONE]
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
