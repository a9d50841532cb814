"""index.html: everything that a run found, for a person, in one file that needs no other."""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pop3spec.report.breaches import Breach, breaches, without_finding
from pop3spec.report.counts import COLUMNS, rule_counts, specification
from pop3spec.report.files import replace_file
from pop3spec.report.results import Results, utc_time
from pop3spec.report.rows import RuleRow, ScenarioRow, fails_run, ordered
from pop3spec.report.text import one_line
from pop3spec.report.truth import PLACE_NAMES, Mark
from pop3spec.rulebook.rules import Level, excluded, rulebook, rules_digest
from pop3spec.verdict import Verdict

if TYPE_CHECKING:
    from jinja2 import Template

_HERE = Path(__file__).parent

# What the page shows of a long transcript, of a long text, and of findings of one rule.
_FIRST_LINES, _LAST_LINES = 80, 30
_LONGEST_LINE, _LONGEST_TEXT, _BRIEF = 1000, 2000, 200
_MOST_FINDINGS = 5
_MOST_CAPABILITIES = 100

# Scenarios of one rule that stand in the open, and rules whose first one is unfolded.
_IN_THE_OPEN = 5
_UNFOLDED = 3

_LINE = re.compile(r"(\d+\.\d+) (?:.*? )??(C:|S:|--) ", re.DOTALL)
_KINDS = {"C:": "client", "S:": "server", "--": "note"}

_SECTION = re.compile(r"[0-9]+(?:\.[0-9]+)*|[A-Z]")


def write_page(path: Path, results: Results) -> None:
    """Write index.html in one step; OSError where that cannot be."""
    replace_file(path, page_text(results).encode())


def page_text(results: Results) -> str:
    """The page for these results: the same text for the same results."""
    # What results.json says and no more, so that a page made from it later is the same one,
    # without secrets and with nothing in it that cannot be seen.
    results = Results.from_data(results.to_data())
    style, script = (_part(name) for name in ("page.css", "page.js"))
    return _template().render(
        style=style,
        script=script,
        policy=_policy(style, script),
        **_shown(results),
    )


@cache
def _template() -> "Template":
    # Only the process that writes the page pays for this import.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "named": _name,
        "counted": _count,
        "cut": _cut,
        "brief": _brief,
        "told": _told,
    }
    return environment.get_template("page.html.jinja")


@cache
def _part(name: str) -> str:
    return (_HERE / name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy under which nothing but these two counts, and nothing is loaded."""
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


# --- What is shown ---


@dataclass(frozen=True)
class _Reason:
    """Scenarios that came out so for one reason."""

    text: str
    rows: tuple[ScenarioRow, ...]


@dataclass(frozen=True)
class _Line:
    """A line of a transcript."""

    kind: str
    time: str
    text: str


@dataclass(frozen=True)
class _Transcript:
    """A transcript as far as the page shows it, with the number of lines between."""

    first: tuple[_Line, ...]
    left_out: int
    last: tuple[_Line, ...]


@dataclass(frozen=True)
class _Tokens:
    """By what an entry can be chosen: words with blanks between them."""

    specifications: str
    levels: str
    topics: str


def _shown(results: Results) -> dict[str, Any]:
    """Everything that the template names."""
    rows = ordered(results.scenarios)
    rules = {rule.id: rule for rule in results.rules}
    by_id = {row.id: row for row in rows}
    broken, known = breaches(rows, rules), breaches(rows, rules, known=True)
    failed = [breach for breach in broken if breach.severity is Verdict.FAIL]
    warned = [breach for breach in broken if breach.severity is Verdict.WARN]
    level = Level.SHOULD if _option(results, "level") == "should" else Level.MUST
    is_current = results.rules_digest == rules_digest()
    musts = Counter(rule.verdict for rule in results.rules if rule.level is Level.MUST)
    scenario_counts = Counter(row.verdict for row in rows)
    return {
        "results": results,
        "address": one_line(str(results.target.get("address", "")), 200) or "an unnamed target",
        "started": utc_time(results.started),
        "duration": _duration(results.seconds),
        "verdicts": Verdict,
        "columns": COLUMNS,
        "headline": _headline(failed, warned, rows),
        "mood": _mood(failed, warned, rows, musts),
        "remarks": list(_remarks(warned, known, rows, musts, rules, level)),
        "musts": musts,
        "scenario_counts": scenario_counts,
        "known_musts": sum(
            breach.severity is Verdict.FAIL and breach.id not in {each.id for each in failed}
            for breach in known
        ),
        "known_counts": Counter(row.verdict for row in rows if row.known),
        "bar": _bar(musts),
        "table": _table(results.rules, is_current=is_current),
        "is_current": is_current,
        "entries": rulebook() if is_current else {},
        "marks": Mark,
        **_matrix(results),
        "failed": failed,
        "unnamed": without_finding(rows, Verdict.FAIL),
        "warned": warned,
        "unnamed_warnings": without_finding(rows, Verdict.WARN),
        "known": known,
        "errors": _reasons(rows, Verdict.ERROR),
        "blocked": _reasons(rows, Verdict.BLOCKED),
        "not_applicable": _reasons(rows, Verdict.NOT_APPLICABLE),
        "articles": {breach.id: f"known-{breach.id}" for breach in known}
        | {breach.id: f"broken-{breach.id}" for breach in broken},
        "rows": rows,
        "numbers": {row.id: index for index, row in enumerate(rows, 1)},
        "told_in": _places(rows, failed, warned, known),
        "rule_tokens": {id: _rule_tokens(rule, by_id) for id, rule in rules.items()},
        "row_tokens": {row.id: _row_tokens(row, rules) for row in rows},
        "breach_tokens": _breach_tokens,
        "choices": _choices(rows, results.rules),
        "facts": list(_facts(results.target)),
        "options": list(_facts(results.options)),
        "transcript": _transcript,
        "common_reason": _common_reason,
        "clause": _clause,
        "link": _link,
        "most_findings": _MOST_FINDINGS,
        "in_the_open": _IN_THE_OPEN,
        "unfolded": _UNFOLDED,
    }


def _option(results: Results, name: str) -> str:
    return str(results.options.get(name, ""))


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _name(verdict: Verdict) -> str:
    return verdict.value.replace("-", " ")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cut(text: str) -> str:
    """Text of a readable length."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def _brief(text: str) -> str:
    """Text for a line among others."""
    return one_line(text, _BRIEF)


def _places(
    rows: Iterable[ScenarioRow],
    failed: Iterable[Breach],
    warned: Iterable[Breach],
    known: Iterable[Breach],
) -> dict[str, str]:
    """Where the conversation of a scenario stands: the first place in which it is told."""
    places: dict[str, str] = {}
    for name, some in (("failed", failed), ("warned", warned), ("known", known)):
        for breach in some:
            for evidence in breach.evidence:
                places.setdefault(evidence.row.id, f"{name}:{breach.id}")
    for row in rows:
        if row.verdict not in (Verdict.PASS, Verdict.UNTESTED):
            places.setdefault(row.id, row.verdict.value)
    return places


# --- The verdict at a glance ---


def _is_judged(rows: Iterable[ScenarioRow]) -> bool:
    return any(row.verdict in (Verdict.PASS, Verdict.FAIL, Verdict.WARN) for row in rows)


def _headline(
    failed: Sequence[Breach], warned: Sequence[Breach], rows: Sequence[ScenarioRow]
) -> str:
    if failed:
        is_one = len(failed) == 1
        return f"{_count(len(failed), 'MUST rule')} {'is' if is_one else 'are'} broken"
    if unnamed := without_finding(rows, Verdict.FAIL):
        return f"{_count(len(unnamed), 'scenario')} failed"
    if not _is_judged(rows):
        return "Nothing was judged"
    return "No MUST rule is broken" if warned else "No rule is broken"


def _mood(
    failed: Sequence[Breach],
    warned: Sequence[Breach],
    rows: Sequence[ScenarioRow],
    musts: Mapping[Verdict, int],
) -> Verdict:
    """The verdict whose colours the head of the page wears."""
    verdicts = {row.verdict for row in rows}
    if failed or without_finding(rows, Verdict.FAIL):
        return Verdict.FAIL
    if Verdict.ERROR in verdicts:
        return Verdict.ERROR
    if warned:
        return Verdict.WARN
    if not _is_judged(rows) or musts[Verdict.BLOCKED] or musts[Verdict.UNTESTED]:
        return Verdict.BLOCKED
    return Verdict.PASS


def _remarks(
    warned: Sequence[Breach],
    known: Sequence[Breach],
    rows: Sequence[ScenarioRow],
    musts: Mapping[Verdict, int],
    rules: Mapping[str, RuleRow],
    level: Level,
) -> Iterator[str]:
    """What else belongs to the verdict, a sentence each."""
    if failing := sum(fails_run(row, rules, level) for row in rows):
        counted = " (SHOULD rules count as well)" if level is Level.SHOULD else ""
        yield f"{failing} of {_count(len(rows), 'scenario')} failed{counted}."
    if errors := sum(row.verdict is Verdict.ERROR for row in rows):
        yield f"pop3spec itself failed in {_count(errors, 'scenario')}: please report it."
    if warned:
        less = "SHOULD rule or rule of practice"
        more = "SHOULD rules or rules of practice"
        is_one = len(warned) == 1
        yield f"{len(warned)} {less if is_one else more} {'is' if is_one else 'are'} broken."
    if known:
        words = "rule that is" if len(known) == 1 else "rules that are"
        yield f"{len(known)} broken {words} on record as a known deviation."
    untested, blocked = musts[Verdict.UNTESTED], musts[Verdict.BLOCKED]
    if untested or blocked:
        yield (
            f"{_count(untested, 'MUST rule')} untested and {_count(blocked, 'MUST rule')} "
            "blocked: of these the run says nothing."
        )
    elif _is_judged(rows):
        yield "No MUST rule was left untested or blocked."


def _bar(musts: Mapping[Verdict, int]) -> list[tuple[Verdict, float, float]]:
    """Verdict, left edge and width in percent, for each verdict that a MUST rule has."""
    total = sum(musts.values())
    left = 0.0
    parts = []
    for verdict in COLUMNS:
        if musts[verdict]:
            width = 100 * musts[verdict] / total
            parts.append((verdict, round(left, 3), round(width, 3)))
            left += width
    return parts


# --- Tables ---


@dataclass(frozen=True)
class _Counted:
    """A line of the table by specification."""

    specification: str
    level: Level
    verdicts: Mapping[Verdict, int]
    excluded: int


def _table(rules: Iterable[RuleRow], *, is_current: bool) -> list[_Counted]:
    """The rules by specification and level; excluded clauses where the register is the same."""
    counts = rule_counts(rules)
    left_out = Counter((f"RFC {clause.rfc}", clause.level) for clause in excluded())
    if not is_current:
        left_out.clear()
    levels = list(Level)

    def place(key: tuple[str, Level]) -> tuple[bool, int, int]:
        name, level = key
        is_rfc = name.startswith("RFC ")
        # Those that are of no RFC stay in the order of the rules.
        return not is_rfc, int(name[4:]) if is_rfc else 0, levels.index(level) if is_rfc else 0

    keys = sorted(dict.fromkeys((*counts, *left_out)), key=place)
    return [
        _Counted(name, level, counts.get((name, level), Counter()), left_out[name, level])
        for name, level in keys
    ]


def _matrix(results: Results) -> dict[str, Any]:
    """The truth of CAPA: the places, and the cells of each capability by place."""
    lines: dict[str, dict[str, Any]] = {}
    for cell in results.capabilities:
        lines.setdefault(cell.capability, {})[cell.place] = cell
    seen = dict.fromkeys(cell.place for cell in results.capabilities)
    places = [place for place in PLACE_NAMES if place in seen]
    places += [place for place in seen if place not in PLACE_NAMES]
    return {
        "places": [(place, PLACE_NAMES.get(place, place)) for place in places],
        "capabilities": list(lines.items())[:_MOST_CAPABILITIES],
        "more_capabilities": max(0, len(lines) - _MOST_CAPABILITIES),
    }


def _reasons(rows: Iterable[ScenarioRow], verdict: Verdict) -> list[_Reason]:
    """Each reason once, the most frequent first."""
    found: dict[str, list[ScenarioRow]] = {}
    for row in rows:
        if row.verdict is verdict:
            found.setdefault(row.reason or "no reason was given", []).append(row)
    by_number = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [_Reason(text, tuple(some)) for text, some in by_number]


def _common_reason(breach: Breach) -> str:
    """Why a broken rule is on record, where every scenario says the same; else ''."""
    reasons = {evidence.row.known_why for evidence in breach.evidence}
    return reasons.pop() if len(reasons) == 1 else ""


# --- Transcripts ---


def _transcript(lines: Sequence[str]) -> _Transcript:
    left_out = max(0, len(lines) - _FIRST_LINES - _LAST_LINES)
    if not left_out:
        return _Transcript(tuple(map(_line, lines)), 0, ())
    first, last = lines[:_FIRST_LINES], lines[-_LAST_LINES:]
    return _Transcript(tuple(map(_line, first)), left_out, tuple(map(_line, last)))


def _line(text: str) -> _Line:
    text = one_line(text, _LONGEST_LINE)
    found = _LINE.match(text)
    if found is None:
        return _Line("note", "", text)
    return _Line(_KINDS[found[2]], found[1], text[found.end(1) + 1 :])


# --- Where a rule stands ---


def _clause(rule: RuleRow | None) -> str:
    """The RFC and section of a rule, or what stands in their place."""
    if rule is None:
        return "a rule that these results do not list"
    if rule.rfc is None:
        return {"practice": "no RFC, but practice", "robust": "robustness"}.get(
            specification(rule), ""
        )
    return f"RFC {rule.rfc}, section {rule.section}"


def _link(rule: RuleRow | None) -> str:
    """The address of the section, '' where there is none."""
    if rule is None or not isinstance(rule.rfc, int) or not isinstance(rule.section, str):
        return ""
    if not _SECTION.fullmatch(rule.section):
        return ""
    part = "section" if rule.section[0].isdigit() else "appendix"
    return f"https://www.rfc-editor.org/rfc/rfc{rule.rfc}#{part}-{rule.section}"


# --- By what entries are chosen ---


def _word(name: str) -> str:
    return name.replace(" ", "-").lower()


def _topic(row: ScenarioRow) -> str:
    if row.topic:
        return _word(row.topic)
    stem = re.split(r"[/\\]", row.id.partition("::")[0])[-1]
    return _word(re.sub(r"\A(?:test_)?(?:rfc[0-9]+_)?|\.py\Z", "", stem))


def _tokens(words: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(word for word in words if word))


def _row_tokens(row: ScenarioRow, rules: Mapping[str, RuleRow]) -> _Tokens:
    named = dict.fromkeys((*row.rules, *(finding.rule for finding in row.findings)))
    known = [rules[id] for id in named if id in rules]
    return _Tokens(
        _tokens(_word(specification(rule)) for rule in known),
        _tokens(_word(rule.level.value) for rule in known),
        _topic(row),
    )


def _rule_tokens(rule: RuleRow, rows: Mapping[str, ScenarioRow]) -> _Tokens:
    return _Tokens(
        _word(specification(rule)),
        _word(rule.level.value),
        _tokens(_topic(rows[id]) for id in rule.scenarios if id in rows),
    )


def _breach_tokens(breach: Breach, row: ScenarioRow) -> _Tokens:
    if breach.rule is None:
        return _Tokens("", "must", _topic(row))
    of_rule = _word(specification(breach.rule)), _word(breach.rule.level.value)
    return _Tokens(*of_rule, _topic(row))


def _choices(
    rows: Sequence[ScenarioRow], rules: Sequence[RuleRow]
) -> dict[str, list[tuple[str, str]]]:
    """What each filter offers: the word and its name."""
    verdicts = {row.verdict for row in rows} | {rule.verdict for rule in rules}
    names = dict.fromkeys(name for name, _ in rule_counts(rules))
    levels = {rule.level for rule in rules}
    topics = sorted({_topic(row) for row in rows} - {""})
    known = [("known", "known deviation")] if any(map(_has_known, rows)) else []
    return {
        "verdict": [(each.value, _name(each)) for each in Verdict if each in verdicts] + known,
        "specification": [(_word(name), name) for name in names],
        "level": [(_word(each.value), each.value) for each in Level if each in levels],
        "topic": [(topic, topic) for topic in topics],
    }


def _has_known(row: ScenarioRow) -> bool:
    return row.known or any(finding.known for finding in row.findings)


# --- Facts ---


def _facts(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is said of a target or a run, name by name, without what is empty."""
    for name, value in facts.items():
        if value not in ("", None, [], {}):
            yield str(name).replace("_", " "), _told(value)


def _told(value: Any) -> str:
    """Plain data in words; a mapping has a line for each of its names."""
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "unknown"
        case list() | tuple():
            return ", ".join(map(_told, value))
        case dict():
            return "\n".join(f"{name}: {_inner(value[name])}".rstrip(": ") for name in value)
    return str(value)


def _inner(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_inner(value[name])}".strip() for name in value)
    return _told(value)
