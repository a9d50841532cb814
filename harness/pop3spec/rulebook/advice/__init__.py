"""Advice on each rule: why it matters to a client, and how a server is usually mended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pop3spec.rulebook.rules import RuleId
from pop3spec.yamlfile import decoded, key, load_text


@dataclass(frozen=True)
class Advice:
    """What a person wants to know beside the requirement."""

    noun: ClassVar[str] = "an advice"

    rule: RuleId = field(metadata=key("the rule that it is about"))
    matters: str = field(metadata=key("what a client or its user loses where the rule is broken"))
    fix: str = field(metadata=key("how a server is usually mended"))


@dataclass(frozen=True)
class AdviceFile:
    """The advice on the rules of one file of the rulebook."""

    noun: ClassVar[str] = "an advice file"

    advice: tuple[Advice, ...] = field(metadata=key("one entry per rule, in the rulebook's order"))


@cache
def advice() -> Mapping[str, Advice]:
    """The advice on every rule by its id; read at the first call, since a run needs none."""
    files = (
        load_text(decoded(path.read_bytes(), path.name), path.name, AdviceFile)
        for path in sorted(Path(__file__).parent.glob("*.yaml"))
    )
    return MappingProxyType({each.rule: each for file in files for each in file.advice})
