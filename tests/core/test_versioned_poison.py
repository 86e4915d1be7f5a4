"""Whatever the shared cache holds, or lacks, the value is right."""

import base64
import pickle
from collections.abc import AsyncIterator, Callable, Iterator

import orjson
import pytest
from redis import Redis

from app.core.cache import MAX_VALUE_BYTES, MemoryCache, RedisCache
from app.core.keys import Keyring, Signer
from app.core.versioned import VersionedCache
from tests.conftest import NO_SERVICES, SECRET
from tests.core.grants import GRANT, OTHER, SIGNER, Grant, Source, cache_on
from tests.services import RedisServer

needs_redis = pytest.mark.skipif(NO_SERVICES, reason="asked to do without servers")


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def far() -> MemoryCache:
    return MemoryCache()


def sealed(value: object, key: str = "key:1", signer: Signer = SIGNER) -> str:
    """As the cache itself would seal it."""
    return signer.sign(orjson.dumps([key, value]))


PLAIN = {"name": "ann", "is_super": False, "codes": ["a:read", "b:read"]}
FORGED = {"name": "eve", "is_super": True, "codes": []}
POISON: dict[str, object] = {
    "nothing": None,
    "number": 7,
    "list": ["key:1", FORGED],
    "object": FORGED,
    "deep": [[[[[]]]]],
    "empty text": "",
    "text": "superuser",
    "no base64": "\u00e9\x00",
    "unsigned": base64.urlsafe_b64encode(b"\x00" * 16 + orjson.dumps(["key:1", FORGED])).decode().rstrip("="),
    "pickle": base64.urlsafe_b64encode(pickle.dumps(FORGED)).decode(),
    "another signer": sealed(FORGED, signer=Signer(b"x" * 32)),
    "another purpose": sealed(FORGED, signer=Signer(Keyring([SECRET]).keys("cursor")[0])),
    "another key's value": sealed(FORGED, key="key:2"),
    "cut signature": sealed(FORGED)[8:],
    "cut end": sealed(FORGED)[:-4],
    "other spelling": sealed(FORGED) + "=",
    "huge": "A" * 2_000_000,
    "old format": SIGNER.sign(orjson.dumps(["key:1", "eve", True, []])),
    "older format": SIGNER.sign(orjson.dumps({"key": "key:1", **FORGED})),
    "signed garbage": SIGNER.sign(b"\x80\x04\x95"),
    "signed nothing": SIGNER.sign(b""),
    "field missing": sealed({"name": "eve", "is_super": True}),
    "text for a flag": sealed({**FORGED, "is_super": "yes"}),
    "number for a flag": sealed({**FORGED, "is_super": 1}),
    "text for a set": sealed({**FORGED, "codes": "abc"}),
    "numbers in a set": sealed({**FORGED, "codes": [1]}),
    "null value": sealed(None),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
async def test_poisoned_value_is_a_miss_and_is_replaced(
    far: MemoryCache, source: Source, poison: object
) -> None:
    cache = cache_on(far)
    await far.set("key:1", poison, 60)
    assert await cache.get("key:1", source.load) == GRANT
    assert source.loads == 1
    assert await cache_on(far).get("key:1", source.load) == GRANT
    assert source.loads == 1


async def test_what_is_sealed_well_is_a_hit(far: MemoryCache, source: Source) -> None:
    """So that the poison above is refused for what is wrong with it, and not for everything."""
    await far.set("key:1", sealed(PLAIN), 60)
    source.value = OTHER
    assert await cache_on(far).get("key:1", source.load) == GRANT
    assert source.loads == 0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(own=True) as started:
        yield started


@pytest.fixture
async def pair(server: RedisServer) -> AsyncIterator[list[VersionedCache[Grant]]]:
    """Two workers on one Redis, which is empty and in working order, before and after."""
    with Redis.from_url(server.url()) as client:
        client.flushall()
    clients = [RedisCache(server.url()) for _ in range(2)]
    yield [cache_on(client) for client in clients]
    for client in clients:
        await client.close()
    server.start()
    server.resume()


@needs_redis
async def test_workers_share_what_one_has_loaded(
    pair: list[VersionedCache[Grant]], server: RedisServer, source: Source
) -> None:
    assert [await cache.get("key:1", source.load) for cache in pair] == [GRANT] * 2
    assert source.loads == 1
    with Redis.from_url(server.url()) as client:
        assert client.keys() == [b"tessera:key:1"]
        assert client.ttl("tessera:key:1") in {59, 60}


RAW = {
    **{name: orjson.dumps(poison) for name, poison in POISON.items()},
    "no bytes": b"",
    "raw garbage": b"\xff garbage",
    "raw pickle": pickle.dumps(FORGED),
    "unclosed": b"[" * 5000,
    "just too large": b'"' + b"A" * MAX_VALUE_BYTES + b'"',
}


@needs_redis
@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
async def test_poisoned_redis_is_a_miss(
    pair: list[VersionedCache[Grant]], server: RedisServer, source: Source, raw: bytes
) -> None:
    with Redis.from_url(server.url()) as client:
        client.set("tessera:key:1", raw)
        client.rpush("tessera:key:2", raw)
    for key in ("key:1", "key:2"):
        assert await pair[0].get(key, source.load) == GRANT
    assert source.loads == 2


@needs_redis
@pytest.mark.parametrize("fault", [RedisServer.stop, RedisServer.pause])
async def test_without_redis_values_are_right(
    pair: list[VersionedCache[Grant]],
    server: RedisServer,
    source: Source,
    fault: Callable[[RedisServer], None],
) -> None:
    fault(server)
    for number in range(5):
        assert await pair[0].get(f"key:{number}", source.load) == GRANT
        assert pair[0].peek(f"key:{number}") == GRANT
    assert source.loads == 5
