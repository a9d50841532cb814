"""The events that the parser finds in a text."""

from collections.abc import Callable, Iterator
from typing import Any

import yaml
from yaml.events import Event, ScalarEvent

from pop3spec.yamlfile.problems import Location, YamlError

LOADER: Any = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader


class Source:
    """The events of one file, and the places in it."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.events: Iterator[Event] = _events(text)
        self.next: Callable[[], Any] = self.events.__next__

    def error(self, event: Any, problem: str) -> YamlError:
        """A problem at the place where an event begins."""
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
