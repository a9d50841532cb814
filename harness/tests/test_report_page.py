"""index.html as text: what it says, that it is harmless, and that it is always the same."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from command import apart, here, judge_here
from samples import (
    BLOCKED,
    FAIL,
    HOSTILE,
    KNOWN,
    MUST,
    OTHER,
    PASS,
    PRACTICE,
    WARN,
    hostile,
    results,
)

from pop3spec.report.page import page_text, write_page
from pop3spec.report.places import anchors
from pop3spec.report.results import read_results, write_results
from pop3spec.report.rows import FindingRow, ScenarioRow
from pop3spec.report.truth import Cell
from pop3spec.rulebook.advice import advice
from pop3spec.rulebook.rules import excluded, rulebook
from pop3spec.rulebook.uses import AFTER_LOGIN, BEFORE_LOGIN
from pop3spec.verdict import Verdict


class Page(HTMLParser):
    """The elements of a page, and its text without style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._inside: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("style", "script", "title", "tr", "h2"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open[-1:] == [tag]:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._inside.append((self._open[-1] if self._open else "", data))

    @property
    def text(self) -> str:
        parts = (data for tag, data in self._inside if tag not in ("style", "script"))
        return re.sub(r"\s+", " ", " ".join(parts)).replace(" ,", ",")


def shown(*rows: ScenarioRow, **facts: Any) -> str:
    """The text of the page for these rows."""
    return Page(page_text(results(*rows, **facts))).text


# --- What it says ---


def test_the_head_says_what_is_broken_and_what_the_run_says_nothing_of() -> None:
    text = shown(PASS, FAIL, WARN, BLOCKED)

    head = text.partition("Parts of")[0].partition("Skip to the findings")[2]
    assert " mail.example:110 1 MUST rule is broken 1 of 4 scenarios failed." in head
    assert "1 SHOULD rule or rule of practice is broken." in head
    musts = [rule for rule in rulebook().values() if rule.level.value == "MUST"]
    assert f"{len(musts) - 1} MUST rules untested and 0 MUST rules blocked: of these the" in head
    assert "2026-11-23 06:16:00 UTC, took 1 min 15 s, by pop3spec 1.0" in head
    assert "Scenarios 4 pass 1 fail 1 warn 1 blocked 1" in head


@pytest.mark.parametrize(
    "rows, headline",
    [
        ((PASS,), "No rule is broken"),
        ((PASS, WARN), "No MUST rule is broken"),
        ((KNOWN, PASS), "1 known deviation, no other MUST rule is broken"),
        ((BLOCKED,), "Nothing was judged"),
        ((replace(FAIL, findings=()),), "1 scenario failed"),
        ((FAIL, replace(FAIL, id="x::y", findings=(FindingRow(OTHER, "y"),))), "2 MUST rules are"),
    ],
    ids=["pass", "warn", "known", "blocked", "no rule named", "two rules"],
)
def test_the_title_says_the_verdict(rows: tuple[ScenarioRow, ...], headline: str) -> None:
    found = re.search(r"<title>(.*?)</title>", page_text(results(*rows)))

    assert found is not None
    assert found[1].startswith(headline)
    assert found[1].endswith(": mail.example:110 (pop3spec)")


def test_a_run_without_errors_that_is_incomplete_is_not_green() -> None:
    assert '<header class="head blocked">' in page_text(results(PASS))
    assert '<header class="head error">' in page_text(
        results(PASS, replace(BLOCKED, verdict=Verdict.ERROR))
    )


def test_a_failure_has_its_rule_and_clause_and_all_of_its_evidence() -> None:
    text = page_text(results(FAIL))

    page = Page(text)
    assert rulebook()[MUST].summary in page.text
    assert "Step RETR 1 Expected a line '.one' Got 'one' Where retr.yaml:31:9" in page.text
    assert '<span class="client"><i>0.001</i>TLS C: RETR 1\\r\\n\n</span>' in text
    assert '<span class="server"><i>0.002</i>TLS S: .one\\r\\n\n</span>' in text
    assert f"<code>{FAIL.replay}</code>" in text
    assert "https://www.rfc-editor.org/rfc/rfc1939#section-3" in text


def test_a_broken_rule_tells_why_it_matters_and_how_it_is_mended() -> None:
    text = shown(PASS, FAIL, WARN, KNOWN)

    for rule, times in ((MUST, 2), (PRACTICE, 1)):  # broken, and known as well
        told = advice()[rule]
        assert text.count(f"Why it matters {told.matters} Typical fix {told.fix}") == times
    assert text.count("Why it matters") == 3
    assert "Why it matters" not in shown(PASS, BLOCKED)


def test_a_known_deviation_is_told_with_its_reason_and_apart_from_what_is_broken() -> None:
    text = shown(FAIL, KNOWN)

    broken, _, known = text.partition("Known deviations 1")
    assert "rfc1939/retr::fails" in broken
    assert "rfc1939/retr::known" not in broken
    assert "Known: fixed in the next release" in known
    assert "1 rule is broken as a known deviation." in broken


def test_two_reasons_of_a_known_deviation_stand_with_their_scenarios() -> None:
    text = shown(KNOWN, replace(KNOWN, id="rfc1939/retr::other", known_why="a client wants it"))

    assert text.count("Known: fixed in the next release") == 1
    assert text.count("Known: a client wants it") == 1


def test_what_is_blocked_is_grouped_by_its_reason() -> None:
    more = replace(BLOCKED, id="rfc1939/update::more")
    other = replace(BLOCKED, id="rfc1939/update::other", detail="no account")

    text = shown(PASS, BLOCKED, more, other)

    assert "Blocked 3 What could not be tried" in text
    assert "2 scenarios: there is no door" in text
    assert "1 scenario: no account" in text


def test_a_scenario_that_breaks_two_rules_has_its_conversation_once() -> None:
    both = replace(FAIL, findings=(*FAIL.findings, *WARN.findings))

    text = page_text(results(both))

    assert text.count("TLS C: RETR 1") == 1
    assert text.count('id="scenario-rfc1939.retr.fails"') == 1
    assert '<a href="#scenario-rfc1939.retr.fails">this scenario is told first</a>' in text


def test_a_long_transcript_refers_to_the_results_for_its_middle() -> None:
    long = replace(FAIL, transcript=tuple(f"0.{n:03} S: line {n}\\r\\n" for n in range(999)))

    text = shown(long)

    assert "line 79\\r\\n" in text
    assert "line 80\\r\\n" not in text
    assert "889 lines left out here; results.json has them all" in text
    assert "line 998\\r\\n" in text


def rows_of(text: str, section: str) -> Iterator[list[str]]:
    """The cells of a section's table, line by line."""
    [table] = re.findall(rf'<section id="{section}".*?<table>(.*?)</table>', text, re.DOTALL)
    for line in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)
        yield [re.sub(r"<[^>]*>", "", cell) for cell in cells]


def test_the_table_counts_every_rule_and_every_excluded_clause() -> None:
    head, *lines = rows_of(page_text(results(PASS, FAIL)), "specifications")

    assert head[0:3] == ["Specification", "Level", "pass"]
    assert head[-2:] == ["untested", "excluded"]
    assert sum(int(cell) for line in lines for cell in line[2:-1]) == len(rulebook())
    assert sum(int(line[-1]) for line in lines) == len(excluded())
    assert lines[0][:4] == ["RFC 1939", "MUST", "0", "1"]


def test_of_other_rules_it_does_not_say_how_many_clauses_are_excluded() -> None:
    text = page_text(results(PASS, rules_digest="of another version"))

    [head, *_] = rows_of(text, "specifications")
    assert head[-1] == "untested"
    assert "These results come from other rules" in Page(text).text


def test_the_matrix_shows_what_is_announced_and_whether_it_works() -> None:
    cells = (
        Cell("TOP", BEFORE_LOGIN, True, (), None),
        Cell("TOP", AFTER_LOGIN, False, (), None, is_missing=True),
        Cell("EXPIRE", AFTER_LOGIN, True, ("NEVER",), None),
    )

    head, top, expire = rows_of(page_text(results(PASS, capabilities=cells)), "capabilities")

    assert head == ["Capability", "before login", "after login"]
    assert top == ["TOP", "announced", "MISSING"]
    assert expire == ["EXPIRE", "-", "announced NEVER"]


def test_with_level_should_a_broken_should_rule_counts() -> None:
    row = replace(WARN, findings=(FindingRow("rfc2449-6.2-user-in-clear", "+OK"),))

    assert "scenarios failed" not in shown(PASS, row)
    assert "1 of 2 scenarios failed (SHOULD rules count as well)." in shown(
        PASS, row, options={"level": "should"}
    )


def test_every_link_within_the_page_leads_to_one_place() -> None:
    both = replace(FAIL, id="both", findings=(*FAIL.findings, *WARN.findings, *KNOWN.findings))

    page = Page(page_text(results(PASS, FAIL, WARN, KNOWN, BLOCKED, both)))

    places = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    links = [str(attributes.get("href", "")) for tag, attributes in page.elements if tag == "a"]
    within = {link.removeprefix("#") for link in links if link.startswith("#")}
    assert len(places) == len(set(places))
    assert within <= set(places)
    assert {
        f"broken-{MUST}",
        f"broken-{PRACTICE}",
        "scenario-rfc1939.retr.fails",
        "blocked",
    } <= within


def test_scenarios_whose_ids_differ_in_odd_characters_alone_have_anchors_of_their_own() -> None:
    ids = ["suites/a.py::b[1/2]", "suites/a.py::b[1 2]", "a::b", "a/b", HOSTILE, f"{HOSTILE}."]

    found = anchors(ids)

    assert found["a::b"] == "scenario-a.b"
    assert len(set(found.values())) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", anchor) for anchor in found.values())


# --- From any results ---


def test_a_finding_of_a_rule_that_nobody_lists_is_told_all_the_same() -> None:
    strange = replace(FAIL, findings=(FindingRow("rfc9999-1-later", "+OK"),))

    text = shown(strange, rules=())

    assert "1 MUST rule is broken" in text
    assert "rfc9999-1-later a rule that these results do not list." in text


def test_results_of_an_earlier_version_without_optional_keys_can_be_shown(tmp_path: Path) -> None:
    data = results(FAIL, BLOCKED).to_data()
    del data["capabilities"], data["observations"]
    promised = ("id", "title", "file", "line", "rules", "verdict", "known", "seconds", "detail")
    data["scenarios"] = [{key: row[key] for key in promised} for row in data["scenarios"]]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(data))

    text = Page(page_text(read_results(path))).text

    assert "1 scenario failed" in text
    assert "No rule is named rfc1939/retr::fails" in text
    assert "there is no door" in text


def test_the_page_is_the_same_in_every_order_and_made_later(tmp_path: Path) -> None:
    rows = (PASS, FAIL, WARN, KNOWN, replace(BLOCKED, seconds=0.12345))
    made = results(*rows, target={"address": "mail.example:110", "greeting": b"+OK\r\n"})
    other = replace(made, scenarios=tuple(reversed(rows)))
    write_results(tmp_path / "results.json", made)

    write_page(tmp_path / "index.html", made)

    text = (tmp_path / "index.html").read_text("utf-8")
    assert page_text(other) == text
    assert page_text(read_results(tmp_path / "results.json")) == text


# --- Hostile text ---


def test_hostile_text_is_shown_and_makes_no_element() -> None:
    harmless, text = Page(page_text(results(FAIL))), page_text(hostile())

    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert tags <= {tag for tag, _ in harmless.elements} | {"strong"}
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("src", "style")]
    assert "</script><script>window.hit=1</script>" in page.text
    assert page.text.count("{{7*7}} {% raw %}") > 20
    assert "\\u001b]0;hit\\u0007 \\u202egnp.exe \\u200b \\ud800 &amp;" in page.text
    assert all(character.isprintable() or character == "\n" for character in text)


def test_nothing_is_loaded_and_only_the_style_and_script_of_the_page_count() -> None:
    page = Page(page_text(results(FAIL)))

    [policy] = [
        str(attributes["content"])
        for tag, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-\S+'; script-src 'sha256-\S+'; "
        r"base-uri 'none'; form-action 'none'",
        policy,
    )
    assert not {tag for tag, _ in page.elements} & {"link", "img", "iframe", "object", "base"}


def test_options_are_shown_without_secrets() -> None:
    text = page_text(results(PASS, options={"maildrop": "imap://bob:s3cr3t@127.0.0.1:143"}))

    assert "imap://bob:***@127.0.0.1:143" in text
    assert "s3cr3t" not in text


# --- The command ---


def test_a_run_writes_the_page_and_names_it_and_the_command_makes_the_same(tmp_path: Path) -> None:
    ended = judge_here(tmp_path, "-q", "-k", "greeting", "--report-dir=out")
    written = (tmp_path / "out" / "index.html").read_bytes()
    beside = here(tmp_path, "report", "out/results.json")
    other = here(tmp_path, "report", "out/results.json", "--output=other/page.html")

    assert "reports in out: junit.xml, results.json, index.html" in ended.text
    assert b"the embedded reference server" in written
    assert (beside.code, other.code) == (0, 0)
    assert beside.text == "written: out/index.html\n"
    assert (tmp_path / "out" / "index.html").read_bytes() == written
    assert (tmp_path / "other" / "page.html").read_bytes() == written


BAD: dict[str, tuple[str, str]] = {
    "no JSON": ("{", "no JSON in UTF-8"),
    "something else": ("[1]", "no results; name a results.json"),
    "later": ('{"schema": 99}', "written by a later pop3spec"),
    "damaged": ('{"schema": 1, "suite": 5}', "damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, name: str) -> None:
    text, said = BAD[name]
    (tmp_path / "results.json").write_text(text)

    ended = here(tmp_path, "report", "results.json")

    assert ended.code == 4
    [line] = ended.text.splitlines()
    assert line.startswith("ERROR: results.json: ")
    assert said in line
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize(
    "path, value",
    [
        (("scenarios", 0, "title"), None),
        (("scenarios", 0, "id"), 5),
        (("scenarios", 0, "findings", 0, "got"), ["x"]),
        (("scenarios", 0, "seconds"), float("nan")),
        (("rules", 0, "title"), {}),
        (("rules", 0, "rfc"), "1939"),
        (("rules", 0, "section"), 5),
        (("scenarios", 0, "line"), None),
        (("target",), "x"),
        (("observations",), [{"id": "x"}]),
    ],
    ids=str,
)
def test_a_value_of_another_kind_is_one_sentence(
    tmp_path: Path, path: tuple[str | int, ...], value: Any
) -> None:
    data: Any = results(FAIL).to_data()
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / "results.json").write_text(json.dumps(data))

    ended = here(tmp_path, "report", "results.json")

    assert ended.code == 4
    [line] = ended.text.splitlines()
    assert line.startswith("ERROR: results.json: damaged (")


def test_the_results_are_not_overwritten_and_a_bad_place_is_one_sentence(tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", results(PASS))
    before = (tmp_path / "results.json").read_bytes()
    (tmp_path / "file").touch()

    over = here(tmp_path, "report", "results.json", "--output=results.json")
    under = here(tmp_path, "report", "results.json", "--output=file/index.html")
    missing = here(tmp_path, "report", "nowhere.json")

    assert (over.code, under.code, missing.code) == (4, 4, 4)
    assert over.text.count("\n") == under.text.count("\n") == missing.text.count("\n") == 1
    assert (tmp_path / "results.json").read_bytes() == before
    assert "nowhere.json: No such file" in missing.text


def test_the_template_engine_is_loaded_for_the_page_alone(tmp_path: Path) -> None:
    program = "import sys, pop3spec.plugin, pop3spec.cli; print('jinja2' in sys.modules)"

    assert apart(tmp_path, "-c", program).text == "False\n"
