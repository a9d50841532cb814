"""Known deviations: which findings are on record, and which records are stale."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from pop3spec.report.rows import FindingRow, ScenarioRow
from pop3spec.report.text import one_line
from pop3spec.verdict import Verdict

_UNJUDGED = (Verdict.BLOCKED, Verdict.ERROR)


class Deviation(Protocol):
    """A rule that a target is recorded as breaking, as its profile lists it."""

    @property
    def rule(self) -> str:
        """The id of the rule."""

    @property
    def scenario(self) -> str | None:
        """The one scenario that the record is about, None for all."""

    @property
    def why(self) -> str:
        """The reason for the record."""

    @property
    def last_day(self) -> date | None:
        """The last day on which the record holds, None for no end."""


@dataclass(frozen=True)
class Staleness:
    """A sentence for each record that is stale; `undecided` is one for what a run cannot tell."""

    stale: tuple[str, ...] = ()
    undecided: str = ""


def marked(row: ScenarioRow, records: Iterable[Deviation], today: date) -> ScenarioRow:
    """The row with what is on record marked."""
    here = [record for record in valid(records, today) if concerns(record, row)]
    listed = {record.rule for record in here}
    findings = tuple(replace(finding, known=finding.rule in listed) for finding in row.findings)
    is_known = (
        row.verdict in (Verdict.FAIL, Verdict.WARN)
        and bool(findings)
        and all(finding.known for finding in findings)
    )
    why = dict.fromkeys(record.why for record in here if _is_broken(record, findings))
    return replace(
        row, findings=findings, known=is_known, known_why="; ".join(why) if is_known else ""
    )


def staleness(rows: Iterable[ScenarioRow], records: Iterable[Deviation], today: date) -> Staleness:
    """Which records are stale after a run with these rows: exercised here, and held.

    Where a scenario about the rule was blocked, that one may be it which breaks the rule.
    """
    rows = list(rows)
    stale, undecided = [], []
    for record in valid(records, today):
        here = [row for row in rows if concerns(record, row)]
        if not _holds(record, here):
            continue
        if any(_is_blind(record, row) for row in here):
            undecided.append(record)
        else:
            stale.append(_stale(record))
    return Staleness(tuple(stale), _undecided(undecided) if undecided else "")


def valid(records: Iterable[Deviation], today: date) -> Sequence[Deviation]:
    """The records that have not expired; the last day itself still counts."""
    return [record for record in records if record.last_day is None or today <= record.last_day]


def concerns(record: Deviation, row: ScenarioRow) -> bool:
    """Whether a record is about this row: 'ID' is about 'ID[stls]', too."""
    return not record.scenario or record.scenario in (row.id, row.id.partition("[")[0])


def _is_broken(record: Deviation, findings: Iterable[FindingRow]) -> bool:
    return any(finding.rule == record.rule for finding in findings)


def _holds(record: Deviation, here: Sequence[ScenarioRow]) -> bool:
    broken = any(_is_broken(record, row.findings) for row in here)
    return not broken and any(record.rule in row.exercised for row in here)


def _is_blind(record: Deviation, row: ScenarioRow) -> bool:
    is_about = bool(record.scenario) or record.rule in row.rules
    return is_about and row.verdict in _UNJUDGED


def _name(record: Deviation) -> str:
    return f"{record.rule} in {record.scenario}" if record.scenario else record.rule


def _stale(record: Deviation) -> str:
    return one_line(
        f"the known deviation from {_name(record)} is stale: "
        f"the rule was exercised and holds; remove the record (made because: {record.why})"
    )


def _undecided(records: Sequence[Deviation]) -> str:
    return one_line(
        f"perhaps stale: {', '.join(map(_name, records))}: the rule holds, but scenarios about it "
        "were blocked in this run"
    )
