"""What changed between two results, and what of it is worse: for --baseline and `pop3spec diff`."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from pop3spec.report.results import Results, as_json, without_secrets
from pop3spec.report.rows import Leveled, RuleRow, ScenarioRow, severity
from pop3spec.report.text import one_line
from pop3spec.rulebook.rules import Level
from pop3spec.verdict import RULE_ORDER, SCENARIO_ORDER, Verdict, worst

BROKEN = (Verdict.FAIL, Verdict.WARN)
_NOT_JUDGED = (Verdict.BLOCKED, Verdict.UNTESTED, Verdict.NOT_APPLICABLE)

# What a run is told that changes neither what it does nor what it says of the server.
_IDLE_OPTIONS = frozenset(
    {"baseline", "jobs", "level", "report-dir", "require-complete", "seed", "transcripts"}
)
# Of the target these stand in the matrix of capabilities, or follow from it.
_TOLD_ELSEWHERE = frozenset({"capabilities", "features", "elsewhere"})
# A timestamp for APOP is another one in each greeting.
_TIMESTAMP = re.compile(r"<[^<>\s]*@[^<>\s]*>")
_DIGEST = 12


class Direction(Enum):
    """What a change means."""

    WORSE = "worse"
    BETTER = "better"
    OTHER = "other"


class Kind(Enum):
    """What has changed."""

    SCENARIO = "scenario"
    RULE = "rule"
    CAPABILITY = "capability"
    OBSERVATION = "observation"
    TARGET = "target"
    OPTION = "option"
    SUITE = "suite"


@dataclass(frozen=True)
class Change:
    """One thing that is not as before; `before` or `after` is '' where it was not there."""

    kind: Kind
    id: str
    before: str
    after: str
    direction: Direction = Direction.OTHER
    note: str = ""


@dataclass(frozen=True)
class Changes:
    """Everything that changed, in order."""

    all: tuple[Change, ...] = ()

    def of(self, direction: Direction) -> Sequence[Change]:
        """The changes of one direction."""
        return [change for change in self.all if change.direction is direction]

    @property
    def worse(self) -> Sequence[Change]:
        """What got worse."""
        return self.of(Direction.WORSE)

    @property
    def differing(self) -> Sequence[str]:
        """In what the runs themselves differ, so that comparing them says less."""
        return [change.id for change in self.all if change.kind in (Kind.OPTION, Kind.SUITE)]


def worsens(before: Verdict, after: Verdict, level: Level) -> bool:
    """Whether a verdict is worse than the one before, for a run at this level."""
    if after is Verdict.FAIL:
        return before in (Verdict.PASS, Verdict.WARN)
    if before is not Verdict.PASS:
        return False
    if after is Verdict.WARN:
        return level is Level.SHOULD
    return after in _NOT_JUDGED


def changes(old: Results, new: Results, level: Level = Level.MUST) -> Changes:
    """What changed from the old results to the new ones."""
    before, after = Earlier(old), Earlier(new)
    return Changes(
        (
            *_facts(Kind.SUITE, _suite(old), _suite(new)),
            *_facts(Kind.OPTION, _options(old), _options(new)),
            *_facts(Kind.TARGET, _target(old), _target(new)),
            *_scenario_changes(before, after, level),
            *_rule_changes(before, after, level),
            *_facts(Kind.CAPABILITY, _capabilities(old), _capabilities(new)),
            *_facts(Kind.OBSERVATION, _observations(old), _observations(new)),
        )
    )


class Earlier:
    """Results by id, to compare others with."""

    def __init__(self, results: Results) -> None:
        self.results = results

    @cached_property
    def scenarios(self) -> Mapping[str, ScenarioRow]:
        """The rows by id; of several with one id the worst."""
        found: dict[str, ScenarioRow] = {}
        for row in self.results.scenarios:
            other = found.setdefault(row.id, row)
            if other is not row and _rank(row) < _rank(other):
                found[row.id] = row
        return found

    @cached_property
    def rules(self) -> Mapping[str, RuleRow]:
        """The rules by id; of several with one id the worst."""
        found: dict[str, RuleRow] = {}
        for rule in self.results.rules:
            other = found.setdefault(rule.id, rule)
            if RULE_ORDER.index(rule.verdict) < RULE_ORDER.index(other.verdict):
                found[rule.id] = rule
        return found

    @cached_property
    def names(self) -> frozenset[str]:
        """The ids of the scenarios, without transports and parameters."""
        return frozenset(id.partition("[")[0] for id in self.scenarios)

    @cached_property
    def exercisers(self) -> Mapping[str, Sequence[str]]:
        """By rule: the scenarios that exercised it."""
        found: dict[str, list[str]] = {}
        for row in self.scenarios.values():
            for rule in {*row.exercised, *(finding.rule for finding in row.findings)}:
                found.setdefault(rule, []).append(row.id)
        return found

    @cached_property
    def accused(self) -> Mapping[str, Sequence[str]]:
        """By rule: the scenarios that broke it and are no known deviation."""
        found: dict[str, list[str]] = {}
        for row in self.scenarios.values():
            for rule in {finding.rule for finding in row.findings if not finding.known}:
                found.setdefault(rule, []).append(row.id)
        return found

    @cached_property
    def broken(self) -> frozenset[str]:
        """The rules that a finding names, known deviations included."""
        return frozenset(
            finding.rule for row in self.scenarios.values() for finding in row.findings
        )

    def is_same_suite(self, other: Results) -> bool:
        """Both were judged by the same rules of the same version."""
        ours = self.results
        return (ours.version, ours.rules_digest) == (other.version, other.rules_digest)


def _rank(row: ScenarioRow) -> tuple[int, bool, str]:
    return SCENARIO_ORDER.index(row.verdict), row.known, repr(row)


def is_mere_practice(rule: str, verdict: Verdict) -> bool:
    """Whether it is a breach that fails no run, whatever its level."""
    return verdict is Verdict.WARN and rule.startswith("practice-")


def counted(row: ScenarioRow, rules: Mapping[str, Leveled]) -> Verdict:
    """The verdict without what never fails a run: known deviations and rules of practice."""
    if row.known:
        return Verdict.PASS
    if row.verdict not in BROKEN or not row.findings:
        return row.verdict
    counted = [
        verdict
        for finding in row.findings
        if not finding.known
        and not is_mere_practice(finding.rule, verdict := severity(finding, rules))
    ]
    # What no finding explains is as bad as it says it is.
    if len(counted) == len(row.findings):
        return row.verdict
    return worst((Verdict.PASS, *counted))


# --- Scenarios ---


def _scenario_changes(before: Earlier, after: Earlier, level: Level) -> Iterator[Change]:
    olds, news = before.scenarios, after.scenarios
    for id in _ids(olds, news):
        was, now = olds.get(id), news.get(id)
        if was is None or now is None:
            yield _only_once(id, was, now, before, after)
        elif was.verdict is not now.verdict:
            direction = Direction.OTHER
            if worsens(was.verdict, counted(now, after.rules), level):
                direction = Direction.WORSE
            elif worsens(now.verdict, was.verdict, Level.SHOULD):
                direction = Direction.BETTER
            note = one_line(f"known: {now.known_why}") if now.known else now.reason
            words = was.verdict.value, now.verdict.value
            yield Change(Kind.SCENARIO, id, *words, direction, note)
        elif _broken_rules(was) != _broken_rules(now):
            words = _broken_rules(was), _broken_rules(now)
            yield Change(Kind.SCENARIO, id, *words, note=now.reason)


def _only_once(
    id: str, was: ScenarioRow | None, now: ScenarioRow | None, before: Earlier, after: Earlier
) -> Change:
    if was is None:
        return Change(Kind.SCENARIO, id, "", now.verdict.value if now else "", note="new here")
    # A file of which all was run has no scenario any more that it had: somebody took it out.
    # What a run was not asked for is not gone, nor is what another version of ours has not.
    is_gone = (
        before.is_same_suite(after.results)
        and was.file in after.results.whole_files
        and id.partition("[")[0] not in after.names
    )
    is_worse = is_gone and was.verdict is Verdict.PASS
    direction = Direction.WORSE if is_worse else Direction.OTHER
    note = f"gone from {was.file}" if is_gone else "not in the later results"
    return Change(Kind.SCENARIO, id, was.verdict.value, "", direction, one_line(note))


def _broken_rules(row: ScenarioRow) -> str:
    return ", ".join(sorted({finding.rule for finding in row.findings}))


# --- Rules ---


def _rule_changes(before: Earlier, after: Earlier, level: Level) -> Iterator[Change]:
    olds, news = before.rules, after.rules
    for id in _ids(olds, news):
        was, now = olds.get(id), news.get(id)
        if was is None or now is None:
            words = was.verdict.value if was else "", now.verdict.value if now else ""
            note = "not in the later results" if was else "new here"
            yield Change(Kind.RULE, id, *words, note=note)
        elif was.verdict is not now.verdict:
            yield Change(
                Kind.RULE,
                id,
                was.verdict.value,
                now.verdict.value,
                _rule_direction(was, now, before, after, level),
                _evidence(id, after),
            )


def _rule_direction(
    was: RuleRow, now: RuleRow, before: Earlier, after: Earlier, level: Level
) -> Direction:
    if _rule_worsens(was, now, before, after, level):
        return Direction.WORSE
    is_mended = was.verdict in BROKEN and worsens(now.verdict, was.verdict, Level.SHOULD)
    if is_mended or _rule_worsens(now, was, after, before, Level.SHOULD):
        return Direction.BETTER
    return Direction.OTHER


def _rule_worsens(
    was: RuleRow, now: RuleRow, before: Earlier, after: Earlier, level: Level
) -> bool:
    id = was.id
    if not worsens(was.verdict, now.verdict, level) or is_mere_practice(id, now.verdict):
        return False
    is_same_suite = before.is_same_suite(after.results)
    if now.verdict in BROKEN:
        if id not in after.broken:  # results without findings say no more
            return True
        accused = after.accused.get(id, ())
        return bool(accused) if is_same_suite else not before.scenarios.keys().isdisjoint(accused)
    # Another version may ask something else; then the scenarios alone tell.
    return is_same_suite and _is_selected(was, before, after)


def _is_selected(rule: RuleRow, before: Earlier, after: Earlier) -> bool:
    """Whether the later run ran what had exercised the rule."""
    exercisers = before.exercisers.get(rule.id) or rule.scenarios
    alone = [id for id in exercisers if not id.startswith("run::")]
    if alone:
        return not after.scenarios.keys().isdisjoint(alone)
    about = [id for id in rule.scenarios if not id.startswith("run::")]
    return bool(about) and after.scenarios.keys() >= set(about)


def _evidence(rule: str, after: Earlier) -> str:
    """The scenarios that accuse a rule, the first by its id."""
    accused = sorted(after.accused.get(rule, ()))
    if not accused:
        return "known" if rule in after.broken else ""
    more = f" and {len(accused) - 1} more" if len(accused) > 1 else ""
    return one_line(f"in {accused[0]}{more}")


# --- The rest ---


def _ids(olds: Iterable[str], news: Iterable[str]) -> Sequence[str]:
    return sorted({*olds, *news})


def _facts(kind: Kind, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for id in _ids(old, new):
        was, now = old.get(id, ""), new.get(id, "")
        if was != now:
            yield Change(kind, id, was, now)


def _suite(results: Results) -> Mapping[str, str]:
    return {"version": results.version, "rules": results.rules_digest[:_DIGEST]}


def _options(results: Results) -> Mapping[str, str]:
    return {
        f"--{name}": _text(value)
        for name, value in without_secrets(results.options).items()
        if name not in _IDLE_OPTIONS
    }


def _target(results: Results) -> Mapping[str, str]:
    return {
        str(name): _TIMESTAMP.sub("<…>", _text(value))
        for name, value in results.target.items()
        if name not in _TOLD_ELSEWHERE
    }


def _capabilities(results: Results) -> Mapping[str, str]:
    return {
        f"{cell.capability} ({cell.place})": " ".join((cell.mark.value, *cell.arguments))
        for cell in results.capabilities
    }


def _observations(results: Results) -> Mapping[str, str]:
    return {str(seen.get("id")): _text(seen.get("value")) for seen in results.observations}


def _text(value: Any) -> str:
    plain = as_json(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
