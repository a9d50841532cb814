"""How far a run has come, how long it will go on, and what it is waiting for.

Values and arithmetic alone: `live` looks at the clock and writes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean

# Without so many ends of a kind its others cannot be guessed.
_ENOUGH = 8
# Seconds without an end after which it is said what is being waited for.
_STILL = 3.0


class Kind(Enum):
    """What goes on side by side, and what comes one after the other."""

    QUICK = "quick"
    WAITING = "waiting"  # waits on purpose, beside the quick ones
    LATE = "late"  # when these are done
    IN_TURN = "in turn"  # tests in Python, which the main thread runs


@dataclass(frozen=True)
class Part:
    """A scenario or a test of a run.

    `seconds` is what it took (None: it has not ended), `running` for how long it has been
    at it (None: it has not begun), `known_wait` what it waits on purpose at least.
    """

    name: str
    kind: Kind = Kind.QUICK
    seconds: float | None = None
    running: float | None = None
    known_wait: float = 0.0


@dataclass(frozen=True)
class Left:
    """The seconds that are left, at least so many where there are parts that nobody can guess."""

    seconds: float
    is_whole: bool


def time_left(parts: Iterable[Part], width: int) -> Left | None:
    """How long the parts that have not ended will take; None where nothing tells it yet.

    `width` is how many of the late ones will go on side by side; of the others it shows.
    """
    by_kind: dict[Kind, list[Part]] = {kind: [] for kind in Kind}
    for part in parts:
        by_kind[part.kind].append(part)
    beside = [
        _left_of(by_kind[kind], _beside(by_kind[kind])) for kind in (Kind.QUICK, Kind.WAITING)
    ]
    after = [_left_of(by_kind[Kind.LATE], width), _left_of(by_kind[Kind.IN_TURN], 1)]
    guessed = [left for left in (*beside, *after) if left is not None]
    seconds = max((left.seconds for left in beside if left), default=0.0)
    seconds += sum(left.seconds for left in after if left)
    is_whole = len(guessed) == 4 and all(left.is_whole for left in guessed)
    return Left(seconds, is_whole) if is_whole or seconds >= 1 else None


def _beside(parts: Sequence[Part]) -> int:
    return max(1, sum(part.running is not None for part in parts))


def _left_of(parts: Sequence[Part], width: int) -> Left | None:
    """The time left for parts of one kind; None where none has ended and nothing is known."""
    open_parts = [part for part in parts if part.seconds is None]
    if not open_parts:
        return Left(0.0, is_whole=True)
    ended = [max(0.0, part.seconds - part.known_wait) for part in parts if part.seconds is not None]
    is_whole = len(ended) >= min(_ENOUGH, len(parts))
    usual = fmean(ended) if is_whole else 0.0
    lefts = [max(0.0, part.known_wait + usual - (part.running or 0.0)) for part in open_parts]
    seconds = max(max(lefts), sum(lefts) / max(1, min(width, len(open_parts))))
    return Left(seconds, is_whole) if is_whole or seconds else None


def progress_line(parts: Sequence[Part], left: Left | None, still: float) -> str:
    """One line about the run; `still` are the seconds since the last part ended."""
    ended = sum(part.seconds is not None for part in parts)
    words = [f"{ended} of {len(parts)} scenarios"]
    if left is not None and ended < len(parts):
        words.append(f"{'about' if left.is_whole else 'at least'} {duration(left.seconds)} left")
    running = [(part.running, part.name) for part in parts if part.running is not None]
    if running and still >= _STILL:
        seconds, name = max(running)
        more = f" and {len(running) - 1} more" if len(running) > 1 else ""
        words.append(f"waiting for {name} ({seconds:.0f} s){more}")
    return ", ".join(words)


def duration(seconds: float) -> str:
    """Seconds for people, no more exact than a guess is."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 90:
        return f"{5 * round(seconds / 5)} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
