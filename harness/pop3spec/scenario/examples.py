"""A scenario for each of its examples."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pop3spec.scenario.problem import Problem
from pop3spec.scenario.written import (
    BUILT_IN,
    WORD,
    WrittenAuthenticate,
    WrittenExpect,
    WrittenObserve,
    WrittenScenario,
    WrittenStep,
)
from pop3spec.yamlfile import quoted

SLUG = re.compile(WORD)


def with_examples(entry: WrittenScenario) -> list[WrittenScenario]:
    """One scenario for each example, its values put in."""
    if entry.examples is None:
        return [entry]
    _check_examples(entry.examples)
    return [_with_values(entry, example) for example in entry.examples]


def _check_examples(examples: Sequence[Mapping[str, str]]) -> None:
    if not examples:
        raise Problem("examples need at least one: add it, or leave the key out", "examples")
    ids: set[str] = set()
    for index, example in enumerate(examples):
        if "id" not in example:
            raise Problem("an example needs the key 'id'", "examples", index)
        slug = example["id"]
        if SLUG.fullmatch(slug) is None:
            problem = f"{quoted(slug)} is not lower-case words and digits with hyphens"
            raise Problem(problem, "examples", index, "id")
        if slug in ids:
            raise Problem(f"the example id {slug!r} is taken", "examples", index, "id")
        ids.add(slug)
        for name in example:
            if name in BUILT_IN or SLUG.fullmatch(name) is None:
                problem = f"no example value can be named {quoted(name)}: take another name"
                raise Problem(problem, "examples", index, name)
        if example.keys() != examples[0].keys():
            names = sorted(example.keys() ^ examples[0].keys())
            problem = f"examples have the same names: {', '.join(names)} is not in each"
            raise Problem(problem, "examples", index)


def _with_values(entry: WrittenScenario, example: Mapping[str, str]) -> WrittenScenario:
    # Nothing matches (?!), where there is no name but the id.
    names = "|".join(name for name in example if name != "id") or "(?!)"
    # Doubled braces are read first, so that {{name}} stays what it is.
    places = re.compile(rf"\{{\{{|\}}\}}|\{{({names})\}}")

    def put(text: str) -> str:
        return places.sub(lambda found: example[found[1]] if found[1] else found[0], text)

    return replace(
        entry,
        id=f"{entry.id}-{example['id']}",
        title=put(entry.title),
        rules=_put(entry.rules, put),
        maildrop=_put(entry.maildrop, put),
        steps=_put(entry.steps, put),
        requires=_put(entry.requires, put),
        note=put(entry.note),
    )


def _put(value: Any, put: Callable[[str], str]) -> Any:
    """The value with `put` applied to every text in it."""
    if isinstance(value, str):
        return put(value)
    if isinstance(value, tuple):
        return tuple(_put(item, put) for item in value)
    if isinstance(value, WrittenStep | WrittenExpect | WrittenObserve | WrittenAuthenticate):
        return replace(value, **{name: _put(part, put) for name, part in vars(value).items()})
    return value
