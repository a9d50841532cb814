"""A run in plain text: the summary for the terminal, and the text of one failure."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pop3spec.report.breaches import Breach, breaches
from pop3spec.report.counts import COLUMNS, rule_counts, verdict_name
from pop3spec.report.rows import (
    FindingRow,
    RuleRow,
    ScenarioRow,
    Standing,
    by_severity,
    ordered,
)
from pop3spec.report.text import one_line, visible
from pop3spec.rulebook.rules import Level, Rule
from pop3spec.verdict import Verdict

# As many of the broken rules are told at length.
_TOLD = 3

# How a row against a baseline is told.
STANDINGS = {
    Standing.WORSE: "worse than in the baseline",
    Standing.AS_BEFORE: "as in the baseline",
    Standing.NEW: "not judged in the baseline",
}


def failure_text(row: ScenarioRow, rulebook: Mapping[str, Rule]) -> str:
    """What a person needs to see of one scenario: findings, bytes, and the replay."""
    lines: list[str] = []
    # What several sessions together showed stands in no file.
    place = f"{row.file}:{row.line}" if row.file else row.id
    for finding in by_severity(row, rulebook):
        lines.append(one_line(f"{finding.where or place}: {finding.command or row.title}"))
        lines += _finding_lines(finding, rulebook)
    if not row.findings:
        lines.append(one_line(f"{place}: {row.title}"))
    if not row.findings or row.verdict is Verdict.ERROR:
        lines += _item(row.verdict.value, row.detail)
    if row.baseline is not Standing.APART:
        lines += _item("baseline", STANDINGS[row.baseline])
    lines += [f"  {line}" for line in row.transcript]
    if row.replay:
        lines.append(one_line(f"replay: {row.replay}"))
    return visible("\n".join(lines))


def _finding_lines(finding: FindingRow, rulebook: Mapping[str, Rule]) -> Iterator[str]:
    if finding.expected:
        yield from _item("expected", finding.expected)
    yield from _item("got", finding.got)
    rule = rulebook.get(finding.rule)
    if rule is None:
        yield from _item("rule", finding.rule)
    else:
        told = f"{rule.id} ({rule.level.value}; {rule.source})\n{rule.summary}"
        yield from _item("rule", told)
    if finding.known:
        yield from _item("known", "a known deviation of this target")


def _item(name: str, text: str) -> Iterator[str]:
    first, *more = text.split("\n")
    yield f"  {name:<8}  {first}"
    yield from (f"  {'':<8}  {line}" for line in more)


def summary_lines(
    rows: Iterable[ScenarioRow],
    rule_rows: Iterable[RuleRow],
    *,
    width: int = 80,
    capabilities: Iterable[str] = (),
) -> list[str]:
    """The summary of a run, for a terminal of this width.

    `capabilities` are the lines of the table of what CAPA announces and what works.
    """
    rows = ordered(rows)
    rules = {rule.id: rule for rule in rule_rows}
    return [
        *_wrapped(scenario_counts(rows), width),
        "",
        *_rule_table(list(rules.values())),
        *_section(capabilities),
        "",
        *_wrapped(incomplete_rules(rules.values()), width),
        *_section(_failures(rows, rules, width)),
        *_section(_reasons(rows, Verdict.ERROR, width)),
        *_section(_reasons(rows, Verdict.BLOCKED, width)),
    ]


def _section(lines: Iterable[str]) -> list[str]:
    lines = list(lines)
    return ["", *lines] if lines else []


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def scenario_counts(rows: Sequence[ScenarioRow]) -> str:
    """How many scenarios there are, and of each verdict, as one sentence without its stop."""
    counts = Counter(row.verdict for row in rows)
    known = Counter(row.verdict for row in rows if row.known)
    parts = [
        f"{counts[verdict]} {verdict_name(verdict)}"
        + (f" ({known[verdict]} known)" if known[verdict] else "")
        for verdict in (*COLUMNS, Verdict.ERROR)
        if counts[verdict]
    ]
    return f"{_count(len(rows), 'scenario')}: {', '.join(parts) or 'nothing was run'}"


def _rule_table(rules: Sequence[RuleRow]) -> list[str]:
    counts = rule_counts(rules)
    first = max([len("rules"), *(len(name) for name, _ in counts)])
    head = "  ".join(map(verdict_name, COLUMNS))
    lines = [f"{'rules':<{first}}  {'level':<6}  {head}"]
    for (name, level), of_verdict in counts.items():
        cells = "  ".join(
            f"{of_verdict[verdict]:>{len(verdict_name(verdict))}}" for verdict in COLUMNS
        )
        lines.append(f"{name:<{first}}  {level.value:<6}  {cells}")
    return lines


def incomplete_rules(rules: Iterable[RuleRow]) -> str:
    """Of how many MUST rules the run says nothing, as one sentence."""
    counts = Counter(rule.verdict for rule in rules if rule.level is Level.MUST)
    untested, blocked = counts[Verdict.UNTESTED], counts[Verdict.BLOCKED]
    if not untested and not blocked:
        return "No MUST rule was left untested or blocked."
    return (
        f"{_count(untested, 'MUST rule')} untested and {_count(blocked, 'MUST rule')} blocked: "
        "of these the run says nothing."
    )


def _failures(
    rows: Sequence[ScenarioRow], rules: Mapping[str, RuleRow], width: int
) -> Iterator[str]:
    """The most important broken rules, each with one scenario that shows it."""
    decided = (row for row in rows if row.baseline not in (Standing.AS_BEFORE, Standing.NEW))
    told = breaches(list(decided), rules)
    for breach in told[:_TOLD]:
        yield from _failure(breach, width)
    if len(told) > _TOLD:
        yield f"and {_count(len(told) - _TOLD, 'more broken rule')}"


def _failure(breach: Breach, width: int) -> Iterator[str]:
    rule, row = breach.rule, breach.evidence[0].row
    finding = breach.evidence[0].findings[0]
    more = f" and {rule.broken - 1} more" if rule is not None and rule.broken > 1 else ""
    yield f"{verdict_name(breach.severity)}: {breach.id}{_place(rule)}"
    yield from _cell("scenario", f"{row.id}{more}", width)
    if finding.expected:
        yield from _cell("expected", finding.expected, width)
    yield from _cell("got", finding.got, width)
    if row.replay:
        # Never cut: it is there to be copied.
        yield f"  replay: {one_line(row.replay)}"


def _place(rule: RuleRow | None) -> str:
    if rule is None:
        return ""
    section = f"; RFC {rule.rfc}, section {rule.section}" if rule.rfc else ""
    return f" ({rule.level.value}{section})"


def _cell(name: str, text: str, width: int) -> Iterator[str]:
    yield f"  {name:<8}  {one_line(text, max(width - 12, 20))}"


def reasons(rows: Iterable[ScenarioRow], verdict: Verdict) -> list[tuple[str, int]]:
    """Why scenarios have a verdict, with the number of those that have it, most first."""
    counts = Counter(row.reason or "no reason was given" for row in rows if row.verdict is verdict)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _reasons(rows: Iterable[ScenarioRow], verdict: Verdict, width: int) -> Iterator[str]:
    for reason, count in reasons(rows, verdict):
        yield from _wrapped(
            f"{verdict_name(verdict)}: {_count(count, 'scenario')}: {one_line(reason)}", width
        )
