"""A value as the program has them, and where it is loaded from, for tests of what is kept of it."""

import asyncio
from dataclasses import dataclass

from app.core.cache import Cache
from app.core.keys import Keyring, Signer
from app.core.versioned import VersionedCache
from tests.conftest import SECRET

SIGNER = Signer(Keyring([SECRET]).keys("cache")[0])


@dataclass(frozen=True, slots=True)
class Grant:
    """A value as the program has them: frozen, nested, with a set."""

    name: str
    is_super: bool
    codes: frozenset[str]


GRANT = Grant("ann", is_super=False, codes=frozenset({"a:read", "b:read"}))
OTHER = Grant("ben", is_super=True, codes=frozenset())


class Source:
    """What is loaded from: counts, waits for its gate, fails when told to."""

    def __init__(self, value: Grant = GRANT) -> None:
        self.value = value
        self.loads = 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self) -> Grant:
        self.loads += 1
        error = self.error
        await asyncio.sleep(0)
        await self.gate.wait()
        if error is not None:
            raise error
        return self.value


def cache_on(far: Cache, max_entries: int = 100) -> VersionedCache[Grant]:
    return VersionedCache(far, SIGNER, Grant, ttl_seconds=60, max_entries=max_entries)
