"""results.json: everything that a run found, for machines."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from pop3spec.protocol.text import show
from pop3spec.report.files import replace_file
from pop3spec.report.rows import Data, RuleRow, ScenarioRow, ordered
from pop3spec.report.text import visible
from pop3spec.verdict import Verdict

SCHEMA = 1

_MASK = "***"

_WITHOUT_TRANSCRIPT = (Verdict.PASS, Verdict.NOT_APPLICABLE)

# Greedy to the last '@': a password may hold one that nobody encoded.
_USERINFO = re.compile(r"(://[^:/@\s]*):\S*@")


def results_document(
    rows: Iterable[ScenarioRow],
    rule_rows: Iterable[RuleRow],
    *,
    version: str,
    rules_digest: str,
    target: Mapping[str, Any],
    started: datetime,
    seconds: float,
    seed: int,
    options: Mapping[str, Any],
    capabilities: Iterable[Any] = (),
    observations: Iterable[Mapping[str, Any]] = (),
) -> Data:
    """What results.json says: plain data, safe to print."""
    document = {
        "schema": SCHEMA,
        "suite": {"version": version, "rules_digest": rules_digest},
        "target": target,
        "started": utc_time(started),
        "seconds": round(seconds, 3),
        "seed": seed,
        "options": without_secrets(options),
        "rules": [rule.to_data() for rule in rule_rows],
        "scenarios": [_scenario(row) for row in ordered(rows)],
        "capabilities": list(capabilities),
        "observations": sorted(observations, key=lambda observation: str(observation["id"])),
    }
    plain: Data = as_json(document)
    return plain


def write_results(path: Path, document: Mapping[str, Any]) -> None:
    """Write the document in one step, as UTF-8 with a line end at its end."""
    text = json.dumps(as_json(document), ensure_ascii=False, indent=2, allow_nan=False)
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
