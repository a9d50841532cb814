"""By what a reader of the page chooses: specification, level, topic and verdict."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pop3spec.report.breaches import Breach
from pop3spec.report.counts import rule_counts, specification, verdict_name
from pop3spec.report.rows import RuleRow, ScenarioRow
from pop3spec.rulebook.rules import Level
from pop3spec.verdict import Verdict


@dataclass(frozen=True)
class Tokens:
    """By what an entry can be chosen: words with blanks between them."""

    specifications: str
    levels: str
    topics: str


def row_tokens(row: ScenarioRow, rules: Mapping[str, RuleRow]) -> Tokens:
    """Those of a scenario: of all the rules that it lists or broke."""
    named = dict.fromkeys((*row.rules, *(finding.rule for finding in row.findings)))
    known = [rules[id] for id in named if id in rules]
    return Tokens(
        _tokens(_word(specification(rule)) for rule in known),
        _tokens(_word(rule.level.value) for rule in known),
        _topic(row),
    )


def rule_tokens(rule: RuleRow, rows: Mapping[str, ScenarioRow]) -> Tokens:
    """Those of a rule: with the topics of its scenarios."""
    return Tokens(
        _word(specification(rule)),
        _word(rule.level.value),
        _tokens(_topic(rows[id]) for id in rule.scenarios if id in rows),
    )


def breach_tokens(breach: Breach, row: ScenarioRow) -> Tokens:
    """Those of a scenario where it stands below a rule that it broke."""
    if breach.rule is None:
        return Tokens("", "must", _topic(row))
    of_rule = _word(specification(breach.rule)), _word(breach.rule.level.value)
    return Tokens(*of_rule, _topic(row))


def choices(
    rows: Sequence[ScenarioRow], rules: Sequence[RuleRow]
) -> dict[str, list[tuple[str, str]]]:
    """What each filter offers: the word and its name."""
    verdicts = {row.verdict for row in rows} | {rule.verdict for rule in rules}
    names = dict.fromkeys(name for name, _ in rule_counts(rules))
    levels = {rule.level for rule in rules}
    topics = sorted({_topic(row) for row in rows} - {""})
    known = [("known", "known deviation")] if any(map(_has_known, rows)) else []
    return {
        "verdict": [(each.value, verdict_name(each)) for each in Verdict if each in verdicts]
        + known,
        "specification": [(_word(name), name) for name in names],
        "level": [(_word(each.value), each.value) for each in Level if each in levels],
        "topic": [(topic, topic) for topic in topics],
    }


def _has_known(row: ScenarioRow) -> bool:
    return row.known or any(finding.known for finding in row.findings)


def _word(name: str) -> str:
    return name.replace(" ", "-").lower()


def _topic(row: ScenarioRow) -> str:
    if row.topic:
        return _word(row.topic)
    stem = re.split(r"[/\\]", row.id.partition("::")[0])[-1]
    return _word(re.sub(r"\A(?:test_)?(?:rfc[0-9]+_)?|\.py\Z", "", stem))


def _tokens(words: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(word for word in words if word))
