"""What one worker has taken away, another one refuses with the next request, however busy it is with it."""

import pytest

from tests.conftest import NO_SERVICES
from tests.hammering.rig import Rig
from tests.hammering.sizes import ROUNDS
from tests.hammering.ways import WAYS

pytestmark = pytest.mark.skipif(NO_SERVICES, reason="asked to do without servers")


@pytest.mark.parametrize("name", WAYS)
async def test_refused_from_the_next_request_on(rig: Rig, name: str) -> None:
    for _ in range(ROUNDS):
        assert await rig.play(await rig.round(WAYS[name])) == []
