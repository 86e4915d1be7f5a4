"""Stored values in another type, on both databases: kept to the last digit, or the step stops and changes nothing."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    Uuid,
    inspect,
    select,
)
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

from app.core.conversions import family, is_convertible
from app.core.decimals import ExactDecimal
from app.core.entity import LIVE, live_index
from app.core.row_steps import RowsInTheWay, convert, fill_empty, refuse_duplicates, refuse_rows
from tests.backend import Backend

Kind = TypeEngine[Any]
D = Decimal
NOON = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 31, tzinfo=UTC)
FITTING: list[tuple[Kind, Kind, dict[Any, Any]]] = [
    (ExactDecimal(9, 2), ExactDecimal(12, 4), {D("1.50"): D("1.5000"), D("-9999999.99"): D("-9999999.9900")}),
    (ExactDecimal(12, 4), ExactDecimal(9, 2), {D("1.5000"): D("1.50"), D("-0.0100"): D("-0.01")}),
    (ExactDecimal(18, 0), ExactDecimal(18, 18), {D(0): D(0)}),
    (ExactDecimal(9, 2), ExactDecimal(3, 2), {D("9.99"): D("9.99"), D("-9.99"): D("-9.99")}),
    (Integer(), BigInteger(), {5: 5, -(2**31): -(2**31)}),
    (BigInteger(), Integer(), {2**31 - 1: 2**31 - 1, -(2**31): -(2**31)}),
    (Integer(), ExactDecimal(12, 2), {5: D("5.00"), -7: D("-7.00")}),
    (BigInteger(), ExactDecimal(18, 2), {10**16 - 1: D(10**16 - 1)}),
    (ExactDecimal(12, 2), Integer(), {D("5.00"): 5, D("-7.00"): -7}),
    (ExactDecimal(18, 0), BigInteger(), {D(10**18 - 1): 10**18 - 1}),
    (Float(), ExactDecimal(12, 2), {19.99: D("19.99"), 0.1: D("0.10"), -0.07: D("-0.07")}),
    (ExactDecimal(12, 2), Float(), {D("19.99"): 19.99, D("0.10"): 0.1, D("-0.07"): -0.07, D("3.00"): 3.0}),
    (Integer(), Float(), {5: 5.0, -(2**31): -(2.0**31)}),
    (Float(), Integer(), {5.0: 5, -3.0: -3}),
    (Boolean(), Integer(), {True: 1, False: 0}),
    (Boolean(), BigInteger(), {True: 1}),
    (Integer(), Boolean(), {1: True, 0: False}),
    (Integer(), String(6), {-12345: "-12345", 0: "0"}),
    (BigInteger(), Text(), {-(2**63): str(-(2**63))}),
    (String(20), Integer(), {"-12": -12, "0": 0, "2147483647": 2**31 - 1}),
    (Text(), BigInteger(), {"9223372036854775807": 2**63 - 1}),
    (String(20), Text(), {"größer": "größer", "": ""}),
    (Text(), String(6), {"größer": "größer", "": ""}),
    (Date(), UTCDateTime(), {date(2026, 1, 31): MIDNIGHT, date(1, 1, 1): datetime(1, 1, 1, tzinfo=UTC)}),
    (UTCDateTime(), Date(), {MIDNIGHT: date(2026, 1, 31)}),
]
MISFITS: list[tuple[Kind, Kind, Any]] = [
    (ExactDecimal(9, 2), ExactDecimal(9, 1), D("0.01")),
    (ExactDecimal(9, 2), ExactDecimal(4, 2), D("100.00")),
    (ExactDecimal(9, 2), ExactDecimal(4, 2), D("-100.00")),
    (ExactDecimal(18, 2), ExactDecimal(18, 10), D("100000000.00")),
    (ExactDecimal(18, 0), ExactDecimal(18, 18), D(1)),
    (BigInteger(), Integer(), 2**31),
    (BigInteger(), Integer(), -(2**31) - 1),
    (Integer(), ExactDecimal(4, 2), 100),
    (BigInteger(), ExactDecimal(18, 18), 2**63 - 1),
    (ExactDecimal(9, 2), Integer(), D("1.50")),
    (ExactDecimal(18, 0), Integer(), D(2**31)),
    (Float(), ExactDecimal(9, 2), 0.001),
    (Float(), ExactDecimal(9, 2), 1e300),
    (Float(), ExactDecimal(18, 2), 12345678901234.56),
    (Float(), Integer(), 0.5),
    (Float(), BigInteger(), 1e300),
    (BigInteger(), Float(), 2**53 + 1),
    (BigInteger(), Float(), -(2**63)),
    (ExactDecimal(18, 2), Float(), D("9999999999999999.99")),
    (Integer(), Boolean(), 2),
    (Integer(), String(2), 100),
    *((String(20), Integer(), wrong) for wrong in ("x", "007", "", " 1", "1.0", "-0", "2147483648", "1e3")),
    (String(20), BigInteger(), "9223372036854775808"),
    (Text(), String(5), "größer"),
    (UTCDateTime(), Date(), NOON),
    (UTCDateTime(), Date(), datetime(2026, 1, 31, 0, 0, 0, 1, tzinfo=UTC)),
]


def plain(kind: Kind) -> Kind:
    """As a revision writes it."""
    if isinstance(kind, ExactDecimal):
        return Numeric(kind.precision, kind.scale)
    return DateTime(timezone=True) if isinstance(kind, UTCDateTime) else kind


def probes(kind: Kind, *indexes: Index, nullable: bool = True) -> Table:
    parts = (Column("pk", Integer, primary_key=True), Column("size", kind, nullable=nullable))
    return Table("probes", MetaData(), *parts, Column("deleted_at", UTCDateTime()), *indexes)


@pytest.fixture
async def engine(backend: Backend) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(backend.empty_database(), poolclass=NullPool)
    yield made
    await made.dispose()


async def migrate(engine: AsyncEngine, *steps: Callable[[], Any]) -> None:
    """The steps as of one revision, in one transaction."""

    def run(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            for step in steps:
                step()

    async with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        await connection.run_sync(run)
        await connection.commit()


async def fill(engine: AsyncEngine, table: Table, values: Sequence[Any]) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(table.metadata.create_all)
        await connection.execute(table.insert(), [{"size": value} for value in values])


async def values_of(engine: AsyncEngine, kind: Kind) -> list[Any]:
    """The column, read as a model of this type reads it."""
    table = probes(kind)
    async with engine.connect() as connection:
        return list((await connection.execute(select(table.c.size).order_by(table.c.pk))).scalars())


def told(kinds: tuple[Any, ...]) -> str:
    return f"{plain(kinds[0])} to {plain(kinds[1])}"


@pytest.mark.parametrize(("old", "new", "values"), FITTING, ids=map(told, FITTING))
async def test_values_are_kept_there_and_back(
    engine: AsyncEngine, old: Kind, new: Kind, values: dict[Any, Any]
) -> None:
    await fill(engine, probes(old), [*values, None])
    await migrate(engine, lambda: convert("probes", "size", plain(old), plain(new)))
    found = await values_of(engine, new)
    assert found == [*values.values(), None]
    assert [type(one) for one in found[:-1]] == [type(one) for one in values.values()]
    if isinstance(new, ExactDecimal):
        assert [one.as_tuple().exponent for one in found[:-1]] == [-new.scale] * len(values)
    await migrate(engine, lambda: convert("probes", "size", plain(new), plain(old)))
    assert await values_of(engine, old) == [*values, None]


@pytest.mark.parametrize(("old", "new", "value"), MISFITS, ids=map(told, MISFITS))
async def test_value_that_does_not_fit_stops_the_step(
    engine: AsyncEngine, old: Kind, new: Kind, value: Any
) -> None:
    await fill(engine, probes(old), [None, value])
    with pytest.raises(RowsInTheWay, match=r"^rows of probes have a size that .* can't hold \(1 of them\); "):
        await migrate(engine, lambda: convert("probes", "size", plain(old), plain(new)))
    assert await values_of(engine, old) == [None, value]


async def test_value_may_become_what_another_row_had(engine: AsyncEngine) -> None:
    unique = live_index("uq_probes_size_live", "size", unique=True)
    table = probes(ExactDecimal(9, 0), unique, nullable=False)
    await fill(engine, table, [D(100), D(1), D(10000)])
    await migrate(engine, lambda: convert("probes", "size", Numeric(9, 0), Numeric(11, 2)))
    assert await values_of(engine, ExactDecimal(11, 2)) == [D(100), D(1), D(10000)]
    async with engine.connect() as connection:
        indexes, columns = await connection.run_sync(
            lambda sync: (inspect(sync).get_indexes("probes"), inspect(sync).get_columns("probes"))
        )
    assert [(one["name"], bool(one["unique"])) for one in indexes] == [("uq_probes_size_live", True)]
    assert [one["nullable"] for one in columns if one["name"] == "size"] == [False]


async def test_steps_before_one_that_stops_are_undone(engine: AsyncEngine) -> None:
    await fill(engine, probes(Integer()), [1, None])
    steps = (
        lambda: fill_empty("probes", "size", Integer(), "7"),
        lambda: convert("probes", "size", Integer(), String(1)),
        lambda: refuse_rows("probes", "size = '7'", "are seven"),
    )
    with pytest.raises(RowsInTheWay, match=r"^rows of probes are seven \(1 of them\); .*WHERE size = '7'$"):
        await migrate(engine, *steps)
    assert await values_of(engine, Integer()) == [1, None]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (ExactDecimal(9, 2), "-1.5", D("-1.50")),
        (UTCDateTime(), "2026-01-31 12:30:00.000000", NOON),
        (Integer(), "7", 7),
        (Boolean(), "1", True),
        (Date(), "2026-01-31", date(2026, 1, 31)),
        (Text(), "it's 12:30", "it's 12:30"),
    ],
)
async def test_rows_without_a_value_get_one(
    engine: AsyncEngine, kind: Kind, text: str, value: object
) -> None:
    await fill(engine, probes(kind), [None])
    await migrate(engine, lambda: fill_empty("probes", "size", plain(kind), text))
    assert await values_of(engine, kind) == [value]


async def test_duplicates_stop_what_would_make_them_unique(engine: AsyncEngine) -> None:
    table = probes(Integer())
    await fill(engine, table, [1, 2, None, None])
    await migrate(engine, lambda: refuse_duplicates("probes", "size"))
    async with engine.begin() as connection:
        await connection.execute(table.insert(), {"size": 1, "deleted_at": NOON})
    await migrate(engine, lambda: refuse_duplicates("probes", "size", where=str(LIVE)))
    with pytest.raises(
        RowsInTheWay, match=r"^rows of probes have the same size, which shall be unique; .*> 1$"
    ):
        await migrate(engine, lambda: refuse_duplicates("probes", "size"))


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_steps_are_told_to_writers_of_sql(name: str) -> None:
    printed = StringIO()
    context = MigrationContext.configure(
        dialect_name=name, opts={"as_sql": True, "output_buffer": printed, "literal_binds": True}
    )
    with Operations.context(context):
        refuse_rows("probes", "size > 1", "are large")
        refuse_duplicates("probes", "size", where="deleted_at IS NULL")
        fill_empty("probes", "size", Numeric(9, 2), "1.50")
        convert("probes", "size", Numeric(9, 2), Numeric(9, 1))
    text = printed.getvalue()
    assert "-- this must find nothing: SELECT * FROM probes WHERE size > 1" in text
    assert "GROUP BY size HAVING COUNT(*) > 1" in text
    if name == "sqlite":
        assert "SET size = '150'" in text
        assert "-- probes.size is converted by a program" in text
    else:
        assert "SET size = '1.50'" in text
        assert (
            "ALTER TABLE probes ALTER COLUMN size TYPE NUMERIC(9, 1) USING CAST(size AS NUMERIC(9, 1))"
            in text
        )


def test_what_has_no_way_is_said_to_have_none() -> None:
    families = [family(plain(kind)) for kind in (Uuid(), JSON(), Boolean(), Float(), Date(), Text())]
    assert families == ["uuid", "json", "bool", "float", "date", "text"]
    for old, new in (
        ("uuid", "text"),
        ("json", "text"),
        ("bool", "float"),
        ("text", "date"),
        ("date", "float"),
    ):
        assert not is_convertible(old, new)
        assert not is_convertible(new, old)
    assert all(is_convertible(family(plain(old)), family(plain(new))) for old, new, _ in FITTING)
    assert is_convertible("uuid", "uuid")
