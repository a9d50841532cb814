"""What the steps so far have told, and what is checked against it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from pop3spec.scenario.problem import Problem
from pop3spec.template import Base64, Template
from pop3spec.yamlfile import did_you_mean


@dataclass
class Told:
    """What the steps so far have told."""

    names: set[str]  # that can be filled in
    user: dict[str, bool]  # session -> its last USER named the account
    challenged: set[str]  # sessions in which a challenge is to be answered
    failed_logins: list[tuple[int, str]]  # step and key of each


_Read = TypeVar("_Read")


def checked(under: tuple[str, ...], read: Callable[..., _Read], *arguments: Any) -> _Read:
    """What `read` makes of its arguments; its ValueError is a problem under these keys."""
    try:
        return read(*arguments)
    except ValueError as error:
        raise Problem(str(error), *under) from None


def check_names(pattern: Template | Base64, known: Collection[str], *under: str) -> None:
    """Problem where a name is to be filled in that no step before has saved."""
    for name in sorted(pattern.names):
        if name not in known:
            mend = did_you_mean(name, sorted(known))
            problem = f"{{{name}}} is neither built in nor saved before{mend}"
            raise Problem(f"{problem}; '{{{{' is a brace", *under)
