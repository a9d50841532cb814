"""The matrix of rules and servers, as values."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import groupby

from pop3spec.gallery.adjudication import Adjudication, Judgement
from pop3spec.gallery.subjects import SECTIONS, SPECIFICATIONS
from pop3spec.register import ListedRule, specification
from pop3spec.report.breaches import Evidence
from pop3spec.report.choosing import rule_tokens
from pop3spec.report.glance import Glance
from pop3spec.report.places import anchors, shown_best, told_in
from pop3spec.report.results import Results
from pop3spec.report.rows import RuleRow, ScenarioRow
from pop3spec.report.text import one_line
from pop3spec.rulebook.rules import Rule
from pop3spec.verdict import Verdict

BROKEN = (Verdict.FAIL, Verdict.WARN)
_JUDGED = (Verdict.PASS, *BROKEN)

_MOST_REASONS = 3


@dataclass(frozen=True)
class Server:
    """A server with what its run found, as published."""

    name: str
    results: Results
    adjudication: Adjudication

    @property
    def version(self) -> str:
        """The version that was judged, '' where nobody says it."""
        told = self.results.target.get("version") or self.adjudication.version
        return one_line(str(told), 60)

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}".rstrip()

    @property
    def implementation(self) -> str:
        """What the server calls itself in CAPA, '' where it does not."""
        return one_line(str(self.results.target.get("implementation") or ""), 80)

    @property
    def report(self) -> str:
        """The address of its report, from the gallery's own directory."""
        return f"{self.name}/index.html"


@dataclass(frozen=True)
class Shown:
    """A scenario that broke a rule, how, and the address at which a report tells it."""

    evidence: Evidence
    address: str


@dataclass(frozen=True)
class Cell:
    """How one rule came out on one server.

    `transcript` is the address of the conversation that shows a breach best, `article` that of
    the whole breach, both from the gallery's own directory. `shown` are the scenarios that
    broke it, `reasons` say why it could not be tried. `judgements` on a rule that is not broken
    are about other runs.
    `is_listed` is false where the rules of that run did not have this one.
    """

    server: Server
    verdict: Verdict
    is_known: bool = False
    is_listed: bool = True
    exercised: int = 0
    broken: int = 0
    transcript: str = ""
    article: str = ""
    shown: tuple[Shown, ...] = ()
    reasons: tuple[str, ...] = ()
    judgements: tuple[Judgement, ...] = ()

    @property
    def is_broken(self) -> bool:
        """Whether the server breaks the rule."""
        return self.verdict in BROKEN

    @property
    def is_adjudicated(self) -> bool:
        """Whether it is said why this is a violation."""
        return bool(self.judgements)


@dataclass(frozen=True)
class Line:
    """One rule on all servers."""

    listed: ListedRule
    cells: tuple[Cell, ...]
    topics: tuple[str, ...] = ()

    @property
    def rule(self) -> Rule:
        """The rule."""
        return self.listed.rule

    @property
    def judged(self) -> int:
        """On how many servers it held or was broken."""
        return sum(cell.verdict in _JUDGED for cell in self.cells)

    @property
    def broken(self) -> int:
        """How many servers break it."""
        return sum(cell.is_broken for cell in self.cells)

    @property
    def is_disputed(self) -> bool:
        """Whether it holds on one server and is broken by another."""
        return 0 < self.broken < self.judged


@dataclass(frozen=True)
class Group:
    """The rules of one section."""

    specification: str
    section: str
    lines: tuple[Line, ...]

    @property
    def name(self) -> str:
        """The specification as people read it."""
        names = {"robust": "Robustness", "practice": "Practice"}
        return names.get(self.specification, self.specification)

    @property
    def about(self) -> str:
        """What the specification is about, '' where nobody has said it."""
        return SPECIFICATIONS.get(self.specification, "")

    @property
    def title(self) -> str:
        """The clause."""
        return f"{self.name}, section {self.section}" if self.section else self.name

    @property
    def subject(self) -> str:
        """What the section is about, '' where nobody has said it."""
        return SECTIONS.get((self.specification, self.section), "")


@dataclass(frozen=True)
class Matrix:
    """All rules on all servers; the servers by name, the rules by specification."""

    servers: tuple[Server, ...]
    groups: tuple[Group, ...]

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Every rule in order."""
        return tuple(line for group in self.groups for line in group.lines)

    @cached_property
    def totals(self) -> Mapping[str, Counter[Verdict]]:
        """How many rules have which verdict, by the server's name."""
        counts: dict[str, Counter[Verdict]] = {server.name: Counter() for server in self.servers}
        for line in self.lines:
            for cell in line.cells:
                counts[cell.server.name][cell.verdict] += 1
        return counts

    @property
    def unadjudicated(self) -> Iterator[tuple[str, str]]:
        """Server and rule of each breach of which nobody has said why it is one."""
        for line in self.lines:
            for cell in line.cells:
                if cell.is_broken and not cell.is_adjudicated:
                    yield cell.server.name, line.rule.id

    @property
    def stale(self) -> Iterator[tuple[str, str]]:
        """Server and rule of each judgement on what the results should show broken, and do not."""
        broken = {
            (cell.server.name, line.rule.id)
            for line in self.lines
            for cell in line.cells
            if cell.is_broken
        }
        for server in self.servers:
            for rule, judgements in server.adjudication.by_rule.items():
                is_always_seen = not all(judgement.sometimes for judgement in judgements)
                if is_always_seen and (server.name, rule) not in broken:
                    yield server.name, rule

    @property
    def outdated(self) -> Iterator[Server]:
        """The servers of which another version was adjudicated than judged."""
        for server in self.servers:
            adjudicated = server.adjudication.version
            if adjudicated and one_line(adjudicated, 60) != server.version:
                yield server

    @property
    def days(self) -> tuple[datetime, datetime]:
        """When the earliest and the latest of the runs began; ValueError without servers."""
        moments = [server.results.started for server in self.servers]
        return min(moments), max(moments)


def matrix(servers: Sequence[Server], rules: Sequence[ListedRule]) -> Matrix:
    """The matrix of these servers and rules; the rules stay in their order."""
    servers = sorted(servers, key=lambda server: server.name)
    columns = [_Column.of(server) for server in servers]
    lines = (
        Line(
            listed,
            tuple(column.cell(listed.rule.id) for column in columns),
            tuple(sorted({topic for column in columns for topic in column.topics(listed.rule.id)})),
        )
        for listed in rules
    )
    groups = (
        Group(name, section, tuple(some)) for (name, section), some in groupby(lines, _group_of)
    )
    return Matrix(tuple(servers), tuple(groups))


def _group_of(line: Line) -> tuple[str, str]:
    name = specification(line.rule)
    return f"RFC {name}" if name.isdigit() else name, line.rule.section or ""


@dataclass(frozen=True)
class _Column:
    """What the results of one server say of each rule, looked up once."""

    server: Server
    rules: Mapping[str, RuleRow]
    rows: Mapping[str, ScenarioRow]
    shown: Mapping[str, tuple[Shown, ...]]
    best: Mapping[str, str]
    known: frozenset[str]

    @classmethod
    def of(cls, server: Server) -> "_Column":
        glance = Glance.of(server.results)
        places = told_in(glance)
        anchor_of = anchors(row.id for row in glance.rows)
        shown: dict[str, tuple[Shown, ...]] = {}
        best: dict[str, str] = {}
        for section, some in glance.sections:
            for breach in some:
                addressed = (
                    Shown(each, f"{server.report}#{anchor_of[each.row.id]}")
                    for each in breach.evidence
                )
                shown[breach.id] = (*shown.get(breach.id, ()), *addressed)
                row = shown_best(breach, section, places)
                best.setdefault(breach.id, f"{server.report}#{anchor_of[row.id]}")
        new = {breach.id for breach in (*glance.failed, *glance.warned)}
        known = {breach.id for breach in glance.known}
        return cls(
            server,
            glance.rules,
            {row.id: row for row in glance.rows},
            shown,
            best,
            frozenset(known - new),
        )

    def cell(self, id: str) -> Cell:
        row = self.rules.get(id)
        if row is None:
            return Cell(self.server, Verdict.UNTESTED, is_listed=False)
        is_broken = row.verdict in BROKEN
        is_known = is_broken and id in self.known
        place = f"{'known' if is_known else 'broken'}-{id}"
        return Cell(
            self.server,
            row.verdict,
            is_known=is_known,
            exercised=row.exercised,
            broken=row.broken,
            transcript=self.best.get(id, "") if is_broken else "",
            article=f"{self.server.report}#{place}" if is_broken and id in self.best else "",
            shown=self.shown.get(id, ()) if is_broken else (),
            reasons=self._reasons(row),
            judgements=tuple(self._judgements(id, is_broken=is_broken)),
        )

    def _judgements(self, id: str, *, is_broken: bool) -> Iterator[Judgement]:
        for judgement in self.server.adjudication.by_rule.get(id, ()):
            if is_broken or judgement.sometimes:
                yield judgement

    def topics(self, id: str) -> list[str]:
        row = self.rules.get(id)
        return rule_tokens(row, self.rows).topics.split() if row else []

    def _reasons(self, rule: RuleRow) -> tuple[str, ...]:
        """Why its scenarios could not be tried, the most frequent reason first."""
        if rule.verdict not in (Verdict.BLOCKED, Verdict.NOT_APPLICABLE):
            return ()
        rows = (self.rows[id] for id in rule.scenarios if id in self.rows)
        counts = Counter(row.reason for row in rows if row.verdict is rule.verdict and row.reason)
        by_number = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return tuple(reason for reason, _ in by_number[:_MOST_REASONS])
