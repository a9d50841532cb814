"""How the rules of each specification and level came out."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from pop3spec.report.rows import RuleRow
from pop3spec.rulebook.rules import Level
from pop3spec.verdict import Verdict

# The verdicts of rules, in the order of the tables.
COLUMNS = (
    Verdict.PASS,
    Verdict.FAIL,
    Verdict.WARN,
    Verdict.NOT_APPLICABLE,
    Verdict.BLOCKED,
    Verdict.UNTESTED,
)


def verdict_name(verdict: Verdict) -> str:
    """A verdict as people read it."""
    return verdict.value.replace("-", " ")


def specification(rule: RuleRow) -> str:
    """The RFC of a rule, or 'robust' or 'practice'."""
    return f"RFC {rule.rfc}" if rule.rfc else rule.id.partition("-")[0]


def rule_counts(rules: Iterable[RuleRow]) -> dict[tuple[str, Level], Counter[Verdict]]:
    """How many rules have which verdict, by specification and level, in the order of the RFCs."""
    counts: dict[tuple[str, Level], Counter[Verdict]] = {}
    for rule in sorted(rules, key=_place):
        counts.setdefault((specification(rule), rule.level), Counter())[rule.verdict] += 1
    return counts


def proportions(counts: Mapping[Verdict, int]) -> Iterator[tuple[Verdict, float, float]]:
    """Verdict, left edge and width in percent, for each verdict that there is."""
    left, percent = 0.0, 100 / max(1, sum(counts.values()))
    for verdict in COLUMNS:
        if width := percent * counts.get(verdict, 0):
            yield verdict, round(left, 3), round(width, 3)
            left += width


def _place(rule: RuleRow) -> tuple[float, int]:
    return rule.rfc or math.inf, list(Level).index(rule.level)
