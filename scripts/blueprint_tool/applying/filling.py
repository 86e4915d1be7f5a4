"""What rows that are there already get in a new column: the attribute's default, else the plainest allowed value."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from blueprint_tool.model import Attribute, Entity

_PLAIN: dict[str, Any] = {
    "int": 0,
    "bigint": 0,
    "float": 0.0,
    "decimal": Decimal(0),
    "bool": False,
    "date": date(1970, 1, 1),
    "datetime": datetime(1970, 1, 1, tzinfo=UTC),
    "uuid": UUID(int=0),
    "json": {},
    "string": "",
    "text": "",
}


def fillings(entities: Iterable[Entity]) -> dict[str, dict[str, str]]:
    """By table and column; none for what must be unique, as no value fits every row, and where no value is plain."""
    return {entity.table: dict(_of(entity)) for entity in entities}


def _of(entity: Entity) -> Iterator[tuple[str, str]]:
    for one in entity.attributes:
        value = None if one.unique else _value(one)
        if value is not None:
            yield one.name, constant(value, is_json=one.type == "json")
    if any(one.searchable for one in entity.attributes):
        yield "search_text", ""  # until it is worked out, at the end of the same revision


def _value(attribute: Attribute) -> Any:
    """None where there is none: an address that nobody has would be a lie."""
    if attribute.has_default and attribute.default is not None:
        return attribute.default
    if attribute.choices:
        return attribute.choices[0]
    plain = _PLAIN.get(attribute.type)
    if attribute.min is not None and plain < attribute.min:
        return attribute.min
    return attribute.max if attribute.max is not None and plain > attribute.max else plain


def constant(value: Any, *, is_json: bool = False) -> str:
    """As a text that PostgreSQL reads as the column's type: decimals in plain digits, instants in UTC."""
    if is_json:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return str(value)
