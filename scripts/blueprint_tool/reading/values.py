"""Values of attributes as a blueprint writes them: read into Python's types, or refused in plain words."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from app.core.documents import Document
from app.core.text import Url, canonical_email
from blueprint_tool.model import Attribute
from blueprint_tool.reading.faults import shown
from blueprint_tool.reading.lines import Node

_BITS = {"int": 31, "bigint": 63}
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ALLOWED_CONTROLS = "\n\t"
_URL: TypeAdapter[str] = TypeAdapter(Url)
_DOCUMENT: TypeAdapter[Any] = TypeAdapter(Document)


class WrongValue(Exception):
    """A value that its attribute can't have; the message says why."""


def read_value(node: Node, attribute: Attribute) -> Any:
    """The value of `default`, `min` or `max` in the attribute's Python type. Raises WrongValue.

    int, float, str, bool, Decimal (with the attribute's scale), date, datetime (UTC), UUID; JSON as it stands.
    """
    return _READERS[attribute.type](node.plain, attribute)


def _whole(value: Any, attribute: Attribute) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongValue(f"{shown(value)} is no whole number")
    bound = 2 ** _BITS[attribute.type]
    if not -bound <= value < bound:
        raise WrongValue(f"{value} is out of the range of {attribute.type} ({-bound} to {bound - 1})")
    return value


def _float(value: Any, _: Attribute) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise WrongValue(f"{shown(value)} is no number")
    return float(value) + 0.0  # zero without a sign: SQLite keeps none


def _decimal(value: Any, attribute: Attribute) -> Decimal:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and _DECIMAL.fullmatch(value)):
        raise WrongValue(f'{shown(value)} is no decimal number, such as "12.50"')
    number = Decimal(repr(value) if is_number else value)
    exponent = number.as_tuple().exponent
    behind = -exponent if isinstance(exponent, int) else 0
    if behind > attribute.scale:
        raise WrongValue(f"{shown(value)} has more than {attribute.scale} digits behind the point")
    before = attribute.precision - attribute.scale
    if abs(number) >= 10**before:
        raise WrongValue(f"{shown(value)} has more than {before} digits before the point")
    return number.quantize(Decimal(1).scaleb(-attribute.scale))


def _bool(value: Any, _: Attribute) -> bool:
    if not isinstance(value, bool):
        raise WrongValue(f"{shown(value)} is not true or false")
    return value


def _text(value: Any, attribute: Attribute) -> str:
    if not isinstance(value, str):
        raise WrongValue(f"{shown(value)} is no text")
    if any(
        unicodedata.category(char) in {"Cc", "Cf", "Co"} and char not in _ALLOWED_CONTROLS for char in value
    ):
        raise WrongValue(f"{shown(value)} holds control or invisible characters")
    if attribute.max_length is not None and len(value) > attribute.max_length:
        raise WrongValue(f"{shown(value)} is longer than max_length ({attribute.max_length})")
    return value


def _email(value: Any, attribute: Attribute) -> str:
    text = _text(value, attribute)
    try:
        return canonical_email(text)
    except ValueError as error:
        raise WrongValue(f"{shown(value)} is no e-mail address") from error


def _url(value: Any, attribute: Attribute) -> str:
    text = _text(value, attribute)
    try:
        _URL.validate_python(text)
    except ValueError as error:
        raise WrongValue(f"{shown(value)} is no address that begins with http:// or https://") from error
    return text


def _date(value: Any, _: Attribute) -> date:
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass  # a day that is in no calendar
    raise WrongValue(f'{shown(value)} is no date, such as "2025-01-31"')


def _datetime(value: Any, _: Attribute) -> datetime:
    try:
        if isinstance(value, str) and _INSTANT.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # in no calendar, or before the first year in UTC
    raise WrongValue(f'{shown(value)} is no time with a zone, such as "2025-01-31T12:00:00Z"')


def _uuid(value: Any, _: Attribute) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise WrongValue(f"{shown(value)} is no UUID")
    return UUID(value)


def _choice(value: Any, attribute: Attribute) -> str:
    if value not in attribute.choices:
        raise WrongValue(f"{shown(value)} is none of the choices")
    return str(value)


def _json(value: Any, _: Attribute) -> Any:
    try:
        return _DOCUMENT.validate_python(value)
    except ValueError as error:
        raise WrongValue(f"{shown(value)} is null, or holds NUL or a number beyond 2^53") from error


_READERS: Mapping[str, Callable[[Any, Attribute], Any]] = {
    "int": _whole,
    "bigint": _whole,
    "string": _text,
    "text": _text,
    "bool": _bool,
    "float": _float,
    "decimal": _decimal,
    "date": _date,
    "datetime": _datetime,
    "uuid": _uuid,
    "json": _json,
    "email": _email,
    "url": _url,
    "enum": _choice,
}
