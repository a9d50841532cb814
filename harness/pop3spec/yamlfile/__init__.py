"""YAML text -> frozen values and their JSON Schema; errors as file:line:column.

A dataclass is the grammar: the type of each field says how the node under its
key is read, and the key is described once, in the field's metadata. Every scalar
is text until then, so `NO` and `010` mean themselves. What the values mean
together is for the caller to say.

Only the event stream of the parser is used. What is read is exactly as deep as
the type that asks for it, so no input can nest too far.
"""

from pop3spec.yamlfile.places import Extent, list_extent, locate
from pop3spec.yamlfile.problems import Location, YamlError, did_you_mean, quoted
from pop3spec.yamlfile.reading import decoded, load, load_text, read_text
from pop3spec.yamlfile.scalars import Duration, ReadAs, matching, one_of
from pop3spec.yamlfile.schema import json_schema
from pop3spec.yamlfile.shapes import key

__all__ = [
    "Duration",
    "Extent",
    "Location",
    "ReadAs",
    "YamlError",
    "decoded",
    "did_you_mean",
    "json_schema",
    "key",
    "list_extent",
    "load",
    "load_text",
    "locate",
    "matching",
    "one_of",
    "quoted",
    "read_text",
]
