"""Where a server's state goes, and how a later command finds it again.

Without `--state-dir` a server has one slot: a fresh temporary directory, whose path
is kept in the cache. The next `up` or `down` so finds what a killed run left behind.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from servers.roots import cache_of
from servers.running import Running, Server, ServerFailedError

SLOT = "state-directory"


def state_of(name: str) -> Path | None:
    """The state directory that was used last, if it was not given back."""
    try:
        return Path((cache_of(name) / SLOT).read_text(encoding="utf-8").strip())
    except OSError:
        return None


def place_of(server: Server, state: Path | None) -> Path:
    """The state directory of a server that is up; ServerFailedError where it is not."""
    found = state if state is not None else state_of(server.NAME)
    if found is None or not found.is_dir():
        raise ServerFailedError(f"{server.NAME} is not up")
    return found


def bring_up(server: Server, state: Path | None) -> Running:
    """Start a server; what an earlier run left in the same place is ended first."""
    if state is not None:
        return _up_or_nothing(server, state)
    bring_down(server, None)
    fresh = Path(tempfile.mkdtemp(prefix=f"pop3spec-{server.NAME}-"))
    slot = cache_of(server.NAME) / SLOT
    slot.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    slot.write_text(f"{fresh}\n", encoding="utf-8")
    try:
        return _up_or_nothing(server, fresh)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.rmdir()
        slot.unlink(missing_ok=True)
        raise


def bring_down(server: Server, state: Path | None) -> bool:
    """End a server and forget it; False when there was none."""
    found = state if state is not None else state_of(server.NAME)
    was_there = found is not None and found.is_dir()
    if found is not None:
        server.down(found)
        with contextlib.suppress(OSError):
            found.rmdir()
    if state is None:
        (cache_of(server.NAME) / SLOT).unlink(missing_ok=True)
    return was_there


@contextlib.contextmanager
def borrowed(server: Server, state: Path | None) -> Iterator[Running]:
    """A running server that is ended on the way out, whatever happened."""
    running = bring_up(server, state)
    try:
        yield running
    finally:
        bring_down(server, state)


def _up_or_nothing(server: Server, state: Path) -> Running:
    try:
        return server.up(state)
    except BaseException:
        server.down(state)
        raise
