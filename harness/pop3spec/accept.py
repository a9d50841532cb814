"""What fails today becomes known deviations in a target profile.

The profile is a person's: records are put into its text, and nothing else of it changes.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from pop3spec.report.files import replace_file
from pop3spec.report.known import concerns, valid
from pop3spec.report.results import Results
from pop3spec.report.rows import FindingRow, ScenarioRow, ordered
from pop3spec.report.text import one_line
from pop3spec.rulebook.rules import Level, Rule
from pop3spec.target import KnownDeviation, Profile, TargetError
from pop3spec.verdict import Verdict, breach
from pop3spec.yamlfile import YamlError, decoded, list_extent, load_text

KEY = "known-deviations"

# More scenarios than this with one broken rule, and nobody reads a record for each.
_MANY = 10
_LONG = 200
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:-]*[A-Za-z0-9]")
_NEW_FILE = "# Known deviations of a target; docs/profiles.md tells what else a profile says.\n"


@dataclass(frozen=True)
class Accepted:
    """The new records, and a sentence for each failure that no record can be for."""

    records: tuple[KnownDeviation, ...]
    left: tuple[str, ...]


def to_accept(
    results: Results,
    records: Iterable[KnownDeviation],
    rules: Mapping[str, Rule],
    level: Level,
    today: date,
) -> Accepted:
    """The records that are missing for the next run at this level to end well."""
    rows = ordered(results.scenarios)
    broken: dict[str, list[tuple[ScenarioRow, FindingRow]]] = {}
    for row in rows:
        for found in row.findings if row.verdict in (Verdict.FAIL, Verdict.WARN) else ():
            of_rule = broken.setdefault(found.rule, [])
            if not of_rule or of_rule[-1][0] is not row:
                of_rule.append((row, found))
    here = valid(records, today)
    chosen: list[KnownDeviation] = []
    for id, breaches in broken.items():
        if id not in rules or not _fails(rules[id], level):
            continue
        listed = [record for record in here if record.rule == id]
        new = [each for each in breaches if not any(concerns(record, each[0]) for record in listed)]
        if new:
            exercisers = [row.id for row in rows if id in row.exercised]
            chosen += _records(id, new, breaches, exercisers, results.started.date())
    return Accepted(tuple(chosen), tuple(_left(rows, broken, rules)))


def _fails(rule: Rule, level: Level) -> bool:
    verdict = breach(rule.id, rule.level)
    if verdict is Verdict.WARN:
        return level is Level.SHOULD and not rule.is_practice
    return verdict is Verdict.FAIL


def _records(
    rule: str,
    new: Sequence[tuple[ScenarioRow, FindingRow]],
    breaches: Sequence[tuple[ScenarioRow, FindingRow]],
    exercisers: Sequence[str],
    seen: date,
) -> Iterator[KnownDeviation]:
    """One record where the rule is broken wherever it is exercised, or very often; else several."""
    failing = {row.id for row, _ in breaches}
    exercised = failing.union(exercisers)
    by_name: dict[str, list[tuple[ScenarioRow, FindingRow]]] = {}
    for row, found in new:
        name = row.id.partition("[")[0]
        variants = {id for id in exercised if id.partition("[")[0] == name}
        by_name.setdefault(name if variants <= failing else row.id, []).append((row, found))
    if failing == exercised or len(by_name) > _MANY:
        row, found = new[0]
        often = f"in {len(failing)} of the {len(exercised)} scenarios that touch it, as in "
        where = f"{often}{row.id}, " if len(exercised) > 1 else f"in {row.id}, "
        yield KnownDeviation(rule, _why(seen, found, where))
        return
    for name, alike in by_name.items():
        yield KnownDeviation(rule, _why(seen, alike[0][1], ""), name)


def _why(seen: date, found: FindingRow, where: str) -> str:
    command = f"{found.command}: " if found.command else ""
    expected = f"expected {found.expected}, " if found.expected else ""
    text = f"write the reason here; seen on {seen}: {where}{command}{expected}got {found.got}"
    return one_line(text, _LONG)


def _left(
    rows: Iterable[ScenarioRow], broken: Iterable[str], rules: Mapping[str, Rule]
) -> Iterator[str]:
    for id in broken:
        if id not in rules:
            yield one_line(f"{id} is a rule of another version: run the suite again")
    for row in rows:
        if row.verdict is Verdict.ERROR:
            yield one_line(f"{row.id}: pop3spec itself failed; no record is for that")
        elif row.verdict is Verdict.FAIL and not row.findings:
            yield one_line(f"{row.id}: the results do not say which rule it broke: run it again")


# --- The profile ---


def write_records(path: Path, records: Sequence[KnownDeviation]) -> None:
    """Put records into a profile, which is made where there is none; TargetError."""
    if not path.resolve().parent.is_dir():
        raise TargetError(f"{path}: there is no such directory; make it, or name another one")
    octets = path.read_bytes() if path.exists() else _NEW_FILE.encode()
    mark = "\ufeff" if octets.startswith(b"\xef\xbb\xbf") else ""
    try:
        text = decoded(octets, str(path))
    except YamlError as error:
        raise TargetError(str(error)) from error
    extended = with_records(text, records, str(path), is_new=not path.exists())
    try:
        replace_file(path.resolve(), (mark + extended).encode())
    except OSError as error:
        raise TargetError(f"{path}: cannot be written: {error.strerror or error}") from error


def with_records(
    text: str, records: Sequence[KnownDeviation], file: str, *, is_new: bool = False
) -> str:
    """The text of a profile with records more; what it held stays as it was. TargetError."""
    if not records:
        return text
    try:
        before = Profile() if is_new else load_text(text, file, Profile)
    except YamlError as error:
        raise TargetError(str(error)) from error
    wanted = replace(before, known_deviations=(*before.known_deviations, *records))
    extended = _extended(text, records, file, is_new=is_new)
    try:
        is_as_wanted = load_text(extended, file, Profile) == wanted
    except YamlError:
        is_as_wanted = False
    if not is_as_wanted:
        raise TargetError(
            f"{file}: records cannot be put into this form of YAML; write '{KEY}:' at the end, "
            "its items each on lines of their own"
        )
    return extended


def _extended(text: str, records: Sequence[KnownDeviation], file: str, *, is_new: bool) -> str:
    line_end = "\r\n" if "\r\n" in text else "\n"
    extent = None if is_new else list_extent(text, file, KEY)
    if extent is None:
        lines = [f"{KEY}:", *_block(records, "  ")]
        return line_end.join((_ended(text, line_end) + lines[0], *lines[1:], ""))
    if extent.is_flow:
        items = ", ".join(map(_flow, records))
        return f"{text[: extent.end]}{'' if extent.is_empty else ', '}{items}{text[extent.end :]}"
    at = extent.end
    if not text[:at].endswith("\n"):
        found = text.find("\n", at)
        at = len(text) if found < 0 else found + 1
    lines = _block(records, " " * extent.indent)
    return line_end.join((_ended(text[:at], line_end) + lines[0], *lines[1:], "")) + text[at:]


def _ended(text: str, line_end: str) -> str:
    return text if not text or text.endswith("\n") else text + line_end


def _block(records: Iterable[KnownDeviation], indent: str) -> list[str]:
    return [
        f"{indent}{'  ' if index else '- '}{key}: {value}"
        for record in records
        for index, (key, value) in enumerate(_pairs(record))
    ]


def _flow(record: KnownDeviation) -> str:
    return "{" + ", ".join(f"{key}: {_quoted(value)}" for key, value in _values(record)) + "}"


def _pairs(record: KnownDeviation) -> Iterator[tuple[str, str]]:
    for key, value in _values(record):
        is_plain = key != "why" and _PLAIN.fullmatch(value)
        yield key, value if is_plain else _quoted(value)


def _values(record: KnownDeviation) -> Iterator[tuple[str, str]]:
    yield "rule", record.rule
    if record.scenario:
        yield "scenario", record.scenario
    yield "why", record.why


def _quoted(value: str) -> str:
    """A text in double quotes; what JSON escapes YAML reads alike."""
    return json.dumps(value, ensure_ascii=False)
