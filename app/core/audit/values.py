"""From a column's value to what stands in the log: redacted, converted to JSON, cut where it is too long.

One pure function for each step; none of them ever raises, since the business change would fail with it.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from typing import Any
from uuid import UUID

import orjson

from app.core.decimals import fixed_point

REDACTED = "[redacted]"
MAX_VALUE_BYTES = 8 * 1024
MAX_ROW_BYTES = 64 * 1024
_HEAD_CHARACTERS = 256
_EXACT = 2**53  # larger whole numbers lose digits in other JSON readers (RFC 8259 6)
_MAX_BITS = 10_000
_INSTANT = len("2026-01-31T12:00:00.000000")
_MAX_DEPTH = 32
_THINGS = (
    *("passwd", "password", "passphrase", "secret", "token", "apikey", "otp", "pin", "cvv", "ssn", "salt"),
    *("credential", "session", "cookie"),
)
# Several are as secret as one. But `passes` go over data, and nobody has two of the last three.
_SECRET = frozenset(
    {
        *_THINGS,
        *(f"{word}s" for word in _THINGS),
        *("hash", "hashes", "pass", "private", "jti", "authorization"),
    }
)
_KEYS = {("api", "key"), ("api", "keys")}
_SEGMENT = re.compile(r"[A-Z]+s?(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_UNFIT = re.compile("[\x00\ud800-\udfff]")


def is_secret_name(name: str) -> bool:
    """Whether a whole word of a snake_case or camelCase name speaks of secrets: `api_keys`, not `shipping`."""
    words = [word.lower() for word in _SEGMENT.findall(name)]
    return not _SECRET.isdisjoint(words) or not _KEYS.isdisjoint(pairwise(words))


def plain(value: Any, depth: int = 0) -> Any:
    """The JSON form: instants in UTC with `Z`, decimals and large numbers as texts, bytes by size and digest."""
    convert = _USUAL.get(type(value))
    if convert is not None:
        return convert(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int(value) if -_EXACT <= value <= _EXACT else _digits(value)
    if isinstance(value, float):
        # PostgreSQL's JSONB knows neither exponents, so that large ones come back as integers, nor minus zero.
        return value + 0.0 if abs(value) <= _EXACT else repr(float(value))
    return (
        _scalar(value)
        if not isinstance(value, Mapping | Sequence | set | frozenset)
        else _nested(value, depth)
    )


def _text(value: str) -> str:
    return value if value.isascii() and "\x00" not in value else _UNFIT.sub("\ufffd", value)


def _digits(value: int) -> str:
    """Python refuses to write very long numbers in decimal digits."""
    return str(value) if value.bit_length() <= _MAX_BITS else hex(value)


def _instant(value: datetime) -> str:
    if value.tzinfo is UTC:
        return value.isoformat(timespec="microseconds")[:_INSTANT] + "Z"
    moment = value if value.utcoffset() is not None else value.replace(tzinfo=UTC)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # in the first or the last hours of the calendar
        return moment.isoformat(timespec="microseconds")
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    if isinstance(value, Decimal):
        return fixed_point(value)
    if isinstance(value, UUID):
        return str(value)
    return {"$type": type(value).__name__}


# By the exact type: what is only derived from it may be something else as well.
_USUAL: Mapping[type, Callable[[Any], str]] = {str: _text, datetime: _instant, UUID: str}


def _nested(value: Any, depth: int) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        return {"$bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    if depth >= _MAX_DEPTH:
        return {"$type": type(value).__name__}
    if isinstance(value, Mapping):
        return {
            plain(str(name)): _masked(item, depth + 1)
            if is_secret_name(str(name))
            else plain(item, depth + 1)
            for name, item in value.items()
        }
    items = [plain(item, depth + 1) for item in value]
    return items if isinstance(value, Sequence) else sorted(items, key=repr)


def _masked(value: Any, depth: int) -> Any:
    """Nothing stays visibly nothing; all else becomes the same constant, whatever its type and size."""
    return None if value is None or depth < 0 else REDACTED


def mask(value: Any) -> Any:
    """What stands for a secret. None stays None: that there was none is visible."""
    return _masked(value, 0)


def shortened(value: Any, limit: int = MAX_VALUE_BYTES) -> tuple[Any, bool]:
    """The value, or what it was: its size, its digest, how it begins. And whether it was cut."""
    if isinstance(value, str) and len(value) * 4 <= limit:
        return value, False
    if value is None or isinstance(value, bool | int | float):
        return value, False
    raw = value.encode() if isinstance(value, str) else orjson.dumps(value)
    if len(raw) <= limit:
        return value, False
    head = value if isinstance(value, str) else raw.decode()
    digest = hashlib.sha256(raw).hexdigest()
    return {"$truncated": True, "bytes": len(raw), "sha256": digest, "head": head[:_HEAD_CHARACTERS]}, True


def fitted(image: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The image of a row, its longest values cut first until it is small enough; and whether any was cut."""
    cut = False
    made: dict[str, Any] = {}
    for name, value in image.items():
        made[name], was_cut = shortened(value)
        cut = cut or was_cut
    total = len(orjson.dumps(made))
    if total <= MAX_ROW_BYTES:
        return made, cut
    sizes = {name: len(orjson.dumps(value)) for name, value in made.items()}
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if total <= MAX_ROW_BYTES:
            break
        made[name], was_cut = shortened(image[name], limit=512)
        total += len(orjson.dumps(made[name])) - sizes[name]
        cut = cut or was_cut
    return made, cut
