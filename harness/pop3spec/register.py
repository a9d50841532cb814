"""The register: the clauses of the RFCs, and by how many faults each rule is proven.

It lays the rulebook, the advice on it and the table of faults side by side, as text for
a person who reads the RFC and as data for programs. What the rules say, it leaves to them.
"""

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from pop3spec.about import scenarios_about, suites_about
from pop3spec.rulebook.advice import advice
from pop3spec.rulebook.rules import (
    Excluded,
    Level,
    Observation,
    Rule,
    excluded,
    observations,
    rulebook,
    rules_digest,
)
from pop3spec.yamlfile import did_you_mean

if TYPE_CHECKING:
    from pop3spec.reference.faults.fault import Fault

SCHEMA = 1

PRACTICE, ROBUST = "practice", "robust"
_HEADINGS: Mapping[str, str] = {PRACTICE: "Practice", ROBUST: "Robustness"}

# Faults that prove a rule: how many, and how many of them wrong only at an edge.
_WANTED: Mapping[Level, tuple[int, int]] = {
    Level.MUST: (2, 1),
    Level.SHOULD: (1, 0),
    Level.MAY: (1, 0),
}

# Columns that are left for the summary beside the others; with less it stands below them.
_NARROW = 48


class RegisterError(Exception):
    """The register has nothing that goes by this name; the message says the mend."""


class Proof(Enum):
    """Whether enough faults turn a rule red."""

    PROVEN = "proven"
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class ListedRule:
    """A rule with the faults that break it."""

    rule: Rule
    faults: tuple["Fault", ...]

    @property
    def at_an_edge(self) -> int:
        """How many of the faults are wrong only at an edge."""
        return sum(fault.edge for fault in self.faults)

    @property
    def proof(self) -> Proof:
        """For a MUST two faults with one at an edge are wanted, else one."""
        count, edges = _WANTED[self.rule.level]
        enough = len(self.faults) >= count and self.at_an_edge >= edges
        return Proof.PROVEN if enough else Proof.UNPROVEN

    @property
    def state_of_proof(self) -> str:
        """The faults in words, and whether they are too few."""
        count, edges = len(self.faults), self.at_an_edge
        words = f"{count} fault" if count == 1 else f"{count} faults"
        if edges:
            words += ", at an edge" if count == 1 else f", {edges} at an edge"
        return words if self.proof is Proof.PROVEN else f"unproven: {words}"


@dataclass(frozen=True)
class Register:
    """Clauses in the order of the RFCs: rules, what is excluded, and what is observed."""

    rules: tuple[ListedRule, ...]
    excluded: tuple[Excluded, ...] = ()
    observations: tuple[Observation, ...] = ()

    @property
    def figures(self) -> Mapping[str, int]:
        """How many there are of each kind; a clause is a rule, or excluded."""
        return {
            "clauses": len(self.rules) + len(self.excluded),
            "rules": len(self.rules),
            "proven": sum(listed.proof is Proof.PROVEN for listed in self.rules),
            "excluded": len(self.excluded),
            "observations": len(self.observations),
        }


# --- What is in it ---


def specification(entry: Rule | Excluded | Observation) -> str:
    """The number of the RFC, or 'practice' or 'robust'."""
    if entry.rfc is not None:
        return str(entry.rfc)
    return PRACTICE if isinstance(entry, Rule) and entry.is_practice else ROBUST


def _place(entry: Rule | Excluded | Observation) -> tuple[int, tuple[tuple[int, str], ...]]:
    """Where it stands: RFCs by number, and their sections before their appendices."""
    if entry.rfc is None:
        return (1 << 31) + (specification(entry) == PRACTICE), ()
    parts = (entry.section or "").split(".")
    return entry.rfc, tuple((int(part) if part.isdigit() else 1 << 31, part) for part in parts)


def register(
    only: str | None = None, level: Level | None = None, proof: Proof | None = None
) -> Register:
    """The clauses of this specification and level; with `proof` rules in that state alone.

    What is excluded has no proof, and what is observed has no level either.
    """
    from pop3spec.reference.faults import FAULTS  # the server behind it is only wanted here

    if only is not None:
        only = _known_specification(only)

    def fits(entry: Rule | Excluded | Observation) -> bool:
        return only is None or specification(entry) == only

    breaking: dict[str, list[Fault]] = {}
    for fault in FAULTS.values():
        for broken in fault.breaks:
            breaking.setdefault(broken, []).append(fault)
    rules = (
        ListedRule(rule, tuple(breaking.get(rule.id, ())))
        for rule in sorted(rulebook().values(), key=_place)
        if fits(rule) and level in (None, rule.level)
    )
    return Register(
        tuple(listed for listed in rules if proof in (None, listed.proof)),
        tuple(
            clause
            for clause in sorted(excluded(), key=_place)
            if fits(clause) and level in (None, clause.level) and proof is None
        ),
        tuple(
            observation
            for observation in sorted(observations(), key=_place)
            if fits(observation) and level is None and proof is None
        ),
    )


def _known_specification(name: str) -> str:
    known = {specification(rule): None for rule in sorted(rulebook().values(), key=_place)}
    wanted = name.lower().replace(" ", "").removeprefix("rfc")
    if wanted not in known:
        raise RegisterError(f"--rfc={name}: no rules of it (possible: {', '.join(known)})")
    return wanted


def choose(
    name: str | None, only: str | None, level: str | None, proof: str | None
) -> Register | ListedRule | Observation:
    """What the words of a command line ask for; RegisterError where that is not there."""
    if name is None:
        return register(
            only,
            Level(level.upper()) if level else None,
            Proof(proof) if proof else None,
        )
    if only or level or proof:
        raise RegisterError(f"{name}: an id stands alone, without --rfc, --level and --proof")
    return find(name)


def find(name: str) -> ListedRule | Observation:
    """The rule, or the observation, with this id; RegisterError with a near one."""
    whole = register()
    entries = {listed.rule.id: listed for listed in whole.rules}
    observed = {observation.id: observation for observation in whole.observations}
    found = entries.get(name) or observed.get(name)
    if found is None:
        near = did_you_mean(name, [*entries, *observed])
        raise RegisterError(f"unknown rule {name!r}{near or '; without an id, all are listed'}")
    return found


def observed_with(rule: Rule) -> tuple[Observation, ...]:
    """What is observed where the rule leaves off: the observations that its note names."""
    named = set(re.findall(r"[\w-]+", rule.note))
    return tuple(observation for observation in observations() if observation.id in named)


# --- As data ---


def _data(listed: ListedRule | Excluded | Observation) -> dict[str, Any]:
    if isinstance(listed, Observation):
        return {
            "id": listed.id,
            "rfc": listed.rfc,
            "section": listed.section,
            "source": listed.source,
            "summary": listed.summary,
        }
    if isinstance(listed, Excluded):
        return {
            "rfc": listed.rfc,
            "section": listed.section,
            "source": listed.source,
            "level": listed.level.value,
            "basis": listed.basis.value,
            "summary": listed.summary,
            "reason": listed.reason,
        }
    rule = listed.rule
    return {
        "id": rule.id,
        "rfc": rule.rfc,
        "section": rule.section,
        "source": rule.source,
        "level": rule.level.value,
        "basis": rule.basis.value,
        "summary": rule.summary,
        "note": rule.note,
        "matters": advice()[rule.id].matters,
        "fix": advice()[rule.id].fix,
        "proof": listed.proof.value,
        "faults": [
            {"name": fault.name, "edge": fault.edge, "copies": fault.copies}
            for fault in listed.faults
        ],
    }


def as_json(chosen: Register | ListedRule | Observation) -> str:
    """The register, or one entry of it, as JSON; keys and entries in a fixed order."""
    if isinstance(chosen, Register):
        data = {
            "schema": SCHEMA,
            "rules_digest": rules_digest(),
            "figures": dict(chosen.figures),
            "rules": [_data(listed) for listed in chosen.rules],
            "excluded": [_data(clause) for clause in chosen.excluded],
            "observations": [_data(observation) for observation in chosen.observations],
        }
    else:
        data = _data(chosen)
        if isinstance(chosen, ListedRule):
            data |= {
                "observed": [observation.id for observation in observed_with(chosen.rule)],
                "scenarios": list(scenarios_about(chosen.rule.id)),
                "suites": list(suites_about(chosen.rule.id)),
            }
    return json.dumps(data, indent=2, ensure_ascii=False)


# --- As text ---


@dataclass(frozen=True)
class _Row:
    """A line of the table: its narrow columns, and the text behind them."""

    heading: str
    cells: tuple[str, str, str, str]
    text: str


def _heading(entry: Rule | Excluded | Observation) -> str:
    name = specification(entry)
    if name in _HEADINGS:
        return _HEADINGS[name]
    section = entry.section or ""
    kind = "section" if section[:1].isdigit() else "appendix"
    return f"RFC {name}, {kind} {section}"


def _rows(whole: Register) -> Iterator[_Row]:
    """All entries; within a section first the rules, then what is excluded and observed."""
    entries: list[tuple[Any, _Row]] = []
    for listed in whole.rules:
        rule = listed.rule
        cells = (rule.id, rule.level.value, rule.basis.value, listed.state_of_proof)
        entries.append((_place(rule), _Row(_heading(rule), cells, rule.summary)))
    for clause in whole.excluded:
        cells = ("-", clause.level.value, clause.basis.value, "excluded")
        text = f"{clause.summary} Reason: {clause.reason}"
        entries.append((_place(clause), _Row(_heading(clause), cells, text)))
    for observation in whole.observations:
        cells = (observation.id, "-", "-", "observed")
        entries.append(
            (_place(observation), _Row(_heading(observation), cells, observation.summary))
        )
    for _, row in sorted(entries, key=lambda entry: entry[0]):
        yield row


def _table(whole: Register, width: int | None = None) -> str:
    rows = list(_rows(whole))
    widths = [max(map(len, column)) for column in zip(*(row.cells for row in rows), strict=True)]
    lines: list[str] = []
    heading = ""
    for row in rows:
        if row.heading != heading:
            heading = row.heading
            lines += ["", heading] if lines else [heading]
        lines += _table_lines(row, widths, width)
    return "\n".join([*lines, *([""] if lines else []), _figures_line(whole)])


def _table_lines(row: _Row, widths: Sequence[int], width: int | None) -> list[str]:
    cells = [f"{cell:<{columns}}" for cell, columns in zip(row.cells, widths, strict=True)]
    front = "  " + "  ".join(cells) + "  "
    if width is None:
        return [front + row.text]
    if width - len(front) < _NARROW:
        return [front.rstrip(), *_wrapped(row.text, width, "      ")]
    first, *rest = textwrap.wrap(row.text, width - len(front), break_on_hyphens=False)
    return [front + first, *(" " * len(front) + line for line in rest)]


def _wrapped(text: str, width: int | None, margin: str) -> list[str]:
    if width is None:
        return [margin + text]
    return textwrap.wrap(
        text,
        max(width, 2 * len(margin) + 20),
        initial_indent=margin,
        subsequent_indent=margin,
        break_on_hyphens=False,
    )


def _figures_line(whole: Register) -> str:
    figures = whole.figures
    return (
        f"{_counted(figures['clauses'], 'clause')}: {_counted(figures['rules'], 'rule')},"
        f" {figures['excluded']} excluded;"
        f" {figures['proven']} of {_counted(figures['rules'], 'rule')} proven;"
        f" {_counted(figures['observations'], 'observation')}"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_text(chosen: Register | ListedRule | Observation, width: int | None = None) -> str:
    """The register as a table, or one entry whole, in lines of this width or of any."""
    if isinstance(chosen, Register):
        return _table(chosen, width)
    return "\n".join(_page_lines(chosen, width))


def _page_lines(entry: ListedRule | Observation, width: int | None) -> Iterable[str]:
    if isinstance(entry, Observation):
        yield f"{entry.id} (observed; {entry.source})"
        yield from _wrapped(entry.summary, width, "  ")
        return
    rule = entry.rule
    yield f"{rule.id} ({rule.level.value}; {rule.source}; basis: {rule.basis.value})"
    yield from _wrapped(rule.summary, width, "  ")
    if rule.note:
        yield from _wrapped(f"Note: {rule.note}", width, "  ")
    for observation in observed_with(rule):
        yield from _wrapped(f"Observed as {observation.id}: {observation.summary}", width, "  ")
    yield from _wrapped(f"Why it matters: {advice()[rule.id].matters}", width, "  ")
    yield from _wrapped(f"Typical fix: {advice()[rule.id].fix}", width, "  ")
    yield f"{entry.proof.value}: {entry.state_of_proof.removeprefix('unproven: ')}"
    for fault in entry.faults:
        yield f"  {fault.name}{' (at an edge)' if fault.edge else ''}"
        yield from _wrapped(fault.copies, width, "    ")
    scenarios, suites = scenarios_about(rule.id), suites_about(rule.id)
    if not scenarios and not suites:
        yield "no scenario is about it alone: it is judged wherever it shows"
    for noun, about in (("scenario", scenarios), ("suite", suites)):
        if about:
            yield f"{_counted(len(about), noun)} about it"
            yield from (f"  {name}" for name in about)
