import json
from dataclasses import replace

import pytest

from pop3spec.report.rows import FindingRow, RuleRow, ScenarioRow, fails_run, rule_rows
from pop3spec.report.text import one_line, visible
from pop3spec.rulebook.rules import Basis, Level, Rule, rulebook
from pop3spec.verdict import Finding, Outcome, Verdict, breach, verdict_of, worst

MUST = "rfc1939-3-byte-stuffing"
SHOULD = "rfc1939-9-should"
MAY = "rfc1939-9-may"
PRACTICE = "practice-final-line-end"
ROBUST = "robust-serves-next-client"
RULES = {
    id: Rule(id, "RFC 1939, section 3", level, Basis.PROSE, "A summary.")
    for id, level in (
        (PRACTICE, Level.SHOULD),
        (MUST, Level.MUST),
        (SHOULD, Level.SHOULD),
        (MAY, Level.MAY),
        (ROBUST, Level.MUST),
    )
}


def scenario(verdict: Verdict, slug: str = "one", **facts: object) -> ScenarioRow:
    row = ScenarioRow(
        id=f"rfc1939/x::{slug}", title="X", file="scenarios/rfc1939/x.yaml", line=3, verdict=verdict
    )
    return replace(row, **facts)  # type: ignore[arg-type]  # the names are checked at run time


def broken(*rules: str) -> tuple[FindingRow, ...]:
    return tuple(FindingRow(rule, "'one'") for rule in rules)


def verdict_of_rule(id: str, *rows: ScenarioRow) -> Verdict:
    return {row.id: row.verdict for row in rule_rows(RULES, rows)}[id]


def test_a_scenario_row_comes_back_from_json_as_it_was() -> None:
    row = scenario(
        Verdict.FAIL,
        rules=(MUST,),
        exercised=(MUST, ROBUST),
        known=True,
        known_why="ticket 7",
        seconds=0.25,
        detail="a line lost its dot",
        findings=(FindingRow(MUST, "'one'", "'.one'", "x.yaml:9", "RETR 1", known=True),),
        transcript=("0.000 C: RETR 1\\r\\n",),
        replay="pop3spec run --target=h:1",
    )

    assert ScenarioRow.from_data(json.loads(json.dumps(row.to_data()))) == row


def test_a_rule_row_comes_back_from_json_as_it_was() -> None:
    for row in rule_rows(RULES, [scenario(Verdict.FAIL, findings=broken(MUST, ROBUST))]):
        assert RuleRow.from_data(json.loads(json.dumps(row.to_data()))) == row


def test_the_row_of_an_outcome_keeps_what_was_found() -> None:
    outcome = Outcome(
        Verdict.WARN,
        "why",
        (Finding(SHOULD, "b", "a", 2, "x:1", "STAT"),),
        frozenset({MUST, SHOULD}),
    )

    row = ScenarioRow.from_outcome(
        outcome, id="x::y", title="Y", file="x.yaml", line=1, rules=[SHOULD], replay="again"
    )

    assert row.findings == (FindingRow(SHOULD, "b", "a", "x:1", "STAT"),)
    assert row.exercised == (MUST, SHOULD)
    assert row.reason == "why"


@pytest.mark.parametrize(
    "rule, level, verdict",
    [
        (MUST, Level.MUST, Verdict.FAIL),
        (SHOULD, Level.SHOULD, Verdict.WARN),
        (MAY, Level.MAY, Verdict.PASS),
        (PRACTICE, Level.SHOULD, Verdict.WARN),
        (ROBUST, Level.MUST, Verdict.FAIL),
    ],
)
def test_breaking_a_rule_weighs_as_much_as_its_level(
    rule: str, level: Level, verdict: Verdict
) -> None:
    assert breach(rule, level) is verdict


def test_findings_add_up_and_the_worst_one_decides() -> None:
    assert verdict_of([], RULES) is Verdict.PASS
    assert verdict_of([Finding(PRACTICE, "x"), Finding(SHOULD, "x")], RULES) is Verdict.WARN
    assert verdict_of([Finding(SHOULD, "x"), Finding(MUST, "x")], RULES) is Verdict.FAIL
    assert verdict_of([Finding(MAY, "x")], RULES) is Verdict.PASS


def test_of_several_verdicts_of_a_scenario_the_first_decides() -> None:
    order = [Verdict.FAIL, Verdict.ERROR, Verdict.WARN, Verdict.BLOCKED, Verdict.PASS]

    assert [worst(reversed(order[place:])) for place in range(len(order))] == order


@pytest.mark.parametrize(
    "rows, verdict",
    [
        ([], Verdict.UNTESTED),
        ([scenario(Verdict.PASS, rules=(MUST,))], Verdict.UNTESTED),
        ([scenario(Verdict.ERROR, rules=(MUST,))], Verdict.UNTESTED),
        ([scenario(Verdict.PASS, exercised=(MUST,))], Verdict.PASS),
        ([scenario(Verdict.BLOCKED, exercised=(MUST,))], Verdict.PASS),
        ([scenario(Verdict.FAIL, exercised=(MUST, ROBUST), findings=broken(ROBUST))], Verdict.PASS),
        ([scenario(Verdict.BLOCKED, rules=(MUST,))], Verdict.BLOCKED),
        ([scenario(Verdict.NOT_APPLICABLE, rules=(MUST,))], Verdict.NOT_APPLICABLE),
        (
            [
                scenario(Verdict.NOT_APPLICABLE, rules=(MUST,)),
                scenario(Verdict.BLOCKED, "two", rules=(MUST,)),
            ],
            Verdict.BLOCKED,
        ),
        (
            [
                scenario(Verdict.BLOCKED, rules=(MUST,)),
                scenario(Verdict.PASS, "two", exercised=(MUST,)),
            ],
            Verdict.PASS,
        ),
        (
            [
                scenario(Verdict.PASS, exercised=(MUST,)),
                scenario(Verdict.FAIL, "two", exercised=(MUST,), findings=broken(MUST)),
            ],
            Verdict.FAIL,
        ),
    ],
)
def test_the_verdict_of_a_rule_is_what_was_seen_of_it(
    rows: list[ScenarioRow], verdict: Verdict
) -> None:
    assert verdict_of_rule(MUST, *rows) is verdict


def test_a_rule_is_judged_by_its_own_level_inside_a_failing_scenario() -> None:
    row = scenario(Verdict.FAIL, findings=broken(MUST, SHOULD, PRACTICE, ROBUST, MAY))

    assert verdict_of_rule(MUST, row) is Verdict.FAIL
    assert verdict_of_rule(ROBUST, row) is Verdict.FAIL
    assert verdict_of_rule(SHOULD, row) is Verdict.WARN
    assert verdict_of_rule(PRACTICE, row) is Verdict.WARN
    assert verdict_of_rule(MAY, row) is Verdict.PASS


def test_a_rule_that_a_test_lists_and_did_not_try_is_not_untested_for_what_else_it_broke() -> None:
    outcome = Outcome(
        Verdict.FAIL, findings=(Finding(MUST, "'one'"),), untried=Verdict.NOT_APPLICABLE
    )
    facts = {"id": "a.py::b", "title": "B", "file": "a.py", "line": 1, "replay": ""}
    row = ScenarioRow.from_outcome(outcome, rules=(SHOULD,), **facts)  # type: ignore[arg-type]

    assert ScenarioRow.from_data(json.loads(json.dumps(row.to_data()))) == row
    assert verdict_of_rule(SHOULD, row) is Verdict.NOT_APPLICABLE
    assert verdict_of_rule(MUST, row) is Verdict.FAIL


def test_a_rule_row_names_the_scenarios_that_list_or_break_the_rule() -> None:
    rows = [
        scenario(Verdict.FAIL, "c", findings=broken(MUST)),
        scenario(Verdict.PASS, "b", exercised=(MUST,)),
        scenario(Verdict.PASS, "a", rules=(MUST,), exercised=(MUST,)),
    ]

    [rule] = [row for row in rule_rows(RULES, rows) if row.id == MUST]

    assert rule.scenarios == ("rfc1939/x::a", "rfc1939/x::c")
    assert (rule.exercised, rule.broken) == (3, 1)


def test_rule_rows_begin_with_the_rfcs_and_do_not_depend_on_the_order_of_rows() -> None:
    rows = [scenario(Verdict.PASS, slug, rules=tuple(rulebook())) for slug in "abc"]

    forward = rule_rows(rulebook(), rows)

    assert forward == rule_rows(rulebook(), rows[::-1])
    assert forward[0].rfc == 1939
    assert forward[-1].rfc is None
    assert {row.id for row in forward} == set(rulebook())


@pytest.mark.parametrize(
    "row, at_must, at_should",
    [
        (scenario(Verdict.PASS), False, False),
        (scenario(Verdict.ERROR), False, False),
        (scenario(Verdict.FAIL, findings=broken(MUST)), True, True),
        (scenario(Verdict.FAIL, findings=broken("rfc9999-1-of-another-release")), True, True),
        (scenario(Verdict.FAIL), True, True),
        (scenario(Verdict.WARN, findings=broken(SHOULD)), False, True),
        (scenario(Verdict.WARN, findings=broken(MAY)), False, False),
        (scenario(Verdict.WARN, findings=broken(PRACTICE)), False, False),
        (scenario(Verdict.WARN, findings=broken(PRACTICE, SHOULD)), False, True),
        (scenario(Verdict.FAIL, known=True, findings=broken(MUST)), False, False),
        (
            scenario(Verdict.FAIL, findings=(FindingRow(MUST, "x", known=True), *broken(SHOULD))),
            False,
            True,
        ),
    ],
)
def test_a_row_fails_the_run_at_its_level(row: ScenarioRow, at_must: bool, at_should: bool) -> None:
    assert fails_run(row, RULES, Level.MUST) is at_must
    assert fails_run(row, RULES, Level.SHOULD) is at_should


@pytest.mark.parametrize(
    "text, seen",
    [
        ("plain: +OK 'ü' 漢 ✓", "plain: +OK 'ü' 漢 ✓"),
        ("a\nb\tc", "a\nb\tc"),
        ("\x1b[31m\x00\r\x7f\x85\x9b", r"\u001b[31m\u0000\u000d\u007f\u0085\u009b"),
        ("\u202etxt\u2066\u200b\ufeff\u00ad", r"\u202etxt\u2066\u200b\ufeff\u00ad"),
        ("\u2028\u2029\u00a0", r"\u2028\u2029\u00a0"),
        ("\ud800\ufffe\uffff\ufdd0", r"\ud800\ufffe\uffff\ufdd0"),
        ("\U000e0041\U0001ffff\ufe0f\u3164", r"\U000e0041\U0001ffff\ufe0f\u3164"),
    ],
    ids=["readable", "layout", "control", "bidi", "separators", "no-character", "invisible"],
)
def test_what_cannot_be_seen_is_written_as_an_escape(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert visible(seen) == seen


def test_one_line_has_no_line_end_and_keeps_its_limit() -> None:
    assert one_line("a\r\nb\tc\n") == "a\\u000d b c"
    assert one_line("0123456789", 5) == "0123…"
