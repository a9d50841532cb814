"""ScenarioRow and RuleRow: what reports are made of.

Rows are plain values with a form that JSON can carry, so a run in parallel
processes reports like a run in one.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Protocol, Self

from pop3spec.report.text import one_line
from pop3spec.rulebook.rules import Level, Rule
from pop3spec.verdict import (
    SCENARIO_ORDER,
    Finding,
    Outcome,
    Verdict,
    breach,
    worst_of_rule,
)

Data = dict[str, Any]

# Longest line that an attribute or a table cell is given.
_LONG = 500


class Standing(Enum):
    """How a row stands against a baseline; APART where that decides nothing."""

    APART = ""
    WORSE = "worse"
    AS_BEFORE = "as before"  # it fails, and did so in the baseline
    NEW = "new"  # it fails, and was not judged in the baseline


class Leveled(Protocol):
    """A rule, or the row of one, as far as its level goes."""

    @property
    def level(self) -> Level:
        """How binding the rule is."""


@dataclass(frozen=True)
class FindingRow:
    """A finding as reported; `known` says that a known deviation covers it."""

    rule: str
    got: str
    expected: str = ""
    where: str = ""
    command: str = ""
    known: bool = False

    @classmethod
    def from_finding(cls, finding: Finding) -> Self:
        """The row of a finding."""
        return cls(finding.rule, finding.got, finding.expected, finding.where, finding.command)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_data` made; keys that are missing have their default."""
        return cls(
            rule=data["rule"],
            got=data["got"],
            expected=data.get("expected", ""),
            where=data.get("where", ""),
            command=data.get("command", ""),
            known=data.get("known", False),
        )

    def to_data(self) -> Data:
        """The row as JSON can carry it."""
        return asdict(self)

    @property
    def line(self) -> str:
        """The finding in one line."""
        expected = f"expected {self.expected}, " if self.expected else ""
        return one_line(f"{self.rule}: {expected}got {self.got}", _LONG)


@dataclass(frozen=True, kw_only=True)
class ScenarioRow:
    """One scenario or Python test as reported.

    `rules` are those that it lists, `exercised` those that held or broke in it.
    `topic` is the word for the scenarios of its file, '' where there is none.
    `replay` is the command that runs it again, alone. `baseline` is how it stands against one.
    `untried` is what became of the test itself where it broke rules and yet tried nothing.
    """

    id: str
    title: str
    file: str
    line: int
    rules: tuple[str, ...] = ()
    exercised: tuple[str, ...] = ()
    verdict: Verdict
    known: bool = False
    known_why: str = ""
    seconds: float = 0.0
    detail: str = ""
    findings: tuple[FindingRow, ...] = ()
    transcript: tuple[str, ...] = ()
    replay: str = ""
    topic: str = ""
    baseline: Standing = Standing.APART
    untried: Verdict | None = None

    @classmethod
    def from_outcome(
        cls,
        outcome: Outcome,
        *,
        id: str,
        title: str,
        file: str,
        line: int,
        rules: Iterable[str],
        replay: str,
        topic: str = "",
    ) -> Self:
        """The row of a test that came out like this."""
        return cls(
            id=id,
            title=title,
            file=file,
            line=line,
            rules=tuple(rules),
            exercised=tuple(sorted(outcome.exercised)),
            verdict=outcome.verdict,
            seconds=outcome.seconds,
            detail=outcome.detail,
            findings=tuple(map(FindingRow.from_finding, outcome.findings)),
            transcript=outcome.transcript,
            replay=replay,
            topic=topic,
            untried=outcome.untried if outcome.findings else None,
        )

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_data` made; keys that are missing have their default."""
        return cls(
            id=data["id"],
            title=data["title"],
            file=data["file"],
            line=data["line"],
            rules=tuple(data["rules"]),
            exercised=tuple(data.get("exercised", ())),
            verdict=Verdict(data["verdict"]),
            known=data.get("known", False),
            known_why=data.get("known_why", ""),
            seconds=data.get("seconds", 0.0),
            detail=data.get("detail", ""),
            findings=tuple(map(FindingRow.from_data, data.get("findings", ()))),
            transcript=tuple(data.get("transcript", ())),
            replay=data.get("replay", ""),
            topic=data.get("topic", ""),
            baseline=Standing(data.get("baseline", "")),
            untried=Verdict(data["untried"]) if data.get("untried") else None,
        )

    def to_data(self) -> Data:
        """The row as JSON can carry it."""
        return {
            "id": self.id,
            "title": self.title,
            "file": self.file,
            "line": self.line,
            "rules": list(self.rules),
            "exercised": list(self.exercised),
            "verdict": self.verdict.value,
            "known": self.known,
            "known_why": self.known_why,
            "seconds": self.seconds,
            "detail": self.detail,
            "findings": [finding.to_data() for finding in self.findings],
            "transcript": list(self.transcript),
            "replay": self.replay,
            "topic": self.topic,
            "baseline": self.baseline.value,
            **({"untried": self.untried.value} if self.untried is not None else {}),
        }

    @property
    def reason(self) -> str:
        """Why it came out so, in one line: the detail, else the first finding."""
        if self.detail or not self.findings:
            return one_line(self.detail, _LONG)
        return self.findings[0].line


@dataclass(frozen=True, kw_only=True)
class RuleRow:
    """One rule as reported.

    `scenarios` are those that list it or broke it; `exercised` and `broken`
    count the scenarios in which it was touched and in which it was broken.
    """

    id: str
    rfc: int | None
    section: str | None
    level: Level
    title: str
    verdict: Verdict
    scenarios: tuple[str, ...] = ()
    exercised: int = 0
    broken: int = 0

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_data` made; keys that are missing have their default."""
        return cls(
            id=data["id"],
            rfc=data["rfc"],
            section=data["section"],
            level=Level(data["level"]),
            title=data["title"],
            verdict=Verdict(data["verdict"]),
            scenarios=tuple(data["scenarios"]),
            exercised=data.get("exercised", 0),
            broken=data.get("broken", 0),
        )

    def to_data(self) -> Data:
        """The row as JSON can carry it."""
        return asdict(self) | {
            "level": self.level.value,
            "verdict": self.verdict.value,
            "scenarios": list(self.scenarios),
        }


def observation_rows(seen: Iterable[tuple[str, str]]) -> list[Data]:
    """What was observed, by the observation's id; several values in one order, as one."""
    values: dict[str, set[str]] = {}
    for id, value in seen:
        values.setdefault(id, set()).add(value)
    return [{"id": id, "value": "; ".join(sorted(values[id]))} for id in sorted(values)]


def ordered(rows: Iterable[ScenarioRow]) -> list[ScenarioRow]:
    """Rows in the order of the files, in whatever order they came."""
    return sorted(rows, key=lambda row: (row.file, row.line, row.id))


def severity(finding: FindingRow, rules: Mapping[str, Leveled]) -> Verdict:
    """What this finding alone makes of a scenario."""
    rule = rules.get(finding.rule)
    # Results of another release may name a rule that this one does not have.
    return breach(finding.rule, Level.MUST if rule is None else rule.level)


def by_severity(row: ScenarioRow, rules: Mapping[str, Leveled]) -> list[FindingRow]:
    """The findings of a row, the one that decides first, known ones last."""
    return sorted(
        row.findings,
        key=lambda finding: (finding.known, SCENARIO_ORDER.index(severity(finding, rules))),
    )


def fails_run(row: ScenarioRow, rules: Mapping[str, Leveled], level: Level) -> bool:
    """Whether a row fails a run at this level, known deviations and a baseline set aside."""
    if row.baseline is not Standing.APART:
        return row.baseline is Standing.WORSE
    if row.known or row.verdict not in (Verdict.FAIL, Verdict.WARN):
        return False
    unknown = [finding for finding in row.findings if not finding.known]
    if row.verdict is Verdict.FAIL and len(unknown) == len(row.findings):
        return True
    return any(_fails(finding, rules, level) for finding in unknown)


def _fails(finding: FindingRow, rules: Mapping[str, Leveled], level: Level) -> bool:
    match severity(finding, rules):
        case Verdict.FAIL:
            return True
        case Verdict.WARN:
            return level is Level.SHOULD and not finding.rule.startswith("practice-")
    return False


def rule_rows(rulebook: Mapping[str, Rule], rows: Iterable[ScenarioRow]) -> list[RuleRow]:
    """A row for every rule: by RFC, then what no RFC says, in the order of the rulebook."""
    said: dict[str, list[Verdict]] = {id: [] for id in rulebook}
    scenarios: dict[str, list[str]] = {id: [] for id in rulebook}
    exercised = dict.fromkeys(rulebook, 0)
    broken = dict.fromkeys(rulebook, 0)
    for row in ordered(rows):
        breaches = {finding.rule: severity(finding, rulebook) for finding in row.findings}
        touched = {*row.exercised, *breaches}
        for id in touched & rulebook.keys():
            verdict = breaches.get(id, Verdict.PASS)
            said[id].append(verdict)
            exercised[id] += 1
            broken[id] += verdict is not Verdict.PASS
        for id in {*row.rules, *breaches} & rulebook.keys():
            scenarios[id].append(row.id)
            # That a scenario came out well does not say that it touched the rule.
            verdict = row.untried or row.verdict
            if id not in touched and verdict in (Verdict.BLOCKED, Verdict.NOT_APPLICABLE):
                said[id].append(verdict)
    return [
        RuleRow(
            id=id,
            rfc=rule.rfc,
            section=rule.section,
            level=rule.level,
            title=rule.summary,
            verdict=worst_of_rule(said[id]),
            scenarios=tuple(scenarios[id]),
            exercised=exercised[id],
            broken=broken[id],
        )
        for id, rule in sorted(rulebook.items(), key=lambda item: item[1].rfc or math.inf)
    ]
