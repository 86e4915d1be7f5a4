"""Redis stopped, frozen, emptied, or put back to yesterday: what was taken away stays away, then and afterwards."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple

import pytest

from tests.conftest import NO_SERVICES
from tests.hammering.load import Bearer, enough_after, hammering
from tests.hammering.outages import OUTAGES
from tests.hammering.rig import Rig, port_of
from tests.hammering.sizes import ENOUGH, EVERY_WAY, SHORT, TOGETHER
from tests.hammering.ways import WAYS
from tests.hammering.wire import Wire

pytestmark = pytest.mark.skipif(NO_SERVICES, reason="asked to do without servers")

AFTERWARDS = "role taken"  # leans on the cache the most


def groups(outage: str) -> Iterator[Sequence[str]]:
    """The ways that are tried in one outage after the other."""
    names = list(WAYS) if EVERY_WAY else SHORT[outage]
    for first in range(0, len(names), TOGETHER):
        yield names[first : first + TOGETHER]


@pytest.mark.parametrize("outage", OUTAGES)
async def test_refused_from_the_next_request_on(rig: Rig, outage: str) -> None:
    for names in groups(outage):
        rounds = [await rig.round(WAYS[name]) for name in names]
        probes = [probe for played in rounds for probe in played.probes]
        async with hammering(probes):
            await enough_after(probes, 0, ENOUGH)
            async with OUTAGES[outage](rig.redis):
                for played in rounds:
                    await rig.act(played)
                await enough_after(probes, time.monotonic(), ENOUGH)
            await rig.see_redis_again()
            await enough_after(probes, time.monotonic(), ENOUGH)
        assert rig.judge(*rounds) == []
        assert await rig.play(await rig.round(WAYS[AFTERWARDS])) == []
        assert await rig.keys_in_redis() > 0


async def test_new_worker_finds_no_lost_right_in_what_was_restored(rig: Rig) -> None:
    rounds = [await rig.round(WAYS[name]) for name in ("role taken", "privilege taken")]
    probes = [probe for played in rounds for probe in played.probes]
    async with hammering(probes):
        await enough_after(probes, 0, ENOUGH)
    async with OUTAGES["restored"](rig.redis):
        for played in rounds:
            await rig.act(played)
    with rig.program.serving(path="/health/ready") as cold:
        wire = Wire(port_of(cold))
        for played in rounds:
            for probe in played.probes:
                if isinstance(probe, Bearer):
                    answer = await wire.ask(probe.asked)
                    assert (answer.status, probe.accepts(answer)) == astuple(probe.fate), probe.name
        await wire.close()
