"""A line about the run while it goes on: rewritten on a terminal, now and then elsewhere.

On a terminal the line stands below the one that pytest is writing and is erased before
pytest goes on. Anywhere else a whole line comes every half minute, so that a job that is
ended for its silence is not. It is written in
visible ASCII, whatever the caller says.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pop3spec.report.text import one_line

_TICK = 0.5
BETWEEN_LINES = 30.0
# A line that was erased so lately comes back at once, or it would flicker.
_FRESH = 1.0


class Live:
    """Writes the line from a thread of its own while it may be shown.

    `fd` is a copy of the file descriptor that pytest writes to, since pytest redirects the
    other one while a test runs; it is closed at the end. `column` tells how far pytest's
    own line goes. An empty line is not written.
    """

    def __init__(
        self,
        fd: int,
        line: Callable[[], str],
        column: Callable[[], int],
        *,
        is_terminal: bool,
        between: float = BETWEEN_LINES,
    ) -> None:
        self._fd = fd
        self._line = line
        self._column = column
        self._is_terminal = is_terminal
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._may = False
        self._is_drawn = False
        self._shown = ""
        self._made = 0.0
        self._between = between
        self._next = 0.0 if is_terminal else time.monotonic() + between
        self._thread = threading.Thread(target=self._tick, daemon=True, name="pop3spec-live")
        self._thread.start()

    def show(self) -> None:
        """From now on nobody else writes."""
        with self._lock:
            self._may = True
            if self._is_terminal and self._shown and time.monotonic() - self._made < _FRESH:
                self._draw(self._shown)

    def hide(self) -> None:
        """Erase the line; others may write."""
        with self._lock:
            self._may = False
            self._erase()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the line for a while."""
        self.show()
        try:
            yield
        finally:
            self.hide()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Let others write for a while, and show the line again."""
        self.hide()
        try:
            yield
        finally:
            self.show()

    def close(self) -> None:
        """Erase the line for good."""
        self.hide()
        self._ended.set()
        self._thread.join()
        with suppress(OSError):
            os.close(self._fd)

    def _tick(self) -> None:
        while not self._ended.wait(_TICK):
            with self._lock:
                if not self._may or time.monotonic() < self._next:
                    continue
                self._erase()
                self._shown = one_line(self._line())
                self._made = time.monotonic()
                if not self._shown:
                    continue
                if self._is_terminal:
                    self._draw(self._shown)
                else:
                    self._next = self._made + self._between
                    begin = "\n" if self._column() else ""
                    self._write(f"{begin}pop3spec: {self._shown}\n")

    def _draw(self, line: str) -> None:
        width = self._width()
        # One column less, so that no terminal begins another line.
        text = f"  {line}".encode("ascii", "backslashreplace").decode("ascii")[: width - 1]
        column = self._column() % width + 1
        # A new line and up again, since that holds at the last line of a screen as well.
        self._write(f"\r\n{text}\x1b[K\x1b[A\x1b[{column}G")
        self._is_drawn = True

    def _erase(self) -> None:
        if self._is_drawn:
            self._write("\x1b[J")
            self._is_drawn = False

    def _width(self) -> int:
        try:
            return max(20, os.get_terminal_size(self._fd).columns)
        except OSError:
            return 80

    def _write(self, text: str) -> None:
        with suppress(OSError):
            os.write(self._fd, text.encode("ascii", "backslashreplace"))
