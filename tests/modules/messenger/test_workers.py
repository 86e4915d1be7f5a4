"""Two workers deliver to each other's sockets through Redis; without it nothing is lost but time."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.api import Api, Caller
from tests.backend import Backend, run_app
from tests.conftest import NO_SERVICES, settings_for
from tests.modules.messenger.support import begin, following, person, post, texts
from tests.services import RedisServer
from tests.socket_client import SocketClient

pytestmark = pytest.mark.skipif(NO_SERVICES, reason="needs Redis")
PATIENCE = 15.0


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """One that may be stopped."""
    with RedisServer(own=True) as server:
        yield server


@pytest.fixture(scope="module")
async def pair(backend: Backend, redis: RedisServer) -> AsyncIterator[tuple[Api, Api]]:
    """Two apps that share one database and one Redis."""
    settings = settings_for(backend.new_database(), redis.url())
    async with run_app(settings) as first, run_app(settings) as second:
        yield Api(first), Api(second)


def at(api: Api, caller: Caller) -> Caller:
    """The same session at another worker."""
    return Caller(api, caller.email, caller.id, caller.access_token, caller.refresh_token)


async def frame_of(socket: SocketClient, kind: str) -> dict[str, Any]:
    """The next frame of this kind."""
    async with asyncio.timeout(PATIENCE):
        while (frame := await socket.heard())["type"] != kind:
            pass
    return frame


async def test_workers_deliver_to_each_other(pair: tuple[Api, Api]) -> None:
    here, there = pair
    ann, bob = await person(here), await person(here)
    thread = await begin(ann, bob)
    async with following(there.app, bob.access_token) as far, following(here.app, bob.access_token) as near:
        writers = (ann, at(there, ann))
        for number in range(10):
            await post(writers[number % 2], thread, f"{number}")
        for socket in (far, near):
            heard = [(await socket.heard())["message"]["number"] for _ in range(10)]
            assert heard == list(range(1, 11))


async def test_removal_and_logout_at_one_worker_count_at_the_other(pair: tuple[Api, Api]) -> None:
    here, there = pair
    ann, bob = await person(here), await person(here)
    thread = await begin(ann, bob)
    async with following(there.app, bob.access_token) as socket:
        await ann.delete(f"messenger/threads/{thread}/members/{bob.id}")
        await post(ann, thread)
        await socket.silent()
        other = await begin(ann, bob)
        assert (await socket.heard())["thread_id"] == other
        await bob.post("auth/logout")
        await post(ann, other)
        assert await socket.closed() == 4401


async def test_sockets_outlive_redis_and_catch_up(pair: tuple[Api, Api], redis: RedisServer) -> None:
    here, there = pair
    ann, bob = await person(here), await person(here)
    thread = await begin(ann, bob)
    async with following(here.app, bob.access_token) as near, following(there.app, bob.access_token) as far:
        await post(ann, thread, "1")
        for socket in (near, far):
            assert (await socket.heard())["message"]["text"] == "1"
        redis.stop()
        await asyncio.sleep(0.2)

        await post(ann, thread, "2")
        assert (await near.heard())["message"]["text"] == "2"
        await far.silent()

        redis.start()
        for socket in (near, far):
            await frame_of(socket, "missed")
        assert await texts(at(there, bob), thread, after=1, sort="number") == ["2"]
        await post(ann, thread, "3")
        for socket in (near, far):
            assert (await frame_of(socket, "message"))["message"]["text"] == "3"
