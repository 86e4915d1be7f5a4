"""Lines: the same for the same row on both databases, and another one for every other row."""

# ruff: noqa: S608  statements are made of names of ours

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import JSON, Boolean, DateTime, Integer, SmallInteger, String, Uuid, insert, text

from app.core.audit.values import plain
from app.core.evidence.canonical import (
    FORMS,
    LOGS,
    NEWEST_FORM,
    STREAMS,
    Line,
    Span,
    Stream,
    encoded,
    instant_of,
    instant_text,
    kind_of,
    readable_instant,
    values_of,
)
from tests.backend import Backend
from tests.core.evidence.world import ROWS, World, open_world

LATEST = datetime(9999, 12, 31, 23, 59, 59, 999999)  # noqa: DTZ001  hypothesis wants it naive
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
WHOLE = st.integers(-(2**63), 2**63 - 1)
# What `values.plain` makes of anything: whole numbers and fractions beyond 2**53 become texts.
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
).map(plain)


def values_for(column: Any) -> st.SearchStrategy[Any]:
    """Anything that the column takes."""
    kind = kind_of(column)
    found: st.SearchStrategy[Any] | None = None
    if isinstance(kind, JSON):
        found = st.lists(TEXTS) if column.name == "changed" else st.dictionaries(TEXTS, DOCUMENTS, max_size=4)
    elif isinstance(kind, DateTime):
        found = st.datetimes(datetime(1, 1, 2), LATEST, timezones=st.just(UTC))  # noqa: DTZ001
    elif isinstance(kind, Uuid):
        found = st.uuids()
    elif isinstance(kind, Boolean):
        found = st.booleans()
    elif isinstance(kind, SmallInteger):
        found = st.integers(-(2**15), 2**15 - 1)
    elif isinstance(kind, Integer):
        found = WHOLE if column.name != "tx_seq" else st.integers(-(2**31), 2**31 - 1)
    assert found is not None or isinstance(kind, String)
    found = found if found is not None else TEXTS.map(lambda text: text[: kind.length])
    return st.none() | found if column.nullable else found


def rows_for(stream: Stream) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({column.name: values_for(column) for column in LOGS[stream].c})


@pytest.fixture
async def pair(world: World, backend: Backend, tmp_path: Path) -> AsyncIterator[list[World]]:
    """The database, and a SQLite one as archives are restored into."""
    other = await open_world(backend, tmp_path)
    yield [world, other]
    await other.close()


async def lines(world: World, stream: Stream) -> list[Line]:
    found: list[Line] = []
    async for batch in world.store().lines(stream, NEWEST_FORM, -(2**63), 2**63 - 1, batch=2):
        found += batch
    return found


async def put(world: World, stream: Stream, rows: Sequence[dict[str, Any]]) -> list[Line]:
    """These rows alone, as they come back."""
    async with world.forging() as connection:
        await connection.execute(LOGS[stream].delete())
        for row in rows:
            await connection.execute(insert(LOGS[stream]), row)
    return await lines(world, stream)


@pytest.mark.parametrize("stream", STREAMS)
async def test_any_row_comes_back_as_the_same_line(pair: list[World], stream: Stream) -> None:
    first, second = pair
    seen: list[dict[str, Any]] = []

    @settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(row=rows_for(stream))
    def collect(row: dict[str, Any]) -> None:
        seen.append(row)

    collect()
    rows = [
        {**row, "id": number, "seq": number} if stream == "access" else {**row, "id": number}
        for number, row in enumerate(seen, 1)
    ]
    made = await put(first, stream, rows)
    assert len(made) == len(rows)
    for line, row in zip(made, rows, strict=True):
        assert orjson.dumps(orjson.loads(line.data), option=orjson.OPT_SORT_KEYS) == line.data
        assert values_of(stream, line.data) == row
        assert line.at == instant_text(row["occurred_at"])
        assert b"$raw" not in line.data or "$raw" in str(row)
    again = await put(second, stream, [values_of(stream, line.data) for line in made])
    assert again == made


@pytest.mark.parametrize("stream", STREAMS)
async def test_both_databases_give_the_same_line(world: World, stream: Stream) -> None:
    """The line that is written here by hand is that of SQLite and that of PostgreSQL."""
    (line,) = await put(world, stream, [{**ROWS[stream](3), "id": 9}])
    expected: dict[str, Any] = {**ROWS[stream](3), "id": 9}
    for name, value in expected.items():
        if isinstance(value, datetime):
            expected[name] = "2026-03-01T12:00:03.000005Z"
        elif isinstance(value, UUID):
            expected[name] = str(value)
    assert line.data == orjson.dumps(expected, option=orjson.OPT_SORT_KEYS)


def another(value: Any) -> list[Any]:
    """Values that differ from this one in one place."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value ^ 64]
    if isinstance(value, str):
        return list({f" {value[1:]}", value[:-1], value.swapcase()})
    if isinstance(value, datetime):
        return [value + timedelta(microseconds=1), value + timedelta(hours=1)]
    if isinstance(value, UUID):
        return [UUID(int=value.int ^ 1)]
    if isinstance(value, list):
        return [value[::-1], value[:1]]
    return [{**value, "q": 1}, {}, {**value, "count": "3"}, {**value, "name": False}]


@pytest.mark.parametrize("stream", STREAMS)
async def test_every_change_of_one_value_is_another_line(world: World, stream: Stream) -> None:
    row = {**ROWS[stream](3), "id": 9}
    rows = [row]
    for column in LOGS[stream].c:
        values = [value for value in another(row[column.name]) if value != row[column.name]]
        assert values
        rows += [{**row, column.name: value} for value in values]
        if column.nullable:
            rows.append({**row, column.name: None})
    made = {(await put(world, stream, [one]))[0].data for one in rows}
    assert len(made) == len(rows)


FORGED = [
    *("12", "'12'", "12.5", "x'ff00'", "x'7b7d'", "CAST(x'c328' AS TEXT)", "'2026-99-99 99:99:99.999999'"),
    *("''", "'{'", "9223372036854775807", "-1", "'NaN'", "'2026-03-01T12:00:03.000005'", "1e300"),
    "'" + "[" * 400 + "]" * 400 + "'",
]


@pytest.mark.parametrize("stream", STREAMS)
async def test_what_sqlite_lets_in_is_told_and_breaks_nothing(world: World, stream: Stream) -> None:
    if not world.database.is_sqlite:
        pytest.skip("PostgreSQL's columns have types")
    (sound,) = await put(world, stream, [{**ROWS[stream](3), "id": 9}])
    log = LOGS[stream]
    for column in log.c:
        if column.name == "id":
            continue
        told = set()
        for value in FORGED:
            await put(world, stream, [{**ROWS[stream](3), "id": 9}])
            await world.forge(f"UPDATE {log.name} SET {column.name} = {value}")
            async with world.outside.connect() as connection:
                kept = await connection.execute(
                    text(f"SELECT typeof({column.name}), hex({column.name}) FROM {log.name}")
                )
                told_as = tuple(kept.one())
            (line,) = await lines(world, stream)
            assert line.data != sound.data, (column.name, value)
            told.add((told_as, line.data))
        assert len({data for _, data in told}) == len({kept for kept, _ in told}), column.name


async def test_instants_that_only_postgresql_knows(world: World) -> None:
    if world.database.is_sqlite:
        pytest.skip("SQLite keeps texts")
    await put(world, "access", [{**ROWS["access"](3), "id": 9}])
    for instant in ("0044-03-15 12:00:00 BC", "infinity", "-infinity", "20000-01-01"):
        await world.forge(f"UPDATE audit_access SET occurred_at = '{instant}'")
        (line,) = await lines(world, "access")
        assert json.loads(line.data)["occurred_at"] == "0001-01-01T00:00:00.000000Z"


def test_forms_name_every_column_in_order() -> None:
    """A column more is a new form: whoever adds one must add that."""
    for stream in STREAMS:
        names = FORMS[NEWEST_FORM][stream]
        assert list(names) == sorted(names)
        assert set(names) == {column.name for column in LOGS[stream].c}


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"null", b"1", b'{"nothing":1}', b'{"occurred_at":1}', b'{"tx_id":"x"}']
)
def test_what_is_no_line(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whatever it says
        values_of("changes", line)


def test_spans_and_instants() -> None:
    span = Span()
    assert span.ends == (None, None)
    for text_ in ("", "2026-03-01T12:00:00.000001Z", "2026-02-01T12:00:00.000000Z"):
        span.take(text_)
    first, last = span.ends
    assert first is not None
    assert last is not None
    assert (instant_text(first), instant_text(last)) == (
        "2026-02-01T12:00:00.000000Z",
        "2026-03-01T12:00:00.000001Z",
    )
    span.take("2026-99-99T99:99:99.999999Z")
    assert span.ends == (first, None)
    assert readable_instant(instant_text(first)) == first == instant_of(instant_text(first))
    assert readable_instant({"$raw": "x"}) is None
    assert encoded({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()
