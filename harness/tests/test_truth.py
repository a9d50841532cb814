"""The truth of CAPA: evidence in single exchanges, and the matrix that it makes up."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from command import judge_here
from said import HELLO, began, said

from pop3spec.report.truth import Cell, truth, truth_table
from pop3spec.rulebook.history import History
from pop3spec.rulebook.uses import AFTER_LOGIN, BEFORE_LOGIN, IN_TLS, Use, uses
from pop3spec.transcript import Exchange

PLAIN = b"\0user\0password"
LOGGED_IN = (HELLO, said("USER u", "+OK"), said("PASS p", "+OK"))


def evidence(exchanges: Sequence[Exchange]) -> set[Use]:
    """What a session shows."""
    found: set[Use] = set()
    history = History()
    for exchange in exchanges:
        found.update(uses(exchange, history))
        history = history.after(exchange)
    return found


EVIDENCE: dict[str, tuple[Sequence[Exchange], set[Use]]] = {
    "a login by USER and PASS": (LOGGED_IN, {("USER", BEFORE_LOGIN, True)}),
    "a name that is refused": (
        [HELLO, said("USER u", "-ERR passwords need TLS")],
        {("USER", BEFORE_LOGIN, False)},
    ),
    "a name that is refused for now": (
        [HELLO, said("USER u", "-ERR [SYS/TEMP] later")],
        {("RESP-CODES", BEFORE_LOGIN, True)},
    ),
    "TOP of a message that is there": (
        [*LOGGED_IN, said("STAT", "+OK 1 10"), said("TOP 1 0", "-ERR what is that")],
        {("USER", BEFORE_LOGIN, True), ("TOP", AFTER_LOGIN, False)},
    ),
    "TOP of one that is not": (
        [*LOGGED_IN, said("STAT", "+OK 1 10"), said("TOP 2 0", "-ERR no such message")],
        {("USER", BEFORE_LOGIN, True)},
    ),
    "a wrong password": (
        [HELLO, said("USER u", "+OK"), said("PASS x", "-ERR [AUTH] wrong")],
        {("RESP-CODES", BEFORE_LOGIN, True), ("AUTH-RESP-CODE", BEFORE_LOGIN, True)},
    ),
    "a mechanism that logs in": (
        [HELLO, began("PLAIN", "+OK", PLAIN)],
        {("SASL PLAIN", BEFORE_LOGIN, True)},
    ),
    "a mechanism whose credentials are refused": (
        [HELLO, began("PLAIN", "-ERR wrong", PLAIN)],
        set(),
    ),
    "a mechanism that is not known": (
        [HELLO, said("AUTH CRAM-MD5", "-ERR unknown mechanism")],
        {("SASL CRAM-MD5", BEFORE_LOGIN, False)},
    ),
}


@pytest.mark.parametrize("title", EVIDENCE)
def test_what_an_exchange_shows_of_a_capability(title: str) -> None:
    exchanges, expected = EVIDENCE[title]

    found = evidence(exchanges)

    assert found == expected


LISTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    BEFORE_LOGIN: {"TOP": [], "UIDL": [], "UTF8": ["USER"], "SASL": ["PLAIN", "CRAM-MD5"]},
    AFTER_LOGIN: {"TOP": [], "PIPELINING": [], "EXPIRE": ["NEVER"]},
}
USED: set[Use] = {
    ("TOP", AFTER_LOGIN, True),
    ("TOP", AFTER_LOGIN, False),
    ("UIDL", AFTER_LOGIN, True),
    ("UTF8", BEFORE_LOGIN, False),
    ("SASL PLAIN", BEFORE_LOGIN, False),
    ("SASL QZJX", BEFORE_LOGIN, False),
}
VERDICTS = (
    ("TOP", AFTER_LOGIN, "pass"),
    ("TOP", BEFORE_LOGIN, "untested"),
    ("UIDL", AFTER_LOGIN, "fail"),
    ("PIPELINING", BEFORE_LOGIN, "not-applicable"),
    ("UTF8", BEFORE_LOGIN, "observed"),
    ("SASL PLAIN", BEFORE_LOGIN, "fail"),
    ("SASL CRAM-MD5", BEFORE_LOGIN, "untested"),
    ("PIPELINING", AFTER_LOGIN, "fail"),
    ("EXPIRE", AFTER_LOGIN, "pass"),
    ("EXPIRE", BEFORE_LOGIN, "not-applicable"),
)


@pytest.fixture
def cells() -> list[Cell]:
    return truth(LISTS, USED, {"rfc2449-6.6-in-turn": False})


@pytest.mark.parametrize(("capability", "place", "verdict"), VERDICTS)
def test_a_cell_compares_what_is_announced_with_what_works(
    cells: list[Cell], capability: str, place: str, verdict: str
) -> None:
    (cell,) = [each for each in cells if (each.capability, each.place) == (capability, place)]

    assert cell.verdict == verdict


def test_what_is_neither_announced_nor_works_has_no_row(cells: list[Cell]) -> None:
    assert "SASL QZJX" not in {cell.capability for cell in cells}


def test_where_capa_is_not_answered_nothing_counts_as_announced() -> None:
    (cell,) = truth({}, {("TOP", AFTER_LOGIN, True)}, {})

    assert cell.announced is None
    assert cell.verdict == "observed"


def test_the_table_has_a_column_for_each_place(cells: list[Cell]) -> None:
    head, *lines = truth_table(cells)

    assert head.split() == ["capabilities", "before", "login", "after", "login"]
    marks = {line.split()[0]: line.split()[1:] for line in lines}
    assert marks["TOP"] == ["announced", "yes"]
    assert marks["UIDL"] == ["announced", "MISSING"]
    assert marks["EXPIRE"] == ["-", "announced"]


def test_a_list_without_end_does_not_fill_the_terminal() -> None:
    tags: dict[str, list[str]] = {f"X-{number}": [] for number in range(1000)}

    lines = truth_table(truth({IN_TLS: tags}, (), {}))

    assert len(lines) < 50
    assert lines[-1].endswith("more, in results.json")


def test_the_matrix_of_a_run_is_in_its_results(tmp_path: Path) -> None:
    ended = judge_here(tmp_path, "-k", "uidl.yaml")

    assert ended.code == 0, ended.text
    rows = json.loads((tmp_path / "reports/results.json").read_text())["capabilities"]
    uidl = {row["state"]: row for row in rows if row["capability"] == "UIDL"}
    assert uidl[AFTER_LOGIN] == {
        "capability": "UIDL",
        "state": AFTER_LOGIN,
        "announced": True,
        "arguments": [],
        "works": True,
        "verdict": "pass",
    }
    assert "capabilities" in ended.text
