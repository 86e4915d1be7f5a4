"""Lets only a few through at a time for each key, in the order in which they came.

Who guesses in parallel gains nothing: a try is judged after the failures before it were counted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.core.errors import Unavailable

MAX_WAITING = 512


@dataclass(slots=True)
class _Lane:
    places: asyncio.Semaphore
    users: int = field(default=0)


class Turnstile:
    """One for the process. A key is forgotten when nobody uses it."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        """`max_waiting`: how many may be inside or wait, over all keys, before it refuses."""
        self._max = max_waiting
        self._lanes: dict[str, _Lane] = {}
        self._inside = 0

    @asynccontextmanager
    async def passing(self, *keys: tuple[str, int]) -> AsyncIterator[None]:
        """Waits for a place of every key (`(key, places)`), and holds them. Raises Unavailable when too many wait."""
        if self._inside >= self._max:
            raise Unavailable("Too many passwords are being checked at the moment.", retry_after_seconds=1)
        self._inside += 1
        held: list[str] = []
        try:
            for key, places in sorted(keys):  # one order for all, so that nobody waits in a circle
                await self._enter(key, places)
                held.append(key)
            yield
        finally:
            for key in held:
                self._leave(key)
            self._inside -= 1

    async def _enter(self, key: str, places: int) -> None:
        lane = self._lanes.setdefault(key, _Lane(asyncio.Semaphore(places)))
        lane.users += 1
        try:
            await lane.places.acquire()
        except BaseException:
            self._forget(key, lane)
            raise

    def _leave(self, key: str) -> None:
        lane = self._lanes[key]
        lane.places.release()
        self._forget(key, lane)

    def _forget(self, key: str, lane: _Lane) -> None:
        lane.users -= 1
        if lane.users == 0:
            del self._lanes[key]
