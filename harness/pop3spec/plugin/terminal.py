"""What is printed above and below pytest's own lines."""

import re

import pytest

from pop3spec import __version__
from pop3spec.plugin.state import STATE
from pop3spec.report.reports import WRITTEN
from pop3spec.report.summary import summary_lines
from pop3spec.report.text import inert
from pop3spec.report.truth import truth_table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The summary, below pytest's own."""
    state = terminalreporter.config.stash.get(STATE, None)
    if state is None or state.results is None:
        return
    results = state.results
    terminalreporter.section(f"pop3spec: {state.target_name}")
    width = min(terminalreporter._tw.fullwidth, 100)
    for line in summary_lines(
        results.scenarios,
        results.rules,
        width=width,
        capabilities=truth_table(results.capabilities),
    ):
        _write_coloured(terminalreporter, inert(line))
    if state.baseline is not None:
        for line in state.baseline.lines(results, state.changes, width):
            terminalreporter.write_line(inert(state.masker.mask_text(line)))
    stale, undecided = state.staleness.stale, state.staleness.undecided
    for sentence in filter(None, (*stale, undecided, *state.problems)):
        terminalreporter.write_line(inert(state.masker.mask_text(sentence)))
    if count := len(results.observations):
        told = "1 observation" if count == 1 else f"{count} observations"
        terminalreporter.write_line(f"{told} where the RFCs leave freedom, in results.json")
    if state.certificate:
        from pop3spec.certificate.files import summary

        terminalreporter.write_line(f"certificate for {state.certificate['product']}:")
        for line in summary(state.certificate):
            terminalreporter.write_line(inert(f"  {line}"))
    where = f"reports in {state.settings.report_dir}: {', '.join(WRITTEN)}"
    terminalreporter.write_line(
        f"seed {state.settings.seed}; {where if state.is_reported else 'no reports'}"
    )


# The words of verdicts in the summary: in front of what is told of them, and in the counts.
_WORDS = re.compile(r"^(?:fail|warn|blocked|error)(?=:)|\b[1-9][0-9]* (?:pass|fail|warn|error)\b")
_COLOURS = {"pass": "green", "fail": "red", "error": "red", "warn": "yellow", "blocked": "yellow"}


def _write_coloured(terminalreporter: pytest.TerminalReporter, line: str) -> None:
    """Write a line; pytest knows whether there are colours."""
    terminalreporter.ensure_newline()
    place = 0
    # What the target said stands behind other words, and keeps its colour.
    for found in _WORDS.finditer(line) if not line.startswith("  ") else ():
        terminalreporter.write(line[place : found.start()])
        colour = _COLOURS[found[0].rpartition(" ")[2]]
        terminalreporter.write(found[0], **{colour: True, "bold": True})
        place = found.end()
    terminalreporter.write(f"{line[place:]}\n")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """What is judged, and what no certificate can say of it."""
    state = config.stash[STATE]
    told = [f"pop3spec {__version__}: {state.target_name}"]
    if state.settings.certify:
        from pop3spec.certificate.files import shortcomings

        told += (f"certificate: {each}" for each in shortcomings(state.settings))
    return told
