"""Fault: one named deviation of the reference server, and how it is written down."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True)
class Fault:
    """One named deviation of the reference server.

    `breaks` lists every rule whose summary it violates, `copies` says which
    coding error or product's bug it repeats. `edge` marks a fault that is wrong
    only at an edge. Each of the `parts` replaces steps of Session, Maildrops, Front or
    a SASL mechanism; parts of several faults can be combined. With `refuses_cleartext`
    it shows on a server that refuses passwords without TLS.
    """

    name: str
    breaks: frozenset[str]
    copies: str
    edge: bool
    parts: tuple[type, ...]
    refuses_cleartext: bool = False


Part = TypeVar("Part", bound=type)


class FaultTable:
    """Faults, each registered where its code stands."""

    def __init__(self) -> None:
        self.faults: dict[str, Fault] = {}

    def fault(
        self,
        name: str,
        *,
        breaks: Iterable[str],
        copies: str,
        edge: bool = False,
        parts: tuple[type, ...] = (),
        refuses_cleartext: bool = False,
    ) -> Callable[[Part], Part]:
        """Register the class below it, and perhaps further parts, as a fault."""
        if name in self.faults:
            raise ValueError(f"fault {name!r} is there twice")

        def register(part: Part) -> Part:
            self.faults[name] = Fault(
                name, frozenset(breaks), copies, edge, (*parts, part), refuses_cleartext
            )
            return part

        return register
