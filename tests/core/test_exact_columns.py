"""Decimals and floats through both doors of the database, on both databases."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from sqlalchemy import Column, Float, Integer, MetaData, Table, bindparam, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.core.audit.policy import policy_of
from app.core.database import Database, ListRules
from app.core.decimals import ExactDecimal
from app.core.keys import Signer
from app.core.query import Query
from tests.backend import Backend

PRICES = Table(
    "probe_prices",
    MetaData(),
    Column("pk", Integer, primary_key=True),
    Column("price", ExactDecimal(18, 2)),
    Column("weight", Float),
)
VALUES = [
    Decimal("-9999999999999999.99"),
    Decimal("-0.01"),
    Decimal("0.10"),
    Decimal("9999999999999999.99"),
    None,
]
WEIGHTS = [0.1, -2.5, 1e300, 5e-324, None]


@pytest.fixture
async def database(backend: Backend) -> AsyncIterator[Database]:
    """With a row for each value, not in their order."""
    url = make_url(backend.empty_database())
    opened = Database(url, ListRules(Signer(b"0" * 32), 100), durable=False)
    rows = [
        {"pk": pk, "price": price, "weight": weight}
        for pk, (price, weight) in enumerate(zip(VALUES, WEIGHTS, strict=True))
    ]
    async with opened.writer.begin() as connection:
        await connection.run_sync(PRICES.metadata.create_all)
        await connection.execute(PRICES.insert(), rows[::-1])
    yield opened
    await opened.dispose()


async def test_values_come_back_with_all_their_digits(database: Database) -> None:
    by_key = select(PRICES.c.price, PRICES.c.weight).order_by(PRICES.c.pk)
    read = await database.fetch(Query(by_key), {})
    async with database.writer.connect() as connection:
        written = (await connection.execute(by_key)).all()
    for rows in (read, written):
        assert [row[0] for row in rows] == VALUES
        assert [str(row[0]) for row in rows[:4]] == [str(value) for value in VALUES[:4]]
        assert [row[1] for row in rows] == WEIGHTS


async def test_values_are_compared_and_sorted_as_numbers(database: Database) -> None:
    asked = select(PRICES.c.price).where(PRICES.c.price > bindparam("least", type_=PRICES.c.price.type))
    found = await database.fetch(Query(asked.order_by(PRICES.c.price)), {"least": Decimal("-1.00")})
    assert [row[0] for row in found] == VALUES[1:4]
    async with database.writer.connect() as connection:
        largest = await connection.scalar(select(func.max(PRICES.c.price)))
    assert largest == VALUES[3]


async def test_value_that_would_be_rounded_is_refused(database: Database) -> None:
    async with database.writer.connect() as connection:
        with pytest.raises(StatementError, match="more than 2 digits behind the point"):
            await connection.execute(PRICES.insert(), {"pk": 9, "price": Decimal("0.001")})


async def test_column_is_declared_alike_everywhere(backend: Backend) -> None:
    engine = create_async_engine(backend.empty_database(), poolclass=NullPool)
    type_ = PRICES.c.price.type.compile(dialect=engine.dialect)
    await engine.dispose()
    assert type_ == "NUMERIC(18, 2)"


def test_log_reads_what_the_database_keeps() -> None:
    """Python may have sent `12.5` where `12.50` is kept."""
    policy = policy_of(PRICES)
    assert policy is not None
    assert not policy.is_faithful
