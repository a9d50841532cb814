"""The matrix of rules and servers: what it counts, and where its cells lead."""

from collections import Counter
from dataclasses import replace
from typing import Any

from samples import BLOCKED, FAIL, KNOWN, MUST, OTHER, PASS, PRACTICE, WARN, results

from pop3spec.gallery.adjudication import Adjudication, Judgement
from pop3spec.gallery.matrix import Cell, Matrix, Server, matrix
from pop3spec.register import register
from pop3spec.report.rows import FindingRow, ScenarioRow
from pop3spec.rulebook.rules import rulebook
from pop3spec.verdict import Verdict

RULES = register().rules
UNTRIED = replace(BLOCKED, exercised=())


def server(
    name: str, *rows: ScenarioRow, judged: str = "", sometimes: bool = False, **facts: Any
) -> Server:
    judgement = Judgement(judged, "RETR 1 -> +OK", "it has to", sometimes=sometimes)
    judgements = (judgement,) if judged else ()
    return Server(name, results(*rows, **facts), Adjudication(name, judgements=judgements))


def of(*servers: Server) -> Matrix:
    return matrix(servers, RULES)


def line(found: Matrix, rule: str = MUST) -> Any:
    return next(each for each in found.lines if each.rule.id == rule)


def cells(found: Matrix, rule: str = MUST) -> dict[str, Cell]:
    return {cell.server.name: cell for cell in line(found, rule).cells}


def test_servers_disagree_where_a_rule_holds_on_one_and_is_broken_on_another() -> None:
    good, bad, bad_too = server("good", PASS), server("bad", FAIL), server("bad-too", FAIL)
    silent = server("silent", UNTRIED)

    assert line(of(good, bad, silent)).is_disputed
    assert not line(of(bad, bad_too, silent)).is_disputed
    assert not line(of(good, silent)).is_disputed
    assert (line(of(good, bad, silent)).broken, line(of(good, bad, silent)).judged) == (1, 2)


def test_every_rule_has_one_verdict_on_each_server() -> None:
    found = of(server("a", PASS, WARN), server("b", FAIL, BLOCKED))

    assert [each.rule.id for each in found.lines] == [listed.rule.id for listed in RULES]
    assert {name: counts.total() for name, counts in found.totals.items()} == {
        "a": len(rulebook()),
        "b": len(rulebook()),
    }
    assert found.totals["a"][Verdict.WARN] == 1
    assert found.totals["b"][Verdict.FAIL] == 1


def test_rules_are_grouped_by_specification_and_section() -> None:
    found = of(server("a", PASS))

    keys = [(group.specification, group.section) for group in found.groups]
    assert max(Counter(keys).values()) == 1
    assert keys[:2] == [("RFC 1939", "3"), ("RFC 1939", "4")]
    assert keys[-2:] == [("robust", ""), ("practice", "")]
    assert all(
        (each.rule.section or "") == group.section for group in found.groups for each in group.lines
    )


def test_the_order_in_which_servers_come_says_nothing() -> None:
    a, b, c = server("a", PASS), server("b", FAIL), server("c", WARN)

    assert of(a, b, c) == of(c, a, b)
    assert [each.name for each in of(c, a, b).servers] == ["a", "b", "c"]


def test_a_rule_that_the_run_did_not_have_is_untested() -> None:
    without = tuple(rule for rule in results(PASS).rules if rule.id != MUST)

    cell = cells(of(server("old", PASS, rules=without)))["old"]

    assert (cell.verdict, cell.is_listed) == (Verdict.UNTESTED, False)


def test_a_breach_that_is_on_record_is_marked_unless_there_is_another() -> None:
    found = cells(of(server("known", KNOWN), server("both", KNOWN, FAIL), server("new", FAIL)))

    assert {name: cell.is_known for name, cell in found.items()} == {
        "known": True,
        "both": False,
        "new": False,
    }
    assert found["known"].article == f"known/index.html#known-{MUST}"


def test_a_breach_leads_to_the_conversation_that_stands_with_its_own_rule() -> None:
    # The first one is told with the rule that comes first, the second with this one.
    both = replace(
        FAIL, id="rfc1939/a::both", findings=(FindingRow(MUST, "x"), FindingRow(OTHER, "y"))
    )
    alone = replace(FAIL, id="rfc1939/b::alone", line=99, findings=(FindingRow(OTHER, "z"),))

    found = of(server("s", both, alone))

    assert cells(found, MUST)["s"].transcript == "s/index.html#scenario-rfc1939.a.both"
    assert cells(found, OTHER)["s"].transcript == "s/index.html#scenario-rfc1939.b.alone"
    assert len(cells(found, OTHER)["s"].shown) == 2


def test_what_was_blocked_says_why() -> None:
    assert cells(of(server("s", UNTRIED)))["s"].reasons == ("there is no door",)


def test_what_nobody_has_adjudicated_and_what_is_adjudicated_in_vain_is_told() -> None:
    found = of(
        server("judged", FAIL, judged=MUST),
        server("open", FAIL, WARN),
        server("stale", PASS, judged=MUST),
    )

    assert sorted(found.unadjudicated) == [("open", PRACTICE), ("open", MUST)]
    assert list(found.stale) == [("stale", MUST)]
    assert cells(found)["stale"].judgements == ()


def test_what_depends_on_the_moment_is_told_where_a_run_does_not_show_it() -> None:
    found = of(server("calm", PASS, judged=MUST, sometimes=True))

    assert list(found.stale) == []
    assert [each.exchange for each in cells(found)["calm"].judgements] == ["RETR 1 -> +OK"]
