"""docs/cases.md: every name in it is one that there is."""

import re
from functools import cache
from pathlib import Path

import pytest

from pop3spec.collected import home
from pop3spec.reference.faults import FAULTS
from pop3spec.rulebook.rules import observation_ids, rulebook
from pop3spec.scenario import load_scenarios

TEXT = (home() / "docs" / "cases.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| (.+) \|$", TEXT, re.MULTILINE)
CASES = {case: found for case, _, found in ROWS if case not in ("case", "---")}

QUOTED = re.compile(r"`([^`]+)`")


@cache
def scenario_ids(file: str) -> list[str]:
    path = home() / "scenarios" / f"{file}.yaml"
    return (
        [scenario.id for scenario in load_scenarios(path, None).scenarios] if path.exists() else []
    )


@cache
def text_of(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def problems(found: str) -> list[str]:
    """The names that nothing has; `file::` stands for the one that was named last."""
    wrong = []
    file = ""
    last = ""
    for name in QUOTED.findall(found):
        place, colons, inside = name.partition("::")
        file = place or file if colons or "/" in name else file
        if not is_known(name, file, inside if colons else "", last):
            wrong.append(name)
        last = inside or last
    return wrong


def is_known(name: str, file: str, inside: str, last: str) -> bool:
    if name.startswith(("rfc", "practice-", "robust-")) and "/" not in name:
        return name in rulebook()
    if name.startswith(("suites/", "harness/")) or (inside and file.startswith("suites/")):
        text = text_of(home() / file.partition("::")[0])
        return bool(text) and (not inside or f"def {inside.partition('[')[0]}(" in text)
    if inside or re.fullmatch(r"rfc\d+/[a-z-]+", name):
        ids = scenario_ids(file)
        beginning = inside.rstrip("*")
        return bool(ids) and any(each.startswith(beginning) for each in ids)
    if re.fullmatch(r"-[a-z0-9-]+", name) and not name.startswith(
        "--"
    ):  # another example of the scenario that was named last
        return bool(last)
    return (
        name in observation_ids() or name in FAULTS or not re.fullmatch(r"[a-z]+(-[a-z]+)+", name)
    )


@pytest.mark.parametrize("case", CASES)
def test_what_finds_a_case_is_there(case: str) -> None:
    assert problems(CASES[case]) == []


def test_a_case_that_is_left_out_says_why() -> None:
    left_out = [found for found in CASES.values() if found.startswith("left out")]

    assert len(CASES) > 100
    assert left_out
    assert all(re.match(r"left out[^:]*: \S", found) for found in left_out)


def test_a_name_that_nothing_has_is_noticed() -> None:
    named = "`rfc1939-3-no-rule`, `rfc1939/retr::no-scenario`, `suites/test_no.py::test_nothing`"

    assert len(problems(named)) == 3
