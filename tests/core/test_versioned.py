"""Read once, kept, shared: three places in order, and one load for all who ask at the same time."""

import asyncio
import gc
import time
from typing import Any

import pytest

from app.core import cache as cache_module
from app.core.cache import MemoryCache
from app.core.versioned import VersionedCache
from tests.core.grants import GRANT, OTHER, Grant, Source, cache_on


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def far() -> MemoryCache:
    return MemoryCache()


@pytest.fixture
def cache(far: MemoryCache) -> VersionedCache[Grant]:
    return cache_on(far)


async def under_way(*tasks: "asyncio.Task[Grant]") -> None:
    """Lets every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


def asking(cache: VersionedCache[Grant], source: Source, times: int) -> list["asyncio.Task[Grant]"]:
    return [asyncio.create_task(cache.get("key:1", source.load)) for _ in range(times)]


# Three places, in order


async def test_value_is_loaded_once_and_kept(cache: VersionedCache[Grant], source: Source) -> None:
    assert cache.peek("key:1") is None
    assert [await cache.get("key:1", source.load) for _ in range(3)] == [GRANT] * 3
    assert cache.peek("key:1") == GRANT
    assert source.loads == 1


async def test_other_version_is_another_value(cache: VersionedCache[Grant], source: Source) -> None:
    await cache.get("key:1", source.load)
    source.value = OTHER
    assert await cache.get("key:2", source.load) == OTHER
    assert await cache.get("key:1", source.load) == GRANT
    assert source.loads == 2


async def test_shared_cache_is_asked_before_the_source(far: MemoryCache, source: Source) -> None:
    one, other = cache_on(far), cache_on(far)
    assert await one.get("key:1", source.load) == await other.get("key:1", source.load) == GRANT
    assert source.loads == 1
    one.forget()
    assert one.peek("key:1") is None
    assert await one.get("key:1", source.load) == GRANT
    assert source.loads == 1


async def test_values_end_in_time(cache: VersionedCache[Grant], source: Source, later: list[float]) -> None:
    await cache.get("key:1", source.load)
    later[0] = 59
    assert cache.peek("key:1") == GRANT
    later[0] = 61
    assert cache.peek("key:1") is None
    await cache.get("key:1", source.load)
    assert source.loads == 2


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds by which the caches' clock is ahead."""
    ahead, real = [0.0], time.monotonic
    monkeypatch.setattr(
        cache_module, "time", type("Ahead", (), {"monotonic": staticmethod(lambda: real() + ahead[0])})
    )
    return ahead


async def test_near_side_is_bounded(far: MemoryCache, source: Source) -> None:
    cache = cache_on(far, max_entries=3)
    for number in range(10):
        await cache.get(f"key:{number}", source.load)
    assert [cache.peek(f"key:{number}") is None for number in range(10)] == [True] * 7 + [False] * 3
    assert not cache._flights


# Single flight


async def test_many_misses_at_once_are_one_load(cache: VersionedCache[Grant], source: Source) -> None:
    source.gate.clear()
    asked = asking(cache, source, 100)
    await under_way(*asked)
    source.gate.set()
    assert await asyncio.gather(*asked) == [GRANT] * 100
    assert source.loads == 1


async def test_different_keys_do_not_wait_for_each_other(
    cache: VersionedCache[Grant], source: Source
) -> None:
    source.gate.clear()
    (first,) = asking(cache, source, 1)
    await under_way(first)
    assert await cache.get("key:2", Source(OTHER).load) == OTHER
    source.gate.set()
    assert await first == GRANT


@pytest.mark.parametrize("leaving", [slice(0, 1), slice(1, 3), slice(0, 9)])
async def test_who_leaves_takes_nothing_from_the_others(
    cache: VersionedCache[Grant], source: Source, leaving: slice
) -> None:
    """Neither the first, whose call began the load, nor any other; and nothing of them stays behind."""
    source.gate.clear()
    asked = asking(cache, source, 10)
    await under_way(*asked)
    for task in asked[leaving]:
        task.cancel()
    answers = asyncio.gather(*asked, return_exceptions=True)
    await asyncio.sleep(0)
    (flight,) = cache._flights.values()
    source.gate.set()
    found = await answers
    assert all(isinstance(answer, asyncio.CancelledError) for answer in found[leaving])
    assert found.count(GRANT) == 10 - len(found[leaving])
    assert (source.loads, cache._flights, flight.done()) == (1, {}, True)


@pytest.mark.parametrize("fails", [False, True])
async def test_load_that_everybody_left_lands_silently(
    cache: VersionedCache[Grant], source: Source, fails: bool
) -> None:
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    source.error = LookupError() if fails else None
    source.gate.clear()
    asked = asking(cache, source, 3)
    await under_way(*asked)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    (flight,) = cache._flights.values()
    source.gate.set()
    await asyncio.wait((flight,))
    del flight, task
    asked.clear()
    gc.collect()  # a task complains of an error that nobody saw when it goes
    loop.set_exception_handler(None)
    assert (complaints, cache._flights) == ([], {})
    assert cache.peek("key:1") == (None if fails else GRANT)


async def test_error_reaches_everybody_and_is_not_kept(cache: VersionedCache[Grant], source: Source) -> None:
    source.gate.clear()
    source.error = LookupError("gone")
    asked = asking(cache, source, 20)
    await under_way(*asked)
    source.gate.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(answer) for answer in answers if isinstance(answer, LookupError)] == ["gone"] * 20
    assert source.loads == 1
    source.error = None
    assert await cache.get("key:1", source.load) == GRANT
    assert source.loads == 2


async def test_shared_error_does_not_grow_with_each_who_raises_it(
    cache: VersionedCache[Grant], source: Source
) -> None:
    source.gate.clear()
    source.error = LookupError("gone")
    asked = asking(cache, source, 50)
    await under_way(*asked)
    source.gate.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    depth, frame = 0, getattr(answers[-1], "__traceback__", None)
    while frame is not None:
        depth, frame = depth + 1, frame.tb_next
    assert 0 < depth < 10


async def test_who_waits_when_the_loop_ends_is_told(cache: VersionedCache[Grant], source: Source) -> None:
    source.gate.clear()
    asked = asking(cache, source, 3)
    await under_way(*asked)
    for flight in cache._flights.values():
        flight.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [TimeoutError] * 3
    source.gate.set()
    assert await cache.get("key:1", source.load) == GRANT
