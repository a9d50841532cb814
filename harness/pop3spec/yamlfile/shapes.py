"""What may stand at each place of a file, by the types of a dataclass."""

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any

from pop3spec.yamlfile.problems import Location
from pop3spec.yamlfile.scalars import SCALARS, ReadAs, one_of


def key(description: str) -> Mapping[str, str]:
    """The metadata of a field that is a key: what the schema says of it."""
    return {"description": description}


@dataclass(frozen=True, eq=False)
class Struct:
    """A mapping whose keys are the fields of a dataclass."""

    build: type
    noun: str
    keys: Mapping[str, "tuple[str, Shape, str]"]  # key -> field, shape, description
    required: frozenset[str]
    where: str  # the field that takes the Location, '' if there is none


@dataclass(frozen=True, eq=False)
class Shape:
    """What may stand at a place: at most one of each kind of node."""

    scalar: ReadAs | None = None
    item: "Shape | None" = None  # of a list
    entry: "Shape | None" = None  # of a mapping with free keys
    struct: Struct | None = None

    @property
    def words(self) -> str:
        """What may stand there, behind 'takes'."""
        kinds = [self.scalar.words] if self.scalar else []
        kinds += ["a list"] if self.item else []
        kinds += ["a mapping"] if self.entry or self.struct else []
        return " or ".join(kinds)


@cache
def struct_of(cls: type) -> Struct:
    """The mapping that a dataclass is written as; TypeError where a field has no reader."""
    hints = typing.get_type_hints(cls, include_extras=True)
    keys: dict[str, tuple[str, Shape, str]] = {}
    required, where = set(), ""
    noun = getattr(cls, "noun", f"a {cls.__name__.lower()}")
    for field in fields(cls):
        if hints[field.name] is Location:
            where = field.name
            continue
        written = field.name.replace("_", "-")
        description = field.metadata.get("description", "")
        keys[written] = (field.name, _shape(hints[field.name]), description)
        if field.default is MISSING and field.default_factory is MISSING:
            required.add(field.name)
    return Struct(cls, noun, keys, frozenset(required), where)


def _shape(hint: Any) -> Shape:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        for note in arguments[1:]:
            if isinstance(note, ReadAs):
                return Shape(scalar=note)
        return _shape(arguments[0])
    if origin in (types.UnionType, typing.Union):
        return _union([_shape(part) for part in arguments if part is not types.NoneType])
    if origin is tuple and arguments[1:] == (...,):
        return Shape(item=_shape(arguments[0]))
    if origin in (dict, Mapping) and arguments[0] is str:
        return Shape(entry=_shape(arguments[1]))
    if isinstance(hint, type) and hint in SCALARS:
        return Shape(scalar=SCALARS[hint])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Shape(scalar=one_of({str(member.value): member for member in hint}))
    if isinstance(hint, type) and is_dataclass(hint):
        return Shape(struct=struct_of(hint))
    raise TypeError(f"no reader for {hint!r}")


def _union(shapes: Sequence[Shape]) -> Shape:
    parts: dict[str, Any] = {}
    for shape in shapes:
        for name in ("scalar", "item", "entry", "struct"):
            part = getattr(shape, name)
            if part is not None and parts.setdefault(name, part) is not part:
                raise TypeError(f"two types for one kind of node: {name}")
    return Shape(**parts)
