"""Finding, Verdict, Outcome; findings -> verdict."""

from dataclasses import dataclass, field
from enum import Enum


class Verdict(Enum):
    """What is said of a scenario or of a rule (`untested`: of a rule alone)."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    NOT_APPLICABLE = "not-applicable"
    BLOCKED = "blocked"
    ERROR = "error"
    UNTESTED = "untested"


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
    """A test's verdict with its findings; a value that crosses processes as data."""

    verdict: Verdict
    detail: str = ""
    findings: tuple[Finding, ...] = ()
    exercised: frozenset[str] = field(default_factory=frozenset)
    transcript: tuple[str, ...] = ()
    seconds: float = 0.0
