"""What the suite delivered: digests of messages, for doors that cannot mark their own.

A digest is one of a place (a mailbox of one door), and one of that part of a message
which stays the same when servers rewrite it. Digests of this run are in memory; all
are in a file as well, so that what a run left that died is known to the next. The
file holds digests alone. It is STATE/journal, where STATE is $POP3SPEC_STATE, else
pop3spec below $XDG_STATE_HOME, else ~/.local/state/pop3spec; where it cannot be
written, only this run knows its messages.
"""

import fcntl
import os
import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

# Fields that deliveries and stores add, in lower case.
ADDED_FIELDS = frozenset(
    {
        b"content-length",
        b"delivered-to",
        b"delivery-date",
        b"envelope-to",
        b"lines",
        b"received",
        b"return-path",
        b"status",
        b"x-imap",
        b"x-imapbase",
        b"x-keywords",
        b"x-original-to",
        b"x-status",
        b"x-uid",
        b"x-uidl",
    }
)
# The file is cut to the newest half when it has more lines.
MOST_LINES = 10_000

_FOLD = re.compile(rb"\n(?=[ \t])")


def own_part(message: bytes) -> bytes:
    """What stays of a message when servers rewrite it: sorted header fields, and the body.

    Without the fields that are added, without differences in white space within
    fields, and without blank lines at the end.
    """
    text = message.replace(b"\r\n", b"\n")
    header, _, body = text.partition(b"\n\n") if text[:1] != b"\n" else (b"", b"", text)
    fields = []
    for field in _FOLD.sub(b" ", header).split(b"\n"):
        name, _, value = field.partition(b":")
        if field and name.strip().lower() not in ADDED_FIELDS:
            fields.append(name.strip() + b":" + b" ".join(value.split()))
    return b"\n".join(sorted(fields)) + b"\n\n" + body.strip(b"\n")


def _digest_of_place(place: str) -> str:
    return sha256(place.encode(errors="surrogateescape")).hexdigest()[:16]


def _digest_of(place: str, message: bytes) -> str:
    return _digest_of_place(place) + sha256(own_part(message)).hexdigest()


def state_directory() -> Path:
    """Where what outlives a run is kept."""
    chosen = os.environ.get("POP3SPEC_STATE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(base) / "pop3spec"


class Journal:
    """The digests of what was delivered, by this run and by others."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or state_directory() / "journal"
        self._known: set[str] = set()
        self._size = -1

    def record(self, place: str, message: bytes) -> None:
        """Remember a message; done before it is delivered, so that no death comes between."""
        if self.has(place, message):
            return
        digest = _digest_of(place, message)
        self._known.add(digest)
        with suppress(OSError):
            self._append(f"{digest}\n".encode("ascii"))

    def has(self, place: str, message: bytes) -> bool:
        """The suite delivered this message to this place."""
        digest = _digest_of(place, message)
        return digest in self._known or (self._look() and digest in self._known)

    def knows(self, place: str) -> bool:
        """The suite delivered anything to this place."""
        self._look()
        beginning = _digest_of_place(place)
        return any(digest.startswith(beginning) for digest in self._known)

    def _look(self) -> bool:
        """Read what other processes wrote since; False where that is nothing."""
        try:
            size = self._path.stat().st_size
            if size == self._size:
                return False
            self._known.update(self._path.read_text(encoding="ascii", errors="replace").split())
        except OSError:
            return False
        self._size = size
        return True

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with os.fdopen(os.open(self._path, flags, 0o600), "r+b", buffering=0) as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            if size > MOST_LINES * len(line):
                file.seek(0)
                newest = file.read().splitlines(keepends=True)[-MOST_LINES // 2 :]
                file.truncate(0)
                line = b"".join(newest) + line
            file.write(line)
            if size == self._size:
                self._size += len(line)
