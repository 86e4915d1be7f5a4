"""JSON Schema as far as our own schema uses it: enough to see that it says what the reader says."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any] | bool
TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
}
SAID = {"$schema", "title", "description", "definitions"}


class Validator:
    """Answers whether a document fits. Raises KeyError for a keyword that it does not know."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def accepts(self, value: Any) -> bool:
        return self.fits(value, self.document)

    def fits(self, value: Any, schema: Schema) -> bool:
        if isinstance(schema, bool):
            return schema
        unknown = schema.keys() - SAID - KEYWORDS.keys() - {"then", "else"}
        if unknown:
            raise KeyError(*unknown)
        return all(check(self, value, schema) for word, check in KEYWORDS.items() if word in schema)

    def object_fits(self, value: Any, schema: Mapping[str, Any]) -> bool:
        if not isinstance(value, dict):
            return True
        known = schema["properties"]
        strange = value.keys() - known.keys() if schema.get("additionalProperties") is False else set()
        return not strange and all(
            self.fits(value[name], known[name]) for name in value.keys() & known.keys()
        )

    def branch_fits(self, value: Any, schema: Mapping[str, Any]) -> bool:
        branch = "then" if self.fits(value, schema["if"]) else "else"
        return self.fits(value, schema.get(branch, True))

    def referenced(self, reference: str) -> Schema:
        found: Schema = self.document["definitions"][reference.rpartition("/")[2]]
        return found


def of(kind: type, holds: Callable[[Any, Any], bool], word: str) -> Callable[[Validator, Any, Any], bool]:
    """A keyword that is about values of one Python type only."""
    return lambda _, value, schema: not isinstance(value, kind) or holds(value, schema[word])


def in_range(value: Any, schema: Mapping[str, Any]) -> bool:
    least, greatest = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))
    return not TYPES["number"](value) or bool(least <= value <= greatest)


KEYWORDS: Mapping[str, Callable[[Validator, Any, Any], bool]] = {
    "$ref": lambda validator, value, schema: validator.fits(value, validator.referenced(schema["$ref"])),
    "type": lambda _, value, schema: any(
        TYPES[one](value) for one in ([schema["type"]] if isinstance(schema["type"], str) else schema["type"])
    ),
    "properties": lambda validator, value, schema: validator.object_fits(value, schema),
    "additionalProperties": lambda _, __, schema: schema["additionalProperties"] is False,
    "required": of(dict, lambda value, names: set(names) <= value.keys(), "required"),
    "items": lambda validator, value, schema: (
        not isinstance(value, list) or all(validator.fits(one, schema["items"]) for one in value)
    ),
    "minItems": of(list, lambda value, least: len(value) >= least, "minItems"),
    "maxItems": of(list, lambda value, greatest: len(value) <= greatest, "maxItems"),
    "uniqueItems": of(list, lambda value, _: len({repr(one) for one in value}) == len(value), "uniqueItems"),
    "pattern": of(str, lambda value, pattern: re.search(pattern, value) is not None, "pattern"),
    "maxLength": of(str, lambda value, greatest: len(value) <= greatest, "maxLength"),
    "minimum": lambda _, value, schema: in_range(value, schema),
    "maximum": lambda _, value, schema: in_range(value, schema),
    "enum": lambda _, value, schema: value in list(schema["enum"]),
    "const": lambda _, value, schema: type(value) is type(schema["const"]) and value == schema["const"],
    "not": lambda validator, value, schema: not validator.fits(value, schema["not"]),
    "allOf": lambda validator, value, schema: all(validator.fits(value, one) for one in schema["allOf"]),
    "anyOf": lambda validator, value, schema: any(validator.fits(value, one) for one in schema["anyOf"]),
    "if": lambda validator, value, schema: validator.branch_fits(value, schema),
}
