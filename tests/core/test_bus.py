import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from structlog.testing import capture_logs

from app.core import bus as bus_file
from app.core.bus import CHANNEL, Bus, MemoryBus, RedisBus, open_bus
from app.core.context import RequestContext, current, enter
from tests.conftest import NO_SERVICES
from tests.recording_proxy import RecordingProxy, name_of
from tests.services import RedisServer

with_redis = pytest.mark.skipif(NO_SERVICES, reason="needs Redis")
PATIENCE = 10.0


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self._more = asyncio.Event()

    def __call__(self, event: Any | None) -> None:
        self.heard.append(event)
        self._more.set()

    async def hears(self, *events: Any) -> None:
        """Asserts that exactly these come, in this order."""
        async with asyncio.timeout(PATIENCE):
            while len(self.heard) < len(events):
                self._more.clear()
                await self._more.wait()
        assert self.heard == list(events)
        self.heard.clear()


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer(own=True) as server:
        yield server


@asynccontextmanager
async def hearing(url: str, topic: str = "talk") -> AsyncIterator[tuple[Bus, Ear]]:
    made, ear = open_bus(url), Ear()
    await made.listen(topic, ear)
    assert ear.heard in ([], [None]), "of what was before, nobody knows"
    ear.heard.clear()
    yield made, ear
    await made.close()


async def test_memory_tells_listeners_of_the_topic() -> None:
    async with hearing("") as (bus, ear):
        assert isinstance(bus, MemoryBus)
        assert not bus.is_shared
        await bus.publish("talk", {"a": 1})
        await bus.publish("elsewhere", 2)
        assert ear.heard == [{"a": 1}]


async def test_fault_in_a_listener_is_nobody_elses() -> None:
    def broken(_event: Any | None) -> None:
        raise ValueError

    bus, ear = MemoryBus(), Ear()
    await bus.listen("talk", broken)
    await bus.listen("talk", ear)
    await bus.publish("talk", 1)
    assert ear.heard == [1]


@with_redis
async def test_redis_tells_everybody_in_one_order(redis: RedisServer) -> None:
    async with hearing(redis.url()) as (one, here), hearing(redis.url()) as (two, there):
        assert isinstance(one, RedisBus)
        assert one.is_shared
        for number in range(20):
            await (one, two)[number % 2].publish("talk", number)
            await one.publish("elsewhere", number)
        await here.hears(*range(20))
        await there.hears(*range(20))


@with_redis
async def test_what_others_write_to_redis_is_dropped(redis: RedisServer) -> None:
    async with hearing(redis.url()) as (bus, ear), Redis.from_url(redis.url()) as stranger:
        large = b'["talk","' + b"x" * 300_000 + b'"]'
        for raw in (b"", b"{", b"5", b"[1,2,3]", b'["talk"]', b"[1,2]", b'["talk",null]', large):
            await stranger.publish(CHANNEL, raw)
        await bus.publish("talk", "ours")
        await ear.hears("ours")


@with_redis
async def test_dead_redis_costs_the_others_only_and_the_gap_is_told(redis: RedisServer) -> None:
    async with hearing(redis.url()) as (one, here), hearing(redis.url()) as (two, there):
        redis.stop()
        await asyncio.sleep(0.2)
        await one.publish("talk", 1)
        await here.hears(1)
        assert there.heard == []
        redis.start()
        await asyncio.gather(here.hears(None), there.hears(None))
        await until_sent(one, "talk", 2, there)
        await asyncio.sleep(0.2)
        here.heard.clear()
        there.heard.clear()
        await two.publish("talk", 3)
        await here.hears(3)
        await there.hears(3)


@with_redis
async def test_who_could_not_send_tells_everybody_of_the_gap(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hearing(redis.url()) as (one, here), hearing(redis.url()) as (_, there):
        assert isinstance(one, RedisBus)
        with monkeypatch.context() as patch:
            patch.setattr(one._speaker, "publish", _lost)
            await one.publish("talk", 1)
        await here.hears(1)
        assert there.heard == []
        await one.publish("talk", 2)
        await there.hears(2, None)
        await here.hears(2, None)
        await one.publish("talk", 3)
        await there.hears(3)


async def _lost(*_arguments: object) -> None:
    raise ConnectionError


@with_redis
async def test_silent_redis_is_found_out(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections stay open, and nothing comes: only a heartbeat tells that from quiet."""
    monkeypatch.setattr(bus_file, "_QUIET_SECONDS", 0.2)
    async with hearing(redis.url()) as (bus, ear):
        await asyncio.sleep(0.6)
        assert ear.heard == []
        redis.pause()
        try:
            await asyncio.sleep(1)
            await bus.publish("talk", 1)
            await ear.hears(1)
        finally:
            redis.resume()
        await ear.hears(None)


@with_redis
async def test_fault_in_the_client_does_not_make_deaf(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the library raises: the channel is opened again, and what was missed is told."""
    async with hearing(redis.url()) as (bus, ear):
        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr(PubSub, "get_message", _faulty)
            await bus.publish("talk", 1)
            await until(lambda: any(line["event"] == "bus.deaf" for line in logs))
        await until(lambda: None in ear.heard)
        ear.heard.clear()
        await bus.publish("talk", 2)
        await ear.hears(2)


async def _faulty(*_arguments: object, **_options: object) -> None:
    raise RuntimeError


@with_redis
async def test_channel_is_nobodys_request(redis: RedisServer) -> None:
    """Who listens first would else be named in every line that the log has about the channel."""
    seen: list[str | None] = []
    bus = open_bus(redis.url())

    async def opens() -> None:
        enter(RequestContext(request_id="the first one's"))
        await bus.listen("talk", lambda _event: seen.append(current().request_id))

    await asyncio.create_task(opens())
    await bus.publish("talk", 1)
    await until(lambda: bool(seen))
    await bus.close()
    assert set(seen) == {None}


@with_redis
async def test_channel_needs_few_commands(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """And all of them are Dragonfly's too."""
    monkeypatch.setattr(bus_file, "_QUIET_SECONDS", 0.1)
    async with RecordingProxy(redis.url()) as proxy:
        async with hearing(proxy.url) as (bus, ear):
            await bus.publish("talk", 1)
            await ear.hears(1)
            await until(lambda: len([one for one in proxy.commands if name_of(one) == "PUBLISH"]) > 1)
        names = {name_of(command) for command in proxy.commands}
    assert {"PUBLISH", "SUBSCRIBE"} <= names <= {"PUBLISH", "SUBSCRIBE", "HELLO", "CLIENT SETINFO", "PING"}


@with_redis
async def test_listening_begins_without_redis(redis: RedisServer) -> None:
    redis.stop()
    try:
        async with hearing(redis.url()) as (bus, ear):
            await bus.publish("talk", 1)
            await ear.hears(1)
            redis.start()
            await ear.hears(None)
    finally:
        redis.start()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  a log has no event for it
            await asyncio.sleep(0.01)


async def until_sent(bus: Bus, topic: str, event: Any, other: Ear) -> None:
    """Publishes until it comes through: a breaker lets one call through now and then."""
    async with asyncio.timeout(PATIENCE):
        while event not in other.heard:
            await bus.publish(topic, event)
            await asyncio.sleep(0.1)
    other.heard.clear()
