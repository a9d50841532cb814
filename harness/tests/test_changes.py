"""What changed between two results: the rules of 'worse', and both forms in which it is told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command import apart, here
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pop3spec.report.baseline import Baseline
from pop3spec.report.changes import Change, Direction, Earlier, Kind, changes
from pop3spec.report.news import as_markdown, as_terminal, code, gathered
from pop3spec.report.results import Results, read_results, write_results
from pop3spec.report.rows import FindingRow, RuleRow, ScenarioRow, Standing, rule_rows, severity
from pop3spec.report.text import one_line
from pop3spec.report.truth import Cell
from pop3spec.rulebook.rules import Level, Rule, rulebook
from pop3spec.verdict import Verdict, worst

# A busy machine is no finding.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

BOTH = frozenset(Level) - {Level.MAY}
SHOULD = frozenset({Level.SHOULD})
NEVER: frozenset[Level] = frozenset()

# As the promise has it: what it was, what it became, at which levels that is worse.
TABLE: Mapping[tuple[str, str], frozenset[Level]] = {
    ("pass", "fail"): BOTH,
    ("warn", "fail"): BOTH,
    ("pass", "warn"): SHOULD,
    ("pass", "blocked"): BOTH,
    ("pass", "untested"): BOTH,
    ("pass", "not-applicable"): BOTH,
}
VERDICTS = [verdict.value for verdict in Verdict]
OF_RULES = [word for word in VERDICTS if word != "error"]

MUST, MUST_TOO = "rfc1939-3-wrong-state", "rfc1939-4-greeting"
SHOULD_RULE, PRACTICE = "rfc1939-5-no-argument", "practice-password-case"
RULES: Mapping[str, Rule] = {id: rulebook()[id] for id in (MUST, MUST_TOO, SHOULD_RULE, PRACTICE)}


def row(id: str, verdict: str = "pass", **more: Any) -> ScenarioRow:
    return ScenarioRow(id=id, title="T", file="own.yaml", line=1, verdict=Verdict(verdict), **more)


def rule(id: str, verdict: str, *scenarios: str) -> RuleRow:
    level = Level.SHOULD if id in (SHOULD_RULE, PRACTICE) else Level.MUST
    return RuleRow(
        id=id,
        rfc=None,
        section=None,
        level=level,
        title="T",
        verdict=Verdict(verdict),
        scenarios=scenarios,
    )


def results(
    scenarios: Sequence[ScenarioRow] = (), rules: Sequence[RuleRow] = (), **more: Any
) -> Results:
    facts: dict[str, Any] = {
        "version": "1.0",
        "rules_digest": "abc",
        "target": {},
        "started": datetime(2026, 11, 23, tzinfo=UTC),
        "seconds": 1.0,
        "seed": 7,
        "options": {},
    }
    return Results(scenarios=tuple(scenarios), rules=tuple(rules), **(facts | more))


def worse(old: Results, new: Results, level: Level = Level.MUST) -> set[tuple[str, str]]:
    return {(change.kind.value, change.id) for change in changes(old, new, level).worse}


# --- The rules of 'worse' ---

texts = st.text(max_size=12) | st.sampled_from(["", "|", "`a``|", "<b>", "@all #1", "\x1b[2J\n"])
ids = st.sampled_from(["a::x", "a::y", "a::y[stls]", "run::x", "b::z"]) | texts
levels = st.sampled_from([Level.MUST, Level.SHOULD])


@patient
@given(st.dictionaries(ids, st.tuples(*[st.sampled_from(VERDICTS)] * 2)), levels)
def test_scenarios_are_worse_as_the_table_says(
    verdicts: dict[str, tuple[str, str]], level: Level
) -> None:
    old = results([row(id, was) for id, (was, _) in verdicts.items()])
    new = results([row(id, now) for id, (_, now) in verdicts.items()])

    expected = {
        ("scenario", id) for id, pair in verdicts.items() if level in TABLE.get(pair, NEVER)
    }
    assert worse(old, new, level) == expected


@patient
@given(st.dictionaries(st.sampled_from(sorted(RULES)), st.tuples(*[st.sampled_from(OF_RULES)] * 2)))
@pytest.mark.parametrize("level", [Level.MUST, Level.SHOULD])
def test_rules_are_worse_as_the_table_says_but_practice_never_for_a_warning(
    level: Level, verdicts: dict[str, tuple[str, str]]
) -> None:
    same = row("a::x", exercised=tuple(verdicts))
    old = results([same], [rule(id, was) for id, (was, _) in verdicts.items()])
    new = results([same], [rule(id, now) for id, (_, now) in verdicts.items()])

    expected = {
        ("rule", id)
        for id, pair in verdicts.items()
        if level in TABLE.get(pair, NEVER) and (id, pair[1]) != (PRACTICE, "warn")
    }
    assert worse(old, new, level) == expected


@st.composite
def judged_rows(draw: st.DrawFn) -> list[ScenarioRow]:
    """Rows as a run makes them: the findings decide the verdict."""
    rows = []
    for id in draw(st.lists(ids, unique=True, max_size=5)):
        exercised = draw(st.lists(st.sampled_from(sorted(RULES)), unique=True))
        broken = draw(st.lists(st.sampled_from(exercised), unique=True)) if exercised else []
        findings = tuple(
            FindingRow(each, draw(texts), known=draw(st.booleans())) for each in broken
        )
        verdict = draw(st.sampled_from(["pass", "blocked", "not-applicable", "error"]))
        if findings:
            verdict = worst(severity(each, RULES) for each in findings).value
        is_known = bool(findings) and all(each.known for each in findings)
        rows.append(row(id, verdict, exercised=tuple(exercised), findings=findings, known=is_known))
    return rows


@st.composite
def judged(draw: st.DrawFn, /, **facts: Any) -> Results:
    rows = draw(judged_rows())
    values = st.none() | st.booleans() | st.integers() | texts | st.lists(texts, max_size=2)
    given_facts: dict[str, Any] = {
        "target": draw(st.dictionaries(texts, values, max_size=3)),
        "options": draw(st.dictionaries(texts, texts, max_size=2)),
        "version": draw(st.sampled_from(["1.0", "2.0"])),
        "capabilities": tuple(
            Cell(draw(texts), draw(texts), draw(st.booleans()), (draw(texts),), None)
            for _ in range(draw(st.integers(0, 2)))
        ),
        "observations": tuple(
            {"id": id, "value": draw(values)} for id in draw(st.sets(texts, max_size=2))
        ),
        "whole_files": draw(st.sampled_from([frozenset[str](), frozenset({"own.yaml"})])),
    }
    return results(rows, rule_rows(RULES, rows), **(given_facts | facts))


@patient
@given(judged(), levels)
def test_nothing_changed_against_itself(one: Results, level: Level) -> None:
    assert changes(one, one, level).all == ()


@patient
@given(judged(), judged(), levels)
def test_what_is_worse_one_way_is_better_the_other_way(
    one: Results, other: Results, level: Level
) -> None:
    back = {(change.kind, change.id): change for change in changes(other, one, level).all}

    for change in changes(one, other, level).worse:
        if change.after:
            assert back[change.kind, change.id].direction is Direction.BETTER


@patient
@given(judged(), judged(), levels, st.randoms())
def test_the_order_of_scenarios_does_not_matter(
    one: Results, other: Results, level: Level, random: Any
) -> None:
    mixed = list(other.scenarios)
    random.shuffle(mixed)

    assert changes(one, replace(other, scenarios=tuple(mixed)), level) == changes(one, other, level)


@patient
@given(judged(version="1.0"), judged(), levels)
def test_a_run_marks_the_scenarios_that_the_comparison_calls_worse(
    old: Results, new: Results, level: Level
) -> None:
    is_same = new.version == old.version
    baseline = Baseline(Path("old.json"), Earlier(old), level, RULES, is_same)
    placed = {each.id: baseline.placed(each) for each in new.scenarios}
    marked = {id for id, each in placed.items() if each.baseline is Standing.WORSE}
    found = changes(old, new, level).worse

    told = {change.id for change in found if change.kind is Kind.SCENARIO and change.after}
    rules = {change.id for change in found if change.after in ("fail", "warn")} & RULES.keys()
    accused = {
        each.id
        for each in new.scenarios
        if (is_same or each.id in {old_row.id for old_row in old.scenarios})
        and any(finding.rule in rules and not finding.known for finding in each.findings)
    }
    assert marked == told | accused


def test_a_scenario_that_was_taken_out_of_a_file_is_gone_and_what_was_not_selected_is_not() -> None:
    old = results([row("own::x"), row("own::y[stls]"), row("own::z", "fail")])
    whole = results([row("own::y[tls]")], whole_files=frozenset({"own.yaml"}))

    assert worse(old, whole) == {("scenario", "own::x")}
    assert worse(old, replace(whole, whole_files=frozenset())) == set()
    assert worse(old, replace(whole, version="2.0")) == set()


def test_a_rule_that_nothing_of_this_run_had_exercised_is_not_worse() -> None:
    before = [row("a::x", exercised=(MUST,)), row("a::y")]
    old = results(before, [rule(MUST, "pass")])
    untested = [rule(MUST, "untested")]

    assert worse(old, results(before[1:], untested)) == set()
    assert worse(old, results(before[:1], untested)) == {("rule", MUST)}
    assert worse(old, results(before[:1], untested, version="2.0")) == set()


def test_a_rule_over_sessions_is_selected_with_all_that_is_about_it() -> None:
    over = row(f"run::{MUST}", exercised=(MUST,))
    about = rule(MUST, "pass", over.id, "a::x", "a::y")
    old = results([over, row("a::x"), row("a::y")], [about])
    untested = [rule(MUST, "untested")]

    assert worse(old, results([row("a::x")], untested)) == set()
    assert worse(old, results([row("a::x"), row("a::y")], untested)) == {("rule", MUST)}


def test_a_rule_that_only_a_scenario_of_a_later_version_breaks_is_news_of_the_suite() -> None:
    broken = row("a::new", "fail", exercised=(MUST,), findings=(FindingRow(MUST, "x"),))
    old = results([row("a::x", exercised=(MUST,))], [rule(MUST, "pass")])
    new = results([row("a::x"), broken], [rule(MUST, "fail"), rule(MUST_TOO, "fail")])

    assert worse(old, new) == {("rule", MUST)}
    assert worse(old, replace(new, rules_digest="def")) == set()


def test_a_known_deviation_is_never_worse() -> None:
    known = replace(
        row("a::x", "fail", findings=(FindingRow(MUST, "x", known=True),)),
        known=True,
        known_why="ticket 7",
    )
    old = results([row("a::x")], [rule(MUST, "pass")])

    found = changes(old, results([known], [rule(MUST, "fail")]), Level.MUST)

    assert [(change.direction, change.note) for change in found.all] == [
        (Direction.OTHER, "known: ticket 7"),
        (Direction.OTHER, "known"),
    ]


@pytest.mark.parametrize(
    ("known", "unknown", "levels_of_worse"),
    [
        (MUST, SHOULD_RULE, SHOULD),
        (MUST, PRACTICE, NEVER),
        (SHOULD_RULE, MUST, BOTH),
        (PRACTICE, SHOULD_RULE, SHOULD),
    ],
)
def test_beside_a_known_deviation_the_other_finding_decides(
    known: str, unknown: str, levels_of_worse: frozenset[Level]
) -> None:
    findings = (FindingRow(known, "x", known=True), FindingRow(unknown, "x"))
    verdict = worst(severity(each, RULES) for each in findings).value
    old = results([row("a::x")])
    new = results([row("a::x", verdict, findings=findings)], [rule(id, "pass") for id in RULES])

    assert {level for level in BOTH if worse(old, new, level)} == levels_of_worse


def test_a_known_deviation_of_results_without_findings_is_not_worse_either() -> None:
    old = results([row("a::x")])

    assert worse(old, results([row("a::x", "fail", known=True)])) == set()


def test_facts_that_changed_are_told_and_a_timestamp_is_none() -> None:
    cell = Cell("UIDL", "TRANSACTION", True, (), True)
    old = results(
        target={"greeting": "+OK <1.2@host> ready", "tls": "TLSv1.2", "features": ["A"]},
        options={"transport": "plain", "seed": 1, "report-dir": "a"},
        observations=({"id": "dele-twice", "value": "+OK"},),
        capabilities=(cell,),
    )
    new = results(
        target={"greeting": "+OK <3.4@host> ready", "tls": "TLSv1.3", "features": ["B"]},
        options={"transport": "tls", "seed": 2, "report-dir": "b"},
        observations=({"id": "dele-twice", "value": "-ERR"},),
        capabilities=(replace(cell, works=None),),
        rules_digest="def",
    )

    found = changes(old, new)

    assert [
        (change.kind.value, change.id, change.before, change.after) for change in found.all
    ] == [
        ("suite", "rules", "abc", "def"),
        ("option", "--transport", "plain", "tls"),
        ("target", "tls", "TLSv1.2", "TLSv1.3"),
        ("capability", "UIDL (TRANSACTION)", "yes", "announced"),
        ("observation", "dele-twice", "+OK", "-ERR"),
    ]
    assert found.differing == ["rules", "--transport"]
    assert not found.worse


# --- Both forms ---


def parsed(text: str) -> list[Any]:
    return MarkdownIt("commonmark").enable("table").parse(text)


@patient
@given(judged(), judged(), levels)
def test_markdown_has_a_row_for_each_change_and_nothing_of_what_a_server_said_is_read(
    one: Results, other: Results, level: Level
) -> None:
    found = changes(one, other, level)
    tokens = parsed(as_markdown(one, other, found))

    rows = sum(token.type == "tr_open" for token in tokens)
    cells = sum(token.type in ("td_open", "th_open") for token in tokens)
    groups = [gathered(found.of(each)) for each in Direction if found.of(each)]
    assert rows == 3 + sum(1 + len(group) for group in groups)
    assert cells == 3 * 4 + sum(5 + 5 * len(group) for group in groups)
    types = {child.type for token in tokens for child in token.children or ()}
    assert types <= {"text", "code_inline"}
    assert not [token for token in tokens if token.type == "html_block"]
    lines = as_terminal(one, other, found, 80).split("\n")
    assert all(line.isprintable() for line in lines)


@patient
@given(texts | st.text(alphabet="`|\\ a\n"))
def test_a_code_span_in_a_cell_reads_as_the_text_that_was_shown(text: str) -> None:
    written = code(text)
    tokens = parsed(f"| a | b |\n| --- | --- |\n| {written} | c |")
    inside = [child for token in tokens for child in token.children or ()]

    assert sum(token.type == "td_open" for token in tokens) == 2
    spans = [child.content for child in inside if child.type == "code_inline"]
    shown = one_line(text).replace("|", "\\x7c")
    assert spans == ([shown] if shown else [])


def test_many_scenarios_of_one_of_the_results_are_gathered_in_a_line() -> None:
    group = [Change(Kind.SCENARIO, f"a::{number}", "pass", "") for number in range(12)]

    [one] = gathered(group)

    assert (one.id, one.before, one.after) == ("a::0 and 11 more", "12 pass", "")
    assert gathered(group[:3]) == group[:3]


# --- The command ---


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_results(tmp_path / "old.json", results([row("a::x")]))
    write_results(tmp_path / "new.json", results([row("a::x", "fail", detail="got <b>\x07")]))
    return tmp_path


def test_the_command_ends_with_1_where_something_got_worse_and_else_with_0(files: Path) -> None:
    there = here(files, "diff", "old.json", "new.json")
    back = here(files, "diff", "new.json", "old.json")
    same = here(files, "diff", "old.json", "old.json", "--format=markdown")
    table = here(files, "diff", "old.json", "new.json", "--format=markdown", "--level=should")

    assert (there.code, back.code, same.code, table.code) == (1, 0, 0, 1)
    assert "Worse (1)\n  scenario a::x: pass -> fail\n    got <b>\\u0007\n" in there.text
    assert "Better (1)" in back.text
    assert "Nothing changed." in same.text
    assert "| scenario | `a::x` | `pass` | `fail` | `got <b>\\u0007` |" in table.text


def test_results_of_an_earlier_version_are_compared_by_what_they_have(files: Path) -> None:
    document = json.loads((files / "old.json").read_text())
    del document["capabilities"], document["observations"]
    for each in document["scenarios"]:
        for name in set(each) - {"id", "title", "file", "line", "rules", "verdict"}:
            del each[name]
    (files / "early.json").write_text(json.dumps(document))

    ended = here(files, "diff", "early.json", "new.json")

    assert ended.code == 1
    assert "scenario a::x: pass -> fail" in ended.text


BAD = (
    ("missing", None, "No such file"),
    ("no-json", "{", "no JSON"),
    ("no-results", "[]", "no results"),
    ("later", '{"schema": 9}', "written by a later pop3spec"),
    ("damaged", '{"schema": 1}', "damaged"),
)


@pytest.mark.parametrize(("text", "words"), [pytest.param(*rest, id=name) for name, *rest in BAD])
@pytest.mark.parametrize(
    "command",
    [
        ("diff", "old.json", "bad.json"),
        ("diff", "bad.json", "old.json"),
        ("accept", "bad.json", "--target-profile=profile.yaml"),
        ("run", "--baseline=bad.json", "-p", "no:faulthandler"),
    ],
    ids=["new", "old", "accept", "baseline"],
)
def test_a_file_that_is_no_results_is_one_sentence(
    files: Path, command: Sequence[str], text: str | None, words: str
) -> None:
    if text is not None:
        (files / "bad.json").write_text(text)

    ended = here(files, *command)

    assert ended.code == 4, ended.text
    [sentence] = ended.sentences
    assert "bad.json: " in sentence
    assert words in sentence
    assert not (files / "profile.yaml").exists()


SPOILT: Sequence[tuple[str, Any]] = (
    ("target", []),
    ("options", 3),
    ("observations", [7]),
    ("whole_files", [7]),
    ("started", 7),
    ("started", "0001-01-01T00:00:00+14:00"),
    ("target", json.loads('{"a":' + "[" * 600 + "]" * 600 + "}")),
    ("suite", {"version": 1, "rules_digest": None}),
    ("capabilities", [{"capability": 1}]),
    (
        "scenarios",
        [{"id": ["x"], "title": 1, "file": None, "line": "", "rules": [], "verdict": "pass"}],
    ),
)


@pytest.mark.parametrize(("key", "value"), SPOILT, ids=[key for key, _ in SPOILT])
def test_a_value_of_another_type_is_told_as_damage(files: Path, key: str, value: Any) -> None:
    document = json.loads((files / "old.json").read_text()) | {key: value}
    (files / "bad.json").write_text(json.dumps(document))

    ended = here(files, "diff", "old.json", "bad.json")

    assert ended.code == 4, ended.text
    assert "bad.json: damaged" in ended.text


def test_comparing_starts_neither_pytest_nor_hypothesis(files: Path) -> None:
    program = (
        "import sys; from pop3spec.cli import main; main(['diff', 'old.json', 'old.json']);"
        "print({'pytest', 'hypothesis', 'junit_xml', 'trustme'} & sys.modules.keys())"
    )

    assert apart(files, "-c", program).text.endswith("set()\n")


def test_which_files_were_run_whole_is_read_again(tmp_path: Path) -> None:
    written = results([row("a::x")], whole_files=frozenset({"own.yaml"}))
    write_results(tmp_path / "results.json", written)

    assert read_results(tmp_path / "results.json").whole_files == {"own.yaml"}
