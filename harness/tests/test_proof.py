"""Every rule is proven: faults of the reference server turn it red, and nothing else does.

Each fault is judged by all scenarios, and the rules that are accused have to be
exactly those that the fault declares: an accusation too many fails like a miss.
"""

import pytest
from proving import Proof, all_scenarios, prove, prove_fault, with_suites

from pop3spec.reference.faults import FAULTS
from pop3spec.reference.offer import Cleartext
from pop3spec.rulebook.rules import Level, rulebook
from pop3spec.target import Transport
from pop3spec.verdict import Verdict


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_accused_of_exactly_what_it_breaks(name: str) -> None:
    proof = prove_fault(name)
    if set(proof.accused) != FAULTS[name].breaks:
        # On a busy machine a reply may come after a second, and be missed for that alone; what
        # comes of the fault comes again.
        proof = prove_fault(name)

    assert proof.errors == []
    assert set(proof.accused) == FAULTS[name].breaks, proof.accused


# What the reference server has where it is asked to.
NOT_OFFERED = frozenset({"UTF8 is not offered"})


@pytest.mark.parametrize("jobs", [1, None], ids=["one at a time", "side by side"])
def test_the_honest_server_passes_everything(jobs: int | None) -> None:
    proof = prove(jobs=jobs)

    assert proof.accused == {}
    left_out = {
        outcome.detail for outcome in proof.outcomes.values() if outcome.verdict is not Verdict.PASS
    }
    assert left_out == NOT_OFFERED


def test_the_honest_server_passes_everything_where_it_has_utf8_and_lang() -> None:
    proof = prove(is_international=True)

    assert proof.accused == {}
    assert {outcome.verdict for outcome in proof.outcomes.values()} == {Verdict.PASS}


# What a server that refuses passwords in the clear does not have there.
NOT_IN_CLEAR = frozenset({"USER is not offered"})


@pytest.mark.parametrize("transport", Transport, ids=lambda transport: transport.value)
@pytest.mark.parametrize("cleartext", Cleartext, ids=lambda cleartext: cleartext.value)
def test_the_honest_server_passes_on_each_layer_whatever_its_policy(
    cleartext: Cleartext, transport: Transport
) -> None:
    # In the clear nobody logs in to a server that refuses it: the run moves behind STLS.
    moves = cleartext is Cleartext.REFUSED and transport is Transport.PLAIN
    proof = prove(cleartext=cleartext, transport=None if moves else transport)

    assert proof.accused == {}
    left_out = {
        outcome.detail for outcome in proof.outcomes.values() if outcome.verdict is not Verdict.PASS
    }
    assert left_out <= NOT_OFFERED | (NOT_IN_CLEAR if cleartext is Cleartext.REFUSED else set())


@pytest.fixture(scope="module")
def honest() -> Proof:
    """The honest server in both of its configurations."""
    whole = Proof()
    for cleartext in Cleartext:
        proof = with_suites(prove(cleartext=cleartext), cleartext=cleartext)
        whole.exercised |= proof.exercised
        whole.accused |= proof.accused
    return whole


def test_the_honest_server_is_accused_of_nothing_by_the_suites(honest: Proof) -> None:
    assert honest.accused == {}


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
