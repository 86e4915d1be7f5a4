"""The general limit: exact, shared by workers, true in what it says, and never gone with Redis."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.core import cache as cache_module
from app.core import rate_limit as rate_limit_module
from app.core.errors import RateLimited
from app.core.rate_limit import Allowance, RateLimiter
from tests.conftest import NO_SERVICES
from tests.services import RedisServer

needs_redis = pytest.mark.skipif(NO_SERVICES, reason="asked to do without servers")
NOON = 1_800_000_000.0
ANN, BEN = "user:0198c0de-0000-7000-8000-000000000000", "user:0198c0de-0000-7000-8000-000000000001"


class Clock:
    """The time that windows and the breaker go by; only tests move it."""

    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> float:
        return self.moment

    def move_to(self, limiter: RateLimiter, caller: str, *, left: float) -> None:
        """To where so many seconds are left of the caller's window."""
        self.moment += limiter._window(caller)[1] - left


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(rate_limit_module, "time", SimpleNamespace(time=made.now))
    monkeypatch.setattr(cache_module, "time", SimpleNamespace(monotonic=made.now))
    return made


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(own=True) as started:
        yield started


@pytest.fixture
def redis(server: RedisServer) -> Iterator[RedisServer]:
    """An empty one in working order, before and after."""
    with Redis.from_url(server.url()) as client:
        client.flushall()
    yield server
    server.start()
    server.resume()


Worker = Callable[[str], RateLimiter]


@pytest.fixture(params=["memory", pytest.param("redis", marks=needs_redis)])
async def worker(request: pytest.FixtureRequest) -> AsyncIterator[Worker]:
    """Makes a limiter, as each worker has one."""
    url = "" if request.param == "memory" else request.getfixturevalue("redis").url()
    made: list[RateLimiter] = []

    def make(rate: str) -> RateLimiter:
        made.append(RateLimiter(rate, url))
        return made[-1]

    yield make
    for limiter in made:
        await limiter.close()


async def admitted(limiter: RateLimiter, times: int, caller: str = ANN) -> int:
    """How many of so many calls at once were let in; nothing but RateLimited may be raised."""
    answers = await asyncio.gather(*(limiter.admit(caller) for _ in range(times)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, RateLimited)]
    allowed = [answer for answer in answers if isinstance(answer, Allowance)]
    assert len(refused) + len(allowed) == times
    return len(allowed)


async def refusal(limiter: RateLimiter, caller: str = ANN) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        await limiter.admit(caller)
    return caught.value


async def test_exactly_the_limit_is_let_in_of_many_at_once(worker: Worker, clock: Clock) -> None:
    limiter = worker("20/minute")
    assert await admitted(limiter, 50) == 20
    assert await admitted(limiter, 50) == 0
    assert await admitted(limiter, 50, BEN) == 20


async def test_allowance_counts_down(worker: Worker, clock: Clock) -> None:
    limiter = worker("3 per 2 minutes")
    clock.move_to(limiter, ANN, left=100.5)
    assert [await limiter.admit(ANN) for _ in range(3)] == [Allowance(3, left, 101) for left in (2, 1, 0)]
    clock.moment += 40
    refused = await refusal(limiter)
    assert refused.headers == {
        "RateLimit-Limit": "3",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "61",
        "Retry-After": "61",
    }
    assert refused.detail == "More than 3 calls; wait 61 s."


@pytest.mark.parametrize("left", [59.999, 30.0, 1.0, 0.25])
async def test_who_waits_as_long_as_told_is_let_in(worker: Worker, clock: Clock, left: float) -> None:
    limiter = worker("2/minute")
    clock.move_to(limiter, ANN, left=left)
    assert await admitted(limiter, 3) == 2
    told = int((await refusal(limiter)).headers["Retry-After"])
    assert left <= told < left + 1.001
    clock.moment += left - 0.01
    await refusal(limiter)
    clock.moment += told - left + 0.01
    assert await admitted(limiter, 3) == 2


async def test_waiting_in_earnest(worker: Worker) -> None:
    """The one test on the real clock: a window of a second."""
    limiter = worker("1/second")
    while await admitted(limiter, 1):
        pass
    await asyncio.sleep(1)
    assert await admitted(limiter, 1) == 1


async def test_clock_that_jumps_back_ends_windows_too(worker: Worker, clock: Clock) -> None:
    limiter = worker("2/minute")
    assert await admitted(limiter, 3) == 2
    clock.moment -= 3600
    assert await admitted(limiter, 3) == 2
    told = int((await refusal(limiter)).headers["Retry-After"])
    clock.moment += told
    assert await admitted(limiter, 3) == 2


async def test_windows_of_callers_begin_at_times_of_their_own(clock: Clock) -> None:
    limiter = RateLimiter("100/minute", "")
    resets = {(await limiter.admit(f"user:{number}")).reset_seconds for number in range(200)}
    assert len(resets) > 40


async def test_memory_is_bounded_and_who_calls_most_stays(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(rate_limit_module, "_MAX_CALLERS", 10)
    limiter, let_in = RateLimiter("5/minute", ""), 0
    for number in range(1000):
        await limiter.admit(f"address:{number}")
        if number % 5 == 0:
            let_in += await admitted(limiter, 1)
    assert let_in == 5
    assert len(limiter._near._entries) == 10


async def test_limiter_leaves_no_task_behind(worker: Worker) -> None:
    before = len(asyncio.all_tasks())
    limiter = worker("5/minute")
    await admitted(limiter, 10)
    assert len(asyncio.all_tasks()) == before


# On Redis


@pytest.fixture
def patience() -> float:
    """Seconds for an answer of Redis, as a busy machine asks for."""
    return 10.0


# Where Redis never answers, all of them are waited for.
hasty = pytest.mark.parametrize("patience", [1.0])


@pytest.fixture
async def pair(
    redis: RedisServer, clock: Clock, monkeypatch: pytest.MonkeyPatch, patience: float
) -> AsyncIterator[tuple[RateLimiter, RateLimiter]]:
    """Two workers on one Redis."""
    monkeypatch.setattr(cache_module, "TIMEOUT_SECONDS", patience)
    made = RateLimiter("20/minute", redis.url()), RateLimiter("20/minute", redis.url())
    clock.move_to(made[0], ANN, left=50)
    yield made
    for limiter in made:
        await limiter.close()


Pair = tuple[RateLimiter, RateLimiter]


@needs_redis
async def test_workers_share_one_budget(pair: Pair) -> None:
    one, other = pair
    assert await admitted(one, 5) == 5
    assert (await other.admit(ANN)).remaining == 14
    assert sum(await asyncio.gather(admitted(one, 40), admitted(other, 40))) == 14
    assert await admitted(one, 1) == await admitted(other, 1) == 0


@needs_redis
async def test_keys_are_namespaced_say_nothing_and_end(pair: Pair, redis: RedisServer) -> None:
    await pair[0].admit("address:2001:db8:beef::/64")
    with Redis.from_url(redis.url()) as client:
        (key,) = client.keys()
        assert re.fullmatch(rb"tessera:rate:[0-9a-f]{32}:\d+", key)
        assert client.get(key) == b"1"
        assert 0 < client.ttl(key) <= 60


@needs_redis
async def test_who_is_over_the_limit_costs_redis_nothing(pair: Pair, redis: RedisServer) -> None:
    assert await admitted(pair[0], 50) == 20
    with Redis.from_url(redis.url()) as client:
        assert [client.get(key) for key in client.scan_iter()] == [b"20"]


@needs_redis
@hasty
@pytest.mark.parametrize("fault", [RedisServer.stop, RedisServer.pause])
async def test_without_redis_each_process_limits(
    pair: Pair, redis: RedisServer, clock: Clock, fault: Callable[[RedisServer], None]
) -> None:
    """Nobody sees an error, nobody is let in without limit, and what this process has seen still counts."""
    one, other = pair
    assert await admitted(one, 5) == 5
    with capture_logs() as logs:
        fault(redis)
        assert await admitted(one, 50) == 15
        assert await admitted(other, 50) == 20
        assert await admitted(one, 50, BEN) == 20
        assert [entry["event"] for entry in logs] == ["rate_limit.lost", "rate_limit.lost"]
        redis.start()
        redis.resume()
        clock.moment += 50
        for _ in range(5):  # each of the old connections notices by itself
            await one.admit(ANN)
            clock.moment += 2.1
        assert [entry["event"] for entry in logs].count("rate_limit.back") == 1
    with Redis.from_url(redis.url()) as client:
        assert client.keys()


@needs_redis
@hasty
async def test_frozen_redis_costs_three_slow_calls(
    pair: Pair, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter, asked = pair[0], 0
    await limiter.admit(ANN)
    far = limiter._far
    assert far is not None
    incr = far._storage.incr

    async def count(*given: Any) -> int:
        nonlocal asked
        asked += 1
        return await incr(*given)

    monkeypatch.setattr(far._storage, "incr", count)
    redis.pause()
    for _ in range(15):
        await limiter.admit(ANN)
    assert asked == 3


@needs_redis
async def test_emptied_redis_gives_no_new_budget(pair: Pair, redis: RedisServer) -> None:
    assert await admitted(pair[0], 15) == 15
    with Redis.from_url(redis.url()) as client:
        client.flushall()
        client.script_flush()
    assert (await pair[0].admit(ANN)).remaining == 4
    assert await admitted(pair[0], 50) == 4


@needs_redis
@pytest.mark.parametrize("value", [b"garbage", b"\x80\x04\x95", b"-1000000", b"9" * 400, b""])
async def test_poisoned_count_never_lifts_the_limit(pair: Pair, redis: RedisServer, value: bytes) -> None:
    await pair[0].admit(ANN)
    with Redis.from_url(redis.url()) as client:
        (key,) = client.keys()
        client.set(key, value)
    assert await admitted(pair[0], 50) == 19
