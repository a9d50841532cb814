"""The summary of a run in Markdown, for the job summaries of GitHub and the comments of GitLab.

A function of the results alone. All text of the target, and of whoever wrote the results,
goes through `markdown`.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta

from pop3spec.report.breaches import Breach, breaches
from pop3spec.report.counts import COLUMNS, rule_counts, verdict_name
from pop3spec.report.markdown import cell, code, table, words
from pop3spec.report.results import Results, utc_time
from pop3spec.report.rows import FindingRow, RuleRow, fails_run, ordered, severity
from pop3spec.report.summary import incomplete_rules, reasons, scenario_counts
from pop3spec.report.truth import PLACE_NAMES, PLACES, Mark
from pop3spec.rulebook.rules import Level
from pop3spec.verdict import Verdict

# GitHub takes 1 MiB of one step, and of all that the step writes.
MOST_OCTETS = 512 * 1024
# What is kept for the parts behind the broken rules.
_FOR_THE_REST = 128 * 1024
# Characters of what was expected and of what came, rules at length, reasons, capabilities.
_LONG, _TOLD, _REASONS, _CAPABILITIES = 400, 50, 30, 80

_SECTION = re.compile(r"\d+(\.\d+)*")


def job_summary(results: Results) -> str:
    """The whole summary, a blank line at its end; at most MOST_OCTETS of UTF-8."""
    head = "\n".join((*_head(results), ""))
    rest = _bounded(_rest(results), _FOR_THE_REST)
    room = MOST_OCTETS - _octets(head) - _octets(rest)
    return head + _bounded(_broken(results), room) + rest


def _octets(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _bounded(blocks: Iterator[str], room: int) -> str:
    """As many whole blocks as there is room for, and a word about the rest."""
    left_out = "\nMore is in `results.json`.\n"
    kept: list[str] = []
    room -= _octets(left_out)
    for block in blocks:
        room -= _octets(block)
        if room < 0:
            return "".join((*kept, left_out))
        kept.append(block)
    return "".join(kept)


# --- The verdict, the counts and the rules in numbers ---


def _head(results: Results) -> Iterator[str]:
    rules = list(results.rules)
    yield f"## pop3spec: {cell(str(results.target.get('address', '')), 200)}"
    yield ""
    yield f"**{_verdict(results)}**"
    yield ""
    yield f"{words(scenario_counts(results.scenarios))}."
    yield words(incomplete_rules(rules))
    yield ""
    yield from table(
        ("rules", "level", *map(verdict_name, COLUMNS)),
        [
            (words(name), level.value, *(str(of_verdict[verdict]) for verdict in COLUMNS))
            for (name, level), of_verdict in rule_counts(rules).items()
        ],
    )


def _verdict(results: Results) -> str:
    rules = {rule.id: rule for rule in results.rules}
    level = Level.SHOULD if results.options.get("level") == "should" else Level.MUST
    broken = {
        finding.rule
        for row in results.scenarios
        if fails_run(row, rules, level)
        for finding in row.findings
        if not finding.known and _decides(finding, rules, level)
    }
    at = "MUST" if level is Level.MUST else "MUST or SHOULD"
    if broken:
        count = "1 rule is" if len(broken) == 1 else f"{len(broken)} rules are"
        return f"❌ {count} broken at the level {at}."
    verdicts = {row.verdict for row in results.scenarios}
    if Verdict.ERROR in verdicts:
        return "❌ pop3spec itself failed."
    if verdicts.isdisjoint((Verdict.PASS, Verdict.FAIL, Verdict.WARN)):
        return "⚠️ Nothing was judged."
    return f"✅ Nothing is broken at the level {at}."


def _decides(finding: FindingRow, rules: dict[str, RuleRow], level: Level) -> bool:
    if severity(finding, rules) is Verdict.FAIL:
        return True
    return level is Level.SHOULD and not finding.rule.startswith("practice-")


# --- The broken rules ---


def _broken(results: Results) -> Iterator[str]:
    broken = breaches(ordered(results.scenarios), {rule.id: rule for rule in results.rules})
    if broken:
        yield "\n### Broken rules\n"
    for breach in broken[:_TOLD]:
        yield "\n".join(_told(breach))
    if len(broken) > _TOLD:
        yield f"\nand {len(broken) - _TOLD} more, in `results.json`.\n"


def _told(breach: Breach) -> Iterator[str]:
    rule, first = breach.rule, breach.evidence[0]
    row, finding = first.row, first.findings[0]
    yield ""
    yield f"**{verdict_name(breach.severity)}**: {cell(breach.id)}{_place(rule)}"
    if rule is not None:
        yield f"<br>{words(rule.title)}"
    yield ""
    more = f" and {rule.broken - 1} more" if rule is not None and rule.broken > 1 else ""
    yield f"- scenario: {cell(row.id, _LONG)}{more}"
    if finding.command:
        yield f"- step: {cell(finding.command, _LONG)}"
    if finding.expected:
        yield f"- expected: {cell(finding.expected, _LONG)}"
    yield f"- got: {cell(finding.got, _LONG)}"
    if row.replay:
        yield code(row.replay.replace("\n", " "), "sh")


def _place(rule: RuleRow | None) -> str:
    if rule is None:
        return ""
    if not rule.rfc:
        return f" ({rule.level.value})"
    section = words(f"RFC {rule.rfc}, section {rule.section}")
    found = _SECTION.match(rule.section or "")
    anchor = f"#section-{found[0]}" if found else ""
    url = f"https://www.rfc-editor.org/rfc/rfc{rule.rfc}{anchor}"
    return f" ({rule.level.value}; [{section}]({url}))"


# --- What could not be judged, the capabilities, how the run was made ---


def _rest(results: Results) -> Iterator[str]:
    for verdict in (Verdict.ERROR, Verdict.BLOCKED):
        yield from _fold(
            f"{verdict_name(verdict)} scenarios, with the reason",
            [
                f"- {count}: {cell(reason, _LONG)}"
                for reason, count in reasons(results.scenarios, verdict)[:_REASONS]
            ],
        )
    for verdict in (Verdict.BLOCKED, Verdict.UNTESTED):
        yield from _fold(
            f"MUST rules that are {verdict_name(verdict)}: the run says nothing of them",
            [
                f"- {cell(rule.id)}"
                for rule in results.rules
                if rule.level is Level.MUST and rule.verdict is verdict
            ],
        )
    yield from _fold("capabilities: announced, and working", list(_capabilities(results)))
    took = timedelta(seconds=round(results.seconds))
    yield (
        f"\npop3spec {words(results.version)}, {utc_time(results.started)}, {took} h, "
        f"seed {results.seed}\n\n"
    )


def _fold(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        shown = "\n".join(lines)
        yield f"\n<details><summary>{title}</summary>\n\n{shown}\n\n</details>\n"


def _capabilities(results: Results) -> Iterator[str]:
    marks: dict[str, dict[str, Mark]] = {}
    for each in results.capabilities:
        marks.setdefault(each.capability, {})[each.place] = each.mark
    places = [place for place in PLACES if any(place in row for row in marks.values())]
    if not marks:
        return
    yield from table(
        ("capability", *(PLACE_NAMES[place] for place in places)),
        [
            (cell(name, 60), *(row.get(place, Mark.ABSENT).value for place in places))
            for name, row in list(marks.items())[:_CAPABILITIES]
        ],
    )
    if len(marks) > _CAPABILITIES:
        yield f"\nand {len(marks) - _CAPABILITIES} more, in `results.json`"
