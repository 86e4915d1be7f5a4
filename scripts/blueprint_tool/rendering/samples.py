"""Values for the tests of a module, as JSON: right ones and wrong ones, and what the change log makes of them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.core.audit.values import REDACTED, is_secret_name, plain
from blueprint_tool.model import Attribute
from blueprint_tool.rendering.kinds import literal, max_length
from blueprint_tool.variety import ladder

# Types whose order is the same in every database, whatever its collation.
ORDERED = {"int", "bigint", "float", "decimal", "date", "datetime", "uuid", "string", "email", "url"}


def written(attribute: Attribute, value: Any) -> Any:
    """A value in Python's types as bodies and answers write it."""
    if isinstance(value, Decimal):
        return f"{value.quantize(Decimal(1).scaleb(-attribute.scale)):f}"
    if isinstance(value, datetime):
        return as_answered(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def logged(attribute: Attribute, value: Any) -> Any:
    """The same as the change log writes it."""
    if value is not None and (attribute.secret or is_secret_name(attribute.name)):
        return REDACTED
    return plain(Decimal(written(attribute, value)) if isinstance(value, Decimal) else value)


def as_answered(value: datetime) -> str:
    """An instant as the API writes it."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def shown_default(attribute: Attribute) -> Any:
    """The attribute's default as an answer has it."""
    return written(attribute, attribute.default)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A value that is refused at a field."""

    field: str
    value: str


def wrong(attribute: Attribute) -> Iterator[Wrong]:
    """Source of values that are refused, each for another reason."""
    if not attribute.nullable:
        yield Wrong(attribute.name, "None")
    yield from (Wrong(attribute.name, value) for value in _refused(attribute))


def _refused(attribute: Attribute) -> Iterator[str]:
    length = max_length(attribute)
    match attribute.type:
        case "string" | "text":
            yield from ("5", f'"x" * {(length or 0) + 1}', '"a\\x00b"')
        case "email":
            yield from ('"nobody"', "5")
        case "url":
            yield from ('"javascript:alert(1)"', "5")
        case "enum":
            yield from ('"no such choice!"', "5")
        case "bool":
            yield from ('"true"', "1")
        case "uuid":
            yield '"no id"'
        case "json":
            yield from ('{"a": ["\\x00"]}', "[2**60]")
        case _:
            yield from _refused_of_the_ordered(attribute)


def _refused_of_the_ordered(attribute: Attribute) -> Iterator[str]:
    match attribute.type:
        case "int":
            yield from ('"5"', "1.5", "True", "2**31")
        case "bigint":
            yield from ('"5"', "1.5", "2**63")
        case "float":
            yield from ('"5"', "True")
        case "decimal":
            fine, large = "0" * attribute.scale, "0" * (attribute.precision - attribute.scale)
            yield from ("1.5", '"1e1"', f'"0.{fine}1"', f'"1{large}"')
        case "date":
            yield from ('"2026-02-30"', '"2026-01-01T00:00:00Z"', "20260101")
        case _:
            yield from ('"2026-01-01T12:00:00"', '"2026-01-01"', "1767225600")
    yield from (literal(written(attribute, value)) for value in _beyond(attribute))


def _beyond(attribute: Attribute) -> Iterator[Any]:
    """What is next to the bounds, where the type has something there."""
    ends = ((attribute.min, -1), (attribute.max, 1))
    for end, way in ends:
        if end is None:
            continue
        if attribute.type == "float":
            value = math.nextafter(end, way * math.inf)
            yield from [value] if math.isfinite(value) else []
        else:
            of = ladder(attribute)
            step = of.step(end) + way
            yield from [of.value(step)] if of.least <= step <= of.most else []
