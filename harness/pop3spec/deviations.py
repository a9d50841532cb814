"""Known deviations and what there is: do their rules and scenarios exist.

Reads our own scenarios and the text of our suites. Which findings are on record is in
`report.known`.
"""

import ast
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from pop3spec.collected import ScenarioFiles, home
from pop3spec.rulebook.rules import rulebook
from pop3spec.target import KnownDeviation, TargetError
from pop3spec.yamlfile import did_you_mean, quoted


def check_records(records: Iterable[KnownDeviation], others: Collection[str] = ()) -> None:
    """TargetError for a record of a rule or a scenario that does not exist, with its line.

    `others` are the ids of the scenarios of a user's own that this run reads.
    """
    for record in records:
        if record.rule not in rulebook():
            mend = did_you_mean(record.rule, rulebook().keys()) or (
                "; `pop3spec rules` lists all: mend the id, or remove the record"
            )
            raise TargetError(f"{record.where}: unknown rule {quoted(record.rule)}{mend}")
        if record.scenario is not None and (problem := _problem(record.scenario, others)):
            raise TargetError(f"{record.where}: {problem}")


def _problem(scenario: str, others: Collection[str]) -> str:
    """What is wrong with the id of a scenario, '' where nothing is, or where nobody can tell."""
    name = without_variant(scenario)
    file, colons, rest = name.partition("::")
    if not colons:
        return (
            f"{quoted(scenario)} is not the id of a scenario;"
            " write it as results.json does, such as 'rfc1939/retr::dots'"
        )
    if name in others:
        return ""
    if file == "run":
        is_there = rest == "introduction" or rest in rulebook()
        return "" if is_there else f"there is no {quoted(scenario)}; remove the record"
    there = ids_in(file)
    if name in there or (not there and not _is_in_our_folder(file)):
        return ""
    mend = did_you_mean(name, there) if there else ""
    return (
        f"there is no scenario {quoted(scenario)} (any more){mend};"
        " mend the id, or remove the record"
    )


def without_variant(id: str) -> str:
    """The id of a scenario or test without its transport and parameters: 'ID' of 'ID[stls]'."""
    return id.partition("[")[0]


def ids_in(file: str) -> frozenset[str]:
    """The ids in a file of ours, by the part of them before '::'; none where it is not ours."""
    path = Path(file)
    if path.is_absolute() or ".." in path.parts:
        return frozenset()
    if path.suffix == ".py":
        return frozenset(_tests(home() / path, file)) if path.parts[0] == "suites" else frozenset()
    return frozenset(_scenarios(home() / "scenarios" / f"{file}.yaml"))


def _is_in_our_folder(file: str) -> bool:
    folder, slash, _ = file.partition("/")
    return bool(slash) and (folder == "suites" or (home() / "scenarios" / folder).is_dir())


def _scenarios(path: Path) -> Iterator[str]:
    if path.is_file():
        files = ScenarioFiles(())
        yield from (files.name(path, scenario) for scenario in files.read(path).scenarios)


def _tests(path: Path, file: str) -> Iterator[str]:
    """The tests of a suite, without importing it."""
    if path.is_file():
        tree = ast.parse(path.read_text("utf-8"))
        yield from (f"{file}::{name}" for name in _functions(tree))


def _functions(tree: ast.AST, before: str = "") -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield f"{before}{node.name}"
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{before}{node.name}::")
