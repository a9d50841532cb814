"""Every rule is proven: faults of the reference server turn it red, and nothing else does.

Each fault is judged by all scenarios, and the rules that are accused have to be
exactly those that the fault declares: an accusation too many fails like a miss.
"""

import pytest
from proving import Proof, all_scenarios, prove, prove_fault, with_suites

from pop3spec.reference.faults import FAULTS
from pop3spec.rulebook.rules import Level, rulebook
from pop3spec.verdict import Verdict


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_accused_of_exactly_what_it_breaks(name: str) -> None:
    proof = prove_fault(name)

    assert proof.errors == []
    assert set(proof.accused) == FAULTS[name].breaks, proof.accused


@pytest.mark.parametrize("jobs", [1, None], ids=["one at a time", "side by side"])
def test_the_honest_server_passes_everything(jobs: int | None) -> None:
    proof = prove(jobs=jobs)

    assert proof.accused == {}
    assert {outcome.verdict for outcome in proof.outcomes.values()} == {Verdict.PASS}


@pytest.fixture(scope="module")
def honest() -> Proof:
    return with_suites(prove())


def test_no_rule_is_left_untested_on_the_honest_server(honest: Proof) -> None:
    assert set(rulebook()) - honest.exercised == set()


def test_each_rule_that_a_scenario_lists_is_exercised_somewhere(honest: Proof) -> None:
    listed = {rule for _, scenario in all_scenarios() for rule in scenario.rules}

    assert listed - honest.exercised == set()


@pytest.mark.parametrize("rule", rulebook())
def test_a_must_is_proven_by_two_faults_with_one_at_an_edge(rule: str) -> None:
    faults = [fault for fault in FAULTS.values() if rule in fault.breaks]

    if rulebook()[rule].level is Level.MUST and not rulebook()[rule].is_robust:
        assert len(faults) >= 2
        assert any(fault.edge for fault in faults)
    assert faults
