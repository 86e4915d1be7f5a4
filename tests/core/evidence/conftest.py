"""A world for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.backend import Backend
from tests.core.evidence.world import World, open_world


@pytest.fixture
async def world(backend: Backend, tmp_path: Path) -> AsyncIterator[World]:
    """Two empty logs."""
    made = await open_world(backend, tmp_path)
    yield made
    await made.close()
