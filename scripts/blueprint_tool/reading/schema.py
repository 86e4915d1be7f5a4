"""What a blueprint may say, as one table: the reader checks by it, and the JSON Schema for editors is made of it.

`PYTHONPATH=scripts python -m blueprint_tool.reading.schema > docs/blueprint.schema.json` writes the schema anew.
It knows the rules of one place (keys, types, patterns, options that fit a type); what compares two places is the
reader's alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from app.core.decimals import MAX_PRECISION
from app.core.text import EMAIL_LENGTH, URL_LENGTH
from blueprint_tool import names, reserved
from blueprint_tool.model import AttributeType, OnDelete, RelationType
from blueprint_tool.variety import LEAST_LENGTHS

TYPES: tuple[str, ...] = get_args(AttributeType)
RELATION_TYPES: tuple[str, ...] = get_args(RelationType)
ON_DELETE: tuple[str, ...] = get_args(OnDelete)

MAX_ENTITIES = 500
MAX_ATTRIBUTES = 50  # the files of a module stay below 300 lines
MAX_RELATIONS = 20
MAX_CHOICES = 100
# At most so many characters. An index of PostgreSQL takes 2700 bytes, a cursor 2000; a character has up to 4.
MAX_LENGTHS = {"string": 4000, "text": 100_000, "email": EMAIL_LENGTH, "url": URL_LENGTH}
LENGTHS = {"string": 255, "text": 20_000, "email": EMAIL_LENGTH, "url": URL_LENGTH}
CHOICE = r"^[A-Za-z0-9]([A-Za-z0-9 _.+/-]{0,61}[A-Za-z0-9+])?$"
# One line in a page of docs: no control characters, and nothing that Markdown or HTML would read.
DESCRIPTION = r"^[^\x00-\x20\x7f-\xa0<>`|\\][^\x00-\x1f\x7f-\x9f<>`|\\]{0,198}$"

NUMBERS = ("int", "bigint", "float", "decimal")
BOUNDED = (*NUMBERS, "date", "datetime")
TEXTS = ("string", "text", "email", "url")
_SHORT = tuple(kind for kind in TYPES if kind not in {"text", "json"})
# Which types an option fits; options that stand here for none fit all.
FITTING: Mapping[str, tuple[str, ...]] = {
    "unique": tuple(kind for kind in _SHORT if kind != "bool"),
    "index": _SHORT,
    "min": BOUNDED,
    "max": BOUNDED,
    "max_length": TEXTS,
    "precision": ("decimal",),
    "scale": ("decimal",),
    "choices": ("enum",),
    "searchable": (*TEXTS, "enum"),
    "sortable": _SHORT,
    "filterable": _SHORT,
}
# Never called `…_id`: clients would take them for keys of the database, which don't leave the program.
NO_IDS = ("int", "bigint", "bool")
# A secret is written and never read: nothing may tell rows apart by it, and no value of it stands in the code.
NOT_SECRET = ("unique", "index", "default", "searchable", "sortable", "filterable")


@dataclass(frozen=True, slots=True)
class Key:
    """One key of an object. `kind`: its JSON type in the schema's words, empty for any; `rule`: what else holds."""

    kind: str
    told: str
    required: bool = False
    rule: Mapping[str, Any] = field(default_factory=dict)


_FLAG = "boolean"
ATTRIBUTE: Mapping[str, Key] = {
    "name": Key("string", "Its field in bodies, and its column.", True),
    "type": Key("string", "The kind of its values.", True, {"enum": TYPES}),
    "nullable": Key(_FLAG, "Whether it may be empty; false by default."),
    "unique": Key(_FLAG, "No two live rows have the same value."),
    "index": Key(_FLAG, "Gives it an index."),
    "default": Key("", "What it is where nothing is sent. A decimal may be a text, dates and ids are."),
    "min": Key("", "The least value."),
    "max": Key("", "The greatest value."),
    "max_length": Key(
        "integer", "At most so many characters; a string has 255 by default.", rule={"minimum": 1}
    ),
    "precision": Key(
        "integer", "Digits of a decimal; 18 by default.", rule={"minimum": 1, "maximum": MAX_PRECISION}
    ),
    "scale": Key(
        "integer", "Digits behind the point; 2 by default.", rule={"minimum": 0, "maximum": MAX_PRECISION}
    ),
    "choices": Key(
        "array",
        "The values of an enum.",
        rule={
            "items": {"type": "string", "pattern": CHOICE},
            "minItems": 1,
            "maxItems": MAX_CHOICES,
            "uniqueItems": True,
        },
    ),
    "searchable": Key(_FLAG, "Found by `GET /<path>/search?q=`; the first searchable attribute weighs most."),
    "sortable": Key(_FLAG, "Lists can be sorted by it."),
    "filterable": Key(_FLAG, "Lists can be filtered by it."),
    "secret": Key(_FLAG, "Written, never shown."),
    "primary_key": Key(_FLAG, "The older form: only for `id`, which every entity has anyway."),
}
RELATION: Mapping[str, Key] = {
    "name": Key("string", "The field is `<name>_id`, or `<name>_ids` for many_to_many.", True),
    "type": Key("string", "How many of the others there may be.", True, {"enum": RELATION_TYPES}),
    "target": Key("string", "An entity: of this file, of a module that is there, or User.", True),
    "nullable": Key(_FLAG, "Whether there may be none; false by default."),
    "on_delete": Key(
        "string",
        "What becomes of this row when the other is removed; restrict by default.",
        rule={"enum": ON_DELETE},
    ),
}
PRIVILEGE: Mapping[str, Key] = {
    "action": Key("string", "The part behind the colon, such as approve.", True),
    "description": Key("string", "What it allows, in one line.", True, {"pattern": DESCRIPTION}),
}
ENTITY: Mapping[str, Key] = {
    "name": Key("string", "In the singular, each word with a capital: PortCall.", True),
    "table": Key("string", "In the plural, with underscores: port_calls. Also the module's name.", True),
    "attributes": Key("array", "Its fields.", True),
    "relations": Key("array", "References to other entities.", rule={"maxItems": MAX_RELATIONS}),
    "owned": Key(_FLAG, "Rows belong to who made them; false by default."),
    "soft_delete": Key(_FLAG, "Deleted rows can be brought back; true by default."),
    "unique_together": Key("array", "Lists of fields that are unique only together."),
    "privileges": Key("array", "Privileges beyond read, create, update, delete and purge."),
}
_NO_ATTRIBUTES = sorted(
    reserved.COLUMNS | reserved.KEYWORDS | reserved.ALIASES | reserved.TYPES | reserved.CLASS_MEMBERS
)


def document() -> dict[str, Any]:
    """The JSON Schema (draft 07, which every editor reads)."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Blueprint",
        "description": "Entities, of which scripts/generate_entities.py makes modules.",
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_ENTITIES,
        "items": {"$ref": "#/definitions/entity"},
        "definitions": {
            "entity": _object(ENTITY, _entity_rules()),
            "attribute": {
                "if": {"properties": {"primary_key": {"const": True}}, "required": ["primary_key"]},
                "then": {"$ref": "#/definitions/older_id"},
                "else": {"$ref": "#/definitions/plain_attribute"},
            },
            "older_id": _object(ATTRIBUTE, {"name": {"const": "id"}, "nullable": {"const": False}}),
            "plain_attribute": {
                **_object(ATTRIBUTE, {"name": _name(_NO_ATTRIBUTES, sorted(reserved.SQL))}),
                "allOf": [*map(_type_rule, TYPES), _secret_rule()],
            },
            "relation": {**_object(RELATION, {"name": _name(_NO_ATTRIBUTES)}), "allOf": _relation_rules()},
            "privilege": _object(PRIVILEGE, {"action": _action()}),
        },
    }


def _object(keys: Mapping[str, Key], more: Mapping[str, Any]) -> dict[str, Any]:
    properties = {
        name: {
            **({"type": key.kind} if key.kind else {}),
            "description": key.told,
            **key.rule,
            **more.get(name, {}),
        }
        for name, key in keys.items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name, key in keys.items() if key.required],
        "additionalProperties": False,
    }


def _named(pattern: str, length: int, *refused: list[str]) -> dict[str, Any]:
    return {
        "pattern": pattern,
        "maxLength": length,
        "not": {"enum": sorted({w for words in refused for w in words})},
    }


def _name(*refused: list[str]) -> dict[str, Any]:
    rule = _named(names.SNAKE, names.MAX_FIELD, *refused)
    return {**rule, "allOf": [{"not": {"pattern": "^model_|_pk$|^l$"}}]}


def _action() -> dict[str, Any]:
    return _named(names.SNAKE, names.MAX_FIELD, sorted(reserved.ACTIONS))


def _entity_rules() -> dict[str, Any]:
    tables = sorted(reserved.KEYWORDS | reserved.SQL | reserved.MODULES)
    prefixes = "|".join(reserved.TABLE_PREFIXES)
    together = {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True}
    return {
        "name": _named(names.PASCAL, names.MAX_ENTITY, sorted(reserved.CLASSES)),
        "table": {
            **_named(names.SNAKE, names.MAX_TABLE, tables),
            "allOf": [{"not": {"pattern": f"^({prefixes})"}}],
        },
        "attributes": {
            "items": {"$ref": "#/definitions/attribute"},
            "minItems": 1,
            "maxItems": MAX_ATTRIBUTES + 1,
        },
        "relations": {"items": {"$ref": "#/definitions/relation"}},
        "unique_together": {"items": together},
        "privileges": {
            "items": {"anyOf": [{"type": "string", **_action()}, {"$ref": "#/definitions/privilege"}]}
        },
    }


def _type_rule(kind: str) -> dict[str, Any]:
    """What holds for attributes of one type: options that don't fit may only say false."""
    strange = [option for option, kinds in FITTING.items() if kind not in kinds]
    then: dict[str, Any] = {
        "properties": {o: {"const": False} if ATTRIBUTE[o].kind == _FLAG else False for o in strange}
    }
    if kind in MAX_LENGTHS:
        then["properties"]["max_length"] = {
            "minimum": LEAST_LENGTHS.get(kind, 1),
            "maximum": MAX_LENGTHS[kind],
        }
    if kind in NO_IDS:
        then["properties"]["name"] = {"not": {"pattern": "_id$"}}
    for option in ("default", "min", "max"):
        if option not in strange and (types := _json_types(kind)):
            then["properties"][option] = {"type": types}
    if kind == "enum":
        then["required"] = ["choices"]
    return {"if": {"properties": {"type": {"const": kind}}, "required": ["type"]}, "then": then}


def _json_types(kind: str) -> list[str]:
    """How a value of the type is written."""
    if kind == "json":
        return []
    if kind in {"int", "bigint"}:
        return ["integer", "null"]
    if kind == "float":
        return ["number", "null"]
    if kind == "bool":
        return ["boolean", "null"]
    return ["number", "string", "null"] if kind == "decimal" else ["string", "null"]


def _secret_rule() -> dict[str, Any]:
    refused = {o: {"const": False} if ATTRIBUTE[o].kind == _FLAG else False for o in NOT_SECRET}
    return {
        "if": {"properties": {"secret": {"const": True}}, "required": ["secret"]},
        "then": {"properties": refused},
    }


def _relation_rules() -> list[dict[str, Any]]:
    def given(key: str, value: str) -> dict[str, Any]:
        return {"properties": {key: {"const": value}}, "required": [key]}

    return [
        {
            "if": given("type", "many_to_many"),
            "then": {"properties": {"on_delete": False, "nullable": {"const": False}}},
        },
        {
            "if": given("on_delete", "set_null"),
            "then": {"properties": {"nullable": {"const": True}}, "required": ["nullable"]},
        },
    ]


if __name__ == "__main__":
    print(json.dumps(document(), indent=2))
