"""Known deviations and what there is: do their rules and scenarios exist, and what else.

Reads our own scenarios and the text of our suites. Which findings are on record is in
`report.known`.
"""

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
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
    return frozenset(id for id, _ in _scenarios(home() / "scenarios" / f"{file}.yaml"))


def _is_in_our_folder(file: str) -> bool:
    folder, slash, _ = file.partition("/")
    return bool(slash) and (folder == "suites" or (home() / "scenarios" / folder).is_dir())


@cache
def catalogue() -> Mapping[str, frozenset[str]]:
    """Our scenarios and tests by id, without variants, with the rules that they are about."""
    root = home()
    scenarios = [
        pair for path in sorted((root / "scenarios").rglob("*.yaml")) for pair in _scenarios(path)
    ]
    tests = [
        pair
        for path in sorted((root / "suites").rglob("test_*.py"))
        for pair in _tests(path, path.relative_to(root).as_posix()).items()
    ]
    return dict((*scenarios, *tests))


def _scenarios(path: Path) -> Iterator[tuple[str, frozenset[str]]]:
    if path.is_file():
        files = ScenarioFiles(())
        for scenario in files.read(path).scenarios:
            yield files.name(path, scenario), frozenset(scenario.rules)


def _tests(path: Path, file: str) -> Mapping[str, frozenset[str]]:
    """The tests of a suite with the texts of their marks, without importing it."""
    if not path.is_file():
        return {}
    tree = ast.parse(path.read_text("utf-8"))
    constants = {
        target.id: _texts(node.value, {})
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    shared = constants.get("pytestmark", frozenset())
    return {
        f"{file}::{name}": shared.union(*(_texts(mark, constants) for mark in marks))
        for name, marks in _functions(tree)
    }


def _functions(tree: ast.AST, before: str = "") -> Iterator[tuple[str, list[ast.expr]]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield f"{before}{node.name}", node.decorator_list
        elif isinstance(node, ast.ClassDef):
            for name, marks in _functions(node, f"{before}{node.name}::"):
                yield name, [*node.decorator_list, *marks]


def _texts(node: ast.expr, constants: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            found.add(each.value)
        elif isinstance(each, ast.Name):
            found |= constants.get(each.id, frozenset())
    return frozenset(found)
