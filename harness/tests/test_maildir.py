"""The Maildir door: which files it makes, which it knows again, and which it never touches."""

import re
import socket
from pathlib import Path

import pytest

from pop3spec.maildrop import DoorError
from pop3spec.maildrop.journal import Journal
from pop3spec.maildrop.maildir import MaildirDoor

ONE = b"Subject: one\r\n\r\n.first\r\n"
TWO = b"Subject: two\r\n\r\nsecond\r\n"
FOREIGN = "1700000000.M1P2.mail.example.org"


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for folder in ("new", "cur", "tmp"):
        (tmp_path / "mail" / "alice" / folder).mkdir(parents=True)
    return tmp_path / "mail" / "alice"


def door(maildir: Path, *, allow_delete: bool = False) -> MaildirDoor:
    journal = Journal(maildir.parent.parent / "journal")
    template = str(maildir.parent / "{user}")
    return MaildirDoor(template, allow_delete=allow_delete, journal=journal)


def files(maildir: Path) -> list[Path]:
    return sorted(path for path in maildir.rglob("*") if path.is_file())


def test_a_message_becomes_a_file_in_new_with_the_line_ends_of_the_system(maildir: Path) -> None:
    door(maildir).fill("alice", [ONE])

    (file,) = files(maildir)
    assert file.parent == maildir / "new"
    assert file.read_bytes() == b"Subject: one\n\n.first\n"
    assert re.fullmatch(r"\d+\.M\d{6}P\d+Q\d{6}pop3spec\.[^/:]+", file.name)


def test_names_rise_in_the_order_of_delivery(maildir: Path) -> None:
    messages = [b"Subject: %d\r\n\r\n" % number for number in range(120)]
    filled = door(maildir)
    filled.fill("alice", messages)
    filled.add("alice", TWO)

    stored = [file.read_bytes().replace(b"\n", b"\r\n") for file in files(maildir)]
    assert stored == [*messages, TWO]


def test_a_file_with_a_long_name_is_one_of_ours(maildir: Path) -> None:
    filled = door(maildir)
    filled.fill("alice", [ONE])
    filled.add_named("alice", TWO, 200)

    assert len(files(maildir)[-1].name) == 200
    filled.clear("alice")
    assert files(maildir) == []


def test_a_filling_takes_the_place_of_the_one_before(maildir: Path) -> None:
    filled = door(maildir)
    filled.fill("alice", [ONE, ONE])
    filled.fill("alice", [TWO])

    assert filled.contents("alice") == [TWO]
    filled.fill("alice", [])
    assert files(maildir) == []


@pytest.mark.parametrize("behind", ["", ":2,", ":2,S", ":2,RS", ",S=22,W=25", ",S=22,W=25:2,ST"])
def test_what_the_server_moved_and_renamed_is_known_again(maildir: Path, behind: str) -> None:
    door(maildir).fill("alice", [ONE])
    (file,) = files(maildir)
    file.rename(maildir / "cur" / (file.name + behind))

    # Another run, which knows nothing but the names.
    again = MaildirDoor(str(maildir.parent / "{user}"), journal=Journal(maildir / "empty"))
    assert again.contents("alice") == [ONE]
    again.clear("alice")
    assert files(maildir) == []


@pytest.mark.parametrize("folder", ["new", "cur"])
@pytest.mark.parametrize(
    "name",
    [
        FOREIGN,
        f"{FOREIGN}:2,S",
        # A machine of that name, and a file that only looks like one of ours.
        "1700000000.M1P2.pop3spec.example.org",
        "1700000000.M1P2.pop3spec",
        "pop3spec.backup",
    ],
)
def test_foreign_mail_is_refused_and_left_as_it_is(maildir: Path, folder: str, name: str) -> None:
    (maildir / folder / name).write_bytes(b"Subject: precious\n\n")
    filled = door(maildir)
    before = files(maildir)

    with pytest.raises(DoorError, match="1 messages that the suite did not deliver"):
        filled.fill("alice", [ONE])
    filled.clear("alice")

    assert files(maildir) == before
    filled.add("alice", ONE)
    filled.clear("alice")
    assert files(maildir) == before


def test_foreign_mail_goes_only_where_that_was_permitted(maildir: Path) -> None:
    (maildir / "cur" / FOREIGN).touch()
    permitted = door(maildir, allow_delete=True)

    permitted.clear("alice")
    assert [file.name for file in files(maildir)] == [FOREIGN]
    permitted.fill("alice", [ONE])
    assert permitted.contents("alice") == [ONE]


def test_hidden_files_and_other_folders_are_no_mail(maildir: Path) -> None:
    (maildir / "new" / ".lock").touch()
    (maildir / "dovecot.index").touch()
    (maildir / "tmp" / FOREIGN).touch()
    filled = door(maildir)

    filled.fill("alice", [ONE])
    filled.clear("alice")
    assert len(files(maildir)) == 3


def test_contents_have_crlf_however_they_are_stored(maildir: Path) -> None:
    (maildir / "new" / FOREIGN).write_bytes(b"A: b\n\r\nx\r\n")

    assert door(maildir).contents("alice") == [b"A: b\r\n\r\nx\r\n"]


def test_a_missing_maildir_is_empty_and_is_made_by_a_delivery(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    filled = door(tmp_path / "mail" / "bob")

    assert filled.contents("bob") == []
    filled.clear("bob")
    assert not (tmp_path / "mail" / "bob").exists()
    filled.add("bob", ONE)
    assert filled.contents("bob") == [ONE]
    assert (tmp_path / "mail" / "bob").stat().st_mode & 0o077 == 0


def test_a_missing_place_is_not_made(tmp_path: Path) -> None:
    filled = door(tmp_path / "elsewhere" / "bob")

    with pytest.raises(DoorError, match="is no directory; create it, or correct --maildrop"):
        filled.fill("bob", [ONE])
    with pytest.raises(DoorError, match="is no directory; create it, or correct --maildrop"):
        filled.add("bob", ONE)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("user", ["", ".", "..", "../x", "a/b", "/etc", "a\0b"])
def test_a_user_name_never_leads_out_of_the_place(maildir: Path, user: str) -> None:
    filled = door(maildir)

    for act in (
        lambda: filled.fill(user, [ONE]),
        lambda: filled.add(user, ONE),
        lambda: filled.clear(user),
        lambda: filled.contents(user),
    ):
        with pytest.raises(DoorError, match="is no name of a directory"):
            act()
    assert files(maildir.parent.parent) == []


@pytest.mark.parametrize("name", ["new", "cur"])
def test_a_folder_that_is_a_file_is_a_door_error(maildir: Path, name: str) -> None:
    (maildir / name).rmdir()
    (maildir / name).touch()
    filled = door(maildir)

    for act in (
        lambda: filled.fill("alice", [ONE]),
        lambda: filled.clear("alice"),
        lambda: filled.contents("alice"),
    ):
        with pytest.raises(DoorError, match=name):
            act()


def test_a_maildir_that_is_a_file_is_a_door_error(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "bob").touch()

    with pytest.raises(DoorError, match="bob is no directory"):
        door(tmp_path / "mail" / "bob").fill("bob", [ONE])


def test_a_delivery_that_fails_leaves_nothing_behind(maildir: Path) -> None:
    (maildir / "new").rmdir()
    (maildir / "new").symlink_to(maildir / "gone")

    with pytest.raises(DoorError):
        door(maildir).add("alice", ONE)
    assert files(maildir) == []


def test_a_message_that_cannot_be_removed_is_a_door_error(maildir: Path) -> None:
    filled = door(maildir)
    filled.fill("alice", [ONE])
    (file,) = files(maildir)
    file.unlink()
    file.mkdir()  # as root, too, no unlink removes a directory

    with pytest.raises(DoorError, match="cannot be removed"):
        filled.clear("alice")


def test_a_host_name_with_awkward_letters_makes_no_awkward_file_name(
    maildir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "a/b:c")
    door(maildir).add("alice", ONE)

    (file,) = files(maildir)
    assert file.name.endswith("pop3spec.a_b_c")


def test_a_message_that_a_maildir_would_change_is_refused(maildir: Path) -> None:
    filled = door(maildir)

    assert filled.refuses(ONE) == ""
    assert filled.refuses(b"A: b\r\n\r\nlone\rcr\r\n") == ""
    assert "LF alone" in filled.refuses(b"A: b\r\n\r\nlone\nlf\r\n")
