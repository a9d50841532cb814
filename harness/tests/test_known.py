"""Known deviations from end to end: the terminal, JUnit, results.json and the exit code."""

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from command import here, judge_here
from judged import (
    ARGUMENT,
    ARGUMENT_FAULT,
    PRACTICE,
    ROBUST,
    SCENARIOS,
    STATE,
    STATES_FAULT,
    judge,
)

from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MemoryStore

TODAY = datetime.date.today()
YESTERDAY = TODAY - datetime.timedelta(days=1)
# So that nothing but the record decides the exit code.
ONLY = ("-k", "early or argument or both or absent or blocked")


def profile(*records: str) -> str:
    lines = "".join(f"  - {{{record}, why: 'ticket 7'}}\n" for record in records)
    return f"known-deviations:\n{lines}"


CELLS: Sequence[tuple[str, str, Sequence[str], Sequence[str], int, set[str]]] = (
    ("fails", f"rule: {STATE}", [STATES_FAULT], ONLY, 0, {"early", "both"}),
    (
        "fails-in-the-scenario",
        f"rule: {STATE}, scenario: 'own::early'",
        [STATES_FAULT],
        ("-k", "early or argument"),
        0,
        {"early"},
    ),
    (
        "fails-elsewhere-too",
        f"rule: {STATE}, scenario: 'own::early'",
        [STATES_FAULT],
        ONLY,
        1,
        {"early"},
    ),
    ("last-day", f"rule: {STATE}, until: {TODAY}", [STATES_FAULT], ONLY, 0, {"early", "both"}),
    ("expired", f"rule: {STATE}, until: {YESTERDAY}", [STATES_FAULT], ONLY, 1, set()),
    ("stale", f"rule: {STATE}, scenario: 'own::early'", [], ONLY, 1, set()),
    (
        "expired-and-holds",
        f"rule: {STATE}, scenario: 'own::early', until: {YESTERDAY}",
        [],
        ONLY,
        0,
        set(),
    ),
    ("deselected", f"rule: {STATE}, scenario: 'own::early'", [], ("-k", "argument"), 0, set()),
    ("blocked", f"rule: {STATE}, scenario: 'own::blocked'", [], ONLY, 0, set()),
    ("not-applicable", f"rule: {STATE}, scenario: 'own::absent'", [], ONLY, 0, set()),
    ("one-known-one-not", f"rule: {STATE}", [STATES_FAULT, ARGUMENT_FAULT], ONLY, 0, {"early"}),
    (
        "one-known-one-not-under-should",
        f"rule: {STATE}",
        [STATES_FAULT, ARGUMENT_FAULT],
        (*ONLY, "--level=should"),
        1,
        {"early"},
    ),
    (
        "should-rule",
        f"rule: {ARGUMENT}",
        [ARGUMENT_FAULT],
        (*ONLY, "--level=should"),
        0,
        {"argument", "both"},
    ),
    ("practice", f"rule: {PRACTICE}", [], ("-k", "practice", "--level=should"), 0, {"practice"}),
    ("robust", f"rule: {ROBUST}", [], ("-k", "robust"), 0, {"robust"}),
)


@pytest.mark.parametrize(
    ("record", "faults", "words", "code", "known"),
    [pytest.param(*rest, id=name) for name, *rest in CELLS],
)
def test_a_record_is_shown_as_known_or_stale_or_says_nothing(
    tmp_path: Path,
    record: str,
    faults: Sequence[str],
    words: Sequence[str],
    code: int,
    known: set[str],
) -> None:
    (tmp_path / "profile.yaml").write_text(profile(record))

    run = judge(tmp_path, "--target-profile=profile.yaml", *words, faults=faults)

    assert run.ended.code == code, run.ended.text
    assert {name for name, row in run.rows.items() if row["known"]} == known
    is_told = {name for name, said in run.junit.items() if said == "skipped: known: ticket 7"}
    assert is_told == known
    assert ("known)" in run.ended.text) is bool(known)
    is_stale = code == 1 and not faults
    assert (f"{STATE} in own::early is stale" in run.ended.text) is is_stale


def test_the_version_in_a_profile_stands_in_the_results_and_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "profile.yaml").write_text("version: maild 3.3\n")

    run = judge(tmp_path, "--target-profile=profile.yaml", "-k", "early")

    assert run.ended.code == 0, run.ended.text
    results = json.loads((tmp_path / "reports" / "results.json").read_text())
    assert results["target"]["version"] == "maild 3.3"
    assert "maild 3.3" in (tmp_path / "reports" / "index.html").read_text()


def test_a_finding_beside_a_known_one_is_told_and_the_known_one_is_marked(tmp_path: Path) -> None:
    (tmp_path / "profile.yaml").write_text(profile(f"rule: {STATE}"))
    words = ("--target-profile=profile.yaml", "-k", "both", "--level=should")

    run = judge(tmp_path, *words, faults=[STATES_FAULT, ARGUMENT_FAULT])

    findings = {each["rule"]: each["known"] for each in run.rows["both"]["findings"]}
    assert findings == {STATE: True, ARGUMENT: False}
    assert run.junit["both"].startswith(f"failure: {ARGUMENT}: ")
    assert "known     a known deviation of this target" in run.ended.text


def test_a_record_for_a_scenario_holds_on_each_transport_and_with_two_processes(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.yaml").write_text(SCENARIOS)
    (tmp_path / "profile.yaml").write_text(profile(f"rule: {ROBUST}, scenario: 'own::robust'"))
    words = ("own.yaml", "--target-profile=profile.yaml", "-k", "robust", "-n", "2")

    ended = judge_here(tmp_path, *words, "--transport=plain,stls")

    assert ended.code == 0, ended.text
    assert "2 skipped" in ended.text
    assert "fail (2 known)" in ended.text


def test_a_record_is_stale_where_its_rule_holds_in_all_that_was_selected(tmp_path: Path) -> None:
    (tmp_path / "profile.yaml").write_text(profile(f"rule: {STATE}"))

    run = judge(tmp_path, "--target-profile=profile.yaml", "-k", "early")

    assert run.ended.code == 1, run.ended.text
    assert f"the known deviation from {STATE} is stale" in run.ended.text


BAD_RECORDS = (
    (f"rule: {STATE}s", f"profile.yaml:2:5: unknown rule '{STATE}s' (did you mean '{STATE}'?)"),
    ("rule: nonsense", "profile.yaml:2:5: unknown rule 'nonsense'; `pop3spec rules` lists all"),
    (
        f"rule: {STATE}, scenario: 'rfc1939/wrong-state::gone'",
        "profile.yaml:2:5: there is no scenario 'rfc1939/wrong-state::gone' (any more)",
    ),
    (
        f"rule: {STATE}, scenario: 'rfc1939/no-such-file::gone'",
        "profile.yaml:2:5: there is no scenario 'rfc1939/no-such-file::gone' (any more)",
    ),
    (
        f"rule: {STATE}, scenario: 'suites/test_rfc1939_greeting.py::test_gone[stls]'",
        "profile.yaml:2:5: there is no scenario",
    ),
    (f"rule: {STATE}, scenario: 'run::gone'", "there is no 'run::gone'; remove the record"),
    (f"rule: {STATE}, scenario: early", "'early' is not the id of a scenario"),
    (f"rule: {STATE}, until: 2027-02-30", "profile.yaml:2:"),
)


@pytest.mark.parametrize(("record", "sentence"), BAD_RECORDS)
def test_a_record_of_what_does_not_exist_is_bad_usage(
    tmp_path: Path, record: str, sentence: str
) -> None:
    (tmp_path / "profile.yaml").write_text(profile(record))
    (tmp_path / "own.yaml").write_text(SCENARIOS)

    ended = judge_here(tmp_path, "own.yaml", "--target-profile=profile.yaml")
    validated = here(tmp_path, "validate", "profile.yaml")

    assert ended.code == 4, ended.text
    assert sentence in ended.sentences[0]
    assert validated.code == 4
    assert sentence in validated.text


def test_a_record_without_a_reason_is_bad_usage(tmp_path: Path) -> None:
    (tmp_path / "profile.yaml").write_text(profile(f"rule: {STATE}").replace("ticket 7", " "))

    assert "why: the reason is missing" in here(tmp_path, "validate", "profile.yaml").text


def test_a_record_for_a_scenario_of_ours_is_told_to_be_there(tmp_path: Path) -> None:
    record = "scenario: 'rfc1939/greeting::one-line-and-no-more[stls]', rule: rfc1939-4-greeting"
    (tmp_path / "profile.yaml").write_text(profile(record))

    with ReferenceServer(MemoryStore(), {}) as server:
        ended = judge_here(
            tmp_path,
            f"127.0.0.1:{server.address[1]}",
            "scenarios/rfc1939/greeting.yaml::one-line-and-no-more",
            "--target-profile=profile.yaml",
        )

    assert ended.code == 0, ended.text
