"""Time that tests move, and an app that mails."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from app.core import identifiers
from tests.backend import Backend
from tests.modules.auth.post_office import Office, open_office


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The program's clock: it goes on by itself, and `shift` moves it."""
    last = identifiers._last_ms
    with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
        yield traveller
    identifiers._last_ms = last  # ids never go back by themselves


@pytest.fixture(scope="module")
async def opened(backend: Backend) -> AsyncIterator[Office]:
    """An app whose mails go to a post office of the tests' own."""
    async with open_office(backend) as office:
        yield office


@pytest.fixture
async def office(opened: Office) -> AsyncIterator[Office]:
    """The same for one test."""
    yield opened
    opened.clear()
    await opened.app.reset()
