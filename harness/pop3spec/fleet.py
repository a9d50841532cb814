"""How processes of pytest-xdist share one run, wherever they are."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Shares:
    """Which share of the accounts each process has, by its name: no two at a time the same."""

    _given: dict[str, int] = field(default_factory=dict)

    def give(self, name: str, count: int) -> int:
        """The share of a process, of so many; one that is free."""
        free = set(range(count)).difference(self._given.values())
        # There are more of them than shares only where somebody starts what was not counted.
        share = self._given[name] = min(free, default=0)
        return share

    def take_back(self, name: str) -> None:
        """The process is gone."""
        self._given.pop(name, None)


def each(specs: Iterable[str]) -> list[str]:
    """The `--tx` of each process, where `2*popen` means two."""
    found: list[str] = []
    for spec in specs:
        number, star, rest = spec.partition("*")
        found += [rest] * int(number) if star and number.isdecimal() else [spec]
    return found
