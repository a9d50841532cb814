"""Runs of the command, in this process or in one of its own, and how they ended."""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pop3spec.cli import main
from pop3spec.collected import home

SOURCE = home() / "harness"


@dataclass(frozen=True)
class Ended:
    """The exit code and everything that was written."""

    code: int
    text: str

    @property
    def sentences(self) -> list[str]:
        """The errors, as one line each."""
        return [line for line in self.text.splitlines() if line.startswith("ERROR: ")]


@contextlib.contextmanager
def _environment(directory: Path, variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    for name in before:
        if name.startswith(("POP3SPEC_", "PYTEST_", "COV_")):
            del os.environ[name]
    os.environ.update(variables)
    try:
        with contextlib.chdir(directory):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def here(directory: Path, *words: str, **variables: str) -> Ended:
    """Run `pop3spec WORDS` in this process, from a directory."""
    output = io.StringIO()
    with (
        _environment(directory, variables),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        try:
            code = main(words)
        except SystemExit as end:
            code = int(end.code or 0)
    return Ended(code, output.getvalue())


def judge_here(directory: Path, *words: str, **variables: str) -> Ended:
    """Run `pop3spec run WORDS` in this process; an unfinished run of pytest is around it."""
    # What the run around this one has switched on must stay on behind it.
    return here(directory, "run", *words, "-p", "no:faulthandler", "--capture=no", **variables)


def start(
    directory: Path, words: Sequence[str], source: Path = SOURCE, **variables: str
) -> "subprocess.Popen[str]":
    """Start `python WORDS` in a process of its own."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("POP3SPEC_", "PYTEST_", "COV_"))
    }
    environment |= {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=directory,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def end_of(process: "subprocess.Popen[str]", timeout: float = 60.0) -> Ended:
    """Wait for a process that was started."""
    text, _ = process.communicate(timeout=timeout)
    return Ended(process.returncode, text)


def apart(
    directory: Path, *words: str, source: Path = SOURCE, timeout: float = 60.0, **variables: str
) -> Ended:
    """Run `python WORDS` in a process of its own, from a directory."""
    return end_of(start(directory, words, source, **variables), timeout)


def collected(text: str) -> set[str]:
    """The node ids that `--collect-only -q` lists."""
    return set(re.findall(r"^\S+\.ya?ml::\S+$", text, re.MULTILINE))
