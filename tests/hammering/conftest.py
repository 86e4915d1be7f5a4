"""One rig for all tests of this folder, on each kind of database."""

from collections.abc import AsyncIterator

import pytest

from tests.backend import Backend
from tests.hammering.rig import Rig, rig_on


@pytest.fixture(scope="package")
async def rig(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with rig_on(backend, tmp_path_factory.mktemp("hammering")) as made:
        yield made
