"""A run against a baseline: how each row stands, and what there is to say at the end."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pop3spec.report.changes import (
    BROKEN,
    Change,
    Changes,
    Earlier,
    Kind,
    changes,
    counted,
    is_mere_practice,
    worsens,
)
from pop3spec.report.news import told
from pop3spec.report.results import Results, read_results, utc_time
from pop3spec.report.rows import Leveled, ScenarioRow, Standing, fails_run, severity
from pop3spec.report.text import one_line
from pop3spec.rulebook.rules import Level
from pop3spec.verdict import Verdict, worst

# As much of what got worse is told on the terminal; JUnit and `pop3spec diff` have all.
_TOLD = 20


@dataclass(frozen=True)
class Baseline:
    """Earlier results that a run is compared with, at its level.

    `rules` are those of the run, `is_same_suite` says that they and the version are the same.
    """

    path: Path
    earlier: Earlier
    level: Level
    rules: Mapping[str, Leveled]
    is_same_suite: bool

    @classmethod
    def read(
        cls,
        path: Path,
        level: Level,
        rules: Mapping[str, Leveled],
        suite: tuple[str, str],
    ) -> "Baseline":
        """The baseline in a file; `suite` is version and rules digest of the run; ResultsError."""
        results = read_results(path)
        is_same = suite == (results.version, results.rules_digest)
        return cls(path, Earlier(results), level, rules, is_same)

    def placed(self, row: ScenarioRow) -> ScenarioRow:
        """The row with how it stands; known deviations have been marked before."""
        return replace(row, baseline=self._standing(row))

    def _standing(self, row: ScenarioRow) -> Standing:
        was = self.earlier.scenarios.get(row.id)
        if was is not None and worsens(was.verdict, counted(row, self.rules), self.level):
            return Standing.WORSE
        if not fails_run(row, self.rules, self.level):
            return Standing.APART
        if any(self._is_accused(rule, row) for rule in {found.rule for found in row.findings}):
            return Standing.WORSE
        return Standing.AS_BEFORE if was and was.verdict in BROKEN else Standing.NEW

    def _is_accused(self, rule: str, row: ScenarioRow) -> bool:
        """Whether this row breaks a rule that was kept, and not by a scenario that came later."""
        was = self.earlier.rules.get(rule)
        if was is None or not (self.is_same_suite or row.id in self.earlier.scenarios):
            return False
        breaches = [
            severity(found, self.rules)
            for found in row.findings
            if found.rule == rule and not found.known
        ]
        verdict = worst((Verdict.PASS, *breaches))
        return not is_mere_practice(rule, verdict) and worsens(was.verdict, verdict, self.level)

    def compared(self, results: Results) -> Changes:
        """What changed from the baseline to the results of the run."""
        return changes(self.earlier.results, results, self.level)

    def lines(self, results: Results, found: Changes, width: int) -> Iterator[str]:
        """The comparison for a terminal."""
        old = self.earlier.results
        counts = Counter(row.baseline for row in results.scenarios)
        yield one_line(f"baseline {self.path} (pop3spec {old.version}, {utc_time(old.started)}):")
        standings = [
            *_counted_kinds(found.worse),
            f"{_scenarios(counts[Standing.AS_BEFORE])} as in the baseline",
        ]
        yield f"  {', '.join(standings)}"
        if counts[Standing.NEW]:
            yield (
                f"  {_scenarios(counts[Standing.NEW])} that the baseline did not judge: "
                "told here, and no worsening"
            )
        ids = [row.id for row in results.scenarios if not row.id.startswith("run::")]
        if absent := len(set(ids) - self.earlier.scenarios.keys()):
            yield f"  of {len(ids)} scenarios of this run the baseline does not have {absent}"
        for change in found.worse[:_TOLD]:
            first, *rest = told(change, width)
            yield from (f"worse: {first}", *rest)
        if len(found.worse) > _TOLD:
            yield f"and {len(found.worse) - _TOLD} more; `pop3spec diff` tells all"
        if found.differing:
            names = one_line(", ".join(found.differing))
            yield from textwrap.wrap(f"weak comparison: the runs differ in {names}", width)


def _scenarios(count: int) -> str:
    return "1 scenario fails" if count == 1 else f"{count} scenarios fail"


def _counted_kinds(worse: Sequence[Change]) -> Iterator[str]:
    counts = Counter(change.kind for change in worse)
    if not worse:
        yield "nothing got worse"
    for kind in (Kind.SCENARIO, Kind.RULE):
        if counts[kind]:
            noun = kind.value if counts[kind] == 1 else f"{kind.value}s"
            yield f"{counts[kind]} {noun} got worse"
