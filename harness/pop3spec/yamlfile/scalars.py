"""How the text of a scalar becomes a value."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pop3spec.yamlfile.problems import did_you_mean, quoted

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|min)")
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0}
_TRUTH = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True, eq=False)
class ReadAs:
    """How the text of a scalar becomes a value; stands in `Annotated`.

    `read` raises ValueError with what is wrong and the mend. `words` complete
    'takes …'.
    """

    read: Callable[[str], Any]
    words: str
    schema: Mapping[str, Any]


def _whole_number(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is no whole number")
    return int(text)


def _decimal_number(text: str) -> float:
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is no number")
    return float(text)


def _truth(text: str) -> bool:
    if text not in _TRUTH:
        raise ValueError(f"{quoted(text)} is neither 'yes' nor 'no'")
    return _TRUTH[text]


def _duration(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{quoted(text)} is no duration: write it like 300ms, 2s or 10min")
    return float(found[1]) * _UNITS[found[2]]


# An editor takes 010 or true for a number or a truth value; here they are text.
_ANY_SCALAR: Mapping[str, Any] = {"type": ["string", "number", "boolean"]}


def matching(pattern: str, words: str) -> ReadAs:
    """Text that has to match a regular expression as a whole."""
    matches = re.compile(pattern).fullmatch

    def read(text: str) -> str:
        if matches(text) is None:
            raise ValueError(f"{quoted(text)} is not {words}")
        return text

    return ReadAs(read, words, {**_ANY_SCALAR, "pattern": f"^(?:{pattern})$"})


def one_of(choices: Mapping[str, Any]) -> ReadAs:
    """One of these words, read as what it stands for."""

    def read(text: str) -> Any:
        if text not in choices:
            raise ValueError(f"unknown value {quoted(text)}{did_you_mean(text, choices)}")
        return choices[text]

    return ReadAs(read, f"one of {', '.join(choices)}", {"enum": list(choices)})


Duration = Annotated[
    float,
    ReadAs(
        _duration,
        "a duration such as 300ms, 2s or 10min",
        {"type": "string", "pattern": f"^{_DURATION.pattern}$"},
    ),
]

SCALARS: Mapping[type, ReadAs] = {
    str: ReadAs(str, "a text", _ANY_SCALAR),
    int: ReadAs(
        _whole_number,
        "a whole number",
        {"type": ["integer", "string"], "pattern": f"^{_WHOLE.pattern}$"},
    ),
    float: ReadAs(
        _decimal_number,
        "a number",
        {"type": ["number", "string"], "pattern": f"^{_DECIMAL.pattern}$"},
    ),
    bool: ReadAs(_truth, "'yes' or 'no'", {"enum": [True, False, *_TRUTH]}),
}
