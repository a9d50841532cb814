"""Outcomes become rows of the report, and test results."""

from functools import cache
from pathlib import Path

import pytest

from pop3spec.collected import home
from pop3spec.plugin.state import STATE, State
from pop3spec.report.rows import ScenarioRow, Standing, fails_run
from pop3spec.report.summary import STANDINGS, failure_text
from pop3spec.report.text import inert, one_line
from pop3spec.rulebook.rules import rulebook
from pop3spec.verdict import Outcome, Verdict


class Judged(Exception):
    """The target broke a rule; the text is the failure as it is printed."""


def raise_for(row: ScenarioRow, state: State) -> None:
    """The test result of a row: nothing where it is well, a skip, or Judged."""
    if row.baseline is Standing.WORSE:
        raise Judged(failure_text(row, rulebook()))
    if row.verdict is Verdict.NOT_APPLICABLE:
        pytest.skip(inert(one_line(f"not applicable: {row.detail}")))
    if row.known:
        pytest.skip(inert(one_line(f"known: {row.known_why}")))
    if row.baseline is not Standing.APART:
        pytest.skip(inert(one_line(f"{STANDINGS[row.baseline]}: {row.reason}")))
    if row.verdict is Verdict.BLOCKED:
        pytest.skip(inert(one_line(f"blocked: {row.detail}")))
    if row.verdict is Verdict.ERROR or fails_run(row, rulebook(), state.settings.level):
        raise Judged(inert(failure_text(row, rulebook())))


def python_row(item: pytest.Item, outcome: Outcome) -> ScenarioRow:
    """The row of a Python test."""
    state = item.config.stash[STATE]
    path, number, title = item.reportinfo()
    marks = [rule for mark in item.iter_markers("rules") for rule in mark.args]
    file, inside = shown_file(Path(path)), item.nodeid.partition("::")[2]
    # A file outside of our root that is named itself has an empty path in its node id.
    nodeid = f"{Path(path).name}{item.nodeid}" if item.nodeid == f"::{inside}" else item.nodeid
    row = ScenarioRow.from_outcome(
        outcome,
        id=nodeid,
        title=title,
        file=file,
        line=(number or 0) + 1,
        rules=marks,
        replay=state.replay((f"{file}::{inside}",)),
    )
    return state.placed(row)


@cache
def shown_file(path: Path) -> str:
    """A file as reports name it: below our root or the current directory, where it is."""
    for base in (home(), Path.cwd()):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return str(path)


def outcome_of(report: pytest.TestReport) -> Outcome:
    """The outcome of a test that brought none: a Python test of the target, or our error."""
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        return Outcome(*why_skipped(str(reason).removeprefix("Skipped: ")))
    if report.failed:
        return Outcome(Verdict.ERROR, report.longreprtext)
    return Outcome(Verdict.PASS)


def why_skipped(text: str) -> tuple[Verdict, str]:
    """The verdict and the reason that the text of a skip holds."""
    if text.startswith("not applicable: "):
        return Verdict.NOT_APPLICABLE, text.removeprefix("not applicable: ")
    return Verdict.BLOCKED, text.removeprefix("blocked: ")
