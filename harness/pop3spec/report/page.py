"""index.html: everything that a run found, for a person, in one file that needs no other."""

import base64
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pop3spec.report.breaches import Breach, without_breach
from pop3spec.report.choosing import (
    breach_tokens,
    choices,
    row_tokens,
    rule_tokens,
)
from pop3spec.report.clauses import clause, link
from pop3spec.report.counts import COLUMNS, rule_counts, specification, verdict_name
from pop3spec.report.files import replace_file
from pop3spec.report.glance import Glance, counted
from pop3spec.report.places import anchors, told_in
from pop3spec.report.results import Results, utc_time
from pop3spec.report.rows import RuleRow, ScenarioRow
from pop3spec.report.templates import environment
from pop3spec.report.text import one_line
from pop3spec.report.truth import PLACE_NAMES, Mark
from pop3spec.rulebook.rules import Level, excluded, rulebook, rules_digest
from pop3spec.verdict import Verdict

if TYPE_CHECKING:
    from jinja2 import Template

    from pop3spec.rulebook.advice import Advice

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


def write_page(path: Path, results: Results) -> None:
    """Write index.html in one step; OSError where that cannot be."""
    replace_file(path, page_text(results).encode())


def page_text(results: Results, gallery: str = "") -> str:
    """The page for these results: the same text for the same results.

    `gallery` is the relative address of the gallery that the page is a part of.
    """
    # What results.json says and no more, so that a page made from it later is the same one,
    # without secrets and with nothing in it that cannot be seen.
    results = Results.from_data(results.to_data())
    style, script = (_part(name) for name in ("page.css", "page.js"))
    return _template().render(
        style=style,
        script=script,
        policy=_policy(style, script),
        gallery=gallery,
        **_shown(results),
    )


@cache
def _template() -> "Template":
    templates = environment(_HERE)
    templates.filters |= {
        "named": verdict_name,
        "counted": counted,
        "cut": _cut,
        "brief": _brief,
        "told": _told,
    }
    return templates.get_template("page.html.jinja")


def page_style() -> str:
    """The style of the page, for other pages that are to look like it."""
    return _part("page.css")


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


def _shown(results: Results) -> dict[str, Any]:
    """Everything that the template names."""
    glance = Glance.of(results)
    rows, rules = glance.rows, glance.rules
    by_id = {row.id: row for row in rows}
    is_current = results.rules_digest == rules_digest()
    return {
        "results": results,
        "glance": glance,
        "rows": rows,
        "address": one_line(str(results.target.get("address", "")), 200) or "an unnamed target",
        "started": utc_time(results.started),
        "duration": _duration(results.seconds),
        "verdicts": Verdict,
        "marks": Mark,
        "columns": COLUMNS,
        "scenario_counts": Counter(row.verdict for row in rows),
        "known_counts": Counter(row.verdict for row in rows if row.known),
        "table": _table(results.rules, is_current=is_current),
        "is_current": is_current,
        "entries": rulebook() if is_current else {},
        "advice": _advice(glance),
        "rule_ids": rulebook().keys(),
        **_matrix(results),
        "unnamed": without_breach(rows, Verdict.FAIL, rules),
        "unnamed_warnings": without_breach(rows, Verdict.WARN, rules),
        "errors": _reasons(rows, Verdict.ERROR),
        "blocked": _reasons(rows, Verdict.BLOCKED),
        "not_applicable": _reasons(rows, Verdict.NOT_APPLICABLE),
        "articles": {breach.id: f"known-{breach.id}" for breach in glance.known}
        | {breach.id: f"broken-{breach.id}" for breach in (*glance.failed, *glance.warned)},
        "numbers": {row.id: index for index, row in enumerate(rows, 1)},
        "anchors": anchors(row.id for row in rows),
        "told_in": told_in(glance),
        "rule_tokens": {id: rule_tokens(rule, by_id) for id, rule in rules.items()},
        "row_tokens": {row.id: row_tokens(row, rules) for row in rows},
        "breach_tokens": breach_tokens,
        "choices": choices(rows, results.rules),
        "facts": list(_facts(results.target)),
        "options": list(_facts(results.options)),
        "transcript": _transcript,
        "common_reason": _common_reason,
        "clause": clause,
        "link": link,
        "most_findings": _MOST_FINDINGS,
        "in_the_open": _IN_THE_OPEN,
        "unfolded": _UNFOLDED,
    }


def _advice(glance: Glance) -> Mapping[str, "Advice"]:
    """The advice on rules, where any is broken: an id means the same in every version."""
    if not (glance.failed or glance.warned or glance.known):
        return {}
    from pop3spec.rulebook.advice import advice  # a page without a broken rule reads none

    return advice()


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _cut(text: str) -> str:
    """Text of a readable length."""
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def _brief(text: str) -> str:
    """Text for a line among others."""
    return one_line(text, _BRIEF)


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
    rules = list(rules)
    counts = rule_counts(rules)
    clauses = excluded() if is_current else ()
    left_out = Counter((f"RFC {clause.rfc}", clause.level) for clause in clauses)
    rfcs = {specification(rule): rule.rfc for rule in rules}
    rfcs |= {f"RFC {clause.rfc}": clause.rfc for clause in clauses}
    levels = list(Level)

    def place(key: tuple[str, Level]) -> tuple[float, int]:
        rfc = rfcs[key[0]]
        # Those that are of no RFC stay in the order of the rules.
        return (rfc, levels.index(key[1])) if rfc else (math.inf, 0)

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
