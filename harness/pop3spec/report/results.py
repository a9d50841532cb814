"""results.json: everything that a run found, for machines."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Self

from pop3spec.protocol.text import show
from pop3spec.report.files import replace_file
from pop3spec.report.rows import Data, RuleRow, ScenarioRow, ordered
from pop3spec.report.text import visible
from pop3spec.report.truth import Cell
from pop3spec.verdict import Verdict

SCHEMA = 1

_MASK = "***"

_TOO_FAR = (OverflowError, RecursionError)

_WITHOUT_TRANSCRIPT = (Verdict.PASS, Verdict.NOT_APPLICABLE)

# Greedy to the last '@': a password may hold one that nobody encoded.
_USERINFO = re.compile(r"(://[^:/@\s]*):\S*@")


class ResultsError(Exception):
    """A file of results that cannot be used; the message names it and the mend."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that a run found: what results.json says, as values.

    `target` is what was observed of it, `observations` are `{"id", "value"}`. Times are
    aware of their zone, `seconds` is the wall time of the run. `whole_files` are the files
    of which nothing was left out, `scenarios_digest` is of the scenarios and suites there were.
    """

    version: str
    rules_digest: str
    target: Mapping[str, Any]
    started: datetime
    seconds: float
    seed: int
    options: Mapping[str, Any]
    rules: tuple[RuleRow, ...]
    scenarios: tuple[ScenarioRow, ...]
    capabilities: tuple[Cell, ...] = ()
    observations: tuple[Mapping[str, Any], ...] = ()
    whole_files: frozenset[str] = frozenset()
    scenarios_digest: str = ""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_data` made, or an earlier version; KeyError, TypeError or ValueError."""
        return cls(
            version=data["suite"]["version"],
            rules_digest=data["suite"]["rules_digest"],
            target=data["target"],
            started=datetime.fromisoformat(data["started"]),
            seconds=data["seconds"],
            seed=data["seed"],
            options=data["options"],
            rules=tuple(map(RuleRow.from_data, data["rules"])),
            scenarios=tuple(map(ScenarioRow.from_data, data["scenarios"])),
            capabilities=tuple(map(Cell.from_data, data.get("capabilities", ()))),
            observations=tuple(data.get("observations", ())),
            whole_files=frozenset(data.get("whole_files", ())),
            scenarios_digest=data["suite"].get("scenarios_digest", ""),
        )

    def to_data(self) -> Data:
        """What results.json says: plain data, safe to print."""
        suite = {"version": self.version, "rules_digest": self.rules_digest}
        if self.scenarios_digest:
            suite["scenarios_digest"] = self.scenarios_digest
        document: Data = {
            "schema": SCHEMA,
            "suite": suite,
            "target": self.target,
            "started": utc_time(self.started),
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
            "options": without_secrets(self.options),
            "rules": [rule.to_data() for rule in self.rules],
            "scenarios": [_scenario(row) for row in ordered(self.scenarios)],
            "capabilities": [cell.to_data() for cell in self.capabilities],
            "observations": sorted(self.observations, key=lambda each: str(each["id"])),
        }
        if self.whole_files:
            document["whole_files"] = self.whole_files
        plain: Data = as_json(document)
        return plain


def read_results(path: Path) -> Results:
    """The results in a file, of this version or an earlier one; ResultsError."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ResultsError(
            f"{path}: no JSON in UTF-8 ({error}); name a results.json that a run has written"
        ) from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise ResultsError(f"{path}: no results; name a results.json that a run has written")
    if schema > SCHEMA:
        raise ResultsError(
            f"{path}: written by a later pop3spec (schema {schema}, here {SCHEMA}); use that one"
        )
    try:
        results = Results.from_data(data)
        _check(results)
        return results
    except (LookupError, TypeError, ValueError, AttributeError, *_TOO_FAR) as error:
        raise ResultsError(
            f"{path}: damaged ({type(error).__name__}: {error}); run the suite again"
        ) from error


def _check(results: Results) -> None:
    """TypeError where a value is of another kind than this module writes."""
    # What is made from results trusts the types, and the file may be anybody's.
    findings = [finding for row in results.scenarios for finding in row.findings]
    of_text = (
        ("suite", results.version, results.rules_digest, results.scenarios_digest),
        ("file", *results.whole_files),
        *(("rule", rule.id, rule.title, *rule.scenarios) for rule in results.rules),
        *(
            ("finding", each.rule, each.got, each.expected, each.where, each.command)
            for each in findings
        ),
        *(
            (
                *("scenario", row.id, row.title, row.file, row.known_why, row.detail),
                *(row.replay, row.topic, *row.rules, *row.exercised, *row.transcript),
            )
            for row in results.scenarios
        ),
        *(
            ("capability", cell.capability, cell.place, *cell.arguments)
            for cell in results.capabilities
        ),
    )
    for name, *texts in of_text:
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(f"in a {name} something else stands where a text has to")
    for rule in results.rules:
        numbers = (rule.rfc or 0, rule.exercised, rule.broken)
        if not all(isinstance(number, int) for number in numbers):
            raise TypeError("in a rule something else stands where a number has to")
        if rule.section is not None and not isinstance(rule.section, str):
            raise TypeError("the section of a rule is no text")
    if not all(isinstance(row.line, int) for row in results.scenarios):
        raise TypeError("the line of a scenario is no number")
    times = (results.seconds, *(row.seconds for row in results.scenarios))
    if not all(isinstance(each, int | float) and math.isfinite(each) for each in times):
        raise TypeError("seconds are no number")
    if not all(isinstance(each, Mapping) for each in (results.target, results.options)):
        raise TypeError("target or options are no object")
    if not all("id" in seen and "value" in seen for seen in results.observations):
        raise TypeError("an observation is without id or value")
    if any(rule.verdict is Verdict.ERROR for rule in results.rules):
        raise TypeError("a rule has a verdict that only scenarios have")
    # What reports do later, and what raises where a year or a nesting goes too far.
    utc_time(results.started)
    as_json((results.target, results.options, *results.observations))


def write_results(path: Path, results: Results) -> None:
    """Write results.json in one step, as UTF-8 with a line end at its end."""
    text = json.dumps(results.to_data(), ensure_ascii=False, indent=2, allow_nan=False)
    replace_file(path, f"{text}\n".encode())


def utc_time(moment: datetime) -> str:
    """A moment as ISO 8601 has it, in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def without_secrets(options: Mapping[str, Any]) -> Data:
    """Options as a report may name them: accounts without their passwords."""
    return {name: _without_secret(name, value) for name, value in sorted(options.items())}


def as_json(value: Any) -> Any:
    """A value as JSON can carry it, every text in it made visible."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case str():
            return visible(value)
        case bytes():
            return show(value)
        case Enum():
            return as_json(value.value)
        case date():
            return value.isoformat()
        case Path():
            return visible(str(value))
        case Mapping():
            return {visible(str(as_json(key))): as_json(value[key]) for key in value}
        case set() | frozenset():
            return sorted(map(as_json, value), key=str)
        case list() | tuple():
            return [as_json(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return as_json(asdict(value))
    raise TypeError(f"no form in JSON for {value!r}")


def _scenario(row: ScenarioRow) -> Data:
    data = row.to_data() | {"detail": row.reason, "seconds": round(row.seconds, 3)}
    if row.verdict in _WITHOUT_TRANSCRIPT:
        del data["transcript"]
    return {key: data[key] for key in data if key in _PROMISED or data[key]}


_PROMISED = frozenset(
    {"id", "title", "file", "line", "rules", "verdict", "known", "seconds", "detail"}
)


def _without_secret(name: str, value: Any) -> Any:
    if "password" in name or "secret" in name:
        return _MASK if value else value
    if isinstance(value, Mapping):
        return without_secrets(value)
    if isinstance(value, list | tuple):
        return [_without_secret(name, item) for item in value]
    if not isinstance(value, str):
        return value
    if "account" in name:
        return value.partition(":")[0]
    return _USERINFO.sub(rf"\1:{_MASK}@", value)
