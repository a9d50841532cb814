"""Runs of the command on a terminal of their own."""

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

from command import SOURCE


def on_a_terminal(directory: Path, *words: str, **variables: str) -> tuple[int, bytes]:
    """Run the command with a terminal of 80 columns for its output; what it wrote there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment: Mapping[str, str] = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("POP3SPEC_", "PYTEST_", "COV_", "COLUMNS", "NO_COLOR", "CI"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pop3spec", "run", *words],
        cwd=directory,
        env={**environment, "PYTHONPATH": str(SOURCE), "TERM": "xterm", **variables},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while octets := os.read(ours, 65536):
            written += octets
    except OSError:  # nobody has the other end any more
        pass
    finally:
        os.close(ours)
    return process.wait(60), written
