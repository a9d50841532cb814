from dataclasses import replace

from pop3spec.report.rows import FindingRow, ScenarioRow, rule_rows
from pop3spec.report.summary import failure_text, summary_lines
from pop3spec.rulebook.rules import Basis, Level, Rule
from pop3spec.verdict import Verdict

MUST = "rfc1939-3-byte-stuffing"
SECOND = "rfc1939-5-retr"
SHOULD = "rfc1939-9-should"
PRACTICE = "practice-final-line-end"
ROBUST = "robust-serves-next-client"
RULES = {
    id: Rule(id, source, level, Basis.PROSE, "A leading dot is doubled.")
    for id, source, level in (
        (PRACTICE, "practice", Level.SHOULD),
        (SHOULD, "RFC 1939, section 9", Level.SHOULD),
        (MUST, "RFC 1939, section 3", Level.MUST),
        (SECOND, "RFC 1939, section 5", Level.MUST),
        (ROBUST, "robustness", Level.MUST),
    )
}

PASS = ScenarioRow(
    id="rfc1939/retr::dots",
    title="RETR delivers dots",
    file="scenarios/rfc1939/retr.yaml",
    line=15,
    rules=(MUST,),
    exercised=(MUST,),
    verdict=Verdict.PASS,
    replay="pop3spec run 127.0.0.1:110 scenarios/rfc1939/retr.yaml::dots --seed=7",
)
FAIL = replace(
    PASS,
    verdict=Verdict.FAIL,
    findings=(
        FindingRow(MUST, "'one'", "a line '.one'", "scenarios/rfc1939/retr.yaml:17", "RETR 1"),
    ),
    transcript=("0.000 C: RETR 1\\r\\n", "0.003 S: one\\r\\n"),
)
BLOCKED = replace(
    PASS, verdict=Verdict.BLOCKED, exercised=(), rules=(SECOND,), detail="no account was given"
)


def summary(*rows: ScenarioRow, width: int = 80) -> list[str]:
    return summary_lines(rows, rule_rows(RULES, rows), width=width)


def breaking(*rules: str) -> ScenarioRow:
    findings = tuple(FindingRow(rule, f"got-{rule}") for rule in rules)
    return replace(FAIL, id=f"x::{rules[0]}", findings=findings)


def test_the_text_of_a_failure_names_step_contrast_rule_bytes_and_replay() -> None:
    assert failure_text(FAIL, RULES).splitlines() == [
        "scenarios/rfc1939/retr.yaml:17: RETR 1",
        "  expected  a line '.one'",
        "  got       'one'",
        "  rule      rfc1939-3-byte-stuffing (MUST; RFC 1939, section 3)",
        "            A leading dot is doubled.",
        "  0.000 C: RETR 1\\r\\n",
        "  0.003 S: one\\r\\n",
        "replay: pop3spec run 127.0.0.1:110 scenarios/rfc1939/retr.yaml::dots --seed=7",
    ]


def test_the_text_of_a_failure_begins_with_the_finding_that_decides() -> None:
    text = failure_text(breaking(PRACTICE, SHOULD, ROBUST), RULES)

    assert text.index(ROBUST) < min(text.index(PRACTICE), text.index(SHOULD))


def test_the_text_of_a_blocked_scenario_gives_the_reason() -> None:
    assert failure_text(BLOCKED, RULES).splitlines()[:2] == [
        "scenarios/rfc1939/retr.yaml:15: RETR delivers dots",
        "  blocked   no account was given",
    ]


def test_the_text_of_what_stands_in_no_file_begins_with_its_id() -> None:
    row = replace(FAIL, id="over-sessions::uidl", file="", findings=(FindingRow(MUST, "'x'"),))

    assert failure_text(row, RULES).startswith("over-sessions::uidl: RETR delivers dots\n")


def test_the_text_of_a_failure_cannot_reach_the_terminal() -> None:
    row = replace(FAIL, title="\x1b[2J", findings=(FindingRow(MUST, "\x1b[2J\u202e\nmore"),))

    text = failure_text(row, RULES)

    assert "\x1b" not in text
    assert "  got       \\u001b[2J\\u202e\n            more\n" in text


def test_scenarios_are_counted_by_verdict() -> None:
    assert summary(PASS, PASS, replace(FAIL, known=True), BLOCKED)[0] == (
        "4 scenarios: 2 pass, 1 fail (1 known), 1 blocked"
    )
    assert summary()[0] == "0 scenarios: nothing was run"


def test_the_table_counts_rules_by_specification_and_level() -> None:
    assert summary(FAIL, BLOCKED)[2:7] == [
        "rules     level   pass  fail  warn  not applicable  blocked  untested",
        "RFC 1939  MUST       0     1     0               0        1         0",
        "RFC 1939  SHOULD     0     0     0               0        0         1",
        "robust    MUST       0     0     0               0        0         1",
        "practice  SHOULD     0     0     0               0        0         1",
    ]


def test_untested_and_blocked_must_rules_are_said_in_words() -> None:
    complete = replace(PASS, exercised=tuple(RULES))

    assert any(
        "1 MUST rule untested and 1 MUST rule blocked" in line for line in summary(FAIL, BLOCKED)
    )
    assert "No MUST rule was left untested or blocked." in summary(complete)


def test_the_three_most_important_failures_are_told_with_their_replay() -> None:
    lines = summary(
        breaking(PRACTICE, SHOULD), breaking(MUST), breaking(ROBUST), replace(FAIL, id="x::again")
    )

    told = [line for line in lines if line.startswith(("fail:", "warn:"))]
    assert told == [
        f"fail: {MUST} (MUST; RFC 1939, section 3)",
        f"fail: {ROBUST} (MUST)",
        f"warn: {SHOULD} (SHOULD; RFC 1939, section 9)",
    ]
    assert lines.count(f"  replay: {FAIL.replay}") == 3
    assert f"  got       got-{SHOULD}" in lines
    assert "and 1 more broken rule" in lines


def test_a_rule_of_another_release_is_told_by_its_id_alone() -> None:
    row = replace(FAIL, findings=(FindingRow("rfc9999-1-gone", "'x'"),), replay="")

    assert "fail: rfc9999-1-gone" in summary(row)
    assert "  rule      rfc9999-1-gone" in failure_text(row, RULES).splitlines()


def test_a_known_deviation_is_not_among_the_failures() -> None:
    known = replace(FAIL, known=True, findings=(replace(FAIL.findings[0], known=True),))

    assert not [line for line in summary(known) if "replay" in line]


def test_a_reason_for_blocking_is_said_once() -> None:
    lines = summary(
        BLOCKED,
        replace(BLOCKED, detail="--allow-delete was not given"),
        BLOCKED,
        replace(PASS, verdict=Verdict.ERROR, detail="KeyError: 'x'"),
    )

    assert [line for line in lines if line.startswith(("blocked:", "error:"))] == [
        "error: 1 scenario: KeyError: 'x'",
        "blocked: 2 scenarios: no account was given",
        "blocked: 1 scenario: --allow-delete was not given",
    ]


def test_only_the_replay_command_is_wider_than_the_terminal() -> None:
    long = replace(
        FAIL, findings=(FindingRow(MUST, "x" * 300),), replay="pop3spec run " + "y" * 300
    )

    lines = summary(long, replace(BLOCKED, detail="why " * 90))

    assert [line[:9] for line in lines if len(line) > 80] == ["  replay:"]
