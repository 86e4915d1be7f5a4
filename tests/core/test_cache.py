"""Both twins keep the same promises; a cache that fails is an empty one, quickly."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from redis import Redis
from redis.exceptions import ConnectionError as Lost
from structlog.testing import capture_logs

from app.core import cache as cache_module
from app.core.cache import MAX_VALUE_BYTES, Breaker, Cache, MemoryCache, RedisCache, open_cache
from tests.conftest import NO_SERVICES
from tests.services import RedisServer

needs_redis = pytest.mark.skipif(NO_SERVICES, reason="asked to do without servers")


class Clock:
    """The cache's time, which only tests move."""

    def __init__(self) -> None:
        self.later = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.later


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(cache_module, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(own=True) as started:
        yield started


@pytest.fixture
async def redis_cache(server: RedisServer) -> AsyncIterator[RedisCache]:
    """An empty one, its server in working order."""
    with Redis.from_url(server.url()) as client:
        client.flushall()
    made = RedisCache(server.url())
    yield made
    await made.close()
    server.start()
    server.resume()


@pytest.fixture(params=["memory", pytest.param("redis", marks=needs_redis)])
def cache(request: pytest.FixtureRequest) -> Cache:
    made: Cache = MemoryCache() if request.param == "memory" else request.getfixturevalue("redis_cache")
    return made


async def test_value_comes_back_as_it_was(cache: Cache) -> None:
    values = ["text", 7, -0.5, True, None, [1, [2]], {"a": {"b": "\u00e9\N{GRINNING FACE}"}}, ""]
    for number, value in enumerate(values):
        assert await cache.get(f"key:{number}") is None
        await cache.set(f"key:{number}", value, 60)
    assert [await cache.get(f"key:{number}") for number in range(len(values))] == values
    await cache.set("key:0", "other", 60)
    assert await cache.get("key:0") == "other"
    assert await cache.get("key") is None
    assert await cache.ping()


def test_url_chooses_the_twin() -> None:
    assert isinstance(open_cache(""), MemoryCache)
    assert isinstance(open_cache("redis://127.0.0.1:1/0"), RedisCache)


def test_memory_forgets_in_time(clock: Clock) -> None:
    cache = MemoryCache()
    cache.put("short", 1, 10)
    cache.put("long", 2, 20)
    clock.later = 9.5
    assert (cache.peek("short"), cache.peek("long")) == (1, 2)
    clock.later = 10.5
    assert (cache.peek("short"), cache.peek("long")) == (None, 2)
    assert len(cache._entries) == 1
    cache.clear()
    assert cache.peek("long") is None


def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    cache = MemoryCache(max_entries=3)
    for key in "abc":
        cache.put(key, key, 60)
    assert cache.peek("a") == "a"
    cache.put("c", "C", 60)
    cache.put("d", "d", 60)
    assert [cache.peek(key) for key in "abcd"] == ["a", None, "C", "d"]
    for number in range(100):
        cache.put(str(number), number, 60)
    assert len(cache._entries) == 3


@needs_redis
async def test_redis_holds_namespaced_json_that_ends(redis_cache: RedisCache, server: RedisServer) -> None:
    await redis_cache.set("key", {"a": [1]}, 60)
    with Redis.from_url(server.url()) as client:
        assert client.keys() == [b"tessera:key"]
        assert client.get("tessera:key") == b'{"a":[1]}'
        assert client.ttl("tessera:key") in {59, 60}


@needs_redis
@pytest.mark.parametrize("raw", [b"", b"garbage", b"\x80\x04\x95\x02", b"\xff", b"{", b"NaN", b"[" * 5000])
async def test_foreign_value_is_a_miss(redis_cache: RedisCache, server: RedisServer, raw: bytes) -> None:
    with Redis.from_url(server.url()) as client:
        client.set("tessera:key", raw)
        client.set("tessera:good", b"1")
        client.rpush("tessera:list", raw)
    assert await redis_cache.get("key") is None
    assert await redis_cache.get("list") is None
    assert await redis_cache.get("good") == 1


@needs_redis
async def test_value_that_is_too_large_is_a_miss(redis_cache: RedisCache) -> None:
    await redis_cache.set("large", "x" * (MAX_VALUE_BYTES - 2), 60)
    await redis_cache.set("too large", "x" * (MAX_VALUE_BYTES - 1), 60)
    assert await redis_cache.get("large") is not None
    assert await redis_cache.get("too large") is None


@needs_redis
async def test_value_that_would_be_a_miss_is_not_sent(redis_cache: RedisCache, server: RedisServer) -> None:
    await redis_cache.set("key", "x" * MAX_VALUE_BYTES, 60)
    with Redis.from_url(server.url()) as client:
        assert client.dbsize() == 0
        client.set("tessera:key", orjson.dumps("x" * MAX_VALUE_BYTES))
    assert await redis_cache.get("key") is None


@needs_redis
async def test_frozen_server_costs_three_slow_calls(
    redis_cache: RedisCache, server: RedisServer, clock: Clock
) -> None:
    await redis_cache.set("key", 1, 60)
    server.pause()
    durations = []
    for _ in range(20):
        began = time.monotonic()
        assert await redis_cache.get("key") is None
        durations.append(time.monotonic() - began)
    are_slow = [duration > 0.1 for duration in durations]
    assert are_slow[:3] == [True] * 3
    assert sum(are_slow) <= 6, "all of them would be twenty; a busy machine may be slow by itself"
    assert max(durations) < 2
    assert not await redis_cache.ping()
    server.resume()
    assert await redis_cache.get("key") is None
    clock.later = 2.5
    assert await redis_cache.get("key") == 1
    assert await redis_cache.ping()


@needs_redis
async def test_stopped_server_is_found_again(
    redis_cache: RedisCache, server: RedisServer, clock: Clock
) -> None:
    await redis_cache.set("key", 1, 60)
    server.stop()
    for _ in range(5):
        assert await redis_cache.get("key") is None
        await redis_cache.set("key", 2, 60)
    assert not await redis_cache.ping()
    server.start()
    clock.later = 2.5
    assert await redis_cache.ping()
    assert await redis_cache.get("key") is None
    await redis_cache.set("key", 3, 60)
    assert await redis_cache.get("key") == 3


@pytest.mark.parametrize(
    "reply", [b":abc\r\n", b"$-5\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x00" * 64]
)
async def test_server_that_speaks_something_else_is_an_empty_cache(reply: bytes) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        cache = RedisCache(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0")
        assert await cache.get("key") is None
        await cache.set("key", 1, 60)
        assert not await cache.ping()
        await cache.close()


def test_breaker_opens_after_three_failures_in_a_row(clock: Clock) -> None:
    breaker = Breaker()
    for _ in range(2):
        breaker.failed(Lost())
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(Lost())
    assert breaker.lets_through()
    breaker.failed(Lost())
    assert not breaker.lets_through()
    clock.later = 1.9
    assert not breaker.lets_through()


def test_breaker_lets_one_call_look_and_closes_when_that_succeeds(clock: Clock) -> None:
    breaker = Breaker()
    for _ in range(3):
        breaker.failed(Lost())
    clock.later = 2.1
    assert [breaker.lets_through() for _ in range(5)] == [True, False, False, False, False]
    breaker.failed(Lost())
    assert not breaker.lets_through()
    clock.later = 4.3
    assert breaker.lets_through()
    breaker.succeeded()
    assert all(breaker.lets_through() for _ in range(5))


def test_breaker_tells_each_change_once_and_of_what(clock: Clock) -> None:
    breaker = Breaker("probe")
    with capture_logs() as logs:
        for _ in range(5):
            breaker.failed(Lost())
        clock.later = 2.1
        breaker.failed(Lost())
        for _ in range(3):
            breaker.succeeded()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("probe.lost", "warning"),
        ("probe.back", "info"),
    ]


async def test_crowd_waits_for_a_frozen_server_once(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """When it is time to look again, one call looks; the others go on without the cache."""
    cache, asked = RedisCache("redis://127.0.0.1:1/0"), 0

    async def hang(*_: Any) -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        raise Lost

    monkeypatch.setattr(cache._redis, "get", hang)
    for _ in range(10):
        await cache.get("key")
    assert asked == 3
    clock.later = 2.1
    assert await asyncio.gather(*(cache.get("key") for _ in range(50))) == [None] * 50
    assert asked == 4
