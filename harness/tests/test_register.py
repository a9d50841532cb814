"""The register: what the rulebook's files hold beside rules, and what `pop3spec rules` prints."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import apart, here

from pop3spec.about import scenarios_about, suites_about
from pop3spec.collected import home
from pop3spec.reference.faults import FAULTS
from pop3spec.reference.faults.fault import Fault
from pop3spec.register import ListedRule, Proof, Register, as_text, find, register
from pop3spec.rulebook.advice import advice
from pop3spec.rulebook.rules import (
    Basis,
    Level,
    Rule,
    excluded,
    observations,
    read_rules,
    rulebook,
    rules_digest,
)
from pop3spec.yamlfile import YamlError

GROUNDS = (
    "Binds the client",
    "Not visible from outside",
    "Left to the server",
    "Policy of the operator",
    "No requirement",
)
DOCUMENT = (home() / "docs" / "register.md").read_text("utf-8")


def printed(*words: str) -> str:
    """What `pop3spec rules WORDS` prints."""
    ended = here(home(), "rules", *words)
    assert ended.code == 0, ended.text
    return ended.text


def data(*words: str) -> Any:
    return json.loads(printed("--json", *words))


def ids(*words: str) -> set[str]:
    return {rule["id"] for rule in data(*words)["rules"]}


# --- The files ---


@pytest.mark.parametrize("section", ["3", "4", "5", "6", "7", "8", "11", "13"])
def test_a_section_with_requirements_occurs(section: str) -> None:
    entries = {(entry.rfc, entry.section) for entry in rulebook().values()}
    entries |= {(entry.rfc, entry.section) for entry in excluded()}

    assert (1939, section) in entries


def test_what_is_excluded_stands_in_the_order_of_the_sections() -> None:
    sections = [float(clause.section) for clause in excluded() if clause.rfc == 1939]

    assert sections == sorted(sections)


def test_a_reason_begins_with_its_ground() -> None:
    grounds = {re.split("[:.,;]", clause.reason)[0].split(" (")[0] for clause in excluded()}

    assert {ground for ground in grounds if not ground.startswith(GROUNDS)} == set()
    assert all(f"| {ground} |" in DOCUMENT for ground in GROUNDS)


def test_rules_and_observations_that_are_named_exist() -> None:
    texts = [rule.note for rule in rulebook().values()] + [clause.reason for clause in excluded()]
    rules = set(re.findall(r"\b(?:rfc\d+-\d|practice-|robust-)[\w.-]*\w", " ".join(texts)))
    named = re.findall(r"bserved \(([^)]+)\)", " ".join(texts))

    assert rules <= rulebook().keys()
    assert named
    known = {observation.id for observation in observations()}
    assert {name for names in named for name in names.split(", ")} <= known


def test_what_is_observed_is_no_rule() -> None:
    assert len({observation.id for observation in observations()}) == len(observations())
    assert {observation.id for observation in observations()} & rulebook().keys() == set()


ENTRIES = """\
rules: []
excluded:
  - {source: "RFC 2449, section 6.7", level: MAY, basis: prose, summary: A., reason: B.}
  - {source: "RFC 2449, appendix A", level: MAY, basis: prose, summary: A., reason: B.}
observations:
  - {id: kind-of-thing, source: "RFC 2449, sections 5 and 6", summary: A.}
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("RFC 2449, section 6.7", "RFC 2449", "3:14: source: 'RFC 2449' is not a clause"),
        (", reason: B.", "", "3:5: an excluded clause needs"),
        ("kind-of-thing", "rfc2449-5-kind", "6:10: id: 'rfc2449-5-kind' is not words"),
        ("kind-of-thing", "practice-kind", "6:10: id: 'practice-kind' is not words"),
    ],
)
def test_a_mistake_is_told_with_its_place(old: str, new: str, problem: str) -> None:
    text = ENTRIES.replace(old, new, 1)

    with pytest.raises(YamlError, match=re.escape(f"x.yaml:{problem}")):
        read_rules({"x.yaml": text.encode()})


def test_the_id_of_an_observation_is_taken_once_in_all_files() -> None:
    with pytest.raises(
        YamlError, match=r"b\.yaml:6:10: the observation id 'kind-of-thing' is taken"
    ):
        read_rules({"a.yaml": ENTRIES.encode(), "b.yaml": ENTRIES.encode()})


# --- The state of proof ---


@pytest.mark.parametrize("listed", register(level=Level.MUST).rules, ids=lambda rule: rule.rule.id)
def test_every_must_is_proven(listed: ListedRule) -> None:
    assert listed.proof is Proof.PROVEN, listed.state_of_proof


@pytest.mark.parametrize(
    ("level", "edges", "words"),
    [
        (Level.MUST, [False, True], "2 faults, 1 at an edge"),
        (Level.MUST, [True, True, True], "3 faults, 3 at an edge"),
        (Level.MUST, [False, False], "unproven: 2 faults"),
        (Level.MUST, [True], "unproven: 1 fault, at an edge"),
        (Level.SHOULD, [False], "1 fault"),
        (Level.SHOULD, [], "unproven: 0 faults"),
    ],
)
def test_the_faults_say_whether_a_rule_is_proven(
    level: Level, edges: list[bool], words: str
) -> None:
    rule = Rule("rfc1939-5-bell", "RFC 1939, section 5", level, Basis.PROSE, "A bell rings.")
    faults = tuple(Fault("silent", frozenset({rule.id}), "a cut", edge, ()) for edge in edges)

    assert ListedRule(rule, faults).state_of_proof == words


def test_a_rule_is_listed_with_every_fault_that_breaks_it() -> None:
    for listed in register().rules:
        breaking = [fault for fault in FAULTS.values() if listed.rule.id in fault.breaks]
        assert list(listed.faults) == breaking


# --- The table ---


def rows(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each entry of a printed table: the heading above it, and its columns."""
    heading = ""
    for line in text.splitlines()[:-2]:
        if line.startswith("  "):
            yield heading, re.split(" {2,}", line.strip(), maxsplit=4)
        elif line:
            heading = line


def test_the_table_has_everything_below_its_section() -> None:
    table = list(rows(printed()))

    shown = [columns[0] for _, columns in table if columns[0] != "-"]
    known = [*rulebook(), *(observation.id for observation in observations())]
    assert sorted(shown) == sorted(known)
    assert sum(columns[3] == "excluded" for _, columns in table) == len(excluded())
    assert [
        "-",
        "MUST",
        "prose",
        "excluded",
        f"{excluded()[1].summary} Reason: {excluded()[1].reason}",
    ] in [columns for heading, columns in table if heading == "RFC 1939, section 3"]
    for heading, columns in table:
        if columns[0].startswith("rfc1939-"):
            assert heading == f"RFC 1939, section {columns[0].split('-')[1]}"


def test_sections_are_in_the_order_of_their_numbers_and_the_rest_behind() -> None:
    headings = list(dict.fromkeys(heading for heading, _ in rows(printed())))

    sections = [float(heading.rpartition(" ")[2]) for heading in headings if "1939" in heading]
    assert sections == sorted(sections)
    assert headings[-2:] == ["Robustness", "Practice"]


def test_the_last_line_counts() -> None:
    figures = data()["figures"]
    *_, last = printed().splitlines()

    clauses = len(rulebook()) + len(excluded())
    assert last.startswith(f"{clauses} clauses: {len(rulebook())} rules, {len(excluded())} exclu")
    assert f"; {figures['proven']} of {len(rulebook())} rules proven; " in last
    assert last.endswith(f"; {len(observations())} observations")


@pytest.mark.parametrize("width", [100, 140, 200])
def test_a_table_for_a_terminal_is_no_wider(width: int) -> None:
    wide, narrow = as_text(register()), as_text(register(), width)

    assert max(map(len, narrow.splitlines())) <= width
    assert re.sub(r"\s+", " ", narrow) == re.sub(r"\s+", " ", wide)


def test_a_table_of_nothing_is_its_figures() -> None:
    assert as_text(Register(())) == (
        "0 clauses: 0 rules, 0 excluded; 0 of 0 rules proven; 0 observations"
    )


# --- Filters, and one rule ---


def test_filters_select() -> None:
    everything = rulebook().values()
    of_rfc, robust = data("--rfc=1939"), data("--rfc=robust")

    assert {rule["rfc"] for rule in of_rfc["rules"]} == {1939}
    assert len(of_rfc["excluded"]) == sum(clause.rfc == 1939 for clause in excluded())
    assert {rule["id"] for rule in robust["rules"]} == {r.id for r in everything if r.is_robust}
    assert robust["excluded"] == robust["observations"] == []
    assert ids("--rfc=practice") == {rule.id for rule in everything if rule.is_practice}
    assert ids("--rfc=RFC1939") == ids("--rfc=1939")
    assert ids("--level=should") == {rule.id for rule in everything if rule.level is Level.SHOULD}
    assert ids("--proof=proven") | ids("--proof=unproven") == rulebook().keys()
    assert not ids("--proof=proven") & ids("--proof=unproven")


def test_what_is_excluded_has_a_level_and_no_proof_and_what_is_observed_neither() -> None:
    by_level, by_proof = data("--level=may"), data("--proof=proven")

    assert {clause["level"] for clause in by_level["excluded"]} == {"MAY"}
    assert by_level["observations"] == by_proof["excluded"] == by_proof["observations"] == []


def test_an_id_shows_the_rule_whole() -> None:
    page = printed("rfc1939-3-response-length")
    rule = rulebook()["rfc1939-3-response-length"]
    faults = [fault for fault in FAULTS.values() if rule.id in fault.breaks]

    assert page.startswith(f"{rule.id} (MUST; RFC 1939, section 3; basis: prose)\n")
    assert all(text in page for text in (rule.summary, rule.note))
    assert all(fault.name in page and fault.copies in page for fault in faults)
    assert data("rfc1939-3-response-length")["faults"] == [
        {"name": fault.name, "edge": fault.edge, "copies": fault.copies} for fault in faults
    ]


def test_an_id_tells_why_the_rule_matters_and_how_it_is_mended() -> None:
    told = advice()["rfc1939-3-autologout"]

    page, entry = printed(told.rule), data(told.rule)

    assert f"\n  Why it matters: {told.matters}\n  Typical fix: {told.fix}\n" in page
    assert (entry["matters"], entry["fix"]) == (told.matters, told.fix)
    assert "Observed as autologout-before-login: How long a session may be silent" in page
    assert entry["observed"] == ["autologout-before-login"]


def test_an_id_tells_what_is_about_the_rule() -> None:
    page, entry = printed("rfc1939-3-byte-stuffing"), data("rfc1939-3-byte-stuffing")
    suite = "suites/test_rfc1939_autologout.py"

    named = [name for name in entry["scenarios"] if f"\n  {name}\n" in page]
    assert "rfc1939/byte-stuffing::first-octet" in named == entry["scenarios"]
    assert f"{len(named)} scenarios about it\n" in page
    assert f"1 suite about it\n  {suite}\n" in printed("rfc1939-3-autologout-silent")
    assert data("rfc1939-3-autologout-silent")["suites"] == [suite]
    assert data("rfc1939-3-status-indicator")["scenarios"] == []
    assert "no scenario is about it alone" in printed("rfc1939-3-status-indicator")


def test_what_is_about_a_rule_is_not_about_those_that_begin_like_it() -> None:
    assert "suites/test_rfc1939_autologout.py" in suites_about("rfc1939-3-autologout-reset")
    assert not suites_about("rfc1939-3-auto")
    assert "rfc1939/rset::noop" in scenarios_about("rfc1939-5-noop")
    assert not set(scenarios_about("rfc1939-5-noop")) & set(scenarios_about("rfc1939-5-noop-state"))


def test_an_id_shows_an_observation() -> None:
    [first, *_] = observations()

    assert printed(first.id) == f"{first.id} (observed; {first.source})\n  {first.summary}\n"
    assert data(first.id)["summary"] == first.summary
    assert find(first.id) == first


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("rfc1939-5-nop",), "unknown rule 'rfc1939-5-nop' (did you mean 'rfc1939-5-noop'?)"),
        (("7",), "unknown rule '7'; without an id, all are listed"),
        (("--rfc=9999",), "--rfc=9999: no rules of it (possible: 1939, "),
        (("rfc1939-5-noop", "--level=must"), "rfc1939-5-noop: an id stands alone"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    ended = here(tmp_path, "rules", *words)

    assert ended.code == 4
    assert ended.text.startswith(f"ERROR: {sentence}")
    assert len(ended.text.splitlines()) == 1


# --- As data ---


def test_the_data_have_everything_in_a_fixed_form() -> None:
    everything = data()

    assert list(everything) == [
        *("schema", "rules_digest", "figures", "rules", "excluded", "observations"),
    ]
    assert (everything["schema"], everything["rules_digest"]) == (1, rules_digest())
    assert list(everything["figures"]) == [
        *("clauses", "rules", "proven", "excluded", "observations"),
    ]
    forms = {kind: {tuple(entry) for entry in everything[kind]} for kind in list(everything)[3:]}
    common, advice_keys = ("rfc", "section", "source"), ("matters", "fix")
    assert forms == {
        "rules": {
            ("id", *common, "level", "basis", "summary", "note", *advice_keys, "proof", "faults"),
        },
        "excluded": {(*common, "level", "basis", "summary", "reason")},
        "observations": {("id", *common, "summary")},
    }


def test_the_data_are_the_same_in_another_process(tmp_path: Path) -> None:
    ended = apart(tmp_path, "-m", "pop3spec", "rules", "--json", PYTHONHASHSEED="7")

    assert ended.text == printed("--json")


# --- The guide ---


def masked(text: str) -> list[str]:
    """Lines without numbers and widths, which change with the faults that there are."""
    return [re.sub(r"\s+", " ", re.sub(r"\d+", "N", line)) for line in text.splitlines()]


def test_the_excerpts_in_the_guide_are_what_comes() -> None:
    table, page = re.findall(r"^```text\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)

    assert set(masked(table)) <= set(masked(printed()))
    assert masked(page) == masked(printed("rfc1939-3-response-length"))[: len(masked(page))]


def test_the_commands_in_the_guide_work() -> None:
    [block] = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)

    for command in block.splitlines():
        program, name, *words = command.split()
        assert (program, name) == ("pop3spec", "rules")
        assert printed(*words)
