"""Processes and state directories: started, remembered, waited for, ended by pid.

A state directory holds `running.json`: the processes that belong to it, each with
its start time, so that a number that was given away again is never hit.
"""

import contextlib
import errno
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from servers.running import ServerFailedError

RECORD = "running.json"
LOG = "server.log"
READY_WITHIN = 30.0
GONE_WITHIN = 10.0
BETWEEN_TRIES = 0.02


@dataclass(frozen=True)
class Process:
    """A process, told from a later one with the same number by its start time."""

    pid: int
    started: int


def process_of(pid: int) -> Process | None:
    """The process with this number, None when there is none or it only waits to be reaped."""
    state, process = _look_up(pid)
    return None if state in "ZX" else process


def is_alive(process: Process) -> bool:
    """Whether this very process still runs."""
    return process_of(process.pid) == process


def children_of(pid: int) -> list[Process]:
    """The direct children of a process that run now."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    found = (process_of(int(child)) for child in text.split())
    return [process for process in found if process is not None]


def end(process: Process) -> None:
    """Kill a process and wait until it is gone; a later one with its number is left alone."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        # With the handle held the number cannot pass to another process unnoticed.
        if _look_up(process.pid)[1] != process:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], GONE_WITHIN)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
    finally:
        os.close(handle)


def _look_up(pid: int) -> tuple[str, Process | None]:
    """The state letter of a process, X when there is none, and the process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "X", None
    # The command's name, in parentheses, may itself hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return fields[0], Process(pid, int(fields[19]))


def remember(state: Path, processes: Sequence[Process]) -> None:
    """Write down which processes belong to a state directory."""
    record = {"processes": [[process.pid, process.started] for process in processes]}
    (state / RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")


def adopt(state: Path, pid: int) -> Process | None:
    """Let a process belong to a state directory; None when it has ended already."""
    process = process_of(pid)
    if process is not None:
        remember(state, [process, *remembered(state)])
    return process


def remembered(state: Path) -> list[Process]:
    """The processes that a state directory says are its own."""
    try:
        record = json.loads((state / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [Process(pid, started) for pid, started in record["processes"]]


def take(state: Path) -> Path:
    """Make a state directory ours: end what an earlier run left there, and empty it."""
    give_back(state)
    if state.is_dir() and any(state.iterdir()):
        raise ServerFailedError(f"{state} holds files that no server of ours left there")
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    remember(state, [])
    return state.resolve()


def is_taken(state: Path) -> bool:
    """A directory is a state directory of ours."""
    return (state / RECORD).is_file()


def give_back(state: Path) -> None:
    """End the processes of a state directory and remove it; another's is left alone."""
    if not is_taken(state):
        return
    for process in remembered(state):
        end(process)
    deadline = time.monotonic() + GONE_WITHIN
    while state.is_dir():
        try:
            shutil.rmtree(state)
        except FileNotFoundError:
            pass  # somebody else removes it as well, and it gets less
        except OSError as problem:
            # Somebody puts mail into it, and soon has nothing left to put it into.
            if problem.errno != errno.ENOTEMPTY or time.monotonic() > deadline:
                raise


def end_all_but_callers(state: Path) -> None:
    """End the processes of a state directory, but for those that we run below ourselves."""
    kept = []
    callers = _callers()
    for process in remembered(state):
        if process.pid in callers:
            kept.append(process)
        else:
            end(process)
    remember(state, kept)


def _callers() -> set[int]:
    """This process, its parent, the parent's parent and so on."""
    found, pid = set(), os.getpid()
    while pid > 0:
        found.add(pid)
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        pid = int(text.rpartition(")")[2].split()[1])
    return found


def start(state: Path, argv: Sequence[str | Path]) -> Process:
    """Start a program that outlives us, its output in the state directory's log."""
    with (state / LOG).open("ab") as log:
        child = subprocess.Popen(
            [str(word) for word in argv],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    process = adopt(state, child.pid)
    if process is None:
        raise ServerFailedError(f"{argv[0]} ended at once: {log_tail(state)}")
    # The module ends it by its pid; Popen's own complaint about that is not ours.
    child.returncode = 0
    return process


def log_tail(state: Path, lines: int = 8) -> str:
    """The last lines that the programs of a state directory wrote."""
    try:
        text = (state / LOG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "nothing written"
    return " | ".join(text.splitlines()[-lines:]) or "nothing written"


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports that nobody listens on now, all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((host, 0))
        return [each.getsockname()[1] for each in sockets]


def greeting_of(host: str, port: int, patience: float = 2.0) -> bytes:
    """The first bytes that a server sends to a new client; empty when there are none."""
    try:
        with socket.create_connection((host, port), timeout=patience) as client:
            return client.recv(512)
    except OSError:
        return b""


def wait_for_greeting(state: Path, host: str, port: int) -> None:
    """Return when the server greets with +OK: an open port alone proves too little."""
    deadline = time.monotonic() + READY_WITHIN
    greeting = b""
    while time.monotonic() < deadline:
        greeting = greeting_of(host, port)
        if greeting.startswith(b"+OK"):
            return
        if not all(is_alive(process) for process in remembered(state)):
            break
        time.sleep(BETWEEN_TRIES)
    raise ServerFailedError(f"no +OK greeting from {host}:{port} ({greeting!r}): {log_tail(state)}")


def wait_for_port(state: Path, host: str, port: int) -> None:
    """Return when a port accepts connections: for one whose greeting is behind TLS."""
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=2.0):
            return
        time.sleep(BETWEEN_TRIES)
    raise ServerFailedError(f"nobody listens on {host}:{port}: {log_tail(state)}")
