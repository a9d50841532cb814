"""Commands of the target's owner that do to the server what no client can.

A hook runs as it stands, and no shell sees it. It runs in a session of its own, does
not see the accounts' passwords in POP3SPEC_ACCOUNT, and is ended with its children
when it takes too long. What it starts may go on, and holds nothing of ours open.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from tempfile import TemporaryFile

DONE_WITHIN = 60.0
_SECRETS = frozenset({"POP3SPEC_ACCOUNT"})


class HookError(Exception):
    """A hook could not do its work; the message is one sentence."""


def run_hook(name: str, words: Sequence[str], done_within: float = DONE_WITHIN) -> None:
    """Run a command to its end; HookError where that is not the exit code 0 in time."""
    try:
        # In a file: a server that it leaves behind would keep a pipe open.
        with TemporaryFile() as said:
            code = _exit_code(words, said.fileno(), done_within)
            said.seek(0)
            line = next(iter(said.read(4096).strip().splitlines()), b"")
    except subprocess.TimeoutExpired:
        raise HookError(f"the hook {name!r} did not end within {done_within:g} s") from None
    except OSError as error:
        raise HookError(f"the hook {name!r} cannot be run: {error.strerror}") from error
    if code != 0:
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        words_of_it = line.decode("ascii", "replace") or "no words"
        raise HookError(f"the hook {name!r} ended with {how}: {words_of_it}")


def _exit_code(words: Sequence[str], said: int, done_within: float) -> int:
    with subprocess.Popen(  # noqa: S603  # the user's own command, and no shell
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
        env={name: value for name, value in os.environ.items() if name not in _SECRETS},
        start_new_session=True,
    ) as process:
        try:
            return process.wait(done_within)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
