"""Instants from clients: a date, a time and a zone, and nothing that could be meant otherwise."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.core.instants import Instant

ADAPTER: TypeAdapter[datetime] = TypeAdapter(Instant)
TOLD = datetime(2026, 1, 31, 12, tzinfo=UTC)
GIVEN = ["2026-01-31T12:00:00Z", "2026-01-31t12:00:00.000z", "2026-01-31 12:00:00+00:00", "2026-01-31T12:00Z"]
GIVEN += ["2026-01-31T14:00:00+02:00", "2026-01-31T02:00:00.000000-10:00"]
NUMBERS = ["1700000000", "+1700000000", "-5", "1700000000.5", "1700000000000", "20260131", "1e9", "0", "NaN"]
OTHERS = ["", "12:00", "2026-01-31", "2026-01-31T12:00:00", "20260131T120000Z", "2026-01-31_12:00:00Z"]
OTHERS += [" 2026-01-31T12:00:00Z", "2026-13-31T12:00:00Z", "0001-01-01T00:00:00+14:00"]
OTHERS += ["\N{FULLWIDTH DIGIT TWO}026-01-31T12:00:00Z"]


@pytest.mark.parametrize("text", GIVEN)
def test_every_spelling_with_a_zone_is_read(text: str) -> None:
    assert ADAPTER.validate_python(text) == TOLD
    assert ADAPTER.validate_python(text).tzinfo is UTC


@pytest.mark.parametrize("value", [*NUMBERS, *OTHERS, 1700000000, 1.5, True, None, b"2026-01-31T12:00:00Z"])
def test_numbers_and_times_of_nowhere_are_refused(value: Any) -> None:
    """Also a number in a text, as query parameters are: it could be seconds or milliseconds."""
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(value)
