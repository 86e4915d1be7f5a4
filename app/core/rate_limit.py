"""The general limit: how many calls each caller may make in a window of time.

Fixed windows, whose turn is known from the clock. Of the strategies that `limits` offers, counting is the one that
needs a single round trip and a single number for each caller, and it can tell truly when calls are let in again.
On Redis it takes 0.11 ms and 56 bytes; the sliding counter needs two keys and two round trips (0.27 ms), the moving
window as long, and the time of every call (2.2 kB at 100). The price: around the turn of a window a caller may
send twice as much. This limit is for fairness; guessing at passwords is slowed down elsewhere.
"""

import math
import time
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from app.core.cache import FAILURES, NAMESPACE, Breaker, MemoryCache, connect
from app.core.errors import RateLimited
from app.core.setting_types import rate_of

_DIGEST_BYTES = 16
_MAX_CALLERS = 50_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller has left: calls in this window, and whole seconds until the next one begins."""

    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """The headers that every counted answer carries."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }


class SharedCounts:
    """Counts that all workers share, on Redis: `limits`' script, with the options and the breaker of our cache."""

    def __init__(self, url: str) -> None:
        """Opens no connection."""
        from limits.aio.storage import RedisStorage  # noqa: PLC0415  off by default, and slow to import

        self._redis = connect(url)
        # Given a pool, the storage looks at the URL's scheme only; it would take unix:// for another product.
        options: dict[str, Any] = {"connection_pool": self._redis.connection_pool}
        self._storage = RedisStorage(
            "redis://", implementation="redispy", key_prefix=f"{NAMESPACE}rate", **options
        )
        self._breaker = Breaker("rate_limit")

    async def hit(self, key: str, ttl_seconds: int) -> int:
        """Counts one more; how many there are, or 0 where the server can't tell."""
        if not self._breaker.lets_through():
            return 0
        try:
            count = await self._storage.incr(key, ttl_seconds)
        except FAILURES as error:
            self._breaker.failed(error)
            return 0
        self._breaker.succeeded()
        return count

    async def close(self) -> None:
        """Ends the connections."""
        await self._redis.aclose()


class RateLimiter:
    """Lets callers in, or says when to come again.

    This process counts too, always: a Redis that is dead, frozen or emptied never means no limit, and who is over
    the limit already is turned away without asking it. Counted in a bounded memory of our own, where who calls
    most stays longest: `limits`' storage looks through all of its callers at every hit (1.1 ms at 10,000).
    """

    def __init__(self, rate: str, cache_url: str) -> None:
        """`rate` such as `100/minute`. Without `cache_url` each process counts for itself. Raises ValueError."""
        rule = rate_of(rate)
        if rule is None:
            raise ValueError("there is no rate to keep")
        self._limit, self._seconds = rule
        self._near = MemoryCache(_MAX_CALLERS)
        self._far = SharedCounts(cache_url) if cache_url else None

    async def admit(self, caller: str) -> Allowance:
        """Counts a call of `caller` (`user:<id>`, `address:<network>`). Raises RateLimited over the limit."""
        key, left = self._window(caller)
        count = self._hit(key, left)
        if self._far is not None and count <= self._limit:
            count = max(count, await self._far.hit(key, self._seconds))
        allowance = Allowance(self._limit, max(0, self._limit - count), math.ceil(left))
        if count > self._limit:
            raise RateLimited(
                f"More than {self._limit} calls; wait {allowance.reset_seconds} s.",
                retry_after_seconds=left,
                headers=allowance.headers(),
            )
        return allowance

    async def close(self) -> None:
        """Ends the connections."""
        if self._far is not None:
            await self._far.close()

    def _window(self, caller: str) -> tuple[str, float]:
        """The key of the caller's present window, and how many seconds are left of it.

        Hashed, so that no key holds what a client sent. Each caller's windows begin at a time of its own: not
        everybody who was turned away comes back at the full minute.
        """
        digest = blake2b(caller.encode(), digest_size=_DIGEST_BYTES).digest()
        offset = int.from_bytes(digest) % self._seconds
        number, elapsed = divmod(time.time() + offset, self._seconds)
        return f"{digest.hex()}:{int(number)}", self._seconds - elapsed

    def _hit(self, key: str, left: float) -> int:
        count: int = (self._near.peek(key) or 0) + 1
        self._near.put(key, count, left)
        return count
