"""UUIDv7 (RFC 9562 section 5.7): 48 bits of milliseconds, 12 bits of a counter, 62 random bits."""

import time
from os import register_at_fork
from random import Random
from threading import Lock
from uuid import UUID

# Seeded from the system once: ids are public names, not secrets, and a system call for each costs 1 us.
_random = Random()  # noqa: S311
register_at_fork(after_in_child=_random.seed)
_lock = Lock()
_last_ms = 0
_counter = 0
_COUNTER_MAX = 0xFFF


def uuid7() -> UUID:
    """A new id; ids made by one process sort by the order in which they were made (RFC 9562 6.2, method 1)."""
    return UUID(int=_next())


def uuid7_hex() -> str:
    """The same as 32 hexadecimal digits, for where no object is needed."""
    return f"{_next():032x}"


def _next() -> int:
    global _last_ms, _counter  # noqa: PLW0603  the counter is the process's own
    with _lock:
        ms = time.time_ns() // 1_000_000
        if ms > _last_ms:
            _last_ms, _counter = ms, _random.getrandbits(8)
        else:
            _counter += 1
            if _counter > _COUNTER_MAX:
                _last_ms, _counter = _last_ms + 1, 0
        ms, counter = _last_ms, _counter
    return (ms << 80) | (0x7 << 76) | (counter << 64) | (0b10 << 62) | _random.getrandbits(62)
