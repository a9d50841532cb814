"""The truth of CAPA: what is announced in each state, what works there, and what to think of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from pop3spec.report.rows import Data
from pop3spec.report.text import one_line
from pop3spec.rulebook.uses import AFTER_LOGIN, AFTER_STLS, BEFORE_LOGIN, IN_TLS, Use

PLACES = (BEFORE_LOGIN, AFTER_STLS, IN_TLS, AFTER_LOGIN)

# As the registry of capabilities has them; what else is announced follows them.
_REGISTERED = (
    *("USER", "SASL", "STLS", "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "LOGIN-DELAY"),
    *("PIPELINING", "EXPIRE", "UTF8", "LANG", "IMPLEMENTATION"),
)
# What is used in one state, and announced in both.
_AFTER_LOGIN_ALONE = ("TOP", "UIDL")
_BEFORE_LOGIN_ALONE = ("USER", "SASL", "STLS", "UTF8", "LOGIN-DELAY", "AUTH-RESP-CODE")
# What says something and is no command, so that nothing in a session can show it to work.
_WORDS_ALONE = ("EXPIRE", "IMPLEMENTATION")
# What may be refused though it is announced: UTF8 (RFC 6856, section 2.1); USER, which not all
# users may have (RFC 2449, section 6.2).
_MAY_FAIL = {"UTF8": "observed", "USER": "warn"}
# The rule that tells of a capability whether it works, where no single exchange does.
_BY_RULE = {"PIPELINING": "rfc2449-6.6-in-turn", "LOGIN-DELAY": "rfc2449-6.5-enforced"}
# A server may announce as much as it likes; the table shows so much of it.
_WIDTH, _MOST = 30, 40


class Mark(Enum):
    """What a cell of the table for people says."""

    WORKS = "yes"
    ANNOUNCED = "announced"
    FAILS = "FAILS"
    MISSING = "MISSING"
    UNANNOUNCED = "unannounced"
    ABSENT = "-"


@dataclass(frozen=True)
class Cell:
    """A capability in one place: announced or not, None where CAPA was not answered there.

    `works` is None where nothing in the run shows it; `is_missing` says that it was
    announced before the login and has to be after it (RFC 2449, section 5).
    """

    capability: str
    place: str
    announced: bool | None
    arguments: tuple[str, ...]
    works: bool | None
    is_missing: bool = False

    @property
    def verdict(self) -> str:
        """A word of the verdicts, or 'observed' for what the RFCs leave free."""
        tag = self.capability.partition(" ")[0]
        if self.is_missing:
            return "fail"
        if self.works is None:
            is_said = self.announced and tag in _WORDS_ALONE
            return "pass" if is_said else "untested" if self.announced else "not-applicable"
        if self.announced:
            return "pass" if self.works else _MAY_FAIL.get(tag, "fail")
        return "observed" if self.works else "not-applicable"

    @property
    def mark(self) -> Mark:
        """The same for people."""
        if self.is_missing:
            return Mark.MISSING
        if self.announced:
            if self.works is None:
                return Mark.ANNOUNCED
            return Mark.WORKS if self.works else Mark.FAILS
        return Mark.UNANNOUNCED if self.works else Mark.ABSENT

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_data` made."""
        return cls(
            data["capability"],
            data["state"],
            data["announced"],
            tuple(data["arguments"]),
            data["works"],
            data["verdict"] == "fail" and not data["announced"],
        )

    def to_data(self) -> Data:
        """For results.json."""
        return {
            "capability": self.capability,
            "state": self.place,
            "announced": self.announced,
            "arguments": list(self.arguments),
            "works": self.works,
            "verdict": self.verdict,
        }


def truth(
    lists: Mapping[str, Mapping[str, Sequence[str]]],
    used: Iterable[Use],
    held: Mapping[str, bool],
) -> list[Cell]:
    """The cells of the matrix, by capability and then by place.

    `lists` are the capability lists by place, `held` says of rules that were exercised
    whether they held. One success shows that a capability works, whatever failed besides.
    """
    works: dict[tuple[str, str], bool] = {}
    for capability, place, worked in used:
        works[capability, place] = works.get((capability, place), False) or worked
    for capability, rule in _BY_RULE.items():
        if rule in held:
            for place in (each for each, listed in lists.items() if capability in listed):
                works[capability, place] = held[rule]
    announced = {place: _named(listed) for place, listed in lists.items()}
    names = {name for listed in announced.values() for name in listed}
    names |= {name for (name, _), worked in works.items() if worked}
    places = [place for place in PLACES if place in lists or any(at == place for _, at in works)]
    return [
        Cell(
            name,
            place,
            name in announced[place] if place in announced else None,
            announced.get(place, {}).get(name, ()),
            works.get((name, place)) if _is_used(name, place) else None,
            _is_missing(name, place, announced),
        )
        for name in sorted(names, key=_order)
        for place in places
    ]


def truth_table(cells: Iterable[Cell]) -> list[str]:
    """The matrix for people: a line for each capability, a column for each place."""
    marks: dict[str, dict[str, str]] = {}
    for cell in cells:
        marks.setdefault(one_line(cell.capability, _WIDTH), {})[cell.place] = cell.mark.value
    if not marks:
        return []
    left = len(marks) - _MOST
    marks = dict(list(marks.items())[:_MOST])
    places = [place for place in PLACES if any(place in row for row in marks.values())]
    first = max(len("capabilities"), *map(len, marks))
    heads = [HEADS[place] for place in places]
    lines = [("capabilities".ljust(first), *heads)]
    lines += [
        (name.ljust(first), *(row.get(place, "-") for place in places))
        for name, row in marks.items()
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(places) + 1)]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return [*shown, f"and {left} more, in results.json"] if left > 0 else shown


HEADS = {
    BEFORE_LOGIN: "before login",
    AFTER_STLS: "after STLS",
    IN_TLS: "in TLS",
    AFTER_LOGIN: "after login",
}


def _named(listed: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Capabilities with their arguments; each mechanism counts for itself."""
    named: dict[str, tuple[str, ...]] = {}
    for tag, arguments in listed.items():
        if tag == "SASL":
            named |= {f"SASL {mechanism.upper()}": () for mechanism in arguments}
        else:
            named[tag] = tuple(arguments)
    return named


def _is_missing(name: str, place: str, announced: Mapping[str, Mapping[str, object]]) -> bool:
    """Before the login it is announced on every layer, so on that of the login as well."""
    earlier = [listed for at, listed in announced.items() if at != AFTER_LOGIN]
    if place != AFTER_LOGIN or name == "STLS" or AFTER_LOGIN not in announced:
        return False
    return (
        name not in announced[AFTER_LOGIN]
        and all(name in listed for listed in earlier)
        and bool(earlier)
    )


def _is_used(name: str, place: str) -> bool:
    tag = name.partition(" ")[0]
    if tag in _AFTER_LOGIN_ALONE:
        return place == AFTER_LOGIN
    return place != AFTER_LOGIN or tag not in _BEFORE_LOGIN_ALONE


def _order(name: str) -> tuple[int, str]:
    tag = name.partition(" ")[0]
    place = _REGISTERED.index(tag) if tag in _REGISTERED else len(_REGISTERED)
    return place, name
