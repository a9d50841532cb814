"""Finding, Verdict, Outcome; findings -> verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from pop3spec.rulebook.observers import Seen
from pop3spec.rulebook.over_sessions import SessionFacts
from pop3spec.rulebook.rules import Level, Rule
from pop3spec.rulebook.uses import Use


class Verdict(Enum):
    """What is said of a scenario or of a rule (`untested`: of a rule alone)."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    NOT_APPLICABLE = "not-applicable"
    BLOCKED = "blocked"
    ERROR = "error"
    UNTESTED = "untested"


# Of several verdicts the first in the order decides.
SCENARIO_ORDER = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.WARN,
    Verdict.BLOCKED,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
    Verdict.UNTESTED,
)
RULE_ORDER = (
    Verdict.FAIL,
    Verdict.WARN,
    Verdict.PASS,
    Verdict.BLOCKED,
    Verdict.NOT_APPLICABLE,
    Verdict.UNTESTED,
)


@dataclass(frozen=True)
class Finding:
    """One broken rule or unmet expectation, with its evidence.

    `expected` is '' where the rule's summary says it all. `exchange` is the
    index of the exchange in the transcript. `where` is `file:line` of the step.
    """

    rule: str
    got: str
    expected: str = ""
    exchange: int | None = None
    where: str = ""
    command: str = ""


@dataclass(frozen=True)
class Outcome:
    """A test's verdict with its findings; a value that crosses processes as data.

    `untried` is `blocked` or `not-applicable` where the test itself came to that, whatever
    the rulebook found on the way.
    """

    verdict: Verdict
    detail: str = ""
    findings: tuple[Finding, ...] = ()
    exercised: frozenset[str] = field(default_factory=frozenset)
    transcript: tuple[str, ...] = ()
    seconds: float = 0.0
    facts: tuple[SessionFacts, ...] = ()
    observations: frozenset[Seen] = frozenset()
    uses: frozenset[Use] = frozenset()
    untried: Verdict | None = None


def breach(rule: str, level: Level) -> Verdict:
    """What breaking the rule with this id and level makes of a scenario."""
    if rule.startswith("practice-"):
        return Verdict.WARN
    if rule.startswith("robust-") or level is Level.MUST:
        return Verdict.FAIL
    # What a server may do or leave cannot be broken.
    return Verdict.WARN if level is Level.SHOULD else Verdict.PASS


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a scenario of which all of these are true, `untested` of none."""
    return min(verdicts, key=SCENARIO_ORDER.index, default=Verdict.UNTESTED)


def worst_of_rule(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of a rule of which all of these were said, `untested` of none."""
    return min(verdicts, key=RULE_ORDER.index, default=Verdict.UNTESTED)


def verdict_of(findings: Iterable[Finding], rulebook: Mapping[str, Rule]) -> Verdict:
    """The verdict of a scenario that ran to its end with these findings."""
    breaches = (breach(finding.rule, rulebook[finding.rule].level) for finding in findings)
    return worst((Verdict.PASS, *breaches))
