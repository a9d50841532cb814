"""Lists of requirements: dated, one for each class, and never changed once released.

The rulebook grows and a list does not, so a class means the same in every version. What
later rules say is no part of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from pop3spec.rulebook.rules import RuleId
from pop3spec.settings import Settings
from pop3spec.yamlfile import key, load

_FOLDER = Path(__file__).parent / "lists"


@dataclass(frozen=True)
class Needs:
    """What a run needs so that every requirement of a class can be tried."""

    noun: ClassVar[str] = "the needs of a class"

    door: bool = field(default=False, metadata=key("a way to put known mail into maildrops"))
    accounts: int = field(default=0, metadata=key("so many accounts at least"))
    tls_port: bool = field(default=False, metadata=key("a port for implicit TLS"))
    slow: bool = field(default=False, metadata=key("what takes minutes"))
    restart_hook: bool = field(default=False, metadata=key("a way to start the server again"))


@dataclass(frozen=True)
class RequirementList:
    """The requirements of one class.

    Each rule of `required` has to hold; one of `where_offered` has to hold where the target
    gives occasion, and else is not applicable.
    """

    noun: ClassVar[str] = "a list of requirements"

    id: str = field(metadata=key("the class"))
    date: str = field(metadata=key("the day on which the list was frozen"))
    title: str = field(metadata=key("the class in words"))
    required: tuple[RuleId, ...] = field(metadata=key("rules that have to hold"))
    about: str = field(default="", metadata=key("what the class says"))
    needs: Needs = field(default=Needs(), metadata=key("what a run needs for it"))
    where_offered: tuple[RuleId, ...] = field(
        default=(), metadata=key("rules that have to hold where the target gives occasion")
    )

    @property
    def name(self) -> str:
        """Class and date, as the file is called."""
        return f"{self.id}-{self.date}"

    @property
    def digest(self) -> str:
        """A SHA-256 over the file of the list."""
        return sha256((_FOLDER / f"{self.name}.yaml").read_bytes()).hexdigest()


# In the order of a certificate; what is not named comes behind.
_ORDER = ("rfc1939-core", "rfc1939-optional", "rfc2449", "tls", "sasl", "rfc6856")


@cache
def all_lists() -> Sequence[RequirementList]:
    """Every list that there is."""
    found = [load(path, RequirementList) for path in sorted(_FOLDER.glob("*.yaml"))]

    def place(each: RequirementList) -> tuple[int, str, str]:
        known = each.id in _ORDER
        return (_ORDER.index(each.id) if known else len(_ORDER), each.id, each.date)

    return sorted(found, key=place)


def current_lists() -> Sequence[RequirementList]:
    """The newest list of each class."""
    newest = {each.id: each for each in all_lists()}  # the dates ascend
    return list(newest.values())


def missing(needs: Needs, settings: Settings) -> Iterator[str]:
    """What a run with these settings lacks, each with its mend."""
    target = settings.target
    if target is None:
        return  # the embedded server has all of it
    if needs.door and target.maildrop == "none":
        yield "a door (--maildrop)"
    if len(target.accounts) < needs.accounts:
        yield f"{needs.accounts} accounts (POP3SPEC_ACCOUNT)"
    if needs.tls_port and target.tls_address is None:
        yield "a port for implicit TLS (--tls-target)"
    if needs.slow and not settings.slow:
        yield "--slow"
    if needs.restart_hook and not target.hooks.restart:
        yield "a way to restart the server (hooks: {restart: …} in a profile)"
