"""The connection of the access log: its own, kept open, and replaced when the server has ended it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from app.core.audit.access_store import AccessStore
from app.core.database import Database, ListRules
from app.core.keys import Signer
from tests.backend import Backend
from tests.core.test_access_spool import a_row

POOL = 2
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
async def database(backend: Backend) -> AsyncIterator[Database]:
    url = make_url(backend.new_database())
    opened = Database(url, ListRules(Signer(b"0" * 32), 100), durable=False, pool_size=POOL)
    yield opened
    await opened.dispose()


@pytest.fixture
def postgres(database: Database) -> Database:
    """SQLite has one writer, and no connection that somebody else could end."""
    if database.is_sqlite:
        pytest.skip("of PostgreSQL")
    return database


@pytest.fixture
async def store(database: Database) -> AsyncIterator[AccessStore]:
    opened = AccessStore(database)
    yield opened
    opened.close()


async def found(database: Database, statement: str) -> list[Any]:
    async with database.reader.connect() as connection:
        return list((await connection.execute(text(statement))).scalars())


async def written(database: Database) -> list[Any]:
    return await found(database, "SELECT seq FROM audit_access ORDER BY id")


async def end_connections(database: Database) -> None:
    """As a restart of the server does."""
    ended = await found(database, f"SELECT pg_terminate_backend(pid) {OTHERS}")
    assert ended == [True]


async def test_row_that_is_there_is_left_alone(database: Database, store: AccessStore) -> None:
    await store.add([a_row(1), a_row(2)])
    await store.add([a_row(2), a_row(3)])
    assert await written(database) == [1, 2, 3]


async def test_batches_share_one_connection(postgres: Database, store: AccessStore) -> None:
    used = []
    for seq in range(3):
        await store.add([a_row(seq)])
        used += await found(postgres, f"SELECT pid {OTHERS}")
    assert len(used) == 3
    assert len(set(used)) == 1


@pytest.mark.parametrize("is_noticed", [True, False])
async def test_ended_connection_is_replaced(
    postgres: Database, store: AccessStore, *, is_noticed: bool
) -> None:
    """Also where nobody has heard of its end yet: the batch is sent again."""
    await store.add([a_row(1)])
    await end_connections(postgres)
    if is_noticed:
        await asyncio.sleep(0.1)
    await store.add([a_row(2)])
    assert await written(postgres) == [1, 2]


async def test_refused_batch_is_not_sent_again(postgres: Database, store: AccessStore) -> None:
    refused = tuple("x" * 99 if value == "GET" else value for value in a_row(1))
    with pytest.raises(Exception, match="value too long"):
        await store.add([refused])
    await store.add([a_row(2)])
    assert await written(postgres) == [2]


async def test_log_waits_for_nobody_who_writes(postgres: Database, store: AccessStore) -> None:
    """Every place of the gate is taken, and every connection behind it."""
    async with AsyncExitStack() as stack:
        for _ in range(POOL):
            await stack.enter_async_context(postgres.write_gate)
            await stack.enter_async_context(postgres.writer.connect())
        await store.add([a_row(1)])
        assert await written(postgres) == [1]
