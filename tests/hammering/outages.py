"""What happens to Redis while things are taken away, and how it comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from redis.asyncio import Redis

from tests.services import RedisServer

_FLUSH_SECONDS = 0.02


@asynccontextmanager
async def stopped(server: RedisServer) -> AsyncIterator[None]:
    """Gone; afterwards back and empty."""
    await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


@asynccontextmanager
async def frozen(server: RedisServer) -> AsyncIterator[None]:
    """Every connection hangs; afterwards it goes on as if nothing had been."""
    await asyncio.to_thread(server.pause)
    try:
        yield
    finally:
        server.resume()


@asynccontextmanager
async def flushed(server: RedisServer) -> AsyncIterator[None]:
    """Emptied again and again."""
    async with Redis.from_url(server.url()) as redis:

        async def flush() -> None:
            while True:
                await redis.flushall()
                await asyncio.sleep(_FLUSH_SECONDS)

        flushing = asyncio.create_task(flush())
        try:
            yield
            assert not flushing.done()
        finally:
            flushing.cancel()
            await asyncio.gather(flushing, return_exceptions=True)


@asynccontextmanager
async def restored(server: RedisServer) -> AsyncIterator[None]:
    """Works meanwhile; afterwards it has what it had before. Asserts that this isn't nothing."""
    dump = server.process.folder / "dump.rdb"
    async with Redis.from_url(server.url()) as redis:
        await redis.save()
        kept, before = dump.read_bytes(), sorted(await redis.keys("tessera:rights:*"))
    assert before
    yield
    await asyncio.to_thread(server.stop)
    dump.write_bytes(kept)
    await asyncio.to_thread(server.start)
    dump.unlink()
    async with Redis.from_url(server.url()) as redis:
        assert sorted(await redis.keys("tessera:rights:*")) == before


OUTAGES: dict[str, Callable[[RedisServer], AbstractAsyncContextManager[None]]] = {
    "stopped": stopped,
    "frozen": frozen,
    "flushed": flushed,
    "restored": restored,
}
