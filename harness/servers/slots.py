"""Where a server's state goes, and how a later command finds it again.

Without `--state-dir` each command takes a fresh temporary directory, and leaves a note of
it in the cache, locked for as long as the command lives. So the next `up`, `judge` or `down`
ends what a killed run left behind, and leaves alone what another command is working with.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from servers.processes import is_taken
from servers.roots import cache_of
from servers.running import Running, Server, ServerFailedError

NOTES, GUARD = "state-directories", "state-directories.lock"


def place_of(server: Server, state: Path | None) -> Path:
    """The state directory of a server that is up; ServerFailedError where it is not."""
    if state is None:
        with _notes(server.NAME) as notes:
            states = [_state_in(note) for note in sorted(notes.iterdir())]
        state = next((each for each in states if each.is_dir()), None)
    if state is None or not state.is_dir():
        raise ServerFailedError(f"{server.NAME} is not up")
    return state


def is_in_use(name: str) -> bool:
    """Another command works with a server of this name now."""
    with _notes(name) as notes:
        for note in notes.iterdir():
            with _lock(note) as is_ours:
                if not is_ours:
                    return True
    return False


def bring_up(server: Server, state: Path | None) -> Running:
    """Start a server and leave it; what was left in the same place is ended first."""
    with contextlib.ExitStack() as held:
        return _up_or_nothing(server, held.enter_context(_place(server, state)))


def bring_down(server: Server, state: Path | None) -> bool:
    """End a server and forget it; False when there was none."""
    if state is not None:
        return _end(server, state)
    with _notes(server.NAME) as notes:
        ended = [_end_left(server, note) for note in sorted(notes.iterdir())]
    return any(ended)


@contextlib.contextmanager
def borrowed(server: Server, state: Path | None) -> Iterator[Running]:
    """A running server that is ended on the way out, whatever happened."""
    with _place(server, state) as place:
        running = _up_or_nothing(server, place)
        try:
            with _told_apart(place):
                yield running
        finally:
            _end(server, place)


@contextlib.contextmanager
def _place(server: Server, state: Path | None) -> Iterator[Path]:
    """The state directory to use; ours alone while this lasts, unless the user named it."""
    if state is not None:
        yield state
        return
    with contextlib.ExitStack() as held:
        with _notes(server.NAME) as notes:
            for left in sorted(notes.iterdir()):
                _end_left(server, left)
            fresh = Path(tempfile.mkdtemp(prefix=f"pop3spec-{server.NAME}-"))
            note = notes / fresh.name
            note.write_text(f"{fresh}\n", encoding="utf-8")
            held.enter_context(_lock(note))
        try:
            yield fresh
        finally:
            if not fresh.is_dir():
                note.unlink(missing_ok=True)


@contextlib.contextmanager
def _notes(name: str) -> Iterator[Path]:
    """The directory of a server's notes, which nobody else reads or writes meanwhile."""
    cache = cache_of(name)
    notes = cache / NOTES
    notes.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (cache / GUARD).open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield notes


@contextlib.contextmanager
def _lock(note: Path) -> Iterator[bool]:
    """Hold a note's lock, unless a command that lives has it."""
    fd = os.open(note, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = True
    except BlockingIOError:
        is_ours = False
    try:
        yield is_ours
    finally:
        os.close(fd)


def _state_in(note: Path) -> Path:
    return Path(note.read_text(encoding="utf-8").strip())


def _end_left(server: Server, note: Path) -> bool:
    """End what nobody works with; False where somebody does, or nothing is there."""
    with _lock(note) as is_ours:
        was_there = is_ours and _end(server, _state_in(note))
        if is_ours:
            note.unlink()
    return was_there


def _end(server: Server, state: Path) -> bool:
    was_there = state.is_dir()
    server.down(state)
    with contextlib.suppress(OSError):
        state.rmdir()
    return was_there


def _up_or_nothing(server: Server, state: Path) -> Running:
    try:
        with _told_apart(state):
            return server.up(state)
    except BaseException:
        _end(server, state)
        raise


@contextlib.contextmanager
def _told_apart(state: Path) -> Iterator[None]:
    """A file that is missing because the whole directory is was removed by somebody else."""
    try:
        yield
    except FileNotFoundError:
        if is_taken(state):
            raise
        raise ServerFailedError(
            f"somebody removed {state} meanwhile; another command may have ended this server"
        ) from None
