"""What pop3spec does about a rule: the scenarios and the suites that name it."""

import re
from pathlib import Path

from pop3spec.collected import ScenarioFiles, home


def scenarios_about(rule: str) -> tuple[str, ...]:
    """The ids of our own scenarios that name the rule, in the order of their files."""
    files = ScenarioFiles([home() / "scenarios"])
    return tuple(
        files.name(path, scenario)
        for path in files.below()
        if _names(path, rule)  # most files do not, and to read them all takes a second
        for scenario in files.read(path).scenarios
        if rule in scenario.rules
    )


def suites_about(rule: str) -> tuple[str, ...]:
    """The files of our own suites that name the rule, as they are called from our home."""
    return tuple(
        path.relative_to(home()).as_posix()
        for path in sorted((home() / "suites").rglob("test_*.py"))
        if _names(path, rule)
    )


def _names(path: Path, rule: str) -> bool:
    # An id may be the beginning of another one.
    return re.search(rf"{re.escape(rule)}(?![\w-])", path.read_text("utf-8")) is not None
