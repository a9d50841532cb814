"""A run with --baseline from end to end: the exit code, and what each report says."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from command import judge_here
from judged import (
    ARGUMENT_FAULT,
    SCENARIOS,
    STATE,
    STATES_FAULT,
    judge,
)

from pop3spec.report.results import Results, read_results

# Without those that fail whatever the server does.
ONLY = ("-k", "early or argument or both or absent or blocked")
SHOULD = "--level=should"

Edit = Callable[[str], str]


def same(scenarios: str) -> str:
    return scenarios


def without_early(scenarios: str) -> str:
    before, _, after = scenarios.partition("  - id: early\n")
    return before + after[after.index("  - id:") :]


def with_a_feature_for_argument(scenarios: str) -> str:
    rules = "    rules: [rfc1939-5-no-argument]\n"
    return scenarios.replace(rules, f"{rules}    requires: [LANG]\n")


def with_a_login_for_argument(scenarios: str) -> str:
    before, middle, after = scenarios.partition("  - id: argument\n")
    return before + middle + after.replace("AUTHORIZATION", "TRANSACTION", 1)


def with_a_late_one(scenarios: str) -> str:
    """One more that breaks what another one breaks as well."""
    late = scenarios[scenarios.index("  - id: early") : scenarios.index("  - id: argument")]
    return scenarios + late.replace("early", "late")


def with_another_rule(scenarios: str) -> str:
    """A failing scenario breaks a rule beside the one that it has broken before."""
    head = "rules: [robust-serves-next-client]\n    state: AUTHORIZATION\n    steps:\n"
    return scenarios.replace(head, f"{head}      - send: UIDL\n")


# The faults before and now, what changed in the scenarios, the words of the run, its exit code,
# and the scenario that JUnit shows as another one than before, with how its message begins.
CELLS: Sequence[
    tuple[str, Sequence[str], Sequence[str], Edit, Sequence[str], int, dict[str, str]]
] = (
    ("nothing", [], [], same, ONLY, 0, {"early": ""}),
    ("pass-fail", [], [STATES_FAULT], same, ONLY, 1, {"early": "failure: worse than in the"}),
    ("fail-fail", [STATES_FAULT], [STATES_FAULT], same, ONLY, 0, {"early": "skipped: as in the"}),
    ("fail-pass", [STATES_FAULT], [], same, ONLY, 0, {"early": ""}),
    ("pass-warn", [], [ARGUMENT_FAULT], same, ONLY, 0, {"argument": ""}),
    (
        "pass-warn-should",
        [],
        [ARGUMENT_FAULT],
        same,
        (*ONLY, SHOULD),
        1,
        {"argument": "failure: worse than in the baseline (warn)"},
    ),
    (
        "warn-warn-should",
        [ARGUMENT_FAULT],
        [ARGUMENT_FAULT],
        same,
        (*ONLY, SHOULD),
        0,
        {"argument": "skipped: as in the baseline"},
    ),
    (
        "warn-fail",
        [ARGUMENT_FAULT],
        [ARGUMENT_FAULT, STATES_FAULT],
        same,
        ONLY,
        1,
        {"both": "failure: worse than in the baseline (fail)"},
    ),
    (
        "pass-blocked",
        [],
        [],
        with_a_login_for_argument,
        ONLY,
        1,
        {"argument": "failure: worse than in the baseline (blocked)"},
    ),
    (
        "pass-not-applicable",
        [],
        [],
        with_a_feature_for_argument,
        ONLY,
        1,
        {"argument": "failure: worse than in the baseline (not-applicable)"},
    ),
    ("pass-gone", [], [], without_early, (), 1, {"argument": ""}),
    ("pass-deselected", [], [], same, ("-k", "argument"), 0, {"argument": ""}),
    ("practice-should", [], [], same, ("-k", "practice", SHOULD), 0, {"practice": ""}),
    (
        "new-failure-of-a-broken-rule",
        [STATES_FAULT],
        [STATES_FAULT],
        with_a_late_one,
        (*ONLY[:1], f"{ONLY[1]} or late"),
        0,
        {"late": "skipped: not judged in the baseline"},
    ),
    (
        "new-failure-of-a-kept-rule",
        [],
        [STATES_FAULT],
        with_a_late_one,
        ("-k", "late"),
        1,
        {"late": "failure: worse than in the baseline (fail)"},
    ),
    (
        "another-rule-of-a-failure",
        [],
        [STATES_FAULT],
        with_another_rule,
        ("-k", "robust"),
        1,
        {"robust": "failure: worse than in the baseline (fail)"},
    ),
)


@pytest.mark.parametrize(
    ("before", "now", "edit", "words", "code", "told"),
    [pytest.param(*rest, id=name) for name, *rest in CELLS],
)
def test_a_run_fails_on_what_got_worse_alone(
    tmp_path: Path,
    before: Sequence[str],
    now: Sequence[str],
    edit: Edit,
    words: Sequence[str],
    code: int,
    told: dict[str, str],
) -> None:
    judge(tmp_path, faults=before, reports="before")

    run = judge(
        tmp_path,
        "--baseline=before/results.json",
        *words,
        faults=now,
        scenarios=edit(SCENARIOS),
    )

    assert run.ended.code == code, run.ended.text
    assert ("nothing got worse" in run.ended.text) is (code == 0)
    for name, message in told.items():
        assert run.junit[name].startswith(message), run.junit[name]
        assert bool(run.junit[name]) is bool(message)
    assert "--baseline" not in "".join(row.get("replay", "") for row in run.rows.values())


def test_what_another_version_of_the_suite_asks_for_is_no_worsening(tmp_path: Path) -> None:
    judge(tmp_path, *ONLY, reports="before")
    before = tmp_path / "before" / "results.json"
    document = json.loads(before.read_text())
    document["suite"]["version"] = "0.0.9"
    before.write_text(json.dumps(document))
    scenarios = with_a_late_one(SCENARIOS)
    words = ("--baseline=before/results.json", "-k", "late or argument")

    run = judge(tmp_path, *words, faults=[STATES_FAULT], scenarios=without_early(scenarios))

    assert run.ended.code == 0, run.ended.text
    assert run.junit["late"].startswith("skipped: not judged in the baseline")
    assert "1 scenario fails that the baseline did not judge" in run.ended.text
    assert "of 2 scenarios of this run the baseline does not have 1" in run.ended.text
    assert "weak comparison: the runs differ in version" in run.ended.text


def test_a_known_deviation_beside_a_baseline_is_known_and_its_record_may_be_stale(
    tmp_path: Path,
) -> None:
    judge(tmp_path, *ONLY, reports="before")
    record = "known-deviations: [{rule: %s, scenario: '%s', why: ticket 7}]\n"
    (tmp_path / "known.yaml").write_text(record % (STATE, "own::early"))
    words = ("--baseline=before/results.json", "--target-profile=known.yaml", "-k", "early")

    known = judge(tmp_path, *words, faults=[STATES_FAULT])
    stale = judge(tmp_path, *words, reports="stale")

    assert (known.ended.code, stale.ended.code) == (0, 1), known.ended.text
    assert known.junit["early"] == "skipped: known: ticket 7"
    assert "nothing got worse" in known.ended.text
    assert "is stale" in stale.ended.text


def test_a_run_that_has_to_be_complete_is_not_made_so_by_a_baseline(tmp_path: Path) -> None:
    judge(tmp_path, *ONLY, reports="before")

    run = judge(tmp_path, *ONLY, "--baseline=before/results.json", "--require-complete")

    assert run.ended.code == 1
    assert "nothing got worse" in run.ended.text


def test_two_processes_come_to_the_same_and_know_what_was_left_out(tmp_path: Path) -> None:
    judge(tmp_path, reports="before")
    (tmp_path / "own.yaml").write_text(without_early(SCENARIOS))
    before = read_results(tmp_path / "before" / "results.json")
    baseline = f"--baseline={_embedded(tmp_path, before)}"

    whole = judge_here(tmp_path, "own.yaml", baseline, "-n", "2", "--report-dir=whole")
    part = judge_here(tmp_path, "own.yaml", baseline, "-n", "2", "-k", "argument")

    assert (whole.code, part.code) == (1, 0), whole.text + part.text
    assert "worse: scenario own::early: pass -> absent" in whole.text
    assert "gone from own.yaml" in whole.text
    assert read_results(tmp_path / "whole" / "results.json").whole_files == {"own.yaml"}


def _embedded(directory: Path, before: Results) -> str:
    """The baseline as the embedded server would have it, which has accounts: none is blocked."""
    path = directory / "before" / "results.json"
    document = json.loads(path.read_text())
    for each in document["scenarios"]:
        if each["verdict"] in ("warn", "fail"):
            continue
        each["verdict"] = "pass" if each["id"] == "own::early" else "blocked"
    for each in document["rules"]:
        each["verdict"] = "untested"
    path.write_text(json.dumps(document))
    assert before.scenarios
    return "before/results.json"


def test_what_a_part_of_a_file_names_leaves_the_rest_out(tmp_path: Path) -> None:
    run = judge(tmp_path, "own.yaml::argument")

    assert "whole_files" not in run.results
    assert "argument" in run.rows
    assert "early" not in run.rows
