"""What is wrong in a file, and where, in words that mend it."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class YamlError(Exception):
    """A file says something that we cannot read."""

    def __init__(self, where: Location, problem: str) -> None:
        super().__init__(where, problem)
        self.where = where
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


def did_you_mean(word: str, choices: Collection[str]) -> str:
    """The nearest choice, or all of a few, as an addition to a message."""
    from difflib import get_close_matches  # only a mistake pays for it

    near = get_close_matches(word, list(choices), n=1)
    if near:
        return f" (did you mean {near[0]!r}?)"
    if len(choices) <= 12:
        return f" (possible: {', '.join(choices)})"
    return ""


def quoted(text: str) -> str:
    """A value as a message quotes it, without the middle of a long one."""
    return repr(text) if len(text) <= 60 else f"{text[:40]!r}…{text[-10:]!r}"
