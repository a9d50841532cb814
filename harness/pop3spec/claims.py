"""Which accounts another run on this machine is using, before anything is said to the target.

Two runs on one mailbox fill it for each other and lock each other out, which looks like the
server's doing. So a run locks a small file for each account, in STATE/in-use (see
`maildrop.journal`); the kernel takes the lock off when the process dies, however it does, so
that a file which is left says nothing. Runs of another user or on another machine are not
seen here.
"""

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from pop3spec.maildrop.journal import state_directory
from pop3spec.target import Address, Target


@dataclass
class Claims:
    """The accounts that this run holds; `taken` says of the others who has them, by user."""

    taken: dict[str, str] = field(default_factory=dict)
    _held: list[tuple[int, Path]] = field(default_factory=list)

    def release(self) -> None:
        """Let others have them."""
        for fd, path in self._held:
            with suppress(OSError):
                path.unlink()  # while it is locked, so that nobody loses a lock of theirs
            os.close(fd)
        self._held.clear()

    def take(self, user: str, paths: Iterable[Path]) -> None:
        """Claim an account by its files: all of them or none."""
        held: list[tuple[int, Path]] = []
        for path in paths:
            fd, holder = _lock(path)
            if fd is None:
                Claims(_held=held).release()
                self.taken[user] = holder
                return
            held.append((fd, path))
        self._held += held


def claim(target: Target, directory: Path | None = None) -> Claims:
    """Claim the target's accounts; where no file can be written, there is nothing to see."""
    claims = Claims()
    folder = directory or state_directory() / "in-use"
    addresses = dict.fromkeys(filter(None, (target.address, target.tls_address)))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for account in target.accounts:
            names = (_name(address, account.user) for address in addresses)
            claims.take(account.user, [folder / name for name in names])
    except OSError:
        return claims
    return claims


def _name(address: Address, user: str) -> str:
    # One machine by several names is one place.
    host = "loopback" if address.is_loopback else address.host.lower().rstrip(".")
    return sha256(f"{host}\0{address.port}\0{user}".encode(errors="surrogateescape")).hexdigest()


def _lock(path: Path) -> tuple[int | None, str]:
    """The locked file, or None and a sentence about who has locked it."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Of the open file, not of the process, so that a second run in it is another one.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(fd, 100).decode("ascii", "replace")
            os.close(fd)
            told = f" ({holder})" if holder.startswith("process ") and holder.isprintable() else ""
            return None, f"another run of pop3spec on this machine is using this account{told}"
        except OSError:
            os.close(fd)
            raise
        if _is_still(fd, path):
            os.ftruncate(fd, 0)
            os.write(fd, f"process {os.getpid()}, since {datetime.now():%H:%M:%S}".encode("ascii"))
            return fd, ""
        os.close(fd)  # whoever had it has removed it since


def _is_still(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
