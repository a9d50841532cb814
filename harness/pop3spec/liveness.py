"""Whether the target still serves, as all tests of a run see it together.

A server that dies, hangs or bans in mid-run is to be told from one that answers wrongly, and
a run of hundreds of tests must not wait for it hundreds of times. What a single test saw is
told here; where several in a row were lost a plain login decides.
"""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pop3spec.transcript import End, Exchange, Kind

# Tests in a row that were lost, behind which a plain login looks at the target.
_IN_A_ROW = 3
# Times in a row that a command was left unanswered, and is not tried again by others; of
# tests that ran alone. A wait of a minute counts for as many as it has of these seconds.
_UNANSWERED, _UNANSWERED_ALONE = 5, 3
_LONG = 40.0
# Seconds between two logins while a target may be coming back, the first and the longest.
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
# What keeps a client waiting to the end of its patience.
_WASTED = (End.TIMEOUT, End.TOO_LONG)


@dataclass(frozen=True)
class Look:
    """What a plain login came to: why the target does not serve, '' where it does.

    A target that `is_full` turned the client away, perhaps for those that are there.
    """

    problem: str = ""
    is_full: bool = False


@dataclass(eq=False)
class Liveness:
    """What is known of the target at this moment; `why` it is lost, '' while it is not.

    `look` tries a plain login. A target that does not serve is given `patience` seconds to
    come back, and a run `most` seconds in all.
    """

    look: Callable[[], Look] = Look
    patience: float = 0.0
    most: float = math.inf
    stopped: threading.Event = field(default_factory=threading.Event)
    why: str = ""
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _looking: threading.Lock = field(default_factory=threading.Lock)
    _unanswered: Counter[str] = field(default_factory=Counter)
    _unanswered_alone: Counter[str] = field(default_factory=Counter)
    _turned_away: int = 0
    _in_a_row: int = 0
    _busy: int = 0
    _served: float = 0.0
    _begun: float = field(default_factory=time.monotonic)

    @contextmanager
    def busy(self) -> Iterator[str]:
        """While a test has sessions; why it need not begin, '' where it may.

        A test waits for a look at the target that has begun.
        """
        with self._looking:
            pass
        if not self.why and time.monotonic() > self._begun + self.most:
            self.lose(
                f"after {self.most:g} s it is still not done; a profile gives it more,"
                " with timeouts: {run: …}"
            )
        with self._guard:
            self._busy += 1
        try:
            yield self.why
        finally:
            with self._guard:
                self._busy -= 1

    def lose(self, why: str) -> None:
        """Give the target up."""
        with self._guard:
            self.why = self.why or why

    def told(self, exchanges: Iterable[Exchange], *, alone: bool = False) -> None:
        """Count which commands were answered in a test, and which were not."""
        with self._guard:
            for exchange in exchanges:
                if exchange.kind not in (Kind.COMMAND, Kind.CONTINUATION) or exchange.deliberate:
                    continue
                word = exchange.keyword
                if exchange.reply is not None:
                    self._unanswered.pop(word, None)
                    self._unanswered_alone.pop(word, None)
                elif exchange.end in _WASTED:
                    times = 1 + int((exchange.answered_at - exchange.sent_at) / _LONG)
                    self._unanswered[word] += times
                    self._unanswered_alone[word] += times * alone

    def unanswered(self, keywords: Collection[str], *, alone: bool = False) -> str:
        """One of these commands that was left unanswered again and again, '' if there is none."""
        counted, most = self._unanswered, _UNANSWERED
        if alone:
            counted, most = self._unanswered_alone, _UNANSWERED_ALONE
        with self._guard:
            return next((word for word in keywords if counted[word] >= most), "")

    def opened_beside(self, *, is_given: bool) -> None:
        """A test wanted a session beside one of its own, and got it or was turned away."""
        with self._guard:
            self._turned_away = 0 if is_given else self._turned_away + 1

    @property
    def is_quiet(self) -> bool:
        """No more than one test has sessions."""
        return self._busy <= 1

    @property
    def is_single(self) -> bool:
        """Who has a session got no other one beside it, again and again."""
        return self._turned_away >= _UNANSWERED

    def ended(self, loss: str) -> None:
        """A test came to its end; `loss` says how the target was lost in it, '' if it was not."""
        now = time.monotonic()
        with self._guard:
            self._in_a_row = self._in_a_row + 1 if loss else 0
            is_due = self._in_a_row >= _IN_A_ROW and not self.why
        if is_due:
            self.check(now)

    def check(self, since: float | None = None) -> str:
        """Look whether the target serves; why it is lost, '' where it does.

        Nothing is done where somebody has seen it serve `since` then.
        """
        with self._looking:
            if self.why or (since is not None and self._served >= since):
                return self.why
            deadline, pause = time.monotonic() + self.patience, _PAUSE
            while True:
                begun = time.monotonic()
                seen = self.look()
                if not seen.problem or self.stopped.is_set():
                    break
                if begun >= deadline:
                    # For a target that is full of our own sessions a look tells nothing.
                    if not seen.is_full or self.is_quiet:
                        self.lose(seen.problem)
                    break
                self.stopped.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            with self._guard:
                self._in_a_row = 0
            self._served = begun
            return self.why


# What is done in the hope of a reply, or would find out that there is nobody any more.
_ASKING = (Kind.COMMAND, Kind.CONTINUATION, Kind.UNASKED)


def unanswered_in(exchanges: Iterable[Exchange]) -> set[str]:
    """The commands that kept the client waiting to the end of its patience."""
    return {
        exchange.keyword
        for exchange in exchanges
        if exchange.kind in (Kind.COMMAND, Kind.CONTINUATION) and exchange.end in _WASTED
    }


def cut_short(exchanges: Iterable[Exchange]) -> str:
    """How a server left something without a reply, at last; '' where it did not."""
    ends = [
        exchange.end.value
        for exchange in exchanges
        if exchange.reply is None and exchange.end is not None and exchange.kind in _ASKING
    ]
    return ends[-1] if ends else ""
