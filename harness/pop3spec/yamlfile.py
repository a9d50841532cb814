"""YAML text -> frozen values and their JSON Schema; errors as file:line:column.

A dataclass is the grammar: the type of each field says how the node under its
key is read, and the key is described once, in the field's metadata. Every scalar
is text until then, so `NO` and `010` mean themselves. What the values mean
together is for the caller to say.

Only the event stream of the parser is used. What is read is exactly as deep as
the type that asks for it, so no input can nest too far.
"""

import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

T = TypeVar("T")

LOADER: Any = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader


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


@dataclass(frozen=True, eq=False)
class ReadAs:
    """How the text of a scalar becomes a value; stands in `Annotated`.

    `read` raises ValueError with what is wrong and the mend. `words` complete
    'takes …'.
    """

    read: Callable[[str], Any]
    words: str
    schema: Mapping[str, Any]


def key(description: str) -> Mapping[str, str]:
    """The metadata of a field that is a key: what the schema says of it."""
    return {"description": description}


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


# --- Scalars ---------------------------------------------------------------

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|min)")
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0}
_TRUTH = {"yes": True, "true": True, "no": False, "false": False}


def _whole_number(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is no whole number")
    return int(text)


def _decimal_number(text: str) -> float:
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is no number")
    return float(text)


def _truth(text: str) -> bool:
    if text not in _TRUTH:
        raise ValueError(f"{quoted(text)} is neither 'yes' nor 'no'")
    return _TRUTH[text]


def _duration(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{quoted(text)} is no duration: write it like 300ms, 2s or 10min")
    return float(found[1]) * _UNITS[found[2]]


# An editor takes 010 or true for a number or a truth value; here they are text.
_ANY_SCALAR: Mapping[str, Any] = {"type": ["string", "number", "boolean"]}


def matching(pattern: str, words: str) -> ReadAs:
    """Text that has to match a regular expression as a whole."""
    matches = re.compile(pattern).fullmatch

    def read(text: str) -> str:
        if matches(text) is None:
            raise ValueError(f"{quoted(text)} is not {words}")
        return text

    return ReadAs(read, words, {**_ANY_SCALAR, "pattern": f"^(?:{pattern})$"})


def one_of(choices: Mapping[str, Any]) -> ReadAs:
    """One of these words, read as what it stands for."""

    def read(text: str) -> Any:
        if text not in choices:
            raise ValueError(f"unknown value {quoted(text)}{did_you_mean(text, choices)}")
        return choices[text]

    return ReadAs(read, f"one of {', '.join(choices)}", {"enum": list(choices)})


Duration = Annotated[
    float,
    ReadAs(
        _duration,
        "a duration such as 300ms, 2s or 10min",
        {"type": "string", "pattern": f"^{_DURATION.pattern}$"},
    ),
]

_SCALARS: Mapping[type, ReadAs] = {
    str: ReadAs(str, "a text", _ANY_SCALAR),
    int: ReadAs(
        _whole_number,
        "a whole number",
        {"type": ["integer", "string"], "pattern": f"^{_WHOLE.pattern}$"},
    ),
    float: ReadAs(
        _decimal_number,
        "a number",
        {"type": ["number", "string"], "pattern": f"^{_DECIMAL.pattern}$"},
    ),
    bool: ReadAs(_truth, "'yes' or 'no'", {"enum": [True, False, *_TRUTH]}),
}


# --- Types -----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Struct:
    """A mapping whose keys are the fields of a dataclass."""

    build: type
    noun: str
    keys: Mapping[str, "tuple[str, _Shape, str]"]  # key -> field, shape, description
    required: frozenset[str]
    where: str  # the field that takes the Location, '' if there is none


@dataclass(frozen=True, eq=False)
class _Shape:
    """What may stand at a place: at most one of each kind of node."""

    scalar: ReadAs | None = None
    item: "_Shape | None" = None  # of a list
    entry: "_Shape | None" = None  # of a mapping with free keys
    struct: _Struct | None = None

    @property
    def words(self) -> str:
        kinds = [self.scalar.words] if self.scalar else []
        kinds += ["a list"] if self.item else []
        kinds += ["a mapping"] if self.entry or self.struct else []
        return " or ".join(kinds)


@cache
def _struct(cls: type) -> _Struct:
    hints = typing.get_type_hints(cls, include_extras=True)
    keys: dict[str, tuple[str, _Shape, str]] = {}
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
    return _Struct(cls, noun, keys, frozenset(required), where)


def _shape(hint: Any) -> _Shape:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        for note in arguments[1:]:
            if isinstance(note, ReadAs):
                return _Shape(scalar=note)
        return _shape(arguments[0])
    if origin in (types.UnionType, typing.Union):
        return _union([_shape(part) for part in arguments if part is not types.NoneType])
    if origin is tuple and arguments[1:] == (...,):
        return _Shape(item=_shape(arguments[0]))
    if origin in (dict, Mapping) and arguments[0] is str:
        return _Shape(entry=_shape(arguments[1]))
    if isinstance(hint, type) and hint in _SCALARS:
        return _Shape(scalar=_SCALARS[hint])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _Shape(scalar=one_of({str(member.value): member for member in hint}))
    if isinstance(hint, type) and is_dataclass(hint):
        return _Shape(struct=_struct(hint))
    raise TypeError(f"no reader for {hint!r}")


def _union(shapes: Sequence[_Shape]) -> _Shape:
    parts: dict[str, Any] = {}
    for shape in shapes:
        for name in ("scalar", "item", "entry", "struct"):
            part = getattr(shape, name)
            if part is not None and parts.setdefault(name, part) is not part:
                raise TypeError(f"two types for one kind of node: {name}")
    return _Shape(**parts)


# --- Reading ---------------------------------------------------------------


class _Source:
    """The events of one file, and the places in it."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.events: Iterator[Event] = _events(text)
        self.next: Callable[[], Any] = self.events.__next__

    def error(self, event: Any, problem: str) -> YamlError:
        mark = event.start_mark
        return YamlError(Location(self.file, mark.line + 1, mark.column + 1), problem)


def _events(text: str) -> Iterator[Event]:
    if LOADER is not yaml.BaseLoader:
        return yaml.parse(text, Loader=LOADER)
    return _pure_events(text)


def _pure_events(text: str) -> Iterator[Event]:
    """The events of the pure parser, with the refusals that libyaml makes by itself."""
    last: Any = None
    try:
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            last = event.start_mark
            if event.__class__ is ScalarEvent:
                event.value.encode()
            yield event
    except (ValueError, OverflowError):
        problem = "found invalid Unicode character escape code"
        raise yaml.MarkedYAMLError(None, None, problem, last) from None


def _read(source: _Source, shape: _Shape, event: Any, under: str) -> Any:
    """The value of the node that begins with this event; `under` is its key."""
    if event.anchor is not None or event.tag is not None:
        raise _sign(source, event)
    kind = event.__class__
    if kind is ScalarEvent:
        scalar = shape.scalar
        if scalar is not None:
            text = event.value
            if not text and not event.style:
                raise _wrong_kind(source, shape, event, under)
            try:
                return scalar.read(text)
            except ValueError as error:
                raise source.error(event, f"{under}: {error}") from None
    elif kind is SequenceStartEvent:
        if shape.item is not None:
            return _read_list(source, shape.item, under)
    elif shape.struct is not None:
        return _read_struct(source, shape.struct, event)
    elif shape.entry is not None:
        return _read_entries(source, shape.entry, under)
    raise _wrong_kind(source, shape, event, under)


def _sign(source: _Source, event: Any) -> YamlError:
    if event.__class__ is AliasEvent:
        return source.error(event, f"alias '*{event.anchor}': write the value, or quote the '*'")
    if event.anchor is not None:
        return source.error(event, f"anchor '&{event.anchor}': leave it out, or quote the text")
    return source.error(event, f"tag {quoted(event.tag)}: leave it out, or quote the text")


_FOUND = {ScalarEvent: "a text", SequenceStartEvent: "a list", MappingStartEvent: "a mapping"}


def _wrong_kind(source: _Source, shape: _Shape, event: Any, under: str) -> YamlError:
    is_scalar = event.__class__ is ScalarEvent
    if is_scalar and not event.value and not event.style:
        problem = f"{under!r} has no value: write {shape.words}"
        return source.error(event, problem if under else "the file is empty")
    found = _FOUND[event.__class__]
    if not under:
        return source.error(event, f"the file has to be {shape.words}, not {found}")
    # The value itself is not quoted: it may be an account with its password.
    mend = ": put it in [ ]" if shape.item and is_scalar else ""
    return source.error(event, f"{under!r} takes {shape.words}, not {found}{mend}")


def _read_list(source: _Source, item: _Shape, under: str) -> tuple[Any, ...]:
    values = []
    event = source.next()
    while event.__class__ is not SequenceEndEvent:
        values.append(_read(source, item, event, under))
        event = source.next()
    return tuple(values)


def _key(source: _Source, event: Any, noun: str) -> str:
    if event.__class__ is not ScalarEvent:
        raise source.error(event, f"a key of {noun} has to be a plain word")
    if event.anchor is not None or event.tag is not None:
        raise _sign(source, event)
    name: str = event.value
    return name


def _read_struct(source: _Source, struct: _Struct, start: Any) -> Any:
    values: dict[str, Any] = {}
    keys = struct.keys
    event = source.next()
    while event.__class__ is not MappingEndEvent:
        word = _key(source, event, struct.noun)
        row = keys.get(word)
        if row is None:
            # What follows a colon may be a password that lacks its blank.
            word = word.partition(":")[0]
            mend = did_you_mean(word, keys)
            raise source.error(event, f"unknown key {quoted(word)} in {struct.noun}{mend}")
        name, shape, _ = row
        if name in values:
            problem = f"duplicate key {word!r} in {struct.noun}: keep one of them"
            raise source.error(event, problem)
        values[name] = _read(source, shape, source.next(), word)
        event = source.next()
    if not struct.required <= values.keys():
        raise source.error(start, _missing(struct, values))
    if struct.where:
        mark = start.start_mark
        values[struct.where] = Location(source.file, mark.line + 1, mark.column + 1)
    try:
        return struct.build(**values)
    except ValueError as error:
        raise source.error(start, str(error)) from None


def _missing(struct: _Struct, values: Collection[str]) -> str:
    for word, (name, _, description) in struct.keys.items():
        if name in struct.required and name not in values:
            return f"{struct.noun} needs the key {word!r}: {description}".rstrip(": ")
    raise AssertionError("nothing is missing")


def _read_entries(source: _Source, entry: _Shape, under: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    event = source.next()
    while event.__class__ is not MappingEndEvent:
        word = _key(source, event, repr(under))
        if word in values:
            problem = f"duplicate key {quoted(word)} under {under!r}: keep one of them"
            raise source.error(event, problem)
        values[word] = _read(source, entry, source.next(), word)
        event = source.next()
    return values


def load(path: Path, cls: type[T]) -> T:
    """The value that a file holds."""
    return load_text(read_text(path, str(path)), str(path), cls)


def read_text(path: Path, file: str) -> str:
    """The text of a file; `file` is how messages name it."""
    try:
        return decoded(path.read_bytes(), file)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise YamlError(Location(file, 1, 1), problem) from None


def decoded(octets: bytes, file: str) -> str:
    """The octets of a file as text, UTF-8 with or without a byte order mark."""
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = octets[: error.start].decode("utf-8", "replace")
        problem = f"octet 0x{octets[error.start]:02x} is not UTF-8: save the file as UTF-8"
        raise YamlError(_end_of(before, file), problem) from None


def load_text(text: str, file: str, cls: type[T]) -> T:
    """The value that a text holds; `file` is how messages name it."""
    at = text.find("\t")
    if at >= 0:
        problem = 'a tab: indent with blanks; inside a value write "\\t" in double quotes'
        raise YamlError(_end_of(text[:at], file), problem)
    wanted: Any = cls
    shape = _Shape(struct=_struct(wanted))
    try:
        source = _Source(text, file)
        source.next()
        if source.next().__class__ is StreamEndEvent:
            raise YamlError(Location(file, 1, 1), "the file is empty")
        value: T = _read(source, shape, source.next(), "")
        source.next()
        event = source.next()
        if event.__class__ is not StreamEndEvent:
            raise source.error(event, "a second document: keep one in each file, without '---'")
    except (yaml.YAMLError, UnicodeError) as error:
        raise _syntax_error(error, text, file) from None
    return value


# --- What the parser refuses -------------------------------------------------

_UNPRINTABLE = re.compile(
    "[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)

# Words of libyaml and of the pure parser -> ours.
_SYNTAX: Mapping[str, str] = {
    "mapping values are not allowed": (
        "a colon and a blank inside a plain text, or a line indented too far: "
        "quote the text, or mend the indentation"
    ),
    "cannot start any token": "this character cannot begin a plain text: quote the text",
    "could not find expected ':'": "no 'key: value' here: add the colon, or quote the text",
    "did not find expected key": "neither a key nor an item fits here: mend the indentation",
    "expected <block end>": "neither a key nor an item fits here: mend the indentation",
    "did not find expected '-' indicator": "an item of a list has to begin with '- ' here",
    "block sequence entries are not allowed": "a list begins on a line of its own, with '- '",
    "expected ',' or": "a list or mapping on one line goes on with ',' or ends here",
    "unexpected end of stream": "the quoted text that began before does not end: add the quote",
    "expected alphabetic or numeric": "'*', '&' and '!' are signs of YAML: quote the text",
    "invalid Unicode character": "this escape names no character: mend its digits",
    "incompatible YAML document": "this version of YAML is not known: leave the '%YAML' line out",
    "unknown escape character": "unknown escape in double quotes: write \\\\ for a backslash",
}


def _syntax_error(error: Exception, text: str, file: str) -> YamlError:
    """What the parser refuses, at its place and in plain words."""
    bad = _UNPRINTABLE.search(text)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file, 1, 1)
        said = error.problem or error.context or "not YAML"
        for words, ours in _SYNTAX.items():
            if words in said:
                return YamlError(where, ours)
        return YamlError(where, f"not YAML, {said}: look at indentation and quotes")
    if bad is not None:
        problem = f"character U+{ord(bad[0]):04X}: write it as an escape in double quotes"
        return YamlError(_end_of(text[: bad.start()], file), problem)
    return YamlError(Location(file, 1, 1), "not readable as text: leave out tags and escapes")


def _end_of(before: str, file: str) -> Location:
    lines = before.split("\n")
    return Location(file, len(lines), len(lines[-1]) + 1)


# --- Places, found again ------------------------------------------------------


def locate(text: str, file: str, path: Sequence[str | int]) -> Location:
    """The place of a node in a text that was read before, by keys and indices.

    Where the path leads nowhere, the last node on it. Values carry no places of
    their own: a mistake pays for the second look, not every load.
    """
    source = _Source(text, file)
    source.next()
    source.next()
    event = source.next()
    for part in path:
        found = _child(source, event, part)
        if found is None:
            break
        event = found
    return source.error(event, "").where


def _child(source: _Source, start: Any, part: str | int) -> Any:
    if start.__class__ is MappingStartEvent:
        event = source.next()
        while event.__class__ is not MappingEndEvent:
            value = source.next()
            if event.value == part:
                return value
            _skip(source, value)
            event = source.next()
    elif start.__class__ is SequenceStartEvent and isinstance(part, int):
        event = source.next()
        while event.__class__ is not SequenceEndEvent:
            if part == 0:
                return event
            part -= 1
            _skip(source, event)
            event = source.next()
    return None


def _skip(source: _Source, start: Any) -> None:
    depth, event = 0, start
    while True:
        if event.__class__ in (MappingStartEvent, SequenceStartEvent):
            depth += 1
        elif event.__class__ in (MappingEndEvent, SequenceEndEvent):
            depth -= 1
        if depth == 0:
            return
        event = source.next()


@dataclass(frozen=True)
class Extent:
    """Where a list stands: where an item more goes, after what was found there.

    `end` is the place in the text behind the last item, or behind the bracket of an empty
    list. `indent` is the column of the items.
    """

    end: int
    indent: int
    is_flow: bool
    is_empty: bool


def list_extent(text: str, file: str, word: str) -> Extent | None:
    """The extent of the list under a key of the whole file, None where the key is missing.

    The text was read before; a byte order mark is no part of it.
    """
    source = _Source(text, file)
    source.next()
    source.next()
    found = _child(source, source.next(), word)
    if found is None:
        return None
    depth, last, event = 0, found, found
    while True:
        if event.__class__ in (MappingStartEvent, SequenceStartEvent):
            depth += 1
        elif event.__class__ in (MappingEndEvent, SequenceEndEvent):
            depth -= 1
        if depth == 0:
            break
        # The end of a block has no extent of its own, but stands where the next thing begins.
        if event.end_mark.index > event.start_mark.index:
            last = event
        event = source.next()
    end = (found if last is found else last).end_mark.index
    return Extent(end, found.start_mark.column, bool(found.flow_style), last is found)


# --- Schema --------------------------------------------------------------------


def json_schema(cls: type) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `load` accepts for a type."""
    definitions: dict[str, Any] = {}
    root = _struct_schema(_struct(cls), definitions)
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return draft | root | ({"$defs": definitions} if definitions else {})


def _struct_schema(struct: _Struct, definitions: dict[str, Any]) -> dict[str, Any]:
    properties = {}
    for word, (_, shape, description) in struct.keys.items():
        words = {"description": description} if description else {}
        properties[word] = words | _schema(shape, definitions)
    required = [word for word, (name, _, _) in struct.keys.items() if name in struct.required]
    return {
        "description": (struct.build.__doc__ or "").split("\n", 1)[0],
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _schema(shape: _Shape, definitions: dict[str, Any]) -> dict[str, Any]:
    choices: list[dict[str, Any]] = []
    if shape.scalar is not None:
        choices.append(dict(shape.scalar.schema))
    if shape.item is not None:
        choices.append({"type": "array", "items": _schema(shape.item, definitions)})
    if shape.entry is not None:
        entry = _schema(shape.entry, definitions)
        choices.append({"type": "object", "additionalProperties": entry})
    if shape.struct is not None:
        name = shape.struct.noun.rpartition(" ")[2]
        if name not in definitions:
            definitions[name] = _struct_schema(shape.struct, definitions)
        choices.append({"$ref": f"#/$defs/{name}"})
    return choices[0] if len(choices) == 1 else {"anyOf": choices}
