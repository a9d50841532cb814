"""Rule and Level, what is excluded and what is observed; reads the rulebook's entries."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar

from pop3spec.yamlfile import YamlError, decoded, key, load_text, locate, matching


class Level(Enum):
    """How binding a rule is."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Basis(Enum):
    """How the RFC says it."""

    KEYWORD = "keyword"
    GRAMMAR = "grammar"
    PROSE = "prose"


_ID = r"(?:rfc([0-9]+)-([0-9]+(?:\.[0-9]+)*)|practice|robust)(?:-[a-z0-9]+)+"
_PARTS = re.compile(_ID)

RuleId = Annotated[str, matching(_ID, "a rule id such as 'rfc1939-5-noop' or 'robust-flood'")]

_CLAUSE = r"RFC ([0-9]+), (?:sections? |appendix )([0-9]+(?:\.[0-9]+)*|[A-Z]).*"
_CLAUSE_PARTS = re.compile(_CLAUSE)

Clause = Annotated[str, matching(_CLAUSE, "a clause such as 'RFC 1939, section 5'")]


def is_rule_id(text: str) -> bool:
    """Whether a rule can be called so."""
    return _PARTS.fullmatch(text) is not None


ObservationId = Annotated[
    str,
    matching(
        r"(?!rfc[0-9]|practice-|robust-)[a-z0-9]+(?:-[a-z0-9]+)+",
        "words with hyphens that do not look like a rule id",
    ),
]


def _clause(source: str) -> tuple[int, str]:
    """The RFC and the first section that a clause names."""
    found = _CLAUSE_PARTS.fullmatch(source)
    if found is None:
        raise ValueError(f"{source!r} names no section of an RFC")
    return int(found[1]), found[2]


@dataclass(frozen=True)
class Rule:
    """One requirement of an RFC, or of practice or robustness."""

    noun: ClassVar[str] = "a rule"

    id: RuleId = field(metadata=key("specification, section and slug; stays for ever"))
    source: str = field(metadata=key("the clause, such as 'RFC 1939, section 5'"))
    level: Level = field(metadata=key("how binding the rule is"))
    basis: Basis = field(metadata=key("how the RFC says it"))
    summary: str = field(metadata=key("the requirement in one sentence of ours"))
    note: str = field(default="", metadata=key("the reason of a reading that is ours"))

    def __post_init__(self) -> None:
        expected = (
            Level.SHOULD if self.is_practice else Level.MUST if self.is_robust else self.level
        )
        if self.level is not expected:
            raise ValueError(f"the level of {self.id!r} has to be {expected.value}")

    @property
    def rfc(self) -> int | None:
        """The number of the RFC, None for practice and robustness."""
        found = _PARTS.fullmatch(self.id)
        return int(found[1]) if found and found[1] else None

    @property
    def section(self) -> str | None:
        """The section of the RFC, None for practice and robustness."""
        found = _PARTS.fullmatch(self.id)
        return found[2] if found else None

    @property
    def is_practice(self) -> bool:
        """Practice demands it, no RFC; at most a warning."""
        return self.id.startswith("practice-")

    @property
    def is_robust(self) -> bool:
        """It says what a server has to withstand."""
        return self.id.startswith("robust-")


@dataclass(frozen=True)
class Excluded:
    """One requirement of an RFC that is no rule, and why not."""

    noun: ClassVar[str] = "an excluded clause"

    source: Clause = field(metadata=key("the clause, such as 'RFC 1939, section 5'"))
    level: Level = field(metadata=key("how binding the requirement is"))
    basis: Basis = field(metadata=key("how the RFC says it"))
    summary: str = field(metadata=key("the requirement in one sentence of ours"))
    reason: str = field(metadata=key("why nothing is judged by it"))

    @property
    def rfc(self) -> int:
        """The number of the RFC."""
        return _clause(self.source)[0]

    @property
    def section(self) -> str:
        """The section of the RFC; the first one, where there are several."""
        return _clause(self.source)[1]


@dataclass(frozen=True)
class Observation:
    """One thing that an RFC leaves free, whatever a server does."""

    noun: ClassVar[str] = "an observation"

    id: ObservationId = field(metadata=key("words with hyphens; stays for ever"))
    source: Clause = field(metadata=key("the clause that leaves it free"))
    summary: str = field(metadata=key("what is observed, in one sentence of ours"))

    @property
    def rfc(self) -> int:
        """The number of the RFC."""
        return _clause(self.source)[0]

    @property
    def section(self) -> str:
        """The section of the RFC; the first one, where there are several."""
        return _clause(self.source)[1]


@dataclass(frozen=True)
class RuleFile:
    """All clauses of one RFC."""

    noun: ClassVar[str] = "a rule file"

    rules: tuple[Rule, ...] = field(metadata=key("one entry per requirement"))
    excluded: tuple[Excluded, ...] = field(
        default=(), metadata=key("requirements that are no rules, in the order of the RFC")
    )
    observations: tuple[Observation, ...] = field(
        default=(), metadata=key("what the RFC leaves free, in its order")
    )


@cache
def _files() -> Mapping[str, bytes]:
    """The rulebook's files in the order of their names, read once."""
    paths = sorted(Path(__file__).parent.glob("*.yaml"), key=lambda path: path.name)
    return {path.name: path.read_bytes() for path in paths}


def _read(files: Mapping[str, bytes]) -> tuple[RuleFile, ...]:
    read: list[RuleFile] = []
    taken: set[str] = set()
    for name, octets in files.items():
        text = decoded(octets, name)
        file = load_text(text, name, RuleFile)
        for kind, ids in (
            ("rule", [rule.id for rule in file.rules]),
            ("observation", [observation.id for observation in file.observations]),
        ):
            for index, entry in enumerate(ids):
                if entry in taken:
                    where = locate(text, name, (f"{kind}s", index, "id"))
                    raise YamlError(where, f"the {kind} id {entry!r} is taken")
                taken.add(entry)
        read.append(file)
    return tuple(read)


@cache
def _rulebook() -> tuple[RuleFile, ...]:
    return _read(_files())


def read_rules(files: Mapping[str, bytes]) -> dict[str, Rule]:
    """The rules in these files by id; YamlError where one cannot be read, or is taken."""
    return {rule.id: rule for file in _read(files) for rule in file.rules}


@cache
def rulebook() -> Mapping[str, Rule]:
    """Every rule by its id, in the order of the files."""
    return MappingProxyType({rule.id: rule for file in _rulebook() for rule in file.rules})


def excluded() -> tuple[Excluded, ...]:
    """Every requirement that is no rule, in the order of the files."""
    return tuple(clause for file in _rulebook() for clause in file.excluded)


def observations() -> tuple[Observation, ...]:
    """Everything that is left free and observed, in the order of the files."""
    return tuple(observation for file in _rulebook() for observation in file.observations)


@cache
def observation_ids() -> frozenset[str]:
    """The ids of everything that is observed."""
    return frozenset(observation.id for observation in observations())


def rules_digest() -> str:
    """A SHA-256 over the rulebook's files, which says which rules judged a run."""
    return sha256(b"".join(_files().values())).hexdigest()
