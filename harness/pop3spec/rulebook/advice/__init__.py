"""Advice on each rule: why it matters to a client, and how a server is usually mended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from pop3spec.rulebook.rules import RuleId, rulebook
from pop3spec.yamlfile import YamlError, decoded, did_you_mean, key, load_text, locate


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


def read_advice(files: Mapping[str, bytes]) -> dict[str, Advice]:
    """The advice in these files by rule; YamlError where it cannot be read or its rule is wrong."""
    read: dict[str, Advice] = {}
    for name, octets in files.items():
        text = decoded(octets, name)
        for index, each in enumerate(load_text(text, name, AdviceFile).advice):
            problem = _problem_of(each.rule, read)
            if problem:
                raise YamlError(locate(text, name, ("advice", index, "rule")), problem)
            read[each.rule] = each
    return read


def _problem_of(rule: str, read: Mapping[str, Advice]) -> str:
    if rule not in rulebook():
        return f"unknown rule {rule!r}{did_you_mean(rule, rulebook())}"
    return f"there is advice on {rule!r} already" if rule in read else ""


def advice_files() -> Mapping[str, bytes]:
    """The files of advice in the order of their names, each called like its rules' file."""
    paths = sorted(Path(__file__).parent.glob("*.yaml"), key=lambda path: path.name)
    return {path.name: path.read_bytes() for path in paths}


@cache
def advice() -> Mapping[str, Advice]:
    """The advice on every rule by its id; read at the first call, since a run needs none."""
    return MappingProxyType(read_advice(advice_files()))
