from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from pop3spec.report.junit import write_junit
from pop3spec.report.results import Results
from pop3spec.report.rows import FindingRow, ScenarioRow
from pop3spec.rulebook.rules import Level, rulebook
from pop3spec.verdict import Verdict

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "data" / "jenkins-junit.xsd"))

MUST = "rfc1939-3-byte-stuffing"
PRACTICE = "practice-final-line-end"
SHOULD = next(
    rule.id for rule in rulebook().values() if rule.level is Level.SHOULD and rule.rfc is not None
)
HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J ]]> <![CDATA[ &amp; <b> \x00 \ud800 \udfff \ufffe \uffff "
    "\U0001fffe \u202egpj.exe\u2066 \u200b\ufeff \x85\x9b \r\n\t\"'"
)
SHOWN = "\\u001b]0;owned\\u0007\\u001b[2J ]]> <![CDATA[ &amp; <b> \\u0000 \\ud800 \\udfff"

PASS = ScenarioRow(
    id="rfc1939/retr::dots",
    title="RETR delivers dots",
    file="scenarios/rfc1939/retr.yaml",
    line=15,
    rules=(MUST,),
    exercised=(MUST,),
    verdict=Verdict.PASS,
    seconds=0.00001,
    replay="pop3spec run --target=127.0.0.1:110 retr.yaml::dots",
)
FAIL = replace(
    PASS,
    id="rfc1939/retr::fails",
    verdict=Verdict.FAIL,
    findings=(
        FindingRow(SHOULD, "a blank"),
        FindingRow(MUST, "'one'", "a line '.one'", "scenarios/rfc1939/retr.yaml:17", "RETR 1"),
    ),
    transcript=("0.000 C: RETR 1\\r\\n", "0.003 S: one\\r\\n"),
)
WARN = replace(PASS, verdict=Verdict.WARN, findings=(FindingRow(SHOULD, "a blank"),))
PRACTISED = replace(PASS, verdict=Verdict.WARN, findings=(FindingRow(PRACTICE, "33 octets"),))


def written(directory: Path, *rows: ScenarioRow, level: Level = Level.MUST) -> Any:
    path = directory / "junit.xml"
    results = Results(
        version="1.0",
        rules_digest="",
        target={"address": "127.0.0.1:110"},
        started=datetime(2026, 11, 23, 5, 16, tzinfo=UTC),
        seconds=0.00002,
        seed=7,
        options={},
        rules=(),
        scenarios=rows,
    )
    write_junit(path, results, rulebook(), level=level)
    return etree.parse(path).getroot()


def assert_is_valid(root: Any) -> None:
    for element in root.xpath("//properties"):
        element.getparent().remove(element)
    for element in root.iter():
        for name in ("file", "line", "disabled"):
            element.attrib.pop(name, None)
    SCHEMA.assertValid(root)


def properties(element: Any) -> list[tuple[str, str]]:
    return [(item.get("name"), item.get("value")) for item in element.xpath("properties/property")]


def test_a_case_has_the_name_that_stays_and_names_its_rules(tmp_path: Path) -> None:
    [case] = written(tmp_path, PASS).iter("testcase")

    assert case.get("classname") == "scenarios.rfc1939.retr"
    assert case.get("name") == "dots"
    assert (case.get("file"), case.get("line")) == ("scenarios/rfc1939/retr.yaml", "15")
    assert properties(case) == [
        ("id", "rfc1939/retr::dots"),
        ("title", "RETR delivers dots"),
        ("verdict", "pass"),
        ("rule", MUST),
        ("section", "RFC 1939, section 3"),
        ("level", "MUST"),
    ]
    assert [child.tag for child in case] == ["properties"]


def test_a_failure_says_all_that_is_needed_to_repeat_it(tmp_path: Path) -> None:
    [failure] = written(tmp_path, FAIL).iter("failure")

    assert failure.get("type") == MUST
    assert failure.get("message") == f"{MUST}: expected a line '.one', got 'one'"
    for part in (
        "scenarios/rfc1939/retr.yaml:17: RETR 1",
        "expected  a line '.one'",
        "got       'one'",
        f"rule      {MUST} (MUST; RFC 1939, section 3)",
        "0.003 S: one\\r\\n",
        f"replay: {FAIL.replay}",
    ):
        assert part in failure.text


def test_a_failure_without_a_finding_is_not_lost(tmp_path: Path) -> None:
    [failure] = written(tmp_path, replace(FAIL, findings=(), detail="")).iter("failure")

    assert failure.get("type") == MUST


@pytest.mark.parametrize(
    "row, level, fails",
    [
        (WARN, Level.MUST, False),
        (WARN, Level.SHOULD, True),
        (PRACTISED, Level.MUST, False),
        (PRACTISED, Level.SHOULD, False),
    ],
    ids=["warn", "warn-at-should", "practice", "practice-at-should"],
)
def test_a_warning_is_a_note_or_a_failure_by_the_level(
    tmp_path: Path, row: ScenarioRow, level: Level, fails: bool
) -> None:
    [case] = written(tmp_path, row, level=level).iter("testcase")

    notes = [value for name, value in properties(case) if name == "note"]
    assert bool(case.findall("failure")) is fails
    assert notes == ([] if fails else [row.findings[0].line])
    assert bool(case.findall("system-out")) is not fails


@pytest.mark.parametrize(
    "row, message",
    [
        (replace(PASS, verdict=Verdict.NOT_APPLICABLE, detail="TOP"), "not applicable: TOP"),
        (replace(PASS, verdict=Verdict.BLOCKED, detail="no account"), "blocked: no account"),
        (replace(FAIL, known=True, known_why="ticket 7"), "known: ticket 7"),
    ],
    ids=["not-applicable", "blocked", "known"],
)
def test_what_did_not_count_is_skipped_with_the_reason(
    tmp_path: Path, row: ScenarioRow, message: str
) -> None:
    root = written(tmp_path, row)

    [skipped] = root.iter("skipped")
    assert skipped.get("message") == message
    assert (root[0].get("failures"), root[0].get("skipped")) == ("0", "1")


def test_our_own_fault_is_an_error_even_without_words(tmp_path: Path) -> None:
    root = written(tmp_path, replace(PASS, verdict=Verdict.ERROR))

    assert [root.get("errors"), root.get("failures"), root.get("tests")] == ["1", "0", "1"]
    assert len(list(root.iter("error"))) == 1


def test_the_suite_names_the_target_the_version_and_the_seed(tmp_path: Path) -> None:
    [suite] = written(tmp_path, PASS)

    assert properties(suite) == [("target", "127.0.0.1:110"), ("version", "1.0"), ("seed", "7")]
    assert suite.get("timestamp") == "2026-11-23T05:16:00Z"
    assert suite.get("time") == "0.000"


def test_the_file_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    rows = [PASS, FAIL, replace(PASS, file="scenarios/rfc1939/apop.yaml", id="rfc1939/apop::a")]
    written(tmp_path, *rows)
    forward = (tmp_path / "junit.xml").read_bytes()

    written(tmp_path, *rows[::-1])

    assert (tmp_path / "junit.xml").read_bytes() == forward
    assert [path.name for path in tmp_path.iterdir()] == ["junit.xml"]


def hostile(row: ScenarioRow, text: str) -> ScenarioRow:
    return replace(
        row,
        id=f"{text}::{text}",
        title=text,
        file=text,
        rules=(text, MUST),
        known_why=text,
        detail=text,
        findings=tuple(
            replace(finding, got=text, expected=text, where=text, command=text)
            for finding in (*row.findings, FindingRow(text, text))
        ),
        transcript=(text,),
        replay=text,
    )


EVERY_KIND = [
    PASS,
    FAIL,
    WARN,
    PRACTISED,
    replace(FAIL, known=True),
    *(
        replace(PASS, verdict=verdict)
        for verdict in (Verdict.NOT_APPLICABLE, Verdict.BLOCKED, Verdict.ERROR)
    ),
]


def test_hostile_text_is_visible_in_a_valid_file(tmp_path: Path) -> None:
    root = written(tmp_path, *(hostile(row, HOSTILE) for row in EVERY_KIND))

    for element in root.iter("failure", "error", "skipped", "system-out"):
        assert SHOWN in element.text
    assert "\\u202egpj.exe\\u2066" in next(root.iter("failure")).text
    assert len(list(root.iter("testcase"))) == len(EVERY_KIND)
    assert_is_valid(root)


@settings(deadline=None, max_examples=60)
@given(text=st.text(st.characters(exclude_categories=())))
def test_any_text_makes_a_valid_file(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    directory = tmp_path_factory.getbasetemp()

    root = written(directory, *(hostile(row, text) for row in EVERY_KIND))

    assert_is_valid(root)


def test_the_schema_refuses_what_jenkins_refuses(tmp_path: Path) -> None:
    root = written(tmp_path, PASS)

    assert not SCHEMA.validate(root)  # a case with properties
    root.find("testsuite").set("time", "1e-05")
    with pytest.raises(etree.DocumentInvalid, match="1e-05"):
        assert_is_valid(root)
