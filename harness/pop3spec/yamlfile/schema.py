"""The JSON Schema of what is read for a type."""

from typing import Any

from pop3spec.yamlfile.shapes import Shape, Struct, struct_of


def json_schema(cls: type) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what `load` accepts for a type."""
    definitions: dict[str, Any] = {}
    root = _struct_schema(struct_of(cls), definitions)
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return draft | root | ({"$defs": definitions} if definitions else {})


def _struct_schema(struct: Struct, definitions: dict[str, Any]) -> dict[str, Any]:
    properties = {}
    for word, (_, shape, description) in struct.keys.items():
        words = {"description": description} if description else {}
        properties[word] = words | _schema(shape, definitions)
    required = [word for word, (name, _, _) in struct.keys.items() if name in struct.required]
    return {
        "description": (struct.build.__doc__ or "").split("\n", 1)[0],
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _schema(shape: Shape, definitions: dict[str, Any]) -> dict[str, Any]:
    choices: list[dict[str, Any]] = []
    if shape.scalar is not None:
        choices.append(dict(shape.scalar.schema))
    if shape.item is not None:
        choices.append({"type": "array", "items": _schema(shape.item, definitions)})
    if shape.entry is not None:
        entry = _schema(shape.entry, definitions)
        choices.append({"type": "object", "additionalProperties": entry})
    if shape.struct is not None:
        name = shape.struct.noun.rpartition(" ")[2]
        if name not in definitions:
            definitions[name] = _struct_schema(shape.struct, definitions)
        choices.append({"$ref": f"#/$defs/{name}"})
    return choices[0] if len(choices) == 1 else {"anyOf": choices}
