"""The command door: each message goes to a program's standard input.

The command is split as a shell would, then `{user}` is filled in, and no shell sees
it. The program runs once for each message, with bare LF as line end, what delivery
agents take; an exit code other than 0 refuses the message. It runs in a session of its
own, does not see the accounts' passwords in POP3SPEC_ACCOUNT, and is ended with its
children when it takes too long. What it does to the message is its own affair: most
agents put header fields before it.

What it refuses: see `delivery`.
"""

import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import BinaryIO

from pop3spec.maildrop import DoorError
from pop3spec.maildrop.delivery import readable

DONE_WITHIN = 30.0
_SECRETS = frozenset({"POP3SPEC_ACCOUNT"})


class CommandDelivery:
    """Delivers through a program."""

    def __init__(self, command: str) -> None:
        self.name = f"command:{command}"
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise DoorError(f"{self.name} cannot be split into words: {error}") from error
        if not any("{user}" in word for word in self._words):
            raise DoorError(f"{self.name}: the command needs a {{user}} in it")

    def deliver(self, user: str, messages: Sequence[bytes]) -> None:
        """Run the program for each message; the first refusal ends it."""
        words = [word.replace("{user}", user) for word in self._words]
        for message in messages:
            try:
                with TemporaryFile() as given, TemporaryFile() as wrote, TemporaryFile() as said:
                    given.write(message.replace(b"\r\n", b"\n"))
                    given.seek(0)
                    self._run(words, given, wrote, said)
            except OSError as error:
                raise DoorError(f"{self.name} cannot be run: {error.strerror}") from error

    def _run(self, words: list[str], given: BinaryIO, wrote: BinaryIO, said: BinaryIO) -> None:
        with subprocess.Popen(  # noqa: S603  # the user's own command, and no shell
            words,
            stdin=given,
            stdout=wrote,
            stderr=said,
            env={name: value for name, value in os.environ.items() if name not in _SECRETS},
            start_new_session=True,
        ) as process:
            try:
                code = process.wait(DONE_WITHIN)
            except BaseException as error:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise DoorError(f"{self.name} did not end within {DONE_WITHIN:g} s") from None
                raise
        if code != 0:
            line = _first_line(said) or _first_line(wrote) or "no words"
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            raise DoorError(f"{self.name} refuses a message with {how}: {line}")


def _first_line(file: BinaryIO) -> str:
    file.seek(0)
    return readable(next(iter(file.read(4096).strip().splitlines()), b""))
