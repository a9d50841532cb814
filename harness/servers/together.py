"""Judge several servers side by side, each by a process of its own; for CI.

A server mostly makes its client wait, so several take little longer than the slowest one. What
a server is known to do wrong, and what a busy machine leaves undone, is said and is no failure.
What fails is pop3spec: where it breaks down, and where it finds what nobody has adjudicated.
"""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from servers.judge import FAILED, JUDGED, NEWS

# Nothing was judged: on a machine that is too busy everything may be blocked.
NOTHING = 5
TAIL = 40
TO_CLEAN_UP = 60.0
DID_NOT_COME_UP = "did not come up: "
TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True)
class Told:
    """What the process that judges a server came to: its closing line, exit code and words.

    `code` is None where its time was up.
    """

    name: str
    code: int | None
    words: str

    @property
    def line(self) -> str:
        """Its line about the server, or what there is instead."""
        lines = self.words.splitlines()
        told = [line for line in lines if line.startswith((f"{self.name}: ", f"{self.name} "))]
        if self.code is None:
            return f"{self.name}: not done in time"
        return told[-1] if told else f"{self.name}: ended with exit code {self.code}, no line"

    @property
    def may_come_up(self) -> bool:
        """The server did not, which may be for lack of time."""
        return self.code == FAILED and DID_NOT_COME_UP in self.line

    @property
    def has_news(self) -> bool:
        """A rule failed that nobody has judged to be broken by this server."""
        return NEWS in self.line

    @property
    def is_broken(self) -> bool:
        """pop3spec failed, and not the server or the machine."""
        if self.code is None:
            return False
        return self.code not in {*JUDGED, NOTHING} or TRACEBACK in self.words


def judge_together(
    names: Sequence[str], options: Sequence[str], within: float, prefix: Sequence[str] = ()
) -> Iterator[Told]:
    """Judge servers side by side, for so many seconds at most.

    One that did not come up is tried once more alone. `prefix` stands for the command.
    """
    deadline = time.monotonic() + within
    with contextlib.ExitStack() as held:
        started = [held.enter_context(_judging(name, options, prefix)) for name in names]
        several = [
            _told(name, *begun, deadline) for name, begun in zip(names, started, strict=True)
        ]
    for told in several:
        if told.may_come_up:
            with _judging(told.name, options, prefix) as begun:
                yield _told(told.name, *begun, time.monotonic() + within)
        else:
            yield told


@contextlib.contextmanager
def _judging(
    name: str, options: Sequence[str], prefix: Sequence[str]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A process that judges a server, and what it writes; ended on the way out."""
    command = [*(prefix or (sys.executable, "-m", "servers", "judge")), name, *options]
    with tempfile.TemporaryFile() as words:
        # A session of its own: an interrupt from the keyboard reaches it by us alone.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process, words
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it clean up, and kill it where it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(TO_CLEAN_UP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _told(name: str, process: subprocess.Popen[bytes], words: IO[bytes], deadline: float) -> Told:
    try:
        code: int | None = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _end(process)
        code = None
    words.seek(0)
    return Told(name, code, words.read().decode("utf-8", "replace"))


def tail(told: Told) -> str:
    """The last that it wrote, for who has to find out why it broke."""
    return "\n".join(f"  {line}" for line in told.words.splitlines()[-TAIL:])
