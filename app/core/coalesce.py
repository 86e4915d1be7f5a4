"""One query for many requests that ask the same thing at the same time.

Requests that arrive while a query is under way join the next one, never the one already sent: so an answer is
never older than its question, and "revoked before the request began" stays exact.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Coalescer(Generic[K, V]):
    """Batches look-ups by key. The first caller asks by itself; only those who come meanwhile are batched."""

    def __init__(
        self, load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], timeout_seconds: float
    ) -> None:
        """`load` must answer for all keys at once; a stuck one is given up, since everybody waits for it."""
        self._load = load
        self._timeout = timeout_seconds
        self._busy = False
        self._waiting: list[tuple[K, asyncio.Future[V | None]]] = []
        self._drain: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """The value, or None where there is none. Raises what `load` raises, or TimeoutError."""
        if self._busy:
            # A future for each: a shared one would be cancelled for all when one client leaves.
            future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
            self._waiting.append((key, future))
            return await future
        self._busy = True
        try:
            async with asyncio.timeout(self._timeout):
                return (await self._load([key])).get(key)
        finally:
            if self._waiting:
                self._drain = asyncio.get_running_loop().create_task(self._serve())
            else:
                self._busy = False

    async def _serve(self) -> None:
        """Answers those who wait, batch after batch, until nobody does."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            wanted = [(key, future) for key, future in batch if not future.done()]
            try:
                async with asyncio.timeout(self._timeout):
                    found = await self._load(list({key for key, _ in wanted})) if wanted else {}
            except BaseException as error:  # the error belongs to those who asked; the others go on
                for _, future in wanted:
                    if not future.done():
                        future.set_exception(_copied(error))
                if not isinstance(error, Exception):
                    self._give_up()
                    raise
                continue
            for key, future in wanted:
                if not future.done():
                    future.set_result(found.get(key))
        self._busy = False

    def _give_up(self) -> None:
        """The server is stopping: whoever came meanwhile must not wait for an answer that nobody will give."""
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(_stopping())
        self._waiting = []
        self._busy = False


def _stopping() -> TimeoutError:
    return TimeoutError("the server is stopping")


def _copied(error: BaseException) -> Exception:
    """One exception for each waiter: a shared traceback would grow with every one that raises it."""
    if not isinstance(error, Exception):
        return _stopping()
    try:
        made = type(error)(*error.args)
    except Exception:  # noqa: BLE001  an exception with a constructor of its own
        return error
    return made if isinstance(made, Exception) else error
