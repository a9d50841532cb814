"""Rule and Level; reads the rulebook's entries."""

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
class RuleFile:
    """The rules of one RFC."""

    noun: ClassVar[str] = "a rule file"

    rules: tuple[Rule, ...] = field(metadata=key("one entry per requirement"))


@cache
def _files() -> Mapping[str, bytes]:
    """The rulebook's files in the order of their names, read once."""
    paths = sorted(Path(__file__).parent.glob("*.yaml"), key=lambda path: path.name)
    return {path.name: path.read_bytes() for path in paths}


def read_rules(files: Mapping[str, bytes]) -> dict[str, Rule]:
    """The rules in these files by id; YamlError where one cannot be read, or is taken."""
    rules: dict[str, Rule] = {}
    for name, octets in files.items():
        text = decoded(octets, name)
        for index, rule in enumerate(load_text(text, name, RuleFile).rules):
            if rule.id in rules:
                where = locate(text, name, ("rules", index, "id"))
                raise YamlError(where, f"the rule id {rule.id!r} is taken")
            rules[rule.id] = rule
    return rules


@cache
def rulebook() -> Mapping[str, Rule]:
    """Every rule by its id, in the order of the files."""
    return MappingProxyType(read_rules(_files()))


def rules_digest() -> str:
    """A SHA-256 over the rulebook's files, which says which rules judged a run."""
    return sha256(b"".join(_files().values())).hexdigest()
