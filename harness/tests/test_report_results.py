import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pop3spec.report.results import (
    Results,
    ResultsError,
    as_json,
    read_results,
    without_secrets,
    write_results,
)
from pop3spec.report.rows import FindingRow, RuleRow, ScenarioRow, rule_rows
from pop3spec.report.truth import Cell
from pop3spec.rulebook.rules import rulebook
from pop3spec.rulebook.uses import AFTER_LOGIN
from pop3spec.verdict import Verdict

MUST = "rfc1939-3-byte-stuffing"
PASS = ScenarioRow(
    id="rfc1939/retr::dots",
    title="RETR delivers dots",
    file="scenarios/rfc1939/retr.yaml",
    line=15,
    rules=(MUST,),
    exercised=(MUST,),
    verdict=Verdict.PASS,
    seconds=0.12345,
    transcript=("0.000 C: RETR 1\\r\\n",),
)
FAIL = replace(
    PASS,
    id="rfc1939/retr::fails",
    verdict=Verdict.FAIL,
    findings=(FindingRow(MUST, "'one'", "a line '.one'"),),
)


def results(*rows: ScenarioRow, **facts: Any) -> Results:
    given: dict[str, Any] = {
        "version": "1.0",
        "rules_digest": "abc",
        "target": {"greeting": b"+OK \x1b[2J\r\n"},
        "started": datetime(2026, 11, 23, 6, 16, tzinfo=timezone(timedelta(hours=1))),
        "seconds": 1.23456,
        "seed": 7,
        "options": {"level": "must"},
    }
    rules = tuple(rule_rows(rulebook(), rows))
    return Results(scenarios=rows, rules=rules, **(given | facts))


def document(*rows: ScenarioRow, **facts: Any) -> dict[str, Any]:
    return results(*rows, **facts).to_data()


def test_the_document_has_the_promised_keys() -> None:
    found = document(PASS, FAIL, observations=({"id": "b", "value": 1}, {"id": "a", "value": 2}))

    assert list(found) == [
        "schema",
        "suite",
        "target",
        "started",
        "seconds",
        "seed",
        "options",
        "rules",
        "scenarios",
        "capabilities",
        "observations",
    ]
    assert found["schema"] == 1
    assert found["suite"] == {"version": "1.0", "rules_digest": "abc"}
    assert found["target"] == {"greeting": "+OK \\x1b[2J\\r\\n"}
    assert found["started"] == "2026-11-23T05:16:00Z"
    assert found["seconds"] == 1.235
    assert [item["id"] for item in found["observations"]] == ["a", "b"]


def test_a_scenario_has_the_promised_keys_and_its_first_finding() -> None:
    passed, failed = document(FAIL, PASS)["scenarios"]

    assert (
        failed.items()
        >= {
            "id": "rfc1939/retr::fails",
            "title": "RETR delivers dots",
            "file": "scenarios/rfc1939/retr.yaml",
            "line": 15,
            "rules": [MUST],
            "verdict": "fail",
            "known": False,
            "seconds": 0.123,
            "detail": f"{MUST}: expected a line '.one', got 'one'",
        }.items()
    )
    assert failed["transcript"] == list(FAIL.transcript)
    assert passed["detail"] == ""
    assert "transcript" not in passed


def test_a_rule_has_the_promised_keys() -> None:
    rules = {rule["id"]: rule for rule in document(PASS)["rules"]}

    assert (
        rules[MUST].items()
        >= {
            "rfc": 1939,
            "section": "3",
            "level": "MUST",
            "title": rulebook()[MUST].summary,
            "verdict": "pass",
            "scenarios": [PASS.id],
        }.items()
    )
    robust = rules["robust-serves-next-client"]
    assert (robust["rfc"], robust["section"], robust["level"]) == (None, None, "MUST")


def test_rows_can_be_read_back_from_the_document() -> None:
    found = json.loads(json.dumps(document(FAIL)))

    [row] = map(ScenarioRow.from_data, found["scenarios"])
    assert row == replace(FAIL, seconds=0.123, detail=FAIL.reason)
    assert list(map(RuleRow.from_data, found["rules"])) == rule_rows(rulebook(), [FAIL])


def test_the_written_file_is_whole_and_safe_to_print(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "results.json"
    hostile = replace(FAIL, title="\x1b]0;x\x07 \u202e \ud800 漢\r\n", detail="\u200b")

    write_results(path, results(hostile, target={"\x9b": "\x7f"}))

    text = path.read_text("utf-8")
    assert text.endswith("}\n")
    assert all(character.isprintable() for character in text.replace("\n", ""))
    [scenario] = json.loads(text)["scenarios"]
    assert scenario["title"] == "\\u001b]0;x\\u0007 \\u202e \\ud800 漢\\u000d\n"
    assert [found.name for found in path.parent.iterdir()] == ["results.json"]


def test_a_write_that_fails_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(path, results(PASS))
    before = path.read_bytes()

    with pytest.raises(TypeError, match="no form in JSON"):
        write_results(path, results(PASS, target={"value": object()}))

    assert path.read_bytes() == before


def test_options_are_written_without_secrets() -> None:
    options = {
        "target": "pop3://alice:s3cr3t@p/w@mail.example:110",
        "account": ["alice:s3cr3t:more", "bob"],
        "maildrop": "imap://bob:s3cr3t@127.0.0.1:143",
        "password": "s3cr3t",
        "profile": {"accounts": [{"user": "alice", "password": "s3cr3t"}]},
        "fuzz": 100,
        "slow": False,
    }

    shown = without_secrets(options)

    assert "s3cr3t" not in json.dumps(shown)
    assert shown["target"] == "pop3://alice:***@mail.example:110"
    assert shown["account"] == ["alice", "bob"]
    assert (shown["fuzz"], shown["slow"]) == (100, False)


def test_values_of_python_have_a_form_in_json() -> None:
    @dataclass
    class Fact:
        value: float

    values = [Fact(float("nan")), {"b", "a"}, date(2026, 1, 2), Path("x"), Verdict.PASS, (None,)]

    assert as_json(values) == [{"value": None}, ["a", "b"], "2026-01-02", "x", "pass", [None]]
    assert as_json(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00+00:00"


# --- Reading ---


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    cells = (
        Cell("TOP", AFTER_LOGIN, True, (), True),
        Cell("X", AFTER_LOGIN, False, (), None, True),
    )
    write_results(path, results(FAIL, PASS, capabilities=cells, target={"address": "a:1"}))

    read = read_results(path)

    write_results(tmp_path / "again.json", read)
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()
    assert read.capabilities == cells
    assert read.started == datetime(2026, 11, 23, 5, 16, tzinfo=UTC)


NO_RESULTS = {
    "nothing": (None, "No such file"),
    "no JSON": ("{", "no JSON in UTF-8"),
    "another JSON": ("[]", "no results"),
    "no version": ("{}", "no results"),
    "a later version": ('{"schema": 2}', "a later pop3spec"),
    "a part": ('{"schema": 1}', "damaged"),
    "too deep": ("[" * 100_000, "no JSON in UTF-8"),
}


@pytest.mark.parametrize("text, problem", NO_RESULTS.values(), ids=NO_RESULTS)
def test_what_is_no_file_of_results_is_told_in_a_sentence(
    tmp_path: Path, text: str | None, problem: str
) -> None:
    path = tmp_path / "results.json"
    if text is not None:
        path.write_text(text, "utf-8")

    with pytest.raises(ResultsError) as told:
        read_results(path)

    assert str(told.value).startswith(f"{path}: ")
    assert problem in str(told.value)
    assert "\n" not in str(told.value)
