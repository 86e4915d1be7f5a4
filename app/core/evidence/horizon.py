"""Up to which id a log is settled: no transaction that is under way can still add a row below it.

Ids are drawn before they are committed. On PostgreSQL a slow transaction may bring a low id when higher ones have
been there for long; nobody can see it until then. So two looks are taken: the first notes the largest id that is
there, and then a number of a transaction (a mark). Whoever drew an id below that one had begun to write before the mark
was made. When all transactions below the mark have ended, in the second look, the ids of the first are settled.
"""

import asyncio
from collections import deque

from app.core.errors import Unavailable
from app.core.evidence.canonical import STREAMS, Stream
from app.core.evidence.store import EvidenceStore

_STEP_SECONDS = 0.05


class Horizon:
    """Of one process. It knows nothing of earlier ones: the first look begins anew."""

    def __init__(self, store: EvidenceStore) -> None:
        """Looks at nothing yet."""
        self._store = store
        self._settled: dict[Stream, int] = dict.fromkeys(STREAMS, 0)
        self._noted: deque[tuple[int, dict[Stream, int]]] = deque()
        self._seen: dict[Stream, int] = dict.fromkeys(STREAMS, 0)

    async def advance(self) -> dict[Stream, int]:
        """Takes a look; returns the settled ids, which are usually those of the look before."""
        waters = await self._store.waters()
        if waters.oldest is None:
            return waters.ids
        while self._noted and self._noted[0][0] <= waters.oldest:
            self._settled = self._noted.popleft()[1]
        if waters.ids != self._seen:
            self._seen = waters.ids
            self._noted.append((await self._store.mark(), waters.ids))
        return dict(self._settled)

    async def settle(self, seconds: float) -> dict[Stream, int]:
        """Looks until all that is there now is settled. Raises Unavailable after so many seconds."""
        wanted = (await self._store.waters()).ids
        try:
            async with asyncio.timeout(seconds):
                while True:
                    settled = await self.advance()
                    if all(settled[stream] >= wanted[stream] for stream in STREAMS):
                        return settled
                    await asyncio.sleep(_STEP_SECONDS)
        except TimeoutError:
            raise Unavailable(
                "A transaction on the database has been open for too long: the logs can't be settled.",
                retry_after_seconds=5,
            ) from None
