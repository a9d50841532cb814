"""Broken rules, each with the scenarios that broke it: the most important one first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pop3spec.report.rows import FindingRow, RuleRow, ScenarioRow, severity
from pop3spec.verdict import RULE_ORDER, Verdict


@dataclass(frozen=True)
class Evidence:
    """One scenario, and what in it broke one rule; never without a finding."""

    row: ScenarioRow
    findings: tuple[FindingRow, ...]


@dataclass(frozen=True)
class Breach:
    """A broken rule; `rule` is None where the results name it in a finding alone."""

    id: str
    rule: RuleRow | None
    severity: Verdict
    evidence: tuple[Evidence, ...]


def breaches(
    rows: Sequence[ScenarioRow], rules: Mapping[str, RuleRow], *, known: bool = False
) -> list[Breach]:
    """What these rows say is broken and is no known deviation, or (`known`) is one."""
    found: dict[str, dict[int, list[FindingRow]]] = {}
    for index, row in enumerate(rows):
        for finding in row.findings:
            if finding.known is known and severity(finding, rules) is not Verdict.PASS:
                found.setdefault(finding.rule, {}).setdefault(index, []).append(finding)
    position = {id: index for index, id in enumerate(rules)}
    listed = [
        Breach(
            id,
            rules.get(id),
            severity(next(iter(by_row.values()))[0], rules),
            tuple(Evidence(rows[index], tuple(some)) for index, some in by_row.items()),
        )
        for id, by_row in found.items()
    ]

    def importance(breach: Breach) -> tuple[int, bool, int]:
        is_practice = breach.id.startswith("practice-")
        return RULE_ORDER.index(breach.severity), is_practice, position.get(breach.id, -1)

    return sorted(listed, key=importance)


def without_breach(
    rows: Iterable[ScenarioRow], verdict: Verdict, rules: Mapping[str, RuleRow]
) -> list[ScenarioRow]:
    """The rows that have this verdict and name no broken rule for it."""
    return [
        row
        for row in rows
        if row.verdict is verdict
        and all(severity(finding, rules) is Verdict.PASS for finding in row.findings)
    ]
