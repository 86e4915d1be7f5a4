"""Instants as clients send them: RFC 3339 with a zone, kept in UTC."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

_BEGINNING = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)


def _date_and_time(value: object) -> object:
    """A number could be seconds or milliseconds, also one in a text: only dates say what they mean."""
    if isinstance(value, datetime) or (isinstance(value, str) and _BEGINNING.match(value)):
        return value
    raise ValueError("must be an instant with a zone, such as 2030-01-31T12:00:00Z")


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of the range of instants") from None


Instant = Annotated[AwareDatetime, BeforeValidator(_date_and_time), AfterValidator(_in_utc)]
