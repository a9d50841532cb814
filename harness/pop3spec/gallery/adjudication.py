"""Adjudications: why what a server does is a violation, as people judged it; and our errata."""

import datetime
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, TypeVar

from pop3spec.rulebook.rules import RuleId
from pop3spec.yamlfile import (
    ReadAs,
    YamlError,
    did_you_mean,
    key,
    load_text,
    locate,
    matching,
    read_text,
)

T = TypeVar("T")

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?"

# The name is that of a directory, and part of addresses.
ServerName = Annotated[
    str, matching(_NAME, "a name of letters, digits, '.', '_' and '-' such as 'solid-pop3d'")
]


def is_server_name(text: str) -> bool:
    """Whether a server can be called so."""
    return re.fullmatch(_NAME, text) is not None


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:20]!r} is no date: write it like 2027-06-30") from None


Day = Annotated[datetime.date, ReadAs(_day, "a date such as 2027-06-30", {"type": "string"})]


@dataclass(frozen=True)
class Judgement:
    """Why one broken rule is a violation."""

    noun: ClassVar[str] = "a judgement"

    rule: RuleId = field(metadata=key("the broken rule"))
    exchange: str = field(metadata=key("what was sent and what came, in one line"))
    because: str = field(metadata=key("why the RFC makes it a violation"))
    clients: str = field(default="", metadata=key("who suffers from it, and how"))
    sometimes: bool = field(
        default=False, metadata=key("it depends on the moment, so that a run may not show it")
    )


@dataclass(frozen=True)
class Adjudication:
    """All judgements on one server."""

    noun: ClassVar[str] = "an adjudication"

    server: ServerName = field(metadata=key("the server's name, as its file is called"))
    version: str = field(default="", metadata=key("the version that was judged"))
    judgements: tuple[Judgement, ...] = field(
        default=(), metadata=key("one entry for each broken rule")
    )

    @property
    def by_rule(self) -> Mapping[str, Sequence[Judgement]]:
        """The judgements on each rule, in their order."""
        found: dict[str, list[Judgement]] = {}
        for judgement in self.judgements:
            found.setdefault(judgement.rule, []).append(judgement)
        return found


@dataclass(frozen=True)
class Erratum:
    """A verdict or a rule of pop3spec that was wrong, and is mended."""

    noun: ClassVar[str] = "an erratum"

    date: Day = field(metadata=key("the day on which it was mended, such as 2027-06-30"))
    rule: RuleId = field(metadata=key("the rule that was wrong, or judged wrongly"))
    was: str = field(metadata=key("what it said before"))
    now: str = field(metadata=key("what it says since"))
    because: str = field(metadata=key("why that is right"))


@dataclass(frozen=True)
class Errata:
    """What was wrong in pop3spec."""

    noun: ClassVar[str] = "errata"

    errata: tuple[Erratum, ...] = field(
        default=(), metadata=key("one entry for each verdict or rule that was wrong")
    )


def read_adjudications(directory: Path, rule_ids: Collection[str]) -> Mapping[str, Adjudication]:
    """The adjudication of each server by its name; none where there is no directory; YamlError."""
    found: dict[str, Adjudication] = {}
    for path in sorted(directory.glob("*.yaml")):
        read, text = _read(path, Adjudication)
        if read.server != path.stem:
            where = locate(text, str(path), ("server",))
            raise YamlError(
                where,
                f"the server {read.server!r} belongs into {read.server}.yaml: "
                "rename the file, or correct the name",
            )
        for index, judgement in enumerate(read.judgements):
            if judgement.rule not in rule_ids:
                where = locate(text, str(path), ("judgements", index, "rule"))
                mend = did_you_mean(judgement.rule, rule_ids) or "; pop3spec rules lists them"
                raise YamlError(where, f"unknown rule {judgement.rule!r}{mend}")
        found[read.server] = read
    return MappingProxyType(found)


def read_errata(path: Path) -> tuple[Erratum, ...]:
    """The errata, the latest first; none where there is no file; YamlError."""
    if not path.exists():
        return ()
    read, _ = _read(path, Errata)
    return tuple(
        sorted(read.errata, key=lambda each: (-each.date.toordinal(), each.rule, each.was))
    )


def _read(path: Path, cls: type[T]) -> tuple[T, str]:
    text = read_text(path, str(path))
    return load_text(text, str(path), cls), text
