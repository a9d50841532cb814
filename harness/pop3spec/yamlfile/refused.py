"""What the parser refuses, at its place and in plain words."""

import re
from collections.abc import Mapping

import yaml

from pop3spec.yamlfile.problems import Location, YamlError

_UNPRINTABLE = re.compile(
    "[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)

# Words of libyaml and of the pure parser -> ours.
_SYNTAX: Mapping[str, str] = {
    "mapping values are not allowed": (
        "a colon and a blank inside a plain text, or a line indented too far: "
        "quote the text, or mend the indentation"
    ),
    "cannot start any token": "this character cannot begin a plain text: quote the text",
    "could not find expected ':'": "no 'key: value' here: add the colon, or quote the text",
    "did not find expected key": "neither a key nor an item fits here: mend the indentation",
    "expected <block end>": "neither a key nor an item fits here: mend the indentation",
    "did not find expected '-' indicator": "an item of a list has to begin with '- ' here",
    "block sequence entries are not allowed": "a list begins on a line of its own, with '- '",
    "expected ',' or": "a list or mapping on one line goes on with ',' or ends here",
    "unexpected end of stream": "the quoted text that began before does not end: add the quote",
    "expected alphabetic or numeric": "'*', '&' and '!' are signs of YAML: quote the text",
    "invalid Unicode character": "this escape names no character: mend its digits",
    "incompatible YAML document": "this version of YAML is not known: leave the '%YAML' line out",
    "unknown escape character": "unknown escape in double quotes: write \\\\ for a backslash",
}


def syntax_error(error: Exception, text: str, file: str) -> YamlError:
    """What the parser refuses, at its place and in plain words."""
    bad = _UNPRINTABLE.search(text)
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file, 1, 1)
        said = error.problem or error.context or "not YAML"
        for words, ours in _SYNTAX.items():
            if words in said:
                return YamlError(where, ours)
        return YamlError(where, f"not YAML, {said}: look at indentation and quotes")
    if bad is not None:
        problem = f"character U+{ord(bad[0]):04X}: write it as an escape in double quotes"
        return YamlError(end_of(text[: bad.start()], file), problem)
    return YamlError(Location(file, 1, 1), "not readable as text: leave out tags and escapes")


def end_of(before: str, file: str) -> Location:
    """The place behind the beginning of a text."""
    lines = before.split("\n")
    return Location(file, len(lines), len(lines[-1]) + 1)
