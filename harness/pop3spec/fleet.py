"""How processes of pytest-xdist share one run, wherever they are."""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field

from pop3spec.settings import Settings


def packed(settings: Settings) -> bytes:
    """What a run was asked for, passwords and all, as a process that works for it takes it."""
    return pickle.dumps(settings)


def unpacked(octets: bytes) -> Settings:
    """The inverse of `packed`, for the process that was started to run the other's code."""
    settings = pickle.loads(octets)  # noqa: S301  # who sends it could run anything here
    assert isinstance(settings, Settings)
    return settings


@dataclass
class Shares:
    """Which share of the accounts each process has, by its name: no two at a time the same."""

    _given: dict[str, int] = field(default_factory=dict)
    _ready: set[str] = field(default_factory=set)

    def give(self, name: str, count: int) -> int:
        """The share of a process, of so many; one that is free."""
        free = set(range(count)).difference(self._given.values())
        # There are more of them than shares only where somebody starts what was not counted.
        share = self._given[name] = min(free, default=0)
        return share

    def ready(self, name: str) -> None:
        """The process has started."""
        self._ready.add(name)

    def take_back(self, name: str) -> bool:
        """The process is gone; whether it had started."""
        self._given.pop(name, None)
        return name in self._ready


def each(specs: Iterable[str]) -> list[str]:
    """The `--tx` of each process, where `2*popen` means two."""
    found: list[str] = []
    for spec in specs:
        number, star, rest = spec.partition("*")
        found += [rest] * int(number) if star and number.isdecimal() else [spec]
    return found
