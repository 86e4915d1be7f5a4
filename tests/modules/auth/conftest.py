"""Time that tests move."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from app.core import identifiers


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The program's clock: it goes on by itself, and `shift` moves it."""
    last = identifiers._last_ms
    with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
        yield traveller
    identifiers._last_ms = last  # ids never go back by themselves
