"""Values for the tests of a module: right ones as JSON, three of each that differ where they can, and wrong ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from blueprint_tool.model import Attribute
from blueprint_tool.rendering.kinds import literal, max_length

WORDS = ("Acorn", "Birch", "Cedar")
DAY = date(2026, 1, 1)
MOMENT = datetime(2026, 1, 1, 12, 30, 0, 1, tzinfo=UTC)
_LARGE = 2**53 + 1  # more than other readers of JSON keep
_TEXTS = {"string", "text", "email", "url", "enum"}
_NUMBERS = {"int", "bigint", "float"}
# Types whose order is the same in every database, whatever its collation.
ORDERED = {"int", "bigint", "float", "decimal", "date", "datetime", "uuid", "string", "email", "url"}


def samples(attribute: Attribute) -> list[Any]:
    """Three allowed values as bodies and answers write them, in ascending order; alike where no three differ."""
    return [_sample(attribute, turn) for turn in range(3)]


def differ(attribute: Attribute) -> bool:
    """Whether the first two samples do."""
    first, second, _ = samples(attribute)
    return bool(first != second)


def ascend(attribute: Attribute) -> bool:
    """Whether rows with the three samples have one order only."""
    return attribute.type in ORDERED and len({str(value) for value in samples(attribute)}) == 3  # noqa: PLR2004


def _sample(attribute: Attribute, turn: int) -> Any:
    if attribute.type in _TEXTS:
        return _text(attribute, turn)
    if attribute.type == "bool":
        return turn != 1
    if attribute.type == "uuid":
        return str(UUID(int=turn + 1))
    if attribute.type == "json":
        return {"parts": [turn, 0.5, None, True], "name": f"Ü {turn}"}
    return _written(attribute, _between(attribute, turn))


def _text(attribute: Attribute, turn: int) -> str:
    word = WORDS[turn]
    length = max_length(attribute) or 0
    match attribute.type:
        case "enum":
            return attribute.choices[turn % len(attribute.choices)]
        case "email":
            return f"{word.lower()}@example.com"
        case "url":
            return f"https://example.com/{word.lower()}"
        case _:
            return word[:length]


def _between(attribute: Attribute, turn: int) -> Any:
    """Steps upwards from the lower bound, or downwards to the upper one; not beyond either."""
    low, high = attribute.min, attribute.max
    step = _step(attribute)
    start = low if low is not None else None if high is None else high - 3 * step
    if start is None:
        start = _start(attribute)
    value = start + step * (turn + 1)
    return value if high is None or value <= high else high


def _step(attribute: Attribute) -> Any:
    match attribute.type:
        case "decimal":
            return Decimal(1).scaleb(-attribute.scale)
        case "date" | "datetime":
            return timedelta(days=1)
        case "float":
            return 0.25
        case _:
            return 1


def _start(attribute: Attribute) -> Any:
    match attribute.type:
        case "decimal":
            return Decimal(0)
        case "date":
            return DAY
        case "datetime":
            return MOMENT
        case "bigint":
            return _LARGE
        case _:
            return 0


def _written(attribute: Attribute, value: Any) -> Any:
    match attribute.type:
        case "decimal":
            return f"{value.quantize(Decimal(1).scaleb(-attribute.scale)):f}"
        case "date":
            return value.isoformat()
        case "datetime":
            return as_answered(value)
        case _:
            return value


def as_answered(value: datetime) -> str:
    """An instant as the API writes it."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def shown_default(attribute: Attribute) -> Any:
    """The attribute's default as an answer has it."""
    value = attribute.default
    if isinstance(value, Decimal | date):
        return _written(attribute, value)
    return str(value) if isinstance(value, UUID) else value


def fresh(attribute: Attribute) -> str:
    """Python source of a value that hardly comes twice."""
    low, high = attribute.min, attribute.max
    match attribute.type:
        case "string" | "text":
            return f"uuid4().hex[:{min(32, max_length(attribute) or 32)}]"
        case "email":
            return 'f"{uuid4().hex}@example.com"'
        case "url":
            return 'f"https://example.com/{uuid4().hex}"'
        case "uuid":
            return "str(uuid4())"
        case "int" | "bigint":
            start = low if low is not None else 0 if high is None else high - 1_000_000
            return f"{start} + uuid4().int % {(high - start + 1) if high is not None else 1_000_000}"
        case "decimal" | "date" | "datetime":
            return _fresh_step(attribute)
        case _:
            return literal(samples(attribute)[0])


def _fresh_step(attribute: Attribute) -> str:
    """So many whole steps from a bound."""
    low, high, day = attribute.min, attribute.max, timedelta(days=1)
    if attribute.type == "decimal":
        whole = 10 ** (attribute.precision - attribute.scale)
        start = -(-low // 1) if low is not None else 0 if high is None else high - 1000
        most = min(whole - 1, high) if high is not None else whole - 1
        return f"str({int(start)} + uuid4().int % {max(1, int(most - start) + 1)})"
    start = low if low is not None else _start(attribute) if high is None else high - 1000 * day
    span = 1000 if high is None else (high - start) // day + 1
    return f"({literal(start)} + timedelta(days=uuid4().int % {span})).isoformat()"


@dataclass(frozen=True, slots=True)
class Wrong:
    """A value that is refused at a field."""

    field: str
    value: str


def wrong(attribute: Attribute) -> Iterator[Wrong]:
    """Source of values that are refused, each for another reason."""
    if not attribute.nullable:
        yield Wrong(attribute.name, "None")
    yield from (Wrong(attribute.name, value) for value in _refused(attribute))


def _refused(attribute: Attribute) -> Iterator[str]:
    length = max_length(attribute)
    match attribute.type:
        case "string" | "text":
            yield from ("5", f'"x" * {(length or 0) + 1}', '"a\\x00b"')
        case "email":
            yield from ('"nobody"', "5")
        case "url":
            yield from ('"javascript:alert(1)"', "5")
        case "enum":
            yield from ('"nothing of the kind"', "5")
        case "bool":
            yield from ('"true"', "1")
        case "uuid":
            yield '"no id"'
        case "json":
            yield from ('{"a": ["\\x00"]}', "[2**60]")
        case _:
            yield from _refused_of_the_ordered(attribute)


def _refused_of_the_ordered(attribute: Attribute) -> Iterator[str]:
    match attribute.type:
        case "int":
            yield from ('"5"', "1.5", "True", "2**31")
        case "bigint":
            yield from ('"5"', "1.5", "2**63")
        case "float":
            yield from ('"5"', "True")
        case "decimal":
            fine, large = "0" * attribute.scale, "0" * (attribute.precision - attribute.scale)
            yield from ("1.5", '"1e1"', f'"0.{fine}1"', f'"1{large}"')
        case "date":
            yield from ('"2026-02-30"', '"2026-01-01T00:00:00Z"', "20260101")
        case _:
            yield from ('"2026-01-01T12:00:00"', '"2026-01-01"', "1767225600")
    step = _step(attribute)
    if attribute.min is not None:
        yield literal(_written(attribute, attribute.min - step))
    if attribute.max is not None:
        yield literal(_written(attribute, attribute.max + step))
