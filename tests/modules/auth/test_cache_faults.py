"""Redis gone, frozen, emptied, poisoned or put back to yesterday: the same decisions, at nearly the same speed."""

import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import pytest
from redis import Redis

from app.core import cache as cache_module
from app.modules.auth.service_principals import PrincipalService
from tests.api import Api, Caller, assert_problem
from tests.backend import Backend, run_app
from tests.conftest import NO_SERVICES, settings_for
from tests.modules.auth.support import assert_dead
from tests.services import RedisServer

pytestmark = pytest.mark.skipif(NO_SERVICES, reason="asked to do without servers")

SLOW_SECONDS = 0.19


class Rig:
    """An app with a Redis of its own, and time that the cache's breaker goes by."""

    def __init__(self, api: Api, server: RedisServer) -> None:
        self.api = api
        self.server = server
        self.later = 0.0

    @property
    def redis(self) -> Redis:
        return Redis.from_url(self.server.url())

    def forget(self) -> None:
        """Empties the process's own memory, so that the cache is asked."""
        authenticator = self.api.app.kernel.authenticator
        assert isinstance(authenticator, PrincipalService)
        authenticator.forget()
        self.api.app.kernel.profiles.forget()

    def entries(self, kind: str = "rights") -> list[bytes]:
        with self.redis as redis:
            return sorted(redis.scan_iter(f"tessera:{kind}:*"))

    async def decides_rightly(self, admin: Caller, reader: Caller, stranger: Caller) -> None:
        """Who may is let in, who may not isn't; whoever loses a right or the account loses it at once."""
        for caller, status in ((reader, 200), (stranger, 403), (admin, 200)):
            self.forget()
            assert (await caller.get("users")).status_code == status
        gone, stripped = await self.api.user("users:read"), await self.api.user("users:read")
        for caller in (gone, stripped):
            assert (await caller.get("users")).status_code == 200
        assert (await admin.post(f"users/{gone.id}/block")).status_code == 200
        assert (await admin.put(f"users/{stripped.id}/roles", {"role_ids": []})).status_code == 200
        self.forget()
        await assert_dead(gone)
        assert_problem(await stripped.get("users"), 403, "forbidden")


@pytest.fixture(scope="module")
async def machine(backend: Backend) -> AsyncIterator[Rig]:
    with RedisServer(own=True) as server:
        async with run_app(settings_for(backend.new_database(), server.url())) as app:
            yield Rig(Api(app), server)


@pytest.fixture
def rig(machine: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """The machine in working order, before and after."""
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + machine.later)
    monkeypatch.setattr(cache_module, "time", clock)
    machine.later += 10  # a breaker that the test before has opened looks again
    yield machine
    machine.server.start()
    machine.server.resume()


Cast = tuple[Caller, Caller, Caller]


@pytest.fixture
async def cast(rig: Rig) -> Cast:
    """An administrator, one who may read users, one who may not; nobody else in the cache."""
    api = rig.api
    with rig.redis as redis:
        redis.flushall()
    rig.forget()
    found = await api.superuser(), await api.user("users:read"), await api.user("roles:read")
    assert len(rig.entries()) == 3
    return found


async def test_cache_is_used_at_all(rig: Rig, cast: Cast) -> None:
    _, reader, _ = cast
    with rig.redis as redis:
        redis.flushall()
        rig.forget()
        assert (await reader.get("users")).status_code == 200
        (key,) = rig.entries()
        assert key.startswith(b"tessera:rights:" + reader.id.encode())
        assert redis.ttl(key) > 0
        redis.set("foreign", "stays")
    await rig.decides_rightly(*cast)


async def test_stopped_and_started_again(rig: Rig, cast: Cast) -> None:
    rig.server.stop()
    await rig.decides_rightly(*cast)
    rig.server.start()
    assert rig.entries() == []
    rig.later += 3
    for _ in range(4):  # each of the old connections notices by itself
        await rig.decides_rightly(*cast)
        rig.later += 3
    assert rig.entries() != []


async def test_frozen_costs_three_slow_calls_and_no_more(rig: Rig, cast: Cast) -> None:
    _, reader, _ = cast
    rig.server.pause()
    slow = 0
    for _ in range(12):
        rig.forget()
        began = time.monotonic()
        assert (await reader.get("users")).status_code == 200
        slow += time.monotonic() - began >= SLOW_SECONDS
    assert 1 <= slow <= 6, "all of them would be twelve; a busy machine may be slow by itself"
    await rig.decides_rightly(*cast)
    rig.server.resume()
    rig.later += 3
    with rig.redis as redis:
        redis.flushall()
    await rig.decides_rightly(*cast)
    assert rig.entries() != []


async def test_flushed(rig: Rig, cast: Cast) -> None:
    with rig.redis as redis:
        redis.flushall()
    assert rig.entries() == []
    await rig.decides_rightly(*cast)
    assert rig.entries() != []


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"garbage", id="no JSON"),
        pytest.param(b"\x80\x04\x95", id="pickle"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="empty object"),
        pytest.param(b"[" * 2000, id="deep"),
        pytest.param(b'"' + b"x" * 300_000 + b'"', id="huge"),
        pytest.param(b'{"r": ["superuser"], "s": true, "p": []}', id="well-formed but ours not"),
        pytest.param(b'["superuser"]', id="list"),
        pytest.param(b'"AAAAAAAAAAAAAAAAAAAAAA"', id="unsigned"),
        pytest.param(b'"\xc3\xa9\\u0000"', id="no base64"),
    ],
)
async def test_poisoned_values_are_misses(rig: Rig, cast: Cast, value: bytes) -> None:
    with rig.redis as redis:
        for key in rig.entries():
            redis.set(key, value)
    await rig.decides_rightly(*cast)
    with rig.redis as redis:
        assert all(redis.get(key) != value for key in rig.entries() if cast[2].id.encode() in key)


async def test_poisoned_types_are_misses(rig: Rig, cast: Cast) -> None:
    with rig.redis as redis:
        for key in rig.entries():
            redis.delete(key)
            redis.rpush(key, "superuser")
    await rig.decides_rightly(*cast)


async def test_somebody_elses_rights_under_ones_own_key_are_a_miss(rig: Rig, cast: Cast) -> None:
    admin, _, stranger = cast
    with rig.redis as redis:
        values = {key.split(b":")[2].decode(): (key, redis.get(key)) for key in rig.entries()}
        assert values[admin.id][1] is not None
        redis.set(values[stranger.id][0], values[admin.id][1] or b"")
    rig.forget()
    assert_problem(await stranger.get("users"), 403, "forbidden")
    await rig.decides_rightly(*cast)


async def test_snapshot_of_yesterday_gives_no_right_back(rig: Rig, cast: Cast) -> None:
    admin, reader, _ = cast
    with rig.redis as redis:
        yesterday = {key: redis.get(key) for key in rig.entries()}
        assert any(reader.id.encode() in key for key in yesterday)
        assert (await admin.put(f"users/{reader.id}/roles", {"role_ids": []})).status_code == 200
        redis.flushall()
        for key, value in yesterday.items():
            redis.set(key, value or b"")
    rig.forget()
    assert_problem(await reader.get("users"), 403, "forbidden")
    assert (await admin.get("users")).status_code == 200
