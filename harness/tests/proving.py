"""A run against the reference server with a fault: which rules are accused.

A fault is judged by the scenarios of the specifications that it can reach: those of RFC 1939 and
its extensions, or, where it is one of TLS or SASL, those of all the others. Of a scenario with
examples that is not about its rules, the first will do. With POP3SPEC_WHOLE_PROOF each fault is
judged by every scenario, which takes much longer.
"""

import os
import sys
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from suite_proof import accused_by_suites, conversations

from pop3spec.collected import home
from pop3spec.embedded import start_embedded
from pop3spec.reference.faults import FAULTS, TLS_AND_SASL, internationalisation
from pop3spec.reference.offer import Cleartext
from pop3spec.rulebook.judgement import Broken
from pop3spec.rulebook.over_sessions import SessionFacts, judge_sessions
from pop3spec.rulebook.rules import rulebook
from pop3spec.run import Run, Task
from pop3spec.scenario import Scenario, load_scenarios, scenario_id
from pop3spec.settings import Settings
from pop3spec.target import Timeouts, Transport
from pop3spec.verdict import Outcome, Verdict

# Silence is recognised fast on loopback; a slow machine only makes a proof slower.
_TIMEOUTS = Timeouts(connect=5.0, login=1.0, reply=1.0)

# The specifications of what is neither TLS nor SASL.
_NEAR = ("rfc1939/", "rfc2449/", "rfc3206/", "rfc6856/")
_NEAR_SUITES = ("rfc1939_", "rfc2449_", "rfc3206_", "rfc8314_cleartext", "practice_")
_FAR_SUITES = ("rfc2595_", "rfc5034_", "rfc8314_", "practice_", "robust_tls")


@dataclass
class Proof:
    """What a run came to: outcomes by scenario, and the rules accused and exercised."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    accused: dict[str, str] = field(default_factory=dict)
    exercised: set[str] = field(default_factory=set)

    @property
    def errors(self) -> list[str]:
        """Scenarios in which pop3spec itself failed."""
        return [
            f"{name}: {outcome.detail}"
            for name, outcome in self.outcomes.items()
            if outcome.verdict is Verdict.ERROR
        ]


@cache
def all_scenarios() -> Sequence[tuple[str, Scenario]]:
    """Our own scenarios with their ids."""
    root = home() / "scenarios"
    return [
        (scenario_id(path, root, scenario.id), scenario)
        for path in sorted(root.rglob("*.yaml"))
        for scenario in load_scenarios(path, rulebook().keys()).scenarios
    ]


def is_far(fault: str) -> bool:
    """It is one of TLS or SASL."""
    return any(fault in topic.TABLE.faults for topic in TLS_AND_SASL)


def scenarios_within_reach(fault: str) -> Sequence[tuple[str, Scenario]]:
    """The scenarios of the specifications that a fault is one of."""
    if os.environ.get("POP3SPEC_WHOLE_PROOF"):
        return all_scenarios()
    return [
        (name, scenario)
        for name, scenario in all_scenarios()
        if name.startswith(_NEAR) is not is_far(fault)
    ]


def scenarios_for(fault: str) -> Sequence[tuple[str, Scenario]]:
    """Those about the rules that the fault breaks, and one example of each other."""
    reached = scenarios_within_reach(fault)
    if os.environ.get("POP3SPEC_WHOLE_PROOF"):
        return reached
    first = {scenario.where: name for name, scenario in reversed(reached)}
    breaks = FAULTS[fault].breaks
    return [
        (name, scenario)
        for name, scenario in reached
        if first[scenario.where] == name or not breaks.isdisjoint(scenario.rules)
    ]


def prove_alone(fault: str, rule: str) -> Proof:
    """Judge a fault that ends the service: each scenario about the rule on a server of its own."""
    whole = Proof()
    cleartext = cleartext_of(fault)
    for scenario in (scenario for scenario in all_scenarios() if rule in scenario[1].rules):
        proof = prove(fault, scenarios=[scenario], cleartext=cleartext)
        whole.outcomes |= proof.outcomes
        whole.accused = proof.accused | whole.accused
        whole.exercised |= proof.exercised
    return with_suites(whole, fault, cleartext=cleartext, rule=rule)


def prove(
    *faults: str,
    jobs: int | None = None,
    scenarios: Sequence[tuple[str, Scenario]] | None = None,
    cleartext: Cleartext = Cleartext.PERMITTED,
    transport: Transport | None = None,
    is_international: bool = False,
) -> Proof:
    """Judge the reference server with these faults, by everything that there is."""
    embedded = start_embedded(
        is_international=is_international,
        faults=faults,
        timeouts=_TIMEOUTS,
        cleartext=cleartext,
        transports=(transport,) if transport is not None else (),
    )
    settings = Settings(embedded.target, Path(), jobs=jobs)
    run = Run(settings, embedded.target, embedded.door, back_off=(0.02, 0.05, 0.1))
    proof = Proof()
    try:
        run.begin()
        tasks = [
            (name, Task(scenario, run.observed.transport))
            for name, scenario in (all_scenarios() if scenarios is None else scenarios)
        ]
        run.start([task for _, task in tasks])
        proof.outcomes = {name: run.outcome(task) for name, task in tasks}
    finally:
        run.end()
        embedded.close()
    facts: list[SessionFacts] = []
    introduction = {"introduction": run.introduction} if run.introduction else {}
    for name, outcome in {**introduction, **proof.outcomes}.items():
        facts += outcome.facts
        proof.exercised |= outcome.exercised
        for finding in outcome.findings:
            proof.accused.setdefault(
                finding.rule, f"{name}: {finding.command}: {finding.expected} | {finding.got}"
            )
    for judged in judge_sessions(facts):
        proof.exercised.add(judged.rule)
        if isinstance(judged.judgement, Broken):
            proof.accused.setdefault(judged.rule, f"sessions: {judged.judgement.got}")
    return proof


def prove_fault(name: str) -> Proof:
    """Judge the reference server with one fault."""
    robust = [rule for rule in FAULTS[name].breaks if rule.startswith("robust-")]
    if robust:
        return prove_alone(name, robust[0])
    if name in internationalisation.TABLE.faults:
        # It shows on a server that has UTF8 and LANG, which is that of one topic's suites.
        proof = prove(name, scenarios=scenarios_for(name), is_international=True)
        return with_suites(proof, name, topics=("rfc6856_",))
    breaks, cleartext = FAULTS[name].breaks, cleartext_of(name)
    proof = prove(name, scenarios=scenarios_for(name), cleartext=cleartext)
    if breaks & rules_of_suites():
        if os.environ.get("POP3SPEC_WHOLE_PROOF"):
            return with_suites(proof, name, cleartext=cleartext)
        topics = _FAR_SUITES if is_far(name) else _NEAR_SUITES
        proof = with_suites(proof, name, cleartext=cleartext, topics=topics, about=breaks)
        if breaks - proof.accused.keys():
            proof = with_suites(proof, name, cleartext=cleartext, topics=topics)
        return proof
    if breaks - proof.accused.keys():
        # An example may be the only one at the edge.
        whole = prove(name, scenarios=scenarios_within_reach(name), cleartext=cleartext)
        proof.accused = whole.accused | proof.accused
    # A suite may know an edge of a rule that scenarios are about as well.
    for rule in sorted(breaks - proof.accused.keys()):
        proof = with_suites(proof, name, cleartext=cleartext, rule=rule)
    return proof


def cleartext_of(fault: str) -> Cleartext:
    """The configuration of the server on which a fault shows."""
    return Cleartext.REFUSED if FAULTS[fault].refuses_cleartext else Cleartext.PERMITTED


def with_suites(
    proof: Proof,
    *faults: str,
    cleartext: Cleartext = Cleartext.PERMITTED,
    rule: str | None = None,
    topics: tuple[str, ...] = ("",),
    about: Set[str] | None = None,
) -> Proof:
    """The same with what the suites come to, which take longer than all scenarios together."""
    accused = accused_by_suites(*faults, cleartext=cleartext, rule=rule, topics=topics, about=about)
    proof.accused = accused.rules | proof.accused
    proof.exercised |= accused.exercised
    return proof


@cache
def rules_of_suites() -> frozenset[str]:
    """The rules that a suite is about and no scenario."""
    listed = {rule for _, scenario in all_scenarios() for rule in scenario.rules}
    about = {rule for conversation in conversations() for rule in conversation.rules}
    return frozenset(about - listed)


def _show(name: str) -> None:
    proof = prove_fault(name)
    breaks = FAULTS[name].breaks
    missed, extra = breaks - proof.accused.keys(), proof.accused.keys() - breaks
    print(f"{'ok ' if not missed and not extra else '!! '} {name}", flush=True)
    for rule in sorted(missed):
        print(f"     missed  {rule}")
    for rule in sorted(extra):
        print(f"     extra   {rule}\n               {proof.accused[rule]}")
    for error in proof.errors:
        print(f"     error   {error}")


if __name__ == "__main__":
    for fault in sys.argv[1:] or FAULTS:
        try:
            _show(fault)
        except Exception as error:
            print(f"!!  {fault} raised {error!r}", flush=True)
