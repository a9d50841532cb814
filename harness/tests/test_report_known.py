from dataclasses import replace
from datetime import date

import pytest

from pop3spec.report.exit_code import exit_code
from pop3spec.report.known import marked, staleness
from pop3spec.report.rows import FindingRow, ScenarioRow, rule_rows
from pop3spec.rulebook.rules import Basis, Level, Rule
from pop3spec.target import KnownDeviation
from pop3spec.verdict import Verdict

MUST = "rfc1939-3-byte-stuffing"
OTHER = "rfc1939-5-retr"
SHOULD = "rfc1939-9-should"
RULES = {
    id: Rule(id, "RFC 1939, section 3", level, Basis.PROSE, "A summary.")
    for id, level in ((MUST, Level.MUST), (OTHER, Level.MUST), (SHOULD, Level.SHOULD))
}
TODAY = date(2026, 11, 23)

PASS = ScenarioRow(
    id="rfc1939/x::one",
    title="X",
    file="scenarios/rfc1939/x.yaml",
    line=3,
    rules=(MUST,),
    exercised=(MUST,),
    verdict=Verdict.PASS,
)
FAIL = replace(PASS, verdict=Verdict.FAIL, findings=(FindingRow(MUST, "'one'"),))
WARN = replace(
    PASS, verdict=Verdict.WARN, exercised=(SHOULD,), findings=(FindingRow(SHOULD, "'one'"),)
)
BOTH = replace(FAIL, findings=(FindingRow(MUST, "'one'"), FindingRow(OTHER, "'two'")))
UNTOUCHED = replace(PASS, exercised=())
BLOCKED = replace(PASS, verdict=Verdict.BLOCKED, exercised=(), detail="no account")
NOT_APPLICABLE = replace(BLOCKED, verdict=Verdict.NOT_APPLICABLE)
ERROR = replace(BLOCKED, verdict=Verdict.ERROR)


def record(
    rule: str = MUST, scenario: str | None = None, until: str | None = None
) -> KnownDeviation:
    return KnownDeviation(rule=rule, why="ticket 7", scenario=scenario, until=until)


def apply_known(
    rows: list[ScenarioRow], records: list[KnownDeviation], today: date
) -> tuple[list[ScenarioRow], list[str]]:
    told = staleness(rows, records, today)
    return [marked(row, records, today) for row in rows], list(told.stale)


def exits(
    *rows: ScenarioRow,
    level: Level = Level.MUST,
    require_complete: bool = False,
    target_lost: bool = False,
    stale: tuple[str, ...] = (),
) -> int:
    return exit_code(
        rows,
        stale,
        level=level,
        require_complete=require_complete,
        target_lost=target_lost,
        rule_rows=rule_rows(RULES, rows),
    )


@pytest.mark.parametrize(
    "row, deviation, is_known, is_stale",
    [
        (FAIL, record(), True, False),
        (FAIL, record(scenario="rfc1939/x::one"), True, False),
        (FAIL, record(until="2026-11-23"), True, False),
        (WARN, record(SHOULD), True, False),
        (FAIL, record(until="2026-11-22"), False, False),
        (FAIL, record(OTHER), False, False),
        (FAIL, record(scenario="rfc1939/x::two"), False, False),
        (replace(FAIL, id="rfc1939/x::one[stls]"), record(scenario="rfc1939/x::one"), True, False),
        (PASS, record(), False, True),
        (PASS, record(scenario="rfc1939/x::one"), False, True),
        (PASS, record(scenario="rfc1939/x::two"), False, False),
        (PASS, record(until="2026-11-22"), False, False),
        (UNTOUCHED, record(), False, False),
        (BLOCKED, record(), False, False),
        (NOT_APPLICABLE, record(), False, False),
        (ERROR, record(), False, False),
        (BOTH, record(), False, False),
    ],
    ids=[
        "fails",
        "fails-in-the-scenario",
        "fails-on-the-last-day",
        "warns",
        "fails-expired",
        "fails-by-another-rule",
        "fails-in-another-scenario",
        "fails-on-another-transport",
        "holds",
        "holds-in-the-scenario",
        "holds-in-another-scenario",
        "holds-expired",
        "not-exercised",
        "blocked",
        "not-applicable",
        "error",
        "fails-by-two-rules-with-one-on-record",
    ],
)
def test_a_known_deviation_is_known_or_stale_or_nothing(
    row: ScenarioRow, deviation: KnownDeviation, is_known: bool, is_stale: bool
) -> None:
    [found], stale = apply_known([row], [deviation], TODAY)

    assert found.known is is_known
    assert found.known_why == ("ticket 7" if is_known else "")
    assert bool(stale) is is_stale


def test_a_scenario_is_known_when_all_its_findings_are() -> None:
    [found], stale = apply_known([BOTH], [record(), record(OTHER)], TODAY)

    assert found.known
    assert found.known_why == "ticket 7"
    assert not stale


def test_a_record_is_not_stale_while_the_rule_is_broken_somewhere() -> None:
    _, stale = apply_known([PASS, replace(FAIL, id="rfc1939/x::two")], [record()], TODAY)

    assert not stale


ELSEWHERE, BESIDE = "rfc1939/x::elsewhere", "rfc1939/x::beside"


@pytest.mark.parametrize(
    ("rows", "scenario", "is_stale"),
    [
        ([PASS], None, True),
        ([PASS], "rfc1939/x::one", True),
        ([PASS, replace(PASS, id=ELSEWHERE)], None, True),
        ([PASS, replace(PASS, id=f"{ELSEWHERE}[stls]")], None, True),
        ([PASS, replace(UNTOUCHED, id=ELSEWHERE)], None, True),
        ([PASS, replace(NOT_APPLICABLE, id=ELSEWHERE)], None, True),
        ([PASS, replace(BLOCKED, id=ELSEWHERE)], None, False),
        ([PASS, replace(ERROR, id=ELSEWHERE)], None, False),
        (
            [
                PASS,
                replace(BLOCKED, id=f"{ELSEWHERE}[tls]"),
                replace(PASS, id=f"{ELSEWHERE}[stls]"),
            ],
            None,
            False,
        ),
        ([PASS, replace(BLOCKED, id="rfc1939/x::one[stls]")], "rfc1939/x::one", False),
        ([replace(PASS, id=f"run::{MUST}")], f"run::{MUST}", True),
    ],
)
def test_a_record_is_not_stale_where_what_broke_the_rule_may_have_been_blocked(
    rows: list[ScenarioRow], scenario: str | None, is_stale: bool
) -> None:
    beside = replace(BLOCKED, id=BESIDE, rules=(OTHER,))

    told = staleness([*rows, beside], [record(scenario=scenario)], TODAY)

    assert bool(told.stale) is is_stale
    assert (MUST in told.undecided) is not is_stale


def test_a_stale_record_is_named_with_its_scenario_and_reason() -> None:
    _, [sentence] = apply_known([PASS], [record(scenario="rfc1939/x::one")], TODAY)

    assert MUST in sentence
    assert "rfc1939/x::one" in sentence
    assert "ticket 7" in sentence


def test_the_exit_code_is_not_affected_by_what_is_known() -> None:
    rows, stale = apply_known([FAIL], [record()], TODAY)

    assert exits(*rows, stale=tuple(stale)) == 0


def test_a_broken_rule_beside_a_known_one_still_counts_at_its_own_level() -> None:
    row = replace(FAIL, findings=(*FAIL.findings, *WARN.findings))
    rows, _ = apply_known([row], [record()], TODAY)

    assert exits(*rows) == 0
    assert exits(*rows, level=Level.SHOULD) == 1


def test_a_stale_record_fails_the_run() -> None:
    rows, stale = apply_known([PASS], [record()], TODAY)

    assert exits(*rows, stale=tuple(stale)) == 1


def test_a_broken_rule_is_1_and_wins_over_all_else() -> None:
    assert exits(FAIL, PASS) == 1
    assert exits(FAIL, ERROR, target_lost=True) == 1


def test_a_warning_is_1_under_level_should_alone() -> None:
    assert exits(WARN) == 0
    assert exits(WARN, level=Level.SHOULD) == 1


def test_an_error_is_3_where_nothing_failed() -> None:
    assert exits(ERROR, PASS) == 3
    assert exits(ERROR, target_lost=True) == 3


def test_a_run_in_which_nothing_was_judged_is_5() -> None:
    assert exits() == 5
    assert exits(BLOCKED, NOT_APPLICABLE) == 5
    assert exits(BLOCKED, require_complete=True) == 5


def test_a_target_that_went_away_is_6() -> None:
    assert exits(PASS, BLOCKED, target_lost=True) == 6
    assert exits(BLOCKED, target_lost=True) == 6


def test_untested_and_blocked_must_rules_fail_a_run_that_has_to_be_complete() -> None:
    complete = replace(PASS, exercised=(MUST, OTHER))

    assert exits(complete, require_complete=True) == 0
    assert exits(PASS, require_complete=True) == 1
    assert exits(PASS, replace(BLOCKED, rules=(OTHER,)), require_complete=True) == 1
    assert exits(PASS, replace(NOT_APPLICABLE, rules=(OTHER,)), require_complete=True) == 0
