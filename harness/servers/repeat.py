"""Judge a server several times, and say which verdicts were not the same each time."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.judge import JUDGED, REPORT_DIR, Judged, judge
from servers.running import Server

REPEATED = Path("reports") / "repeated"
ONE_JOB = "--jobs=1"


@dataclass(frozen=True)
class Flip:
    """A scenario or a rule with more than one verdict: which, in which repetitions, and why."""

    id: str
    verdicts: Mapping[str, tuple[int, ...]]
    details: Mapping[str, str]

    @property
    def lines(self) -> Iterator[str]:
        """For a person: a line with the id, and one for each verdict."""
        yield self.id
        for verdict, numbers in self.verdicts.items():
            which = ", ".join(map(str, numbers))
            told = self.details.get(verdict, "")
            yield f"  {verdict} in {which}" + f": {' '.join(told.split())[:300]}" * bool(told)


def repeat(
    server: Server, times: int, serial: int, options: Sequence[str]
) -> Iterator[tuple[int, Judged]]:
    """Judge a server so many times, every other time with one job until `serial` times had it."""
    for number in range(1, times + 1):
        has_one_job = number % 2 == 0 and number <= 2 * serial
        words = [*options, *([ONE_JOB] * has_one_job)]
        place = (REPEATED / server.NAME / f"{number:02}").absolute()
        yield number, judge(server, None, [*words, f"{REPORT_DIR}={place}"])


def is_comparable(judged: Judged) -> bool:
    """A repetition came to results."""
    return judged.exit_code in JUDGED and judged.results is not None


def flips(results: Mapping[int, Mapping[str, Any]]) -> list[Flip]:
    """What differs between results by the number of their repetition: scenarios, then rules."""
    found = []
    for kind in ("scenarios", "rules"):
        seen: dict[str, dict[str, list[int]]] = {}
        details: dict[str, dict[str, str]] = {}
        for number, data in results.items():
            for each in data[kind]:
                seen.setdefault(each["id"], {}).setdefault(each["verdict"], []).append(number)
                details.setdefault(each["id"], {}).setdefault(
                    each["verdict"], str(each.get("detail", ""))
                )
        for name, verdicts in seen.items():
            missing = sorted(results.keys() - {n for each in verdicts.values() for n in each})
            if missing:
                verdicts["not there"] = missing
            if len(verdicts) > 1:
                told = {verdict: tuple(numbers) for verdict, numbers in verdicts.items()}
                found.append(Flip(name, told, details[name]))
    return found


def read(judged: Sequence[tuple[int, Judged]]) -> dict[int, dict[str, Any]]:
    """The results of the repetitions that came to some, by their number."""
    return {
        number: json.loads(each.results.read_text(encoding="utf-8"))
        for number, each in judged
        if is_comparable(each) and each.results is not None
    }
