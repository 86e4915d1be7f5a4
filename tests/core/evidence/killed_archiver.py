"""A run of the archiver in a process of its own, which is killed when it has come to a step so many times."""

import asyncio
import os
import signal
from pathlib import Path

from tests.core.evidence.archive_world import open_world


def run(url: str, folder: str, step: str, times: int) -> None:
    """`step` may be `any`. Ends as usual where it never comes to that."""
    asyncio.run(_run(url, Path(folder), step, times))


async def _run(url: str, folder: Path, step: str, times: int) -> None:
    seen = [0]

    def reach(name: str) -> None:
        seen[0] += step in (name, "any")
        if seen[0] == times:
            os.kill(os.getpid(), signal.SIGKILL)

    async with open_world(url, folder) as world:
        await world.work(world.run(step=reach))
