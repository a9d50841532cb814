"""The verdict at a glance: what a person has to know of a run in the first two seconds."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from pop3spec.report.breaches import Breach, breaches, without_breach
from pop3spec.report.counts import proportions
from pop3spec.report.results import Results
from pop3spec.report.rows import RuleRow, ScenarioRow, fails_run, ordered
from pop3spec.rulebook.rules import Level
from pop3spec.verdict import Verdict


def counted(number: int, noun: str) -> str:
    """A number of things in words."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True)
class Glance:
    """A run as its verdict needs it; `level` is what failed it."""

    rows: Sequence[ScenarioRow]
    rules: Mapping[str, RuleRow]
    level: Level

    @classmethod
    def of(cls, results: Results) -> Self:
        """The glance at these results."""
        level = str(results.options.get("level", ""))
        return cls(
            ordered(results.scenarios),
            {rule.id: rule for rule in results.rules},
            Level.SHOULD if level == "should" else Level.MUST,
        )

    @cached_property
    def _broken(self) -> Sequence[Breach]:
        return breaches(self.rows, self.rules)

    @property
    def failed(self) -> Sequence[Breach]:
        """The MUST rules that are broken, without known deviations."""
        return [breach for breach in self._broken if breach.severity is Verdict.FAIL]

    @property
    def warned(self) -> Sequence[Breach]:
        """The SHOULD rules and rules of practice that are broken, without known deviations."""
        return [breach for breach in self._broken if breach.severity is Verdict.WARN]

    @cached_property
    def known(self) -> Sequence[Breach]:
        """The broken rules that are on record."""
        return breaches(self.rows, self.rules, known=True)

    @property
    def known_musts(self) -> int:
        """How many MUST rules are broken as is on record, and not besides."""
        failed = {breach.id for breach in self.failed}
        known = {breach.id for breach in self.known if breach.severity is Verdict.FAIL}
        return len(known - failed)

    @cached_property
    def musts(self) -> Counter[Verdict]:
        """How many MUST rules have which verdict."""
        rules = self.rules.values()
        return Counter(rule.verdict for rule in rules if rule.level is Level.MUST)

    @property
    def _is_judged(self) -> bool:
        return any(row.verdict in (Verdict.PASS, Verdict.FAIL, Verdict.WARN) for row in self.rows)

    @property
    def headline(self) -> str:
        """The verdict in a few words."""
        if self.failed:
            verb = "is" if len(self.failed) == 1 else "are"
            return f"{counted(len(self.failed), 'MUST rule')} {verb} broken"
        if unnamed := without_breach(self.rows, Verdict.FAIL, self.rules):
            return f"{counted(len(unnamed), 'scenario')} failed"
        if not self._is_judged:
            return "Nothing was judged"
        if self.known_musts:
            known = counted(self.known_musts, "known deviation")
            return f"{known}, no other MUST rule is broken"
        return "No MUST rule is broken" if self.warned or self.known else "No rule is broken"

    @property
    def mood(self) -> Verdict:
        """The verdict whose colours the head of the page wears."""
        verdicts = {row.verdict for row in self.rows}
        if self.failed or without_breach(self.rows, Verdict.FAIL, self.rules):
            return Verdict.FAIL
        if Verdict.ERROR in verdicts:
            return Verdict.ERROR
        if self.warned or self.known:
            return Verdict.WARN
        is_incomplete = self.musts[Verdict.BLOCKED] or self.musts[Verdict.UNTESTED]
        return Verdict.BLOCKED if is_incomplete or not self._is_judged else Verdict.PASS

    @property
    def remarks(self) -> Iterator[str]:
        """What else belongs to the verdict, a sentence each."""
        if failing := sum(fails_run(row, self.rules, self.level) for row in self.rows):
            also = " (SHOULD rules count as well)" if self.level is Level.SHOULD else ""
            yield f"{failing} of {counted(len(self.rows), 'scenario')} failed{also}."
        if errors := sum(row.verdict is Verdict.ERROR for row in self.rows):
            yield f"pop3spec itself failed in {counted(errors, 'scenario')}: please report it."
        if len(self.warned) == 1:
            yield "1 SHOULD rule or rule of practice is broken."
        elif self.warned:
            yield f"{len(self.warned)} SHOULD rules or rules of practice are broken."
        if self.known:
            verb = "is" if len(self.known) == 1 else "are"
            yield f"{counted(len(self.known), 'rule')} {verb} broken as a known deviation."
        untested, blocked = self.musts[Verdict.UNTESTED], self.musts[Verdict.BLOCKED]
        if untested or blocked:
            yield (
                f"{counted(untested, 'MUST rule')} untested and {counted(blocked, 'MUST rule')} "
                "blocked: of these the run says nothing."
            )
        elif self._is_judged:
            yield "No MUST rule was left untested or blocked."

    @property
    def sections(self) -> tuple[tuple[str, Sequence[Breach]], ...]:
        """The broken rules by the section of the page that tells them."""
        return ("failed", self.failed), ("warned", self.warned), ("known", self.known)

    @property
    def bar(self) -> Iterator[tuple[Verdict, float, float]]:
        """Verdict, left edge and width in percent, for each verdict that a MUST rule has."""
        yield from proportions(self.musts)
