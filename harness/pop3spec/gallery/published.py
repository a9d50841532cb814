"""What of a run's results is published: everything but what tells of the machine alone."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from pop3spec.report.results import Results
from pop3spec.report.rows import ScenarioRow
from pop3spec.verdict import Verdict

# Replaying is for what went wrong.
_REPLAYED = (Verdict.FAIL, Verdict.WARN, Verdict.ERROR)

_LOOPBACK = re.compile(r"(?<![\w.])(127(?:\.\d{1,3}){3}|\[::1\]|localhost):\d{1,5}(?!\d)")
_ADDRESS = re.compile(r"\S+:\d{1,5}")

# A path goes on to what may end it in a text, a command or a specification of a door.
_IN_A_PATH = r"""[^\s'"`,;:()<>\[\]|\\]"""
_BEFORE = r"(?<![\w.…-])"
_PATH = re.compile(rf"{_BEFORE}/({_IN_A_PATH.replace('[^', '[^/')}+)/{_IN_A_PATH}*")
_PRIVATE = ("tmp", "var/tmp", "home", "root", "Users", "private")
_SYSTEM = frozenset(
    [
        *("bin", "boot", "dev", "etc", "lib", "lib64", "media", "mnt", "opt", "proc"),
        *("run", "sbin", "srv", "sys", "usr", "var"),
    ]
)


def published(results: Results, label: str) -> Results:
    """The results as they may be seen by all, with the server's label in place of its address.

    Ports of the loopback interface become PORT and the address of the target HOST:PORT; of a
    path below directories for temporary files, below homes, and below any other top directory
    that the options name outside of the system's own, the last part is kept.
    """
    data = results.to_data()
    mask = _masks(data)
    masked: dict[str, Any] = _each_text(data, mask)
    masked["target"] = {**masked["target"], "address": label}
    again = Results.from_data(masked)
    return replace(again, scenarios=tuple(map(_without_replay, again.scenarios)))


def document(results: Results) -> str:
    """results.json with a line for each rule, scenario and observation."""
    parts = (f'"{name}": {_lines(value)}' for name, value in results.to_data().items())
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return _compact(value)
    return "[\n" + ",\n".join(map(_compact, value)) + "\n]"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _without_replay(row: ScenarioRow) -> ScenarioRow:
    return row if row.verdict in _REPLAYED else replace(row, replay="")


# --- What is masked ---


def _masks(data: dict[str, Any]) -> Callable[[str], str]:
    """What masks a text of these results."""
    options = list(_texts(data["options"]))
    named = (found[1] for text in options for found in _PATH.finditer(text))
    tops = dict.fromkeys((*_PRIVATE, *(top for top in named if top not in _SYSTEM)))
    below = re.compile(rf"{_BEFORE}/(?:{'|'.join(map(re.escape, tops))})(?:/{_IN_A_PATH}*)")
    addresses = {
        str(given)
        for given in (
            data["target"].get("address"),
            data["options"].get("target"),
            data["options"].get("tls-target"),
        )
        if isinstance(given, str) and _ADDRESS.fullmatch(given)
    }
    own = [re.compile(rf"(?<![\w.]){re.escape(each)}(?!\d)") for each in sorted(addresses)]

    def mask(text: str) -> str:
        for address in own:
            text = address.sub("HOST:PORT", text)
        text = _LOOPBACK.sub(r"\1:PORT", text)
        return below.sub(_last_part, text)

    return mask


def _last_part(found: "re.Match[str]") -> str:
    last = found[0].rstrip("/").rpartition("/")[2]
    return f"…/{last}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _each_text(each, change) for name, each in value.items()}
    if isinstance(value, list):
        return [_each_text(each, change) for each in value]
    return value
