"""A database with the probes' tables, and what a test does to it: program, rows of the log, before and after."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.core.audit.change_log import AuditRules, ChangeLog
from app.core.audit.models import AuditChange
from app.core.context import acting_as
from app.core.database import Database, ListRules
from app.core.entity import table_of
from app.core.keys import Signer
from app.core.transaction import UnitOfWork, WriteSession
from tests.backend import Backend
from tests.core.audit.world import State, fold, metadata, snapshot

Program = Callable[[WriteSession, UnitOfWork], Awaitable[None]]


@dataclass
class World:
    """The probes' tables under capture. `outside`: connections that nobody watches."""

    database: Database
    outside: AsyncEngine
    start: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)

    def unit_of_work(self) -> UnitOfWork:
        return UnitOfWork(self.database)

    async def given(self, program: Program) -> None:
        """What was there before."""
        await self._commit(program)

    async def does(self, program: Program) -> list[dict[str, Any]]:
        """Runs the program in one transaction; returns its rows of the log, after the oracle has agreed."""
        before, self.start = await self.state(), await self.last_id()
        await self._commit(program)
        return await self.agrees(before)

    async def agrees(self, before: State) -> list[dict[str, Any]]:
        """Folding the rows over the state before gives the state after, and every `old` was true."""
        self.rows = await self.log(self.start)
        assert fold(before, self.rows) == await self.state()
        by_transaction: dict[Any, list[int]] = {}
        for row in self.rows:
            by_transaction.setdefault(row["tx_id"], []).append(row["tx_seq"])
        for numbers in by_transaction.values():
            assert numbers == list(range(1, len(numbers) + 1))
        return self.rows

    async def is_refused(self, program: Program, kind: type[Exception]) -> None:
        """The program fails with this, and nothing was written: neither rows nor log."""
        before, last = await self.state(), await self.last_id()
        with pytest.raises(kind):
            await self._commit(program)
        assert (await self.state(), await self.last_id()) == (before, last)

    async def _commit(self, program: Program) -> None:
        uow = self.unit_of_work()
        with acting_as("cli", origin="cli"):
            async with uow.transaction() as session:
                await program(session, uow)

    async def state(self) -> State:
        async with self.outside.connect() as connection:
            return await connection.run_sync(snapshot)

    async def last_id(self) -> int:
        rows = await self.log(0)
        return max((int(row["id"]) for row in rows), default=0)

    async def log(self, after: int) -> list[dict[str, Any]]:
        table = table_of(AuditChange)
        async with self.outside.connect() as connection:
            found = await connection.execute(select(table).where(table.c.id > after).order_by(table.c.id))
            return [dict(row._mapping) for row in found]


@pytest.fixture
async def world(backend: Backend) -> AsyncIterator[World]:
    """An empty one for each test."""
    url = make_url(backend.new_database())
    outside = create_async_engine(url, poolclass=NullPool)
    async with outside.begin() as connection:
        await connection.run_sync(metadata.create_all)
        if backend.name == "postgres":  # keys that tests choose themselves don't move its counters
            for table in (table for table in metadata.sorted_tables if "pk" in table.c):
                await connection.exec_driver_sql(f"ALTER SEQUENCE {table.name}_pk_seq RESTART WITH 1000")
    rules = AuditRules(guard="refuse", max_rows=1000, require_actor=True)
    log = ChangeLog(rules, metadata)
    database = Database(url, ListRules(Signer(b"0" * 32), 100), durable=False, recorder=log)
    yield World(database, outside)
    await database.dispose()
    await outside.dispose()


def run_sync(work: Callable[[Connection], Any]) -> Program:
    """A program that works on the session's own connection, without the session."""

    async def program(session: WriteSession, _uow: UnitOfWork) -> None:
        await (await session.connection()).run_sync(work)

    return program
