"""`pop3spec accept`: what fails becomes records, and nothing else of the profile changes."""

import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from command import here
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judged import ARGUMENT, ARGUMENT_FAULT, PRACTICE, ROBUST, STATE, STATES_FAULT, judge

from pop3spec.accept import to_accept, with_records
from pop3spec.report.results import Results, write_results
from pop3spec.report.rows import FindingRow, ScenarioRow
from pop3spec.rulebook.rules import Level, rulebook
from pop3spec.target import KnownDeviation, Profile, TargetError
from pop3spec.verdict import Verdict
from pop3spec.yamlfile import load_text

# A busy machine is no finding.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TODAY = date(2026, 11, 23)
RECORD = KnownDeviation(rule=STATE, why="ticket 7")


def row(id: str, *broken: str, exercised: Sequence[str] = (STATE,), **more: Any) -> ScenarioRow:
    verdict = Verdict.FAIL if broken else Verdict.PASS
    findings = tuple(FindingRow(rule, "'+OK'", "-ERR", "", "UIDL") for rule in broken)
    facts: dict[str, Any] = {"title": "T", "file": "own.yaml", "line": 1, "verdict": verdict}
    return ScenarioRow(id=id, exercised=tuple(exercised), findings=findings, **(facts | more))


def results(*rows: ScenarioRow) -> Results:
    return Results(
        version="1.0",
        rules_digest="abc",
        target={},
        started=datetime(2026, 11, 22, tzinfo=UTC),
        seconds=1.0,
        seed=7,
        options={},
        rules=(),
        scenarios=rows,
    )


def accepted(
    *rows: ScenarioRow, listed: Sequence[KnownDeviation] = (), level: Level = Level.MUST
) -> list[tuple[str, str | None]]:
    told = to_accept(results(*rows), listed, rulebook(), level, TODAY)
    return [(record.rule, record.scenario) for record in told.records]


# --- Which records ---


def test_a_rule_that_is_broken_wherever_it_is_exercised_has_one_record() -> None:
    assert accepted(row("a::x", STATE), row("a::y", STATE), row("a::z", exercised=())) == [
        (STATE, None)
    ]


def test_a_rule_that_holds_elsewhere_has_a_record_for_each_scenario() -> None:
    assert accepted(row("a::x", STATE), row("a::y"), row("a::z", STATE)) == [
        (STATE, "a::x"),
        (STATE, "a::z"),
    ]


def test_a_scenario_that_fails_on_every_transport_has_one_record() -> None:
    rows = [row("a::x[plain]", STATE), row("a::x[stls]", STATE), row("a::y")]

    assert accepted(*rows) == [(STATE, "a::x")]
    assert accepted(rows[0], row("a::x[stls]"), rows[2]) == [(STATE, "a::x[plain]")]


def test_a_rule_that_very_many_scenarios_break_has_one_record() -> None:
    rows = [row(f"a::x{number}", STATE) for number in range(11)]

    assert accepted(*rows, row("a::y")) == [(STATE, None)]


def test_only_what_fails_at_the_level_is_recorded_and_practice_never() -> None:
    one = row("a::x", ARGUMENT, PRACTICE, ROBUST, verdict=Verdict.FAIL)

    assert accepted(one) == [(ROBUST, None)]
    assert accepted(one, level=Level.SHOULD) == [(ARGUMENT, None), (ROBUST, None)]


@pytest.mark.parametrize(
    ("listed", "more"),
    [
        (RECORD, []),
        (replace(RECORD, scenario="a::x"), []),
        (replace(RECORD, until="2026-11-23"), []),
        (replace(RECORD, until="2026-11-22"), [(STATE, "a::x")]),
        (replace(RECORD, scenario="a::z"), [(STATE, "a::x")]),
        (replace(RECORD, rule=ARGUMENT), [(STATE, "a::x")]),
    ],
)
def test_what_a_record_covers_is_not_recorded_twice(
    listed: KnownDeviation, more: list[tuple[str, str | None]]
) -> None:
    assert accepted(row("a::x", STATE), row("a::y"), listed=[listed]) == more


def test_the_reason_says_what_was_seen_and_asks_for_a_better_one() -> None:
    [one] = to_accept(results(row("a::x", STATE)), (), rulebook(), Level.MUST, TODAY).records
    told = to_accept(
        results(row("a::x", STATE), row("a::y", STATE)), (), rulebook(), Level.MUST, TODAY
    )

    seen = "write the reason here; seen on 2026-11-22: in "
    assert one.why == f"{seen}a::x, UIDL: expected -ERR, got '+OK'"
    assert told.records[0].why.startswith(f"{seen}2 of the 2 scenarios that touch it, as in a::x, ")


def test_what_no_record_can_be_for_is_said() -> None:
    told = to_accept(
        results(
            row("a::x", "rfc1939-5-of-another-version"),
            row("a::y", verdict=Verdict.ERROR),
            row("a::z", verdict=Verdict.FAIL),
        ),
        (),
        rulebook(),
        Level.MUST,
        TODAY,
    )

    assert not told.records
    assert [sentence.split(maxsplit=1)[0] for sentence in told.left] == [
        "rfc1939-5-of-another-version",
        "a::y:",
        "a::z:",
    ]


# --- The text of a profile ---

PLACES = {
    "no-list": "target: a:110  # mine\n",
    "no-line-end": "target: a:110",
    "block": (
        "# top\nknown-deviations:  # ours\n  - rule: rfc1939-5-noop  # n\n    why: x # w\n\n# end\n"
    ),
    "no-indentation": "known-deviations:\n- why: x\n  rule: rfc1939-5-noop\ntarget: a:110\n",
    "block-scalar": (
        "known-deviations:\n    - rule: rfc1939-5-noop\n      why: |\n        x\n\n        y\n\n\n"
        "target: a:110\n"
    ),
    "folded": "known-deviations:\n  - rule: rfc1939-5-noop\n    why: 'x\n\n      y'\n",
    "flow-items": "known-deviations:\n  - {rule: rfc1939-5-noop, why: x}  # z\ntarget: a:110",
    "flow": "target: a:110\nknown-deviations: [{rule: rfc1939-5-noop, why: x}]  # z\n",
    "flow-with-comma": "known-deviations: [\n  {rule: rfc1939-5-noop, why: x},  # z\n]\n",
    "empty": "known-deviations: []  # none yet\ntarget: a:110\n",
    "empty-with-blank": "known-deviations: [ ]\n",
    "flow-file-with-a-list": "{target: 'a:110', known-deviations: []}\n",
    "begun": "---\ntarget: a:110\n",
    "letters": "accounts:\n  - {user: jürgen 😀, password: größe}\nknown-deviations: []\n",
}


@pytest.mark.parametrize("text", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_records_are_put_in_and_nothing_else_changes(text: str, line_end: str) -> None:
    text = text.replace("\n", line_end)
    records = [RECORD, replace(RECORD, scenario="a::x[stls]", why='"quoted": \\r\\n # {x}')]

    extended = with_records(text, records, "p.yaml")

    before, after = load_text(text, "p.yaml", Profile), load_text(extended, "p.yaml", Profile)
    assert after == replace(before, known_deviations=(*before.known_deviations, *records))
    # All that was there is still there, before and behind what was put in.
    cuts = range(len(text) + 1)
    assert any(extended.startswith(text[:cut]) and extended.endswith(text[cut:]) for cut in cuts)
    assert extended.count("\r\n") == (extended.count("\n") if "\r\n" in text else 0)


@pytest.mark.parametrize("text", ["{target: 'a:110'}\n", "target: a:110\n...\n"])
def test_a_form_that_cannot_be_extended_is_told(text: str) -> None:
    with pytest.raises(TargetError, match=r"p\.yaml: records cannot be put into this form of YAML"):
        with_records(text, [RECORD], "p.yaml")


shown = st.text(st.characters().filter(str.isprintable))


@patient
@given(
    st.sampled_from(list(PLACES.values())),
    st.lists(st.tuples(shown.filter(str.strip), st.none() | shown), min_size=1, max_size=4),
)
def test_any_text_comes_back_from_the_profile(
    text: str, written: list[tuple[str, str | None]]
) -> None:
    records = [KnownDeviation(STATE, why, scenario or None) for why, scenario in written]

    extended = with_records(text, records, "p.yaml")

    found = load_text(extended, "p.yaml", Profile).known_deviations
    assert found[len(found) - len(records) :] == tuple(records)


# --- The command ---


def test_after_accepting_the_next_run_ends_well_and_a_second_time_adds_nothing(
    tmp_path: Path,
) -> None:
    faults = [STATES_FAULT, ARGUMENT_FAULT]
    profile = tmp_path / "profile.yaml"
    profile.write_text("# mine\nallow-stress: no  # as it was\n")
    profile.chmod(0o600)
    before = judge(tmp_path, "--level=should", faults=faults)

    words = ("accept", "reports/results.json", "--target-profile=profile.yaml", "--level=should")
    first = here(tmp_path, *words)
    text = profile.read_text()
    second = here(tmp_path, *words)
    after = judge(tmp_path, "--level=should", "--target-profile=profile.yaml", faults=faults)

    assert (before.ended.code, after.ended.code) == (1, 0), after.ended.text
    assert (first.code, second.code) == (0, 0)
    assert f"recorded: {STATE}\n" in first.text
    assert "3 records added; write the reasons into it" in first.text
    assert "0 records added: nothing fails that it does not list" in second.text
    assert profile.read_text() == text
    assert text.startswith("# mine\nallow-stress: no  # as it was\nknown-deviations:\n  - rule: ")
    assert stat.S_IMODE(profile.stat().st_mode) == 0o600
    assert list(tmp_path.glob(".*.part")) == []


def test_a_profile_is_made_where_there_is_none_and_a_link_stays_one(tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", results(row("a::x", STATE)))
    (tmp_path / "link.yaml").symlink_to("made.yaml")

    made = here(tmp_path, "accept", "results.json", "--target-profile=made.yaml")
    text = (tmp_path / "made.yaml").read_text()
    again = here(tmp_path, "accept", "results.json", "--target-profile=link.yaml")

    assert (made.code, again.code) == (0, 0), made.text + again.text
    assert "0 records added" in again.text
    assert (tmp_path / "link.yaml").is_symlink()
    assert here(tmp_path, "validate", "made.yaml").text == "1 files, 0 malformed\n"
    assert text.startswith("# Known deviations of a target;")


BAD = (
    ("no-profile", "about: x\n", "profile.yaml:1:1: unknown key 'about'"),
    ("empty", "# nothing\n", "profile.yaml:1:1: the file is empty"),
    ("unknown-rule", "known-deviations: [{rule: x, why: y}]\n", "unknown rule 'x'"),
    ("form", "{target: 'a:110'}\n", "cannot be put into this form of YAML"),
)


@pytest.mark.parametrize(("text", "words"), [pytest.param(*rest, id=name) for name, *rest in BAD])
def test_a_profile_that_cannot_be_used_is_left_alone(tmp_path: Path, text: str, words: str) -> None:
    write_results(tmp_path / "results.json", results(row("a::x", STATE)))
    (tmp_path / "profile.yaml").write_text(text)

    ended = here(tmp_path, "accept", "results.json", "--target-profile=profile.yaml")

    assert ended.code == 4, ended.text
    assert words in ended.sentences[0]
    assert (tmp_path / "profile.yaml").read_text() == text


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    write_results(tmp_path / "results.json", results(row("a::x", STATE)))

    ended = here(tmp_path, "accept", "results.json", "--target-profile=no/profile.yaml")

    assert ended.code == 4
    assert ended.sentences == [
        "ERROR: no/profile.yaml: there is no such directory; make it, or name another one"
    ]
