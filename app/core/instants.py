"""Instants in bodies: RFC 3339 with a zone, kept in UTC."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator


def _text_only(value: object) -> object:
    """A number could be seconds or milliseconds: only texts say what they mean."""
    if value is not None and not isinstance(value, (str, datetime)):
        raise ValueError("must be an instant as text, such as 2030-01-31T12:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of the range of instants") from None


Instant = Annotated[AwareDatetime, BeforeValidator(_text_only), AfterValidator(_in_utc)]
