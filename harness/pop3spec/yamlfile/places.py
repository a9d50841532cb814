"""Places in a text that was read before, found again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from yaml.events import MappingEndEvent, MappingStartEvent, SequenceEndEvent, SequenceStartEvent

from pop3spec.yamlfile.problems import Location
from pop3spec.yamlfile.source import Source


def locate(text: str, file: str, path: Sequence[str | int]) -> Location:
    """The place of a node in a text that was read before, by keys and indices.

    Where the path leads nowhere, the last node on it. Values carry no places of
    their own: a mistake pays for the second look, not every load.
    """
    source = Source(text, file)
    source.next()
    source.next()
    event = source.next()
    for part in path:
        found = _child(source, event, part)
        if found is None:
            break
        event = found
    return source.error(event, "").where


def _child(source: Source, start: Any, part: str | int) -> Any:
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


def _skip(source: Source, start: Any) -> None:
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
    source = Source(text, file)
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
