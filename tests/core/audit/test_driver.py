"""Statements that go straight to PostgreSQL's driver belong to the transaction that SQLAlchemy holds open."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection

from app.core.audit import driver
from app.core.context import acting_as
from app.core.errors import Unavailable
from app.core.faults import translate
from app.core.transaction import UnitOfWork
from app.modules.roles.models import Role
from app.modules.roles.repository import RoleRepository
from app.modules.roles.schemas import RoleRow
from tests.backend import RunningApp
from tests.core.test_faults import kill_connections


@pytest.fixture
def postgres(app: RunningApp) -> RunningApp:
    if app.platform.database.is_sqlite:
        pytest.skip("SQLite's driver has no shorter way")
    return app


async def test_first_statement_begins_the_transaction_that_is_taken_back(postgres: RunningApp) -> None:
    def send(connection: Connection) -> list[object]:
        assert not is_begun(connection)
        driver.fetch(connection, "CREATE TABLE left_behind (n integer)", ())
        assert is_begun(connection)
        assert driver.fetch(connection, "INSERT INTO left_behind SELECT $1::integer", (7,)) == []
        return [tuple(row) for row in driver.fetch(connection, "SELECT n FROM left_behind", ())]

    def look(connection: Connection) -> list[object]:
        return [tuple(row) for row in driver.fetch(connection, "SELECT to_regclass('left_behind')::text", ())]

    async def fail() -> None:
        async with postgres.unseen() as connection:
            assert await connection.run_sync(send) == [(7,)]
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with postgres.unseen() as connection:
        assert await connection.run_sync(look) == [(None,)]


def is_begun(connection: Connection) -> bool:
    adapted: Any = connection.connection.dbapi_connection
    found: bool = adapted.driver_connection.is_in_transaction()
    return found


@pytest.mark.parametrize("is_first", [True, False])
async def test_failure_is_one_that_is_known(postgres: RunningApp, *, is_first: bool) -> None:
    def send(connection: Connection) -> None:
        if not is_first:
            driver.fetch(connection, "SELECT 1", ())
        driver.fetch(connection, "SELECT * FROM nowhere", ())

    async with postgres.unseen() as connection:
        with pytest.raises(driver.FAILURES) as caught:
            await connection.run_sync(send)
        await connection.rollback()
    assert type(translate(caught.value)).__name__ == "SchemaNotCurrent"


async def test_connection_lost_in_the_middle_is_told_and_replaced(postgres: RunningApp) -> None:
    """The images are read on the lost connection: nothing is changed, and the next one does."""
    database = postgres.platform.database
    roles = RoleRepository(UnitOfWork(database))
    with acting_as("test", origin="cli"):
        async with roles.uow.transaction():
            made = await roles.add(Role(name="before"))
        for _ in range(3):
            with pytest.raises(Unavailable):
                await rename(RoleRepository(UnitOfWork(database)), made.id, postgres)
        async with roles.uow.transaction():
            await roles.update(await roles.get(made.id), {"name": "after"})
    assert (await roles.read(made.id, RoleRow)).name == "after"


async def rename(roles: RoleRepository, id: UUID, app: RunningApp) -> None:
    async with roles.uow.transaction():
        row = await roles.get(id)
        assert await kill_connections(app) > 0
        await asyncio.sleep(0.05)
        await roles.update(row, {"name": "lost"})
