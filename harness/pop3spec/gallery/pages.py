"""The pages of the gallery: the same texts for the same matrix."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pop3spec.gallery.adjudication import Erratum
from pop3spec.gallery.matrix import BROKEN, Cell, Line, Matrix, Server
from pop3spec.report.clauses import clause, link
from pop3spec.report.counts import COLUMNS, proportions, verdict_name
from pop3spec.report.glance import counted
from pop3spec.report.page import page_style
from pop3spec.report.results import utc_time
from pop3spec.report.templates import environment
from pop3spec.report.text import one_line, visible
from pop3spec.rulebook.advice import Advice
from pop3spec.rulebook.rules import Level, Observation
from pop3spec.verdict import Verdict

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent

# A sign and a word for each verdict of a rule: colour says nothing that they do not say.
_MARKS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.PASS: ("✓", "pass"),
    Verdict.FAIL: ("✗", "fail"),
    Verdict.WARN: ("!", "warn"),
    Verdict.NOT_APPLICABLE: ("–", "n/a"),
    Verdict.BLOCKED: ("⊘", "blocked"),
    Verdict.UNTESTED: ("?", "untested"),
}

# Who breaks a rule comes first on its page, then who keeps it.
_ORDER = (Verdict.FAIL, Verdict.WARN, *(each for each in COLUMNS if each not in BROKEN))

_BRIEF, _LONG = 200, 1000
_MOST_SHOWN = 3


@dataclass(frozen=True)
class Observed:
    """What the servers do in one respect: each value with the names of its servers."""

    observation: Observation
    values: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Gallery:
    """Everything that the pages tell; `digest` is of the rules that this pop3spec has.

    `strangers` are the servers that are adjudicated and have no results here.
    """

    matrix: Matrix
    version: str
    digest: str
    errata: Sequence[Erratum]
    observations: Sequence[Observation]
    advice: Mapping[str, Advice]
    strangers: Sequence[str] = ()

    @property
    def older(self) -> Sequence[Server]:
        """The servers that another version has judged, or other rules."""
        ours = self.version, self.digest
        judged = ((each, each.results) for each in self.matrix.servers)
        return [each for each, by in judged if (by.version, by.rules_digest) != ours]

    @cached_property
    def observed(self) -> Sequence[Observed]:
        """What was observed of any server, the most common value first."""
        seen: dict[str, dict[str, list[str]]] = {}
        for server in self.matrix.servers:
            for each in server.results.observations:
                values = seen.setdefault(str(each["id"]), {})
                values.setdefault(str(each["value"]), []).append(server.name)
        return [
            Observed(each, tuple(sorted(map(_of_servers, seen[each.id].items()), key=_commonness)))
            for each in self.observations
            if each.id in seen
        ]


def by_whom(server: Server) -> str:
    """The version and the rules that have judged a server."""
    results = server.results
    return one_line(f"pop3spec {results.version[:20]}, rules {results.rules_digest[:12]}")


def _of_servers(item: tuple[str, list[str]]) -> tuple[str, tuple[str, ...]]:
    value, names = item
    return value, tuple(names)


def _commonness(item: tuple[str, tuple[str, ...]]) -> tuple[int, str]:
    value, names = item
    return -len(names), value


def pages(gallery: Gallery) -> Iterator[tuple[str, str]]:
    """The name and the text of each file, the reports of the servers aside."""
    yield "gallery.css", f"{page_style()}\n{(_HERE / 'gallery.css').read_text('utf-8')}"
    yield "gallery.js", (_HERE / "gallery.js").read_text("utf-8")
    yield "index.html", _index(gallery)
    yield "observations.html", _page("observations", gallery, home="")
    lines = gallery.matrix.lines
    rule_ids = {line.rule.id for line in lines}
    yield "errata.html", _page("errata", gallery, home="", rule_ids=rule_ids)
    for before, line, after in zip((None, *lines), lines, (*lines[1:], None), strict=False):
        yield f"rules/{line.rule.id}.html", _rule(gallery, before, line, after)


def _index(gallery: Gallery) -> str:
    matrix = gallery.matrix
    lines = matrix.lines
    levels = {line.rule.level for line in lines}
    return _page(
        "index",
        gallery,
        home="",
        remarks=list(_remarks(gallery)),
        columns=COLUMNS,
        bars={name: list(proportions(counts)) for name, counts in matrix.totals.items()},
        levels=[level for level in Level if level in levels],
        topics=sorted({topic for line in lines for topic in line.topics}),
    )


def _remarks(gallery: Gallery) -> Iterator[str]:
    """What the matrix says as a whole, a sentence each."""
    lines = gallery.matrix.lines
    servers = len(gallery.matrix.servers)
    broken = sum(line.broken > 0 for line in lines)
    disputed = sum(line.is_disputed for line in lines)
    yield (
        f"{counted(servers, 'server')}, {counted(len(lines), 'rule')}. "
        f"Broken somewhere: {broken}; broken here and kept there: {disputed}."
    )
    if open_cases := len(list(gallery.matrix.unadjudicated)):
        verb = "is" if open_cases == 1 else "are"
        yield f"{counted(open_cases, 'verdict')} of fail or warn {verb} not adjudicated yet."


def _rule(gallery: Gallery, before: Line | None, line: Line, after: Line | None) -> str:
    rule = line.rule
    place = rule.rfc, rule.section
    observed = (each.observation for each in gallery.observed)
    near = [each for each in observed if (each.rfc, each.section) == place]
    return _page(
        "rule",
        gallery,
        home="../",
        line=line,
        rule=rule,
        before=before,
        after=after,
        advice=gallery.advice.get(rule.id),
        errata=[erratum for erratum in gallery.errata if erratum.rule == rule.id],
        observations=near if rule.rfc else [],
        cells=sorted(line.cells, key=lambda cell: _ORDER.index(cell.verdict)),
        scenarios=_scenarios(line.cells, rule.id),
        most_shown=_MOST_SHOWN,
    )


def _scenarios(cells: Iterable[Cell], id: str) -> list[tuple[str, str]]:
    """Id and title of each scenario that is about a rule."""
    found: dict[str, str] = {}
    for cell in cells:
        for row in cell.server.results.scenarios:
            if id in row.rules:
                found.setdefault(row.id, row.title)
    return sorted(found.items())


# --- Templates ---


def _page(name: str, gallery: Gallery, *, home: str, **facts: Any) -> str:
    return (
        _environment()
        .get_template(f"{name}.html.jinja")
        .render(gallery=gallery, matrix=gallery.matrix, home=home, **facts)
    )


@cache
def _environment() -> "Environment":
    templates = environment(_HERE)
    templates.filters |= {
        "brief": lambda text: one_line(text, _BRIEF),
        "counted": counted,
        "named": verdict_name,
        "cut": lambda text: one_line(text, _LONG),
        "seen": visible,
        "day": lambda moment: utc_time(moment)[:10],
    }
    templates.globals |= {
        "marks": _MARKS,
        "verdicts": Verdict,
        "by_whom": by_whom,
        "clause": clause,
        "link": link,
    }
    return templates
