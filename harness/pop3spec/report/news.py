"""What changed between two results, for a terminal and as Markdown.

What came from a server or a file is hostile. In Markdown it stands in code spans alone, where
neither HTML nor links nor mentions are read.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pop3spec.report.changes import Change, Changes, Direction, Kind
from pop3spec.report.markdown import table
from pop3spec.report.results import Results, utc_time
from pop3spec.report.text import one_line

_LONG = 300
# As many that only one of the results has are told one by one.
_MANY = 10
_RUN_OF_BACKTICKS = re.compile("`+")
_HEADS = {
    Direction.WORSE: "Worse",
    Direction.BETTER: "Better",
    Direction.OTHER: "Other changes",
}


def as_terminal(old: Results, new: Results, found: Changes, width: int) -> str:
    """The changes as lines of text."""
    lines = [
        one_line(f"{name}  {_where(results)}") for name, results in (("old", old), ("new", new))
    ]
    if found.differing:
        lines.append(one_line(f"weak comparison: they differ in {', '.join(found.differing)}"))
    for direction in Direction:
        if group := found.of(direction):
            lines += ["", f"{_HEADS[direction]} ({len(group)})"]
            lines += [f"  {line}" for change in gathered(group) for line in told(change, width - 2)]
    if not found.all:
        lines += ["", "Nothing changed."]
    return "\n".join(lines)


def told(change: Change, width: int) -> Iterator[str]:
    """A change in a line or two, for a terminal."""
    before, after = (one_line(text, _LONG) or "absent" for text in (change.before, change.after))
    yield one_line(f"{change.kind.value} {change.id}: {before} -> {after}")
    if change.note:
        yield f"  {one_line(change.note, max(width - 2, 20))}"


def gathered(group: Iterable[Change]) -> list[Change]:
    """The changes, those that only one of the results has as one where they are many."""
    of_kind: dict[tuple[Kind, bool, str], list[Change]] = {}
    shown: list[Change] = []
    for change in group:
        if change.direction is Direction.OTHER and not (change.before and change.after):
            of_kind.setdefault((change.kind, not change.before, change.note), []).append(change)
        else:
            shown.append(change)
    for alike in of_kind.values():
        if len(alike) <= _MANY:
            shown += alike
        else:
            first, names = alike[0], Counter(each.before or each.after for each in alike)
            counts = ", ".join(f"{count} {name}" for name, count in names.items())
            there = counts if first.kind in (Kind.SCENARIO, Kind.RULE) else "there"
            words = (there, "") if first.before else ("", there)
            name = f"{first.id} and {len(alike) - 1} more"
            shown.append(Change(first.kind, name, *words, note=first.note))
    return shown


def _where(results: Results) -> str:
    address = results.target.get("address", "")
    return f"{address}, {utc_time(results.started)}, pop3spec {results.version}"


def as_markdown(old: Results, new: Results, found: Changes) -> str:
    """The changes as tables of GitHub's and GitLab's Markdown."""
    lines = ["# What changed", ""]
    lines += table(
        ("", "target", "started", "pop3spec"),
        [
            (
                name,
                code(str(results.target.get("address", ""))),
                utc_time(results.started),
                code(results.version),
            )
            for name, results in (("old", old), ("new", new))
        ],
    )
    if found.differing:
        names = ", ".join(map(code, found.differing))
        lines += ["", f"The comparison is weak: the runs differ in {names}."]
    for direction in Direction:
        if group := found.of(direction):
            lines += ["", f"## {_HEADS[direction]} ({len(group)})", ""]
            lines += table(("what", "id", "before", "after", "note"), map(_cells, gathered(group)))
    if not found.all:
        lines += ["", "Nothing changed."]
    return "\n".join(lines)


def _cells(change: Change) -> Sequence[str]:
    texts = (change.id, change.before, change.after, change.note)
    return (change.kind.value, *map(code, texts))


def code(text: str) -> str:
    """A text as a code span that is safe in a cell of a table, '' for an empty one."""
    # How a bar is escaped in a cell depends on who reads it; written as an octet it is none.
    shown = one_line(text, _LONG).replace("|", "\\x7c")
    if not shown:
        return ""
    fence = "`" * (1 + max(map(len, _RUN_OF_BACKTICKS.findall(shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
