"""Values that never change under their key, because the key contains their version: read once, kept, shared.

Nothing is ever invalidated: what no longer holds can't be addressed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import GenericAlias
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from app.core.cache import Cache, MemoryCache
from app.core.keys import Signer

T = TypeVar("T")


class VersionedCache(Generic[T]):
    """This process's memory, then the shared cache, then `load`, once for all who ask at the same time.

    Values are read through their type and sealed together with their key: who can write to the shared cache can
    neither make one up nor file one under another key. What can't be read is a miss. `T` must not be None.
    """

    def __init__(
        self, far: Cache, signer: Signer, shape: type[T], *, ttl_seconds: int, max_entries: int = 10_000
    ) -> None:
        """`signer`: of the purpose `cache`. `max_entries`: how many values this process keeps at most."""
        self._near = MemoryCache(max_entries)
        self._far = far
        self._signer = signer
        filed: Any = GenericAlias(tuple, (str, shape))
        self._filed: TypeAdapter[tuple[str, T]] = TypeAdapter(filed)
        self._ttl = ttl_seconds
        self._flights: dict[str, asyncio.Task[T]] = {}

    def peek(self, key: str) -> T | None:
        """What this process has, without waiting; None where it has nothing. For the hot path."""
        found: T | None = self._near.peek(key)
        return found

    async def get(self, key: str, load: Callable[[], Awaitable[T]]) -> T:
        """The value. Raises what `load` raises, to everybody who waits for it; the next call loads anew.

        `load` sees committed data only and ends by itself. It runs in a task of its own, so that a client who
        leaves takes nothing from the others.
        """
        found = self.peek(key)
        if found is not None:
            return found
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._fetch(key, load))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._land(key, done))
        await asyncio.wait((flight,))
        if flight.cancelled():  # not by us: the loop is ending
            raise TimeoutError("the server is stopping")
        return flight.result()

    def forget(self) -> None:
        """Empties this process's memory; for tests that empty the database."""
        self._near.clear()

    async def _fetch(self, key: str, load: Callable[[], Awaitable[T]]) -> T:
        value = self._opened(key, await self._far.get(key))
        if value is None:
            value = await load()
            self._near.put(key, value, self._ttl)
            await self._far.set(key, self._sealed(key, value), self._ttl)
        else:
            self._near.put(key, value, self._ttl)
        return value

    def _land(self, key: str, flight: asyncio.Task[T]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, also where everybody who waited has left

    def _sealed(self, key: str, value: T) -> str:
        return self._signer.sign(self._filed.dump_json((key, value)))

    def _opened(self, key: str, sealed: object) -> T | None:
        """None for what isn't ours, is filed under another key, or was written by another version of the program."""
        payload = self._signer.unsign(sealed) if isinstance(sealed, str) else None
        if payload is None:
            return None
        try:
            filed, value = self._filed.validate_json(payload, strict=True)
        except ValueError:
            return None
        return value if filed == key else None
