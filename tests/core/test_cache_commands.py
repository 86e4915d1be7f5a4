"""Nothing but JSON in the cache, and only commands that Redis and Dragonfly have in common.

Dragonfly itself isn't asked: that its subset is kept to is seen on the wire of a real Redis.
"""

import pickle
from collections.abc import Iterable, Iterator

import orjson
import pytest
from redis import Redis
from redis.exceptions import ResponseError

from app.core.cache import NAMESPACE, connect
from app.core.errors import RateLimited
from app.core.rate_limit import RateLimiter
from app.modules.auth.service_principals import PrincipalService
from tests.api import Api
from tests.backend import Backend, run_app
from tests.conftest import NO_SERVICES, settings_for
from tests.recording_proxy import Command, Monitor, RecordingProxy, name_of, undeclared
from tests.services import RedisServer

pytestmark = pytest.mark.skipif(NO_SERVICES, reason="asked to do without servers")

ALLOWED = {
    "HELLO": "chooses RESP3, and carries the password where there is one",
    "CLIENT SETINFO": "redis-py says its name and version",
    "SELECT": "where CACHE_URL names a database",
    "PING": "health, and connections that were idle",
    "GET": "reads a value",
    "SET": "keeps a value, always with EX, so that everything ends",
    "EVALSHA": "counts a call for the general limit; every key is declared",
    "SCRIPT LOAD": "once for each server that doesn't know the script yet",
}
IN_SCRIPTS = {"INCRBY": "counts", "EXPIRE": "so that everything ends"}
PREFIX = NAMESPACE.encode()


def command_faults(commands: Iterable[Command]) -> Iterator[str]:
    """What is wrong with what was sent."""
    for command in commands:
        name = name_of(command)
        if name not in ALLOWED:
            yield f"{name} is not allowed"
        if name == "SET":
            yield from value_faults(command[1], command[2])
            if b"EX" not in command[3:]:
                yield f"SET {command[1]!r} without an end"


def value_faults(key: bytes, value: bytes) -> Iterator[str]:
    """What is wrong with a value that is kept."""
    if not key.startswith(PREFIX):
        yield f"{key!r} is outside of the namespace"
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        yield f"{key!r} holds no JSON"


def script_faults(heard: list[tuple[bool, Command]], redis: Redis) -> list[str]:
    """What is wrong with what scripts did inside."""
    inside = {command for in_script, command in heard if in_script}
    keys_of = {command: [str(key).encode() for key in redis.command_getkeys(*command)] for command in inside}
    foreign = {name_of(command) for command in inside} - IN_SCRIPTS.keys()
    return [f"{name} is not allowed in scripts" for name in sorted(foreign)] + undeclared(heard, keys_of)


def left_behind_faults(redis: Redis) -> Iterator[str]:
    """What is wrong with what the server holds in the end."""
    for key in redis.scan_iter():
        value = redis.get(key)
        assert isinstance(value, bytes)
        yield from value_faults(key, value)
        if redis.ttl(key) <= 0:
            yield f"{key!r} stays for ever"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(own=True) as started:
        yield started


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    """A client of the server itself, which is empty and knows no script."""
    with Redis.from_url(server.url()) as client:
        client.flushall()
        client.script_flush()
        yield client


async def use_everything(api: Api) -> None:
    """Logins, lists, refusals, changes of roles, health: all that reads the cache or writes to it."""
    admin, reader = await api.superuser(), await api.user("users:read")
    authenticator = api.app.kernel.authenticator
    assert isinstance(authenticator, PrincipalService)
    for caller in (admin, reader, admin):
        authenticator.forget()
        for path in ("auth/me", "users", "roles", "privileges", "system/info"):
            assert (await caller.get(path)).status_code in {200, 403}
    assert (await admin.put(f"users/{reader.id}/roles", {"role_ids": []})).status_code == 200
    assert (await reader.get("users")).status_code == 403
    assert (await reader.post("auth/logout", {})).status_code == 204
    assert (await api.get("/health")).status_code == 200


async def use_limiter(url: str) -> None:
    limiter = RateLimiter("3/day", url)
    for caller in ("user:1", "address:\u00e9\r\n"):
        for _ in range(3):
            await limiter.admit(caller)
        with pytest.raises(RateLimited):
            await limiter.admit(caller)
    await limiter.close()


async def test_program_keeps_to_the_subset_and_to_json(
    backend: Backend, server: RedisServer, redis: Redis
) -> None:
    async with RecordingProxy(server.url()) as proxy, Monitor(server.url()) as monitor:
        settings = settings_for(backend.new_database(), proxy.url, rate_limit="10000/minute")
        async with run_app(settings) as app:
            await use_everything(Api(app))
            await use_limiter(proxy.url)
            sent = list(proxy.commands)  # before the tests' own look for secrets in the cache
        heard = await monitor.heard()
    assert list(command_faults(sent)) == []
    assert script_faults(heard, redis) == []
    assert list(left_behind_faults(redis)) == []
    # It was really listened to.
    assert {name_of(command) for command in sent} == ALLOWED.keys() - {"SELECT"}  # database 0
    assert {name_of(command) for in_script, command in heard if in_script} == IN_SCRIPTS.keys()
    kinds = {key.split(b":")[1] for key in redis.scan_iter()}
    assert {b"rights", b"rate"} <= kinds


async def test_password_and_database_need_nothing_else(server: RedisServer, redis: Redis) -> None:
    redis.config_set("requirepass", "open sesame")
    try:
        async with RecordingProxy(server.url()) as proxy:
            client = connect(proxy.url.replace("redis://", "redis://:open%20sesame@").replace("/0", "/3"))
            assert await client.ping()
            await client.aclose()
    finally:
        redis.auth("open sesame")
        redis.config_set("requirepass", "")
    assert list(command_faults(proxy.commands)) == []
    assert {name_of(command) for command in proxy.commands} == {"HELLO", "CLIENT SETINFO", "SELECT", "PING"}


PLANTED: list[tuple[Command, str]] = [
    ((b"CL.THROTTLE", b"tessera:a", b"1", b"1", b"1"), "CL.THROTTLE is not allowed"),
    ((b"function", b"list"), "FUNCTION LIST is not allowed"),
    ((b"CLIENT", b"TRACKING", b"OFF"), "CLIENT TRACKING is not allowed"),
    ((b"KEYS", b"*"), "KEYS is not allowed"),
    ((b"EVAL", b"return 1", b"0"), "EVAL is not allowed"),
    ((b"SET", b"tessera:a", b"1"), "SET b'tessera:a' without an end"),
    ((b"SET", b"a", b"1", b"EX", b"60"), "b'a' is outside of the namespace"),
    ((b"SET", b"tessera:a", pickle.dumps({"a": 1}), b"EX", b"60"), "b'tessera:a' holds no JSON"),
    ((b"SET", b"tessera:a", b"text", b"EX", b"60"), "b'tessera:a' holds no JSON"),
]


@pytest.mark.parametrize(("planted", "fault"), PLANTED)
async def test_planted_command_is_found(
    server: RedisServer, redis: Redis, planted: Command, fault: str
) -> None:
    async with RecordingProxy(server.url()) as proxy:
        client = connect(proxy.url)
        await client.set("tessera:good", b"1", ex=60)
        try:
            await client.execute_command(*planted)  # type: ignore[no-untyped-call]
        except ResponseError:
            assert planted[0] == b"CL.THROTTLE"
        await client.aclose()
    assert list(command_faults(proxy.commands)) == [fault]


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("return redis.call('incrby', 'tessera:b', 1)", "INCRBY in a script touches b'tessera:b', undeclared"),
        ("return redis.call('incrby', KEYS[1] .. 'x', 1)", "INCRBY in a script touches b'tessera:ax', undeclared"),
        ("return redis.call('get', KEYS[1])", "GET is not allowed in scripts"),
        ("return redis.call('incrby', KEYS[1], 1)", None),
    ],
)  # fmt: skip
async def test_planted_script_is_found(
    server: RedisServer, redis: Redis, script: str, fault: str | None
) -> None:
    async with Monitor(server.url()) as monitor:
        redis.eval(script, 1, "tessera:a")
        heard = await monitor.heard()
    assert script_faults(heard, redis) == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("key", "value", "ttl", "fault"),
    [
        ("tessera:a", pickle.dumps([1]), 60, "b'tessera:a' holds no JSON"),
        ("a", b"1", 60, "b'a' is outside of the namespace"),
        ("tessera:a", b"1", None, "b'tessera:a' stays for ever"),
    ],
)
def test_planted_value_is_found(redis: Redis, key: str, value: bytes, ttl: int | None, fault: str) -> None:
    redis.set(key, value, ex=ttl)
    redis.set("tessera:good", b"{}", ex=60)
    assert list(left_behind_faults(redis)) == [fault]
