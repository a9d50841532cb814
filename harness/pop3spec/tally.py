"""Tally: what the tests of a run have shown, and the results that it comes to.

Evidence is plain data that crosses processes, so that a run in several of them
adds up to the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pop3spec import __version__
from pop3spec.report.results import Results
from pop3spec.report.rows import Data, ScenarioRow, observation_rows, rule_rows
from pop3spec.report.truth import truth
from pop3spec.rulebook.observers import Seen
from pop3spec.rulebook.over_sessions import (
    SessionFacts,
    facts_from,
    judge_sessions,
    observe_sessions,
)
from pop3spec.rulebook.rules import rulebook, rules_digest
from pop3spec.rulebook.uses import Use
from pop3spec.transcript import Masker
from pop3spec.verdict import Finding, Outcome, Verdict, verdict_of


def evidence_of(row: ScenarioRow, outcome: Outcome) -> Data:
    """What one test has shown, as data that crosses processes."""
    return {
        "row": row.to_data(),
        "facts": [{**facts.as_data(), "test": row.id} for facts in outcome.facts],
        "seen": [list(seen) for seen in sorted(outcome.observations)],
        "uses": [list(use) for use in sorted(outcome.uses)],
    }


@dataclass
class Tally:
    """The rows so far, and what the sessions behind them have shown."""

    rows: list[ScenarioRow] = field(default_factory=list)
    _facts: list[SessionFacts] = field(default_factory=list)
    _seen: set[Seen] = field(default_factory=set)
    _uses: set[Use] = field(default_factory=set)

    def take(self, evidence: Mapping[str, Any]) -> ScenarioRow:
        """Take what `evidence_of` made of a test; its row."""
        row = ScenarioRow.from_data(evidence["row"])
        self.rows.append(row)
        self._facts += map(facts_from, evidence["facts"])
        self._seen.update((name, value) for name, value in evidence["seen"])
        self._uses.update((name, place, works) for name, place, works in evidence["uses"])
        return row

    def take_late(self, facts: Iterable[Mapping[str, Any]]) -> None:
        """Take facts, as data, of sessions that outlived their test."""
        self._facts += map(facts_from, facts)

    def rows_over_sessions(
        self, expire: set[str], replay: Callable[[Sequence[str]], str]
    ) -> Iterator[ScenarioRow]:
        """The rules that only several sessions can break, as rows of their own.

        `expire` is what CAPA announces as EXPIRE; `replay` makes the command that runs
        these paths again.
        """
        expires, keeps = bool(expire - {"NEVER"}), expire == {"NEVER"}
        all_facts = [replace(facts, expires=expires, keeps=keeps) for facts in self._facts]
        self._seen.update(observe_sessions(all_facts))
        for judged in judge_sessions(all_facts):
            got = getattr(judged.judgement, "got", "")
            findings = (Finding(judged.rule, got, command="several sessions"),) if got else ()
            beside = f" (sessions of {', '.join(judged.tests)})" if judged.tests else ""
            outcome = Outcome(
                verdict_of(findings, rulebook()),
                f"{got}{beside}" if got else "",
                findings,
                frozenset({judged.rule}),
            )
            yield ScenarioRow.from_outcome(
                outcome,
                id=f"run::{judged.rule}",
                title=rulebook()[judged.rule].summary,
                file="",
                line=0,
                rules=(judged.rule,),
                replay=replay([_path_of(test) for test in judged.tests]),
            )

    def results(
        self,
        *,
        target: Mapping[str, Any],
        started: datetime,
        seconds: float,
        seed: int,
        options: Mapping[str, Any],
        scenarios_digest: str,
        masker: Masker,
    ) -> Results:
        """The results, without a secret in what the target said of itself."""
        rules = rule_rows(rulebook(), self.rows)
        told: Mapping[str, Any] = _masked(target, masker)
        held = {
            rule.id: rule.verdict is Verdict.PASS
            for rule in rules
            if rule.verdict in (Verdict.PASS, Verdict.WARN, Verdict.FAIL)
        }
        uses = {(masker.mask_text(name), place, works) for name, place, works in self._uses}
        return Results(
            version=__version__,
            rules_digest=rules_digest(),
            scenarios_digest=scenarios_digest,
            target=told,
            started=started,
            seconds=seconds,
            seed=seed,
            options=options,
            rules=tuple(rules),
            scenarios=tuple(self.rows),
            capabilities=tuple(truth(told.get("capabilities", {}), uses, held)),
            observations=tuple(observation_rows(self._seen)),
        )


def _path_of(test: str) -> str:
    file, _, name = test.partition("::")
    return f"scenarios/{file}.yaml::{name}" if name and "." not in file else test


def _masked(value: Any, masker: Masker) -> Any:
    """Plain data without secrets in its texts."""
    match value:
        case str():
            return masker.mask_text(value)
        case dict():
            return {masker.mask_text(key): _masked(each, masker) for key, each in value.items()}
        case list() | tuple():
            return [_masked(each, masker) for each in value]
    return value
