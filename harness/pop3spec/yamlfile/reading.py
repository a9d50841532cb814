"""Text -> frozen values, by the shape that stands for their type."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

import yaml
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from pop3spec.yamlfile.problems import Location, YamlError, did_you_mean, quoted
from pop3spec.yamlfile.refused import end_of, syntax_error
from pop3spec.yamlfile.shapes import Shape, Struct, struct_of
from pop3spec.yamlfile.source import Source

T = TypeVar("T")


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
        raise YamlError(end_of(before, file), problem) from None


def load_text(text: str, file: str, cls: type[T]) -> T:
    """The value that a text holds; `file` is how messages name it."""
    at = text.find("\t")
    if at >= 0:
        problem = 'a tab: indent with blanks; inside a value write "\\t" in double quotes'
        raise YamlError(end_of(text[:at], file), problem)
    wanted: Any = cls
    shape = Shape(struct=struct_of(wanted))
    try:
        source = Source(text, file)
        source.next()
        if source.next().__class__ is StreamEndEvent:
            raise YamlError(Location(file, 1, 1), "the file is empty")
        value: T = _read(source, shape, source.next(), "")
        source.next()
        event = source.next()
        if event.__class__ is not StreamEndEvent:
            raise source.error(event, "a second document: keep one in each file, without '---'")
    except (yaml.YAMLError, UnicodeError) as error:
        raise syntax_error(error, text, file) from None
    return value


def _read(source: Source, shape: Shape, event: Any, under: str) -> Any:
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


def _sign(source: Source, event: Any) -> YamlError:
    if event.__class__ is AliasEvent:
        return source.error(event, f"alias '*{event.anchor}': write the value, or quote the '*'")
    if event.anchor is not None:
        return source.error(event, f"anchor '&{event.anchor}': leave it out, or quote the text")
    return source.error(event, f"tag {quoted(event.tag)}: leave it out, or quote the text")


_FOUND = {ScalarEvent: "a text", SequenceStartEvent: "a list", MappingStartEvent: "a mapping"}


def _wrong_kind(source: Source, shape: Shape, event: Any, under: str) -> YamlError:
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


def _read_list(source: Source, item: Shape, under: str) -> tuple[Any, ...]:
    values = []
    event = source.next()
    while event.__class__ is not SequenceEndEvent:
        values.append(_read(source, item, event, under))
        event = source.next()
    return tuple(values)


def _key(source: Source, event: Any, noun: str) -> str:
    if event.__class__ is not ScalarEvent:
        raise source.error(event, f"a key of {noun} has to be a plain word")
    if event.anchor is not None or event.tag is not None:
        raise _sign(source, event)
    name: str = event.value
    return name


def _read_struct(source: Source, struct: Struct, start: Any) -> Any:
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


def _missing(struct: Struct, values: Collection[str]) -> str:
    for word, (name, _, description) in struct.keys.items():
        if name in struct.required and name not in values:
            return f"{struct.noun} needs the key {word!r}: {description}".rstrip(": ")
    raise AssertionError("nothing is missing")


def _read_entries(source: Source, entry: Shape, under: str) -> dict[str, Any]:
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
