"""Where the reference server keeps messages: in memory, or as a Maildir on disk.

A store knows messages by keys of its own. Numbers, marks and locks belong to
sessions. What a store gives out has CRLF line ends; a size counts the final
line end that RETR adds where it is missing.
"""

import hashlib
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pop3spec.protocol.replies import CRLF


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored message: the store's key, its exact size and its unique-id."""

    key: str
    size: int
    unique_id: bytes


class Store(Protocol):
    """A place where maildrops are kept."""

    def entries(self, user: str) -> Sequence[Entry]:
        """The messages of a maildrop in the order of delivery."""

    def content(self, user: str, key: str) -> bytes | None:
        """The octets of a message, None if it is gone."""

    def remove(self, user: str, keys: Iterable[str]) -> bool:
        """Remove messages; whether none of them is left."""


def ended(octets: bytes) -> bytes:
    """Message octets whose last line has a line end."""
    return octets if not octets or octets.endswith(CRLF) else octets + CRLF


class MemoryStore:
    """Maildrops in memory; a unique-id is a count of deliveries, so none returns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._maildrops: dict[str, dict[str, tuple[Entry, bytes]]] = {}
        self._deliveries = 0

    def deliver(self, user: str, octets: bytes) -> str:
        """Put one message, octets with CRLF line ends, into a maildrop; its key."""
        with self._lock:
            self._deliveries += 1
            key = f"{self._deliveries:08d}"
            entry = Entry(key, len(ended(octets)), b"m" + key.encode())
            self._maildrops.setdefault(user, {})[key] = (entry, octets)
            return key

    def entries(self, user: str) -> Sequence[Entry]:
        """The messages of a maildrop in the order of delivery."""
        with self._lock:
            return [entry for entry, _ in self._maildrops.get(user, {}).values()]

    def content(self, user: str, key: str) -> bytes | None:
        """The octets of a message as they were delivered, None if it is gone."""
        with self._lock:
            found = self._maildrops.get(user, {}).get(key)
        return None if found is None else found[1]

    def remove(self, user: str, keys: Iterable[str]) -> bool:
        """Remove messages; whether none of them is left."""
        with self._lock:
            maildrop = self._maildrops.get(user, {})
            for key in keys:
                maildrop.pop(key, None)
        return True


_LONE_LF = re.compile(rb"(?<!\r)\n")
_DIGITS = re.compile(r"(\d+)")


def _base_name(file: Path) -> str:
    # What follows the colon are flags, which change while the message stays.
    return file.name.partition(":")[0]


def _by_delivery(file: Path) -> list[tuple[int, str]]:
    """Sort key: runs of digits as numbers, since names begin with the time."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(file.name)]


class MaildirStore:
    """Maildrops as Maildirs, one directory a user; only `new` and `cur` are read.

    A message's key is the base name of its file, which no Maildir uses twice;
    the unique-id is a digest of it, so that it fits whatever the name is.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sizes: dict[tuple[str, int, int], int] = {}

    def _files(self, user: str) -> list[Path]:
        # A user who never got mail may have no directory yet.
        folders = [self._root / user / name for name in ("new", "cur")]
        files = [file for folder in folders if folder.is_dir() for file in folder.iterdir()]
        return sorted((file for file in files if file.name[0] != "."), key=_by_delivery)

    def _find(self, user: str, key: str) -> Path | None:
        # Another reader may have moved it from new to cur, or changed its flags.
        return next((file for file in self._files(user) if _base_name(file) == key), None)

    def entries(self, user: str) -> Sequence[Entry]:
        """The messages of a maildrop in the order of delivery."""
        found = []
        for file in self._files(user):
            key = _base_name(file)
            unique_id = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
            found.append(Entry(key, self._size(file), unique_id.encode()))
        return found

    def _size(self, file: Path) -> int:
        status = file.stat()
        seen = (_base_name(file), status.st_size, status.st_mtime_ns)
        size = self._sizes.get(seen)
        if size is None:
            size = self._sizes[seen] = len(ended(self._read(file)))
        return size

    def _read(self, file: Path) -> bytes:
        return _LONE_LF.sub(CRLF, file.read_bytes())

    def content(self, user: str, key: str) -> bytes | None:
        """The octets of a message with CRLF line ends, None if it is gone."""
        file = self._find(user, key)
        if file is None:
            return None
        try:
            return self._read(file)
        except OSError:
            return None

    def remove(self, user: str, keys: Iterable[str]) -> bool:
        """Remove messages; whether none of them is left."""
        wanted = set(keys)
        complete = True
        for file in self._files(user):
            if _base_name(file) in wanted:
                try:
                    file.unlink(missing_ok=True)
                except OSError:
                    complete = False
        return complete
