"""Templates: text of a scenario with places to fill in.

Parsed once when a file is loaded; to fill one in is to join octets. What the
names stand for, and whether a text may be sent, is for others to say.
"""

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Base64:
    """A place for the base64 form of what it holds."""

    parts: tuple[bytes | str, ...]

    @property
    def names(self) -> frozenset[str]:
        """Every name that has to be filled in."""
        return frozenset(part for part in self.parts if isinstance(part, str))


# Octets as they stand, a name to be filled in, or base64 of such.
Part = bytes | str | Base64


@dataclass(frozen=True, slots=True)
class Template:
    """Octets with places to fill in; `text` is how the file writes it."""

    text: str
    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return self.text

    @property
    def names(self) -> frozenset[str]:
        """Every name that has to be filled in."""
        found: set[str] = set()
        for part in self.parts:
            if isinstance(part, str):
                found.add(part)
            elif isinstance(part, Base64):
                found |= part.names
        return frozenset(found)


_BRACES = re.compile(r"\{([a-z0-9]+(?:-[a-z0-9]+)*)\}|\{b64:|\{\{|\}\}|[{}]")


def template(text: str, encoding: str = "utf-8") -> Template:
    """Read `{name}`, `{b64:…}`, `{{` and `}}`; ValueError says what is wrong."""
    if "{" not in text and "}" not in text:
        return Template(text, (encoded(text, encoding),) if text else ())
    outer: list[Part] = []
    inner: list[bytes | str] | None = None  # inside of {b64:…}
    at = 0
    while found := _BRACES.search(text, at):
        parts: list[Any] = outer if inner is None else inner
        sign, literal = found[0], text[at : found.start()]
        at = found.end()
        if sign in ("{{", "}}") and not (sign == "}}" and inner is not None):
            _add(parts, encoded(literal + sign[0], encoding))
            continue
        _add(parts, encoded(literal, encoding))
        if found[1] is not None:
            parts.append(found[1])
        elif sign == "{b64:" and inner is None:
            inner = []
        elif sign[0] == "}" and inner is not None:
            outer.append(Base64(tuple(inner)))
            inner, at = None, found.start() + 1
        else:
            raise ValueError(f"a lone {sign!r}: write {{name}}, or {sign[0] * 2!r} for a brace")
    if inner is not None:
        raise ValueError("'{b64:' has no end: write '}' behind it")
    _add(outer, encoded(text[at:], encoding))
    return Template(text, tuple(outer))


def _add(parts: list[Any], literal: bytes) -> None:
    if literal and parts and isinstance(parts[-1], bytes):
        parts[-1] += literal
    elif literal:
        parts.append(literal)


def encoded(text: str, encoding: str) -> bytes:
    """The octets of a text; ValueError names the first character that has none."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        wrong = text[error.start]
        raise ValueError(
            f"the character U+{ord(wrong):04X} is no octet: write octets as \\xNN"
        ) from None


def fill(filled: Template | Base64, values: Mapping[str, bytes]) -> bytes:
    """The octets with every name replaced; KeyError names one that has no value."""
    return b"".join([_filled(part, values) for part in filled.parts])


def _filled(part: Part, values: Mapping[str, bytes]) -> bytes:
    if isinstance(part, bytes):
        return part
    if isinstance(part, str):
        return values[part]
    return base64.b64encode(fill(part, values))


def match_text(
    pattern: Template, text: bytes, values: Mapping[str, bytes], save: Collection[str]
) -> dict[str, bytes] | None:
    """What the names in `save` captured, None if the text does not match.

    A name to be saved captures a run of non-blank octets; every other one stands
    for its value.
    """
    groups: dict[str, int] = {}
    expression = b""
    for part in pattern.parts:
        if isinstance(part, str) and part in save:
            if part in groups:
                expression += b"(?:\\%d)" % groups[part]
            else:
                groups[part] = len(groups) + 1
                expression += b"([^ ]+)"
        else:
            expression += re.escape(_filled(part, values))
    found = re.fullmatch(expression, text, re.DOTALL)
    if found is None:
        return None
    return {name: found[group] for name, group in groups.items()}
