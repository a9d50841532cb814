"""The Maildir door: messages as files below PATH/{user}.

Each message becomes one file in `new`, by way of `tmp`, with bare LF as line
end: what Maildir stores hold, and what servers turn into CRLF. Nothing is
added to a message. The suite's own files are known by their name, and those
that another door delivered by the journal; every other file is foreign and
stays. A file that root delivers gets the owner of the Maildir, so that the
server can move it to `cur`.

A CR that is not part of a line end stays as it is: CR CRLF becomes CRLF in the file.
"""

import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from pop3spec.maildrop import DoorError, OtherRunError
from pop3spec.maildrop.journal import Journal

MARK = "pop3spec"
# A machine may have that word in its name, and so in the names of other files.
_OURS = re.compile(rf"[0-9]+\.M[0-9]+P[0-9]+Q[0-9]+{MARK}\.")
_BY = re.compile(rf"P([0-9]+)Q[0-9]+{MARK}\.([^:,]*)")
_FOLDERS = ("new", "cur", "tmp")


class MaildirDoor:
    """Puts messages into Maildirs as files."""

    adds_headers = False

    def __init__(
        self, template: str, *, allow_delete: bool = False, journal: Journal | None = None
    ) -> None:
        self.name = f"maildir:{template}"
        self._template = template
        self._allow_delete = allow_delete
        self._journal = journal or Journal()
        self._numbers = count(1)
        self._emptied: set[Path] = set()  # from then on it holds what this run delivers
        self._noticed: set[str] = set()
        self._host = socket.gethostname().replace("/", "_").replace(":", "_")

    def _maildir(self, user: str) -> Path:
        if user in ("", ".", "..") or "/" in user or "\0" in user:
            raise DoorError(f"{self.name}: the user name {user!r} is no name of a directory")
        return Path(self._template.replace("{user}", user))

    def refuses(self, message: bytes) -> str:
        """Why a Maildir cannot carry a message unchanged, empty if it can."""
        if message.count(b"\n") != message.count(b"\r\n"):
            return "a Maildir does not keep a LF alone, which becomes a line end"
        return ""

    def fill(self, user: str, messages: Sequence[bytes]) -> None:
        """Make these messages the whole content of the Maildir."""
        maildir = self._maildir(user)
        self._base(maildir)
        files = list(self._files(maildir))
        foreign = len(files) - len(self._ours(maildir, files))
        if foreign and not self._allow_delete:
            raise DoorError(
                f"{maildir} holds {foreign} messages that the suite did not deliver;"
                " use an empty mailbox, or permit deleting them with --allow-delete"
            )
        if others := self._others(maildir, files):
            # Once: what is left of a run that has died since is removed by the next filling.
            self._noticed.update(path.name for path in files)
            raise OtherRunError(others)
        for path in files:
            self._remove(path)
        self._emptied.add(maildir)
        try:
            for message in messages:
                self._deliver(maildir, message)
        except BaseException:
            # A part of a filling is worth nothing.
            with suppress(DoorError):
                self.clear(user)
            raise

    def add(self, user: str, message: bytes) -> None:
        """Deliver one more message."""
        self._deliver(self._maildir(user), message)

    def add_named(self, user: str, message: bytes, name_octets: int) -> None:
        """Deliver one more message, as a file whose name has so many octets at least."""
        self._deliver(self._maildir(user), message, name_octets)

    def clear(self, user: str) -> None:
        """Remove the files that the suite delivered."""
        maildir = self._maildir(user)
        # Again, for the server may move a file from new to cur between the two.
        while ours := self._ours(maildir, list(self._files(maildir))):
            for path in ours:
                self._remove(path)
        # What a run left that died in the middle of a delivery.
        for path in self._files(maildir, ("tmp",)):
            if _OURS.match(path.name):
                self._remove(path)

    def contents(self, user: str) -> list[bytes]:
        """The messages in the store, with CRLF for each bare LF."""
        found = (self._read(path) for path in self._files(self._maildir(user)))
        return [
            octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            for octets in found
            if octets is not None
        ]

    def marks(self, user: str) -> list[str]:
        """The directory and the flags of each message."""
        return [
            f"{path.parent.name} {path.name.partition(':2,')[2]}".rstrip()
            for path in self._files(self._maildir(user))
        ]

    def others(self, user: str) -> str:
        """Which other run has delivered there since this one emptied the Maildir, '' for none."""
        maildir = self._maildir(user)
        return self._others(maildir, list(self._files(maildir)))

    def _others(self, maildir: Path, files: Sequence[Path]) -> str:
        if maildir not in self._emptied:
            return ""  # what is there may be left of a run that has died
        for path in files:
            found = _BY.search(path.name) if _OURS.match(path.name) else None
            if found is None or path.name in self._noticed:
                continue
            process, host = found.groups()
            # A name that was made longer goes on behind the host.
            if int(process) != os.getpid() or not host.startswith(self._host):
                return (
                    f"another run of pop3spec (process {process} on {host[:60]}) delivers into"
                    f" {maildir} at the same time; give each run accounts of its own"
                )
        return ""

    def announce(self, user: str, message: bytes) -> None:
        """A message will come, delivered by the suite through another door."""
        self._journal.record(self._place(self._maildir(user)), message)

    def show(self, user: str) -> None:
        """Change the time of the directories.

        A server that delivers remembers their time behind its own delivery, and so
        would not look for what was removed before it.
        """
        maildir = self._maildir(user)
        for folder in ("new", "cur"):
            with suppress(OSError):
                os.utime(maildir / folder)

    def _place(self, maildir: Path) -> str:
        return f"maildir:{maildir.absolute()}"

    def _ours(self, maildir: Path, files: Sequence[Path]) -> list[Path]:
        """The files that the suite delivered; no other is read where it never delivered."""
        marked = [path for path in files if _OURS.match(path.name)]
        others = [path for path in files if not _OURS.match(path.name)]
        place = self._place(maildir)
        if not others or not self._journal.knows(place):
            return marked
        found = ((path, self._read(path)) for path in others)
        return marked + [
            path
            for path, octets in found
            if octets is not None and self._journal.has(place, octets)
        ]

    def _read(self, path: Path) -> bytes | None:
        """What a file holds; None where the server moved or removed it since."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DoorError(f"{path} cannot be read: {error.strerror}") from error

    def _files(self, maildir: Path, folders: Sequence[str] = ("new", "cur")) -> Iterator[Path]:
        for folder in folders:
            try:
                names = sorted(os.listdir(maildir / folder))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise DoorError(f"{maildir / folder}: {error.strerror}") from error
            yield from (maildir / folder / name for name in names if not name.startswith("."))

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise DoorError(f"{path} cannot be removed: {error.strerror}") from error

    def _deliver(self, maildir: Path, message: bytes, name_octets: int = 0) -> None:
        now = time.time_ns()
        name = (
            f"{now // 10**9}.M{now // 1000 % 10**6:06}P{os.getpid()}"
            f"Q{next(self._numbers):06}{MARK}.{self._host}"
        ).ljust(name_octets, "x")
        made: list[Path] = []
        try:
            owner = self._owner(maildir, made)
            temporary = maildir / "tmp" / name
            try:
                temporary.write_bytes(message.replace(b"\r\n", b"\n"))
                if owner is not None:
                    os.chown(temporary, *owner)
                temporary.rename(maildir / "new" / name)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            for folder in reversed(made):
                with suppress(OSError):
                    folder.rmdir()
            raise DoorError(f"{maildir}: no delivery: {error.strerror}") from error

    def _base(self, maildir: Path) -> Path:
        """The Maildir, or where it would be made; DoorError where that is no directory."""
        base = maildir if os.path.lexists(maildir) else maildir.parent
        if not os.path.isdir(base):
            raise DoorError(f"{base} is no directory; create it, or correct --maildrop")
        return base

    def _owner(self, maildir: Path, made: list[Path]) -> tuple[int, int] | None:
        """Make what is missing of the Maildir; its owner if we have to hand files over."""
        status = self._base(maildir).stat()
        hands_over = os.geteuid() == 0 and status.st_uid != 0
        owner = (status.st_uid, status.st_gid) if hands_over else None
        for folder in (maildir, *(maildir / name for name in _FOLDERS)):
            if not folder.exists():
                folder.mkdir(mode=0o700)
                made.append(folder)
                if owner is not None:
                    os.chown(folder, *owner)
        return owner
