"""The Maildir door: messages as files below PATH/{user}.

Each message becomes one file in `new`, by way of `tmp`, with bare LF as line
end: what Maildir stores hold, and what servers turn into CRLF. Nothing is
added to a message. The suite's own files are known by their name; every other
file is foreign and stays. A file that runs as root gets the owner of the
Maildir, so that the server can move it to `cur`.

Stock messages that it cannot carry: none, but a stored CRLF would be outside
of what Maildir promises, so the door stores none.
"""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from pop3spec.maildrop import DoorError

MARK = "pop3spec"
_FOLDERS = ("new", "cur", "tmp")


class MaildirDoor:
    """Puts messages into Maildirs as files."""

    def __init__(self, template: str, *, allow_delete: bool = False) -> None:
        self.name = f"maildir:{template}"
        self._template = template
        self._allow_delete = allow_delete
        self._numbers = count(1)
        self._host = socket.gethostname().replace("/", "_").replace(":", "_")

    def _maildir(self, user: str) -> Path:
        if user in ("", ".", "..") or "/" in user or "\0" in user:
            raise DoorError(f"{self.name}: the user name {user!r} is no name of a directory")
        return Path(self._template.replace("{user}", user))

    def fill(self, user: str, messages: Sequence[bytes]) -> None:
        """Make these messages the whole content of the Maildir."""
        maildir = self._maildir(user)
        foreign = [path for path in self._files(maildir) if MARK not in path.name]
        if foreign and not self._allow_delete:
            raise DoorError(
                f"{maildir} holds {len(foreign)} messages that the suite did not deliver;"
                " use an empty mailbox, or permit deleting them with --allow-delete"
            )
        for path in self._files(maildir):
            self._remove(path)
        for message in messages:
            self._deliver(maildir, message)

    def add(self, user: str, message: bytes) -> None:
        """Deliver one more message."""
        self._deliver(self._maildir(user), message)

    def clear(self, user: str) -> None:
        """Remove the files that the suite delivered."""
        maildir = self._maildir(user)
        if not maildir.is_dir():
            return
        for path in self._files(maildir):
            if MARK in path.name:
                self._remove(path)

    def contents(self, user: str) -> list[bytes]:
        """The messages in the store, with CRLF for each bare LF."""
        return [
            path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            for path in self._files(self._maildir(user))
        ]

    def _files(self, maildir: Path) -> Iterator[Path]:
        for folder in ("new", "cur"):
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

    def _deliver(self, maildir: Path, message: bytes) -> None:
        now = time.time_ns()
        name = (
            f"{now // 10**9}.M{now // 1000 % 10**6:06}P{os.getpid()}"
            f"Q{next(self._numbers):06}{MARK}.{self._host}"
        )
        try:
            owner = self._owner(maildir)
            temporary = maildir / "tmp" / name
            temporary.write_bytes(message.replace(b"\r\n", b"\n"))
            if owner is not None:
                os.chown(temporary, *owner)
            temporary.rename(maildir / "new" / name)
        except OSError as error:
            raise DoorError(f"{maildir}: no delivery: {error.strerror}") from error

    def _owner(self, maildir: Path) -> tuple[int, int] | None:
        """Make the Maildir if only that is missing; its owner if we have to hand files over."""
        base = maildir if maildir.exists() else maildir.parent
        if not base.is_dir():
            raise DoorError(f"{base} is no directory; create it, or correct --maildrop")
        status = base.stat()
        hands_over = os.geteuid() == 0 and status.st_uid != 0
        owner = (status.st_uid, status.st_gid) if hands_over else None
        for folder in (maildir, *(maildir / name for name in _FOLDERS)):
            if not folder.exists():
                folder.mkdir(mode=0o700)
                if owner is not None:
                    os.chown(folder, *owner)
        return owner
