"""The cache port and its twins: Redis (or Dragonfly), and this process's own memory.

The database is the truth; what is here only makes it faster. Values are immutable under their keys (the keys
contain versions), so that a lost, stale or restored cache can't be wrong, only empty. JSON only, never code.
"""

import time
from collections import OrderedDict
from typing import Any, Protocol

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from app.core.logging import logger

NAMESPACE = "tessera:"
TIMEOUT_SECONDS = 0.2
MAX_VALUE_BYTES = 256 * 1024
FAILURES = (RedisError, OSError, TimeoutError)
_BREAK_AFTER = 3
_BREAK_SECONDS = 2.0


class Cache(Protocol):
    """Values by key, for a time. Never raises: a cache that fails is an empty one."""

    async def get(self, key: str) -> Any | None:
        """The value, or None where there is none."""

    async def set(self, key: str, value: Any, ttl_seconds: int) -> None:
        """Keeps a JSON value for a time."""

    async def ping(self) -> bool:
        """Whether the cache answers."""

    async def close(self) -> None:
        """Ends its connections."""


class MemoryCache:
    """The twin without a server: bounded, the least recently used goes first."""

    def __init__(self, max_entries: int = 10_000) -> None:
        """`max_entries`: how many values are kept at most."""
        self._max = max_entries
        self._entries: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    async def get(self, key: str) -> Any | None:
        """The value, or None."""
        return self.peek(key)

    def peek(self, key: str) -> Any | None:
        """The same without waiting, for the hot path."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] < time.monotonic():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    async def set(self, key: str, value: Any, ttl_seconds: int) -> None:
        """Keeps the value itself: it must not be changed afterwards."""
        self.put(key, value, ttl_seconds)

    def put(self, key: str, value: Any, ttl_seconds: float) -> None:
        """The same without waiting."""
        self._entries[key] = (time.monotonic() + ttl_seconds, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._max:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything."""
        self._entries.clear()

    async def ping(self) -> bool:
        """Always there."""
        return True

    async def close(self) -> None:
        """Nothing to end."""


class Breaker:
    """Opens after some failures in a row, and lets one call through after a while to see."""

    def __init__(self, name: str = "cache") -> None:
        """Closed: calls go through. `name`: what is lost and back, for the log."""
        self._name = name
        self._failures = 0
        self._open_until = 0.0

    def lets_through(self) -> bool:
        """Whether a call may be made now. Of those that come when it is time to look again, only the first may."""
        if self._failures < _BREAK_AFTER:
            return True
        moment = time.monotonic()
        if moment < self._open_until:
            return False
        self._open_until = moment + _BREAK_SECONDS
        return True

    def succeeded(self) -> None:
        """Closes; tells so if it was open."""
        if self._failures >= _BREAK_AFTER:
            logger("server").info(f"{self._name}.back")
        self._failures = 0

    def failed(self, error: Exception) -> None:
        """Counts; tells so when it opens."""
        self._failures += 1
        if self._failures >= _BREAK_AFTER:
            self._open_until = time.monotonic() + _BREAK_SECONDS
        if self._failures == _BREAK_AFTER:
            logger("server").warning(f"{self._name}.lost", error=type(error).__name__)


def connect(url: str) -> Redis:
    """A client that opens its connections when it needs them.

    redis-py's defaults would hang for seconds on a dead server: short timeouts, no retries.
    """
    return Redis.from_url(
        url,
        protocol=3,
        health_check_interval=30,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )


class RedisCache:
    """Redis or Dragonfly, with the commands that both have: GET, SET with EX, PING."""

    def __init__(self, url: str) -> None:
        """Opens no connection."""
        self._redis = connect(url)
        self._breaker = Breaker()

    async def get(self, key: str) -> Any | None:
        """The value; None also where it is no JSON or too large to be ours."""
        if not self._breaker.lets_through():
            return None
        try:
            raw = await self._redis.get(NAMESPACE + key)
        except FAILURES as error:
            self._breaker.failed(error)
            return None
        self._breaker.succeeded()
        if not isinstance(raw, bytes) or len(raw) > MAX_VALUE_BYTES:
            return None
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            return None

    async def set(self, key: str, value: Any, ttl_seconds: int) -> None:
        """Keeps a JSON value, unless it is so large that `get` wouldn't take it for ours."""
        raw = orjson.dumps(value)
        if len(raw) > MAX_VALUE_BYTES or not self._breaker.lets_through():
            return
        try:
            await self._redis.set(NAMESPACE + key, raw, ex=ttl_seconds)
            self._breaker.succeeded()
        except FAILURES as error:
            self._breaker.failed(error)

    async def ping(self) -> bool:
        """Whether the server answers; counts for the breaker."""
        try:
            await self._redis.ping()
        except FAILURES as error:
            self._breaker.failed(error)
            return False
        self._breaker.succeeded()
        return True

    async def close(self) -> None:
        """Ends the connections."""
        await self._redis.aclose()


def open_cache(url: str) -> Cache:
    """The cache of a URL; empty: this process's memory."""
    return RedisCache(url) if url else MemoryCache()
