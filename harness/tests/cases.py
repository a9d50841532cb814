"""A case for a check: the smallest session in which it holds, breaks or says nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from said import history

from pop3spec.rulebook.checks import judge
from pop3spec.rulebook.history import Filling
from pop3spec.rulebook.judgement import Broken, Held
from pop3spec.transcript import Exchange

HELD, BROKEN, NOTHING = "held", "broken", "nothing"


@dataclass(frozen=True)
class Case:
    """The last exchange is judged, the others came before it."""

    rule: str
    title: str
    verdict: str
    exchanges: Sequence[Exchange]
    filling: Filling


def case(
    rule: str, title: str, verdict: str, *exchanges: Exchange, filling: Filling | None = None
) -> Case:
    return Case(rule, title, verdict, exchanges, filling or Filling())


def name_of(case: Case) -> str:
    return f"{case.rule}: {case.title}"


def assert_as_expected(case: Case) -> None:
    *earlier, exchange = case.exchanges
    before = history(*earlier, filling=case.filling)

    said_of = dict(judge(exchange, before)).get(case.rule)

    expected = {HELD: Held, BROKEN: Broken, NOTHING: type(None)}[case.verdict]
    assert isinstance(said_of, expected), said_of
    assert not isinstance(said_of, Broken) or said_of.got


def verdicts_of(cases: Iterable[Case]) -> dict[str, set[str]]:
    """Which verdicts the cases of each rule have."""
    seen: dict[str, set[str]] = {}
    for each in cases:
        seen.setdefault(each.rule, set()).add(each.verdict)
    return seen
