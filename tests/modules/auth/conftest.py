"""Time that tests move, and two workers on one database."""

import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from app.core import identifiers
from tests.api import Api
from tests.backend import Backend, run_app
from tests.conftest import settings_for
from tests.services import REDIS_VARIABLE


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The program's clock: it goes on by itself, and `shift` moves it."""
    last = identifiers._last_ms
    with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
        yield traveller
    identifiers._last_ms = last  # ids never go back by themselves


@pytest.fixture(scope="session")
async def workers(backend: Backend) -> AsyncIterator[tuple[Api, Api]]:
    """Clients of two apps that share one database, and on PostgreSQL one Redis. Nothing is put back."""
    cache_url = os.environ.get(REDIS_VARIABLE, "") if backend.name == "postgres" else ""
    settings = settings_for(backend.new_database(), cache_url)
    async with run_app(settings) as first, run_app(settings) as second:
        yield Api(first), Api(second)
