"""Rows -> the exit code of a run that came to its end."""

from collections.abc import Iterable, Sequence
from enum import IntEnum

from pop3spec.report.rows import RuleRow, ScenarioRow, fails_run
from pop3spec.rulebook.rules import Level
from pop3spec.verdict import Verdict


class ExitCode(IntEnum):
    """What the command tells the shell."""

    NOTHING_BROKEN = 0
    BROKEN = 1
    INTERRUPTED = 2
    INTERNAL_ERROR = 3
    USAGE = 4
    NOTHING_JUDGED = 5
    TARGET_LOST = 6


_JUDGED = (Verdict.PASS, Verdict.FAIL, Verdict.WARN)
_INCOMPLETE = (Verdict.BLOCKED, Verdict.UNTESTED)


def exit_code(
    rows: Iterable[ScenarioRow],
    stale: Sequence[str],
    *,
    level: Level,
    require_complete: bool,
    target_lost: bool,
    rule_rows: Iterable[RuleRow],
) -> int:
    """The exit code of a run with these rows and these stale known deviations."""
    rows = list(rows)
    rules = {rule.id: rule for rule in rule_rows}
    verdicts = {row.verdict for row in rows}
    # What the run shows beside its scenarios was not asked for: alone it judges nothing.
    is_judged = any(row.verdict in _JUDGED and not row.id.startswith("run::") for row in rows)
    if stale or any(fails_run(row, rules, level) for row in rows):
        return ExitCode.BROKEN
    if Verdict.ERROR in verdicts:
        return ExitCode.INTERNAL_ERROR
    # Where nothing at all was judged, 5 or 6 says more than a list of untested rules.
    if require_complete and is_judged and any(map(_is_incomplete, rules.values())):
        return ExitCode.BROKEN
    if target_lost:
        return ExitCode.TARGET_LOST
    return ExitCode.NOTHING_BROKEN if is_judged else ExitCode.NOTHING_JUDGED


def _is_incomplete(rule: RuleRow) -> bool:
    return rule.level is Level.MUST and rule.verdict in _INCOMPLETE
