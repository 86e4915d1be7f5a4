"""Values that attributes allow, and rows of them that may live side by side: what tests send, and whether any can.

A uniqueness that leaves no room for three rows is a slip of the pen, and no test could look at a list of them.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID

from blueprint_tool.model import Attribute, Entity

ROWS = 3
WORDS = ("Acorn", "Birch", "Cedar")
LEAST_LENGTHS = {"email": len("a@b.co"), "url": len("http://a")}  # shorter ones are none
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_INSTANT, _LAST_INSTANT = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_LARGE = 2**53 + 1  # more than other readers of JSON keep
# Which of two values each of the rows has: one pair of rows is alike each time, and another one each time.
_OF_TWO = ((0, 1, 0), (0, 1, 1), (0, 0, 1))
_MAX_COLUMNS = 8  # of two values, in groups: beyond that no way to tell rows apart is looked for
Row = Mapping[str, Any]


def values(attribute: Attribute) -> list[Any]:
    """Up to three different values that it allows, in Python's types; in ascending order where types have one."""
    found: list[Any] = []
    for value in _candidates(attribute):
        if value not in found:
            found.append(value)
    return found[:ROWS]


def rows(entity: Entity) -> tuple[Row, Row, Row] | None:
    """Three rows that differ wherever something is unique; None where no three can.

    Of the first one every field has a value. Groups with an owner or a reference in them are left to these.
    """
    groups = [group for group in own_groups(entity) if not _tells_apart_alone(entity, group)]
    torn = [one for one in entity.attributes if any(one.name in group for group in groups)]
    torn = [one for one in torn if len(values(one)) == 2][:_MAX_COLUMNS]  # noqa: PLR2004  a pair
    if any(one.unique and not _fills(one) for one in entity.attributes):
        return None
    for patterns in product(_OF_TWO, repeat=len(torn)):
        chosen = dict(zip((one.name for one in torn), patterns, strict=True))
        if all(len({chosen[name] for name in group if name in chosen}) > 1 for group in groups):
            columns = {one.name: _column(entity, one, chosen.get(one.name)) for one in entity.attributes}
            first, second, third = ({n: of[turn] for n, of in columns.items()} for turn in range(ROWS))
            return first, second, third
    return None


def own_groups(entity: Entity) -> list[tuple[str, ...]]:
    """Fields that are unique together, all of them the entity's own."""
    own = {one.name for one in entity.attributes}
    return [group for group in entity.unique_together if own.issuperset(group)]


def _tells_apart_alone(entity: Entity, group: Sequence[str]) -> bool:
    """Whether one of these fields is another one in each row."""
    return any(one.name in group and _fills(one) for one in entity.attributes)


def _fills(attribute: Attribute) -> bool:
    """Whether three rows get along with its being unique: what is empty is like nothing."""
    return attribute.nullable or len(values(attribute)) == ROWS


def _column(entity: Entity, attribute: Attribute, pattern: Sequence[int] | None) -> list[Any]:
    """Its values in the three rows."""
    found = values(attribute)
    is_told_apart = attribute.unique or any(attribute.name in group for group in own_groups(entity))
    if len(found) < ROWS and attribute.nullable and is_told_apart:
        return [*found, None, None][:ROWS]
    return [found[place % len(found)] for place in pattern or range(ROWS)]


def _candidates(attribute: Attribute) -> Iterator[Any]:
    length = attribute.max_length or 0
    match attribute.type:
        case "string" | "text":
            yield from (word[:length] for word in WORDS)
        case "email":
            is_roomy = length >= len(f"{WORDS[0]}@example.com")
            yield from (
                f"{word.lower()}@example.com" if is_roomy else f"{word[0].lower()}@b.co" for word in WORDS
            )
        case "url":
            is_roomy = length >= len(f"https://example.com/{WORDS[0]}")
            yield from (
                f"https://example.com/{w.lower()}" if is_roomy else f"http://{w[0].lower()}" for w in WORDS
            )
        case "enum":
            yield from attribute.choices
        case "bool":
            yield from (True, False)
        case "uuid":
            yield from (UUID(int=turn + 1) for turn in range(ROWS))
        case "json":
            yield from ({"parts": [turn, 0.5, None, True], "name": f"Ü {turn}"} for turn in range(ROWS))
        case "float":
            yield from _floats(attribute)
        case _:
            yield from _steps(attribute)


@dataclass(frozen=True, slots=True)
class Ladder:
    """A type whose values are steps: which step a value is and back, the lowest and the highest one.

    `start`, `stride`: where to begin where nothing bounds it, and how far apart values are best told.
    """

    step: Callable[[Any], int]
    value: Callable[[int], Any]
    least: int
    most: int
    start: int
    stride: int = 1


def ladder(attribute: Attribute) -> Ladder:
    """Of a type that has bounds, but for floats."""
    match attribute.type:
        case "int":
            return Ladder(int, int, -(2**31), 2**31 - 1, 1)
        case "bigint":
            return Ladder(int, int, -(2**63), 2**63 - 1, _LARGE)
        case "decimal":
            most, scale = 10**attribute.precision - 1, attribute.scale
            return Ladder(lambda v: int(v.scaleb(scale)), lambda n: Decimal(n).scaleb(-scale), -most, most, 1)
        case "date":
            return Ladder(
                date.toordinal, date.fromordinal, 1, date.max.toordinal(), date(2026, 1, 2).toordinal()
            )
        case _:
            start = _instant_step(datetime(2026, 1, 2, 12, 30, 0, 1, tzinfo=UTC))
            ends = _instant_step(_FIRST_INSTANT), _instant_step(_LAST_INSTANT)
            return Ladder(_instant_step, lambda n: _EPOCH + n * _TICK, *ends, start, _DAY // _TICK)


def _instant_step(value: datetime) -> int:
    return (value - _EPOCH) // _TICK


def _steps(attribute: Attribute) -> Iterator[Any]:
    """Upwards from the lower bound, or up to the upper one."""
    of = ladder(attribute)
    low = of.least if attribute.min is None else of.step(attribute.min)
    high = of.most if attribute.max is None else of.step(attribute.max)
    stride = max(1, min(of.stride, (high - low) // (ROWS - 1)))
    start = of.start
    if attribute.min is not None:
        start = low
    elif attribute.max is not None:
        start = max(low, high - (ROWS - 1) * stride)
    yield from (of.value(min(start + turn * stride, high)) for turn in range(ROWS))


def _floats(attribute: Attribute) -> Iterator[float]:
    low, high = attribute.min, attribute.max
    if low is None and high is None:
        yield from (0.25, 0.5, 0.75)
        return
    reach = max(0.25, abs(high if low is None else low) / 8)
    first = high - 2 * reach if low is None else low
    last = low + 2 * reach if high is None else high
    wide = {first, first / 2 + last / 2, last}
    beside = {math.nextafter(end, way) for end in wide for way in (math.inf, -math.inf)}
    beyond = {math.nextafter(end, way) for end in beside for way in (math.inf, -math.inf)}
    for known in (wide, wide | beside | beyond):
        fits = sorted({end + 0.0 for end in known if math.isfinite(end) and _is_within(end, attribute)})
        if len(fits) >= ROWS:
            break
    yield from fits


def _is_within(value: float, attribute: Attribute) -> bool:
    is_low = attribute.min is not None and value < attribute.min
    is_high = attribute.max is not None and value > attribute.max
    return not is_low and not is_high
