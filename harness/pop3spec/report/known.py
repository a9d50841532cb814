"""Known deviations: which findings are on record, and which records are stale."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import Protocol

from pop3spec.report.rows import FindingRow, ScenarioRow
from pop3spec.report.text import one_line
from pop3spec.verdict import Verdict


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


def apply_known(
    rows: Iterable[ScenarioRow], deviations: Iterable[Deviation], today: date
) -> tuple[list[ScenarioRow], list[str]]:
    """The rows with what is on record marked, and a sentence for each stale record."""
    rows = list(rows)
    valid = [record for record in deviations if record.last_day is None or today <= record.last_day]
    return [_marked(row, valid) for row in rows], [
        _stale(record) for record in valid if _is_stale(record, rows)
    ]


def _concerns(record: Deviation, row: ScenarioRow) -> bool:
    # A record for a scenario holds on each of its transports: 'ID' and 'ID[stls]'.
    return not record.scenario or record.scenario in (row.id, row.id.partition("[")[0])


def _marked(row: ScenarioRow, records: Sequence[Deviation]) -> ScenarioRow:
    here = [record for record in records if _concerns(record, row)]
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


def _is_broken(record: Deviation, findings: Iterable[FindingRow]) -> bool:
    return any(finding.rule == record.rule for finding in findings)


def _is_stale(record: Deviation, rows: Iterable[ScenarioRow]) -> bool:
    here = [row for row in rows if _concerns(record, row)]
    broken = any(_is_broken(record, row.findings) for row in here)
    return not broken and any(record.rule in row.exercised for row in here)


def _stale(record: Deviation) -> str:
    scenario = f" in {record.scenario}" if record.scenario else ""
    return one_line(
        f"the known deviation from {record.rule}{scenario} is stale: "
        f"the rule was exercised and holds (recorded because: {record.why})"
    )
