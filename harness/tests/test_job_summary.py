"""The summary in Markdown: what it says, and that nobody else's text is markup in it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command import judge_here
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from markdown_it import MarkdownIt

from pop3spec.report.job_summary import MOST_OCTETS, job_summary
from pop3spec.report.markdown import cell, code, words
from pop3spec.report.results import Results
from pop3spec.report.rows import FindingRow, ScenarioRow, rule_rows
from pop3spec.report.text import one_line, visible
from pop3spec.rulebook.rules import Level, rulebook
from pop3spec.verdict import Verdict

MUST = "rfc1939-3-byte-stuffing"
SHOULD = next(rule.id for rule in rulebook().values() if rule.rfc and rule.level is Level.SHOULD)
GFM = MarkdownIt("gfm-like", {"html": True, "linkify": False})
# What Markdown makes something of, more often than chance does.
TEXT = st.text(st.sampled_from("|`\\<>&@#[]()*_~!:.-\n\r\x1b\u202e ab1") | st.characters())

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
    findings=(FindingRow(MUST, "'one'", "a line '.one'", "retr.yaml:17", "RETR 1"),),
)
KNOWN = replace(FAIL, known=True, findings=(replace(FAIL.findings[0], known=True),))
BLOCKED = replace(PASS, verdict=Verdict.BLOCKED, exercised=(), detail="no account was given")


def results(*rows: ScenarioRow, level: str = "must") -> Results:
    return Results(
        version="1.0",
        rules_digest="",
        target={"address": "127.0.0.1:110"},
        started=datetime(2026, 11, 23, 5, 16, tzinfo=UTC),
        seconds=61.2,
        seed=7,
        options={"level": level},
        rules=tuple(rule_rows(rulebook(), rows)),
        scenarios=rows,
    )


def shown(*rows: ScenarioRow, level: str = "must") -> str:
    """The summary as a person reads it."""
    return "".join(etree.HTML(GFM.render(job_summary(results(*rows, level=level)))).itertext())


def test_a_broken_rule_is_told_with_its_section_the_contrast_and_the_replay() -> None:
    text = job_summary(results(FAIL))

    assert "[RFC 1939, section 3](https://www.rfc-editor.org/rfc/rfc1939#section-3)" in text
    assert f"\n```sh\n{PASS.replay}\n```\n" in text
    told = shown(FAIL)
    assert "❌ 1 rule is broken at the level MUST." in told
    assert f"fail: {MUST} (MUST; RFC 1939, section 3)" in told
    assert "expected: a line '.one'" in told
    assert "got: 'one'" in told


@pytest.mark.parametrize(
    "rows, level, verdict",
    [
        ([PASS], "must", "✅ Nothing is broken at the level MUST."),
        ([BLOCKED], "must", "⚠️ Nothing was judged."),
        ([], "must", "⚠️ Nothing was judged."),
        ([PASS, replace(PASS, verdict=Verdict.ERROR)], "must", "❌ pop3spec itself failed."),
        ([KNOWN], "must", "✅ Nothing is broken at the level MUST."),
    ],
    ids=["pass", "blocked", "nothing", "error", "known"],
)
def test_the_first_words_are_the_verdict(rows: list[ScenarioRow], level: str, verdict: str) -> None:
    assert verdict in shown(*rows, level=level)


def test_should_rules_count_where_that_was_asked_for() -> None:
    warned = replace(PASS, verdict=Verdict.WARN, findings=(FindingRow(SHOULD, "'x'"),))

    assert "✅" in shown(warned)
    assert "❌ 1 rule is broken at the level MUST or SHOULD." in shown(warned, level="should")


def test_what_could_not_be_judged_is_told() -> None:
    text = shown(PASS, BLOCKED)

    assert "1: no account was given" in text
    assert "MUST rules that are untested: the run says nothing of them" in text


@given(TEXT)
def test_a_cell_is_one_cell_and_says_the_text(text: str) -> None:
    page = etree.HTML(GFM.render(f"| a | b |\n| --- | --- |\n| {cell(text)} | {words(text)} |\n"))

    row = page.findall(".//td")
    assert len(row) == 2
    assert ["".join(each.itertext()).split() for each in row] == [one_line(text).split()] * 2
    assert {node.tag for each in row for node in each.iter() if isinstance(node.tag, str)} <= {
        *("td", "code")
    }


@given(TEXT)
def test_a_block_of_code_ends_where_it_should(text: str) -> None:
    page = etree.HTML(GFM.render(f"a\n{code(text)}\nb\n"))

    [block] = page.iter("pre")
    assert "".join(block.itertext()) == f"{visible(text)}\n"
    assert [each.text for each in page.iter("p")] == ["a", "b"]


def test_the_summary_has_room_in_what_github_takes() -> None:
    long = "@" * 100_000
    rows = [
        replace(
            FAIL,
            id=f"{long}::{number}",
            findings=(FindingRow(f"rfc9999-1-{long}{number}", long, long, long, long),),
            replay=long,
        )
        for number in range(60)
    ]
    blocked = [replace(BLOCKED, detail=f"{long}{number}") for number in range(60)]

    text = job_summary(results(*rows, *blocked))

    assert len(text.encode()) <= MOST_OCTETS
    assert "More is in `results.json`." in text
    assert text.count("<details>") == text.count("</details>") >= 2


def test_a_run_adds_to_the_file_and_says_so_before_if_it_cannot(tmp_path: Path) -> None:
    scenario = "scenarios/rfc1939/greeting.yaml"
    (tmp_path / "steps.md").write_text("another step\n")

    ended = judge_here(tmp_path, scenario, "--summary-md=steps.md", "-q")
    refused = judge_here(tmp_path, scenario, "--summary-md=missing/steps.md")

    text = (tmp_path / "steps.md").read_text("utf-8")
    assert ended.code == 0
    assert text.startswith("another step\n## pop3spec: <code>")
    assert refused.code == 4
    assert refused.sentences == [
        "ERROR: --summary-md=missing/steps.md: no file that can be written"
    ]
