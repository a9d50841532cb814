"""The limit: a server and a client in C, compiled for the occasion (`cc` has to be there)."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO

HERE = Path(__file__).resolve().parent
HARNESS = HERE.parent


def compiled(name: str, folder: Path) -> Path:
    """The program of NAME.c, in a folder."""
    compiler = shutil.which("cc")
    if compiler is None:
        sys.exit("no C compiler: install gcc")
    program = folder / name
    if not program.exists():
        subprocess.run([compiler, "-O2", "-o", program, HERE / f"{name}.c"], check=True)
    return program


@dataclass(frozen=True)
class FastServer:
    """The server that costs next to nothing."""

    port: int
    _process: "subprocess.Popen[str]"

    def sessions(self) -> int:
        """How many sessions have ended with QUIT."""
        self._process.send_signal(signal.SIGUSR1)
        return int(_out(self._process).readline())


def _out(process: "subprocess.Popen[str]") -> IO[str]:
    assert process.stdout is not None
    return process.stdout


@contextmanager
def fast_server(folder: Path, messages: int, octets: int) -> Iterator[FastServer]:
    """The server with so many messages of so many octets in each maildrop."""
    program = compiled("server", folder)
    process = subprocess.Popen(
        [program, str(messages), str(octets)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield FastServer(int(_out(process).readline()), process)
    finally:
        process.terminate()
        process.wait(10)


def replay(
    folder: Path, port: int, conversation: Sequence[tuple[int, str]], sessions: int, width: int
) -> float:
    """Seconds that the C client takes.

    A conversation is how many octets to wait for, and what is sent then; behind the last
    number nothing is sent.
    """
    *steps, (last, _) = conversation
    text = "".join(f"{awaited} {line}\n" for awaited, line in steps) + f"{last}\n"
    done = subprocess.run(
        [compiled("client", folder), str(port), str(sessions), str(width)],
        input=text,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


@contextmanager
def one_core() -> Iterator[None]:
    """This process, its threads to come and its children share one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def show(name: str, values: Sequence[float], goal: str) -> None:
    """Print a figure: at least, in the middle, at most."""
    low, middle, high = min(values), median(values), max(values)
    told = f" (goal {goal})" if goal else ""
    print(f"{name}: min {low:.2f}, median {middle:.2f}, max {high:.2f}{told}", flush=True)
