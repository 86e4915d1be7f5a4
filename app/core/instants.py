"""Instants and dates as clients send them: RFC 3339, instants with a zone and kept in UTC."""

import re
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

_BEGINNING = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _date_and_time(value: object) -> object:
    """A number could be seconds or milliseconds, also one in a text: only dates say what they mean."""
    if isinstance(value, datetime) or (isinstance(value, str) and _BEGINNING.match(value)):
        return value
    raise ValueError("must be an instant with a zone, such as 2030-01-31T12:00:00Z")


def _date_alone(value: object) -> object:
    """A number could be anything, and an instant has a date only in its zone."""
    if isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise ValueError("must be a date, such as 2030-01-31")


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of the range of instants") from None


# Behind the bounds, so that these hold for dates and not for what was sent: `Annotated[date, Field(ge=…), PLAIN_DATE]`.
PLAIN_DATE = BeforeValidator(_date_alone)
PLAIN_INSTANT, IN_UTC = BeforeValidator(_date_and_time), AfterValidator(_in_utc)
Day = Annotated[date, PLAIN_DATE]
Instant = Annotated[AwareDatetime, PLAIN_INSTANT, IN_UTC]
