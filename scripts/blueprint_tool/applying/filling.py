"""What rows that are there already get in a new column: the attribute's default, else the plainest allowed value."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from blueprint_tool.model import Attribute, Entity

_PLAIN: dict[str, Any] = {
    "int": 0,
    "bigint": 0,
    "float": 0,
    "decimal": 0,
    "bool": False,
    "date": "1970-01-01",
    "datetime": "1970-01-01 00:00:00.000000",
    "uuid": UUID(int=0),
    "json": {},
}
_NUMBERS = {"int", "bigint", "float", "decimal"}


def fillings(entities: Iterable[Entity]) -> dict[str, dict[str, str]]:
    """By table and column. What must be unique has none: no value fits every row."""
    return {
        entity.table: {
            attribute.name: constant(_value(attribute))
            for attribute in entity.attributes
            if not attribute.unique
        }
        for entity in entities
    }


def _value(attribute: Attribute) -> Any:
    if attribute.has_default and attribute.default is not None:
        return attribute.default
    if attribute.choices:
        return attribute.choices[0]
    plain = _PLAIN.get(attribute.type, "")
    return max(plain, attribute.min) if attribute.min is not None and attribute.type in _NUMBERS else plain


def constant(value: Any) -> str:
    """As the text between quotes that both databases turn into the column's type."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
