"""What each type of attribute is in the code of a module: a column, a field of bodies and answers, a filter."""

import unicodedata
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from blueprint_tool.model import Attribute
from blueprint_tool.reading.schema import LENGTHS

CHOICE_LENGTH = 63  # room for longer choices to come
_PYTHON = {
    "int": "int",
    "bigint": "int",
    "bool": "bool",
    "float": "float",
    "decimal": "Decimal",
    "date": "date",
    "datetime": "datetime",
    "uuid": "UUID",
    "json": "Any",
}
# Kinds of values in bodies, before their bounds.
_GIVEN = {
    "int": "Int32",
    "bigint": "Int64",
    "bool": "StrictBool",
    "float": "Finite",
    "decimal": "Decimal",
    "date": "Day",
    "datetime": "Instant",
    "uuid": "UUID",
    "json": "Document",
    "string": "Text",
    "text": "Text",
    "email": "Email",
    "url": "Url",
}
# Those whose bounds are asked before other rules: the plain type, and the rules that come behind.
_BEHIND_BOUNDS = {
    "float": ("float", "ONE_ZERO"),
    "decimal": ("Decimal", "IN_TEXT"),
    "date": ("date", "PLAIN_DATE"),
    "datetime": ("AwareDatetime", "PLAIN_INSTANT", "IN_UTC"),
}
# In query parameters everything is a text; what is not here is read as in bodies.
_ASKED = {
    "int": "Int32Filter",
    "bigint": "Int64Filter",
    "float": "FiniteFilter",
    "bool": "Flag",
    "date": "Day",
    "datetime": "Instant",
}
# Of fields that may be left out: never stored (`exclude_unset`), and nothing that could be taken for a value.
_LEFT_OUT = {
    "int": "0",
    "bigint": "0",
    "bool": "False",
    "float": "0.0",
    "decimal": "Decimal(0)",
    "date": "date.min",
    "datetime": "Field(default_factory=now)",
    "uuid": "UUID(int=0)",
    "json": "{}",
}
_BOUNDED = {"int", "bigint", "float", "decimal", "date", "datetime"}
_LONG_TEXT = 76  # columns of a literal that fit into every line
# Long values stay out of lists.
LONG = {"text", "json"}


def python_type(attribute: Attribute) -> str:
    """Of the column's values, without None."""
    return _PYTHON.get(attribute.type, "str")


def max_length(attribute: Attribute) -> int | None:
    """Of a text's characters; None for what is no text."""
    if attribute.type == "enum":
        return max(CHOICE_LENGTH, *map(len, attribute.choices))
    return attribute.max_length or LENGTHS.get(attribute.type)


def column(attribute: Attribute) -> str:
    """The declaration in the table's class: `name: str = Field(max_length=255)`."""
    options = []
    # Not where it may be empty: SQLAlchemy would take an empty value, though it was sent, for one that is left out.
    has_default = attribute.has_default and attribute.type != "json" and not attribute.nullable
    default = literal(attribute.default) if has_default else "None"
    if has_default or attribute.nullable:
        options.append(f"default={default}")
    if (length := max_length(attribute)) is not None:
        options.append(f"max_length={length}")
    if (kind := _column_type(attribute)) is not None:
        options.append(f"sa_type={kind}")
    if (policy := _policy(attribute)) is not None:
        options.append(f"sa_column_kwargs={policy}")
    if attribute.type == "json":
        options.append(f"nullable={attribute.nullable}")
    kind = python_type(attribute)
    declared = f"{attribute.name}: {kind}{' | None' if attribute.nullable and kind != 'Any' else ''}"
    if options == [f"default={default}"]:
        return f"{declared} = {default}"
    return f"{declared} = Field({', '.join(options)})" if options else declared


def _column_type(attribute: Attribute) -> str | None:
    exact = f"ExactDecimal({attribute.precision}, {attribute.scale})"
    return {"bigint": "BigInteger", "text": "Text", "decimal": exact, "json": "Json"}.get(attribute.type)


def _policy(attribute: Attribute) -> str | None:
    """What the change log needs to know of the column."""
    if attribute.secret and attribute.type == "json":
        return '{"info": hidden()["info"] | replaced_whole()["info"]}'
    if attribute.secret:
        return "hidden()"
    return "replaced_whole()" if attribute.type == "json" else None


def given_type(attribute: Attribute) -> str:
    """Of the field in bodies: `Annotated[Text, Field(max_length=255)]`."""
    if attribute.type == "enum":
        return f"Literal[{', '.join(map(literal, attribute.choices))}]"
    kind = _GIVEN[attribute.type]
    bounds = _bounds(attribute)
    if attribute.type == "decimal":
        bounds = [f"max_digits={attribute.precision}", f"decimal_places={attribute.scale}", *bounds]
    if attribute.type == "float" and bounds:
        bounds = ["strict=True", "allow_inf_nan=False", *bounds]
    inner, *rules = _BEHIND_BOUNDS.get(attribute.type, (kind,))
    field = f"Field({', '.join(bounds)})"
    return f"Annotated[{', '.join([inner, field, *rules])}]" if bounds else kind


def _bounds(attribute: Attribute) -> list[str]:
    if attribute.type in _BOUNDED:
        ends = {"ge": attribute.min, "le": attribute.max}
        return [f"{word}={literal(end)}" for word, end in ends.items() if end is not None]
    length = max_length(attribute)
    is_usual = attribute.type in {"email", "url"} and length == LENGTHS[attribute.type]
    return [] if length is None or is_usual else [f"max_length={length}"]


def shown_type(attribute: Attribute, given: str) -> str:
    """Of the field in answers; `given`: its type in bodies, which says the choices."""
    if attribute.type in {"decimal", "enum"}:
        kind = "Exact" if attribute.type == "decimal" else given
    else:
        kind = python_type(attribute)
    return f"{kind} | None" if attribute.nullable and kind != "Any" else kind


def asked_type(attribute: Attribute, given: str) -> str:
    """Of the query parameter that filters by it."""
    return _ASKED.get(attribute.type, given)


def left_out(attribute: Attribute) -> str:
    """The default in an update, which only makes the field optional."""
    if attribute.nullable:
        return "None"
    if attribute.has_default and attribute.type != "datetime":
        return literal(attribute.default)
    return literal(attribute.choices[0]) if attribute.choices else _LEFT_OUT.get(attribute.type, '""')


def literal(value: Any) -> str:
    """The value as Python source."""
    if isinstance(value, Decimal):
        return f'Decimal("{value:f}")'
    if isinstance(value, datetime):
        parts = [
            value.year,
            value.month,
            value.day,
            value.hour,
            value.minute,
            value.second,
            value.microsecond,
        ]
        while len(parts) > 3 and parts[-1] == 0:  # noqa: PLR2004  the date stays
            parts.pop()
        return f"datetime({', '.join(map(str, parts))}, tzinfo=UTC)"
    if isinstance(value, date):
        return f"date({value.year}, {value.month}, {value.day})"
    if isinstance(value, UUID):
        return f'UUID("{value}")'
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(name)}: {literal(part)}' for name, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, str) and _width(value) > _LONG_TEXT:
        return f"({' '.join(map(repr, _pieces(value)))})"
    return repr(value)


def _width(text: str) -> int:
    """Columns of its literal; the signs of some scripts take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "FW" else 1 for char in repr(text))


def _pieces(text: str) -> Iterator[str]:
    """The text in parts that fit into lines, at spaces where there are any."""
    piece = ""
    for char in text:
        if _width(piece + char) > _LONG_TEXT:
            head, space, tail = piece.rpartition(" ")
            yield head + space if space else piece
            piece = tail if space else ""
        piece += char
    yield piece
