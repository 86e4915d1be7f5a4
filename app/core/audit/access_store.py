"""Rows of the access log into its table: one statement for a whole batch, straight on the driver.

A batch costs a third of what the same rows cost through SQLAlchemy, and is one transaction by itself. A row that is
there already is left alone, so that a batch whose fate is unknown may be sent again.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from app.core.audit.access import COLUMNS
from app.core.database import Database
from app.core.faults import server_hung_up

Row = tuple[Any, ...]
STORE_SECONDS = 1.5  # below the two seconds for which an answer may be held
_BUSY_MS, _USUAL_BUSY_MS = 1_000, 5_000  # the second as `database.py` sets it for all who write
ROW_COLUMNS = ("boot_id", "seq", *COLUMNS)
_NAMES = ", ".join(ROW_COLUMNS)
_ONCE = "ON CONFLICT (boot_id, seq) DO NOTHING"
_MARKS = ", ".join("?" * len(ROW_COLUMNS))
_SQLITE = f"INSERT INTO audit_access ({_NAMES}) VALUES ({_MARKS}) {_ONCE}"  # noqa: S608  made of constants
_ARRAYS = {"seq": "bigint", "occurred_at": "timestamptz", "duration_us": "bigint", "status": "smallint"} | {
    "session_id": "uuid",
    "api_key_id": "uuid",
    "request_bytes": "bigint",
    "response_bytes": "bigint",
    "is_probe": "boolean",
}
# The transaction's number is drawn before the ids of the rows are, as `Horizon` needs it. A subquery would not do: the
# planner dissolves it, and computes the columns in their order, `id` first.
_POSTGRES = (
    "WITH writing AS MATERIALIZED (SELECT pg_current_xact_id()::text::bigint AS xid) "  # noqa: S608  made of constants
    f"INSERT INTO audit_access (xid, {_NAMES}) "
    f"SELECT writing.xid, {_NAMES.replace('query', 'query::jsonb')}"
    " FROM writing, unnest("
    + ", ".join(f"${n}::{_ARRAYS.get(name, 'text')}[]" for n, name in enumerate(ROW_COLUMNS, 1))
    + f") AS row ({_NAMES}) {_ONCE}"
)
_OCCURRED, _SESSION, _KEY = (ROW_COLUMNS.index(name) for name in ("occurred_at", "session_id", "api_key_id"))


class AccessStore:
    """The table `audit_access`.

    On PostgreSQL through a connection of its own, which stays open; on SQLite, where one writes at a time, behind the
    write gate.
    """

    def __init__(self, database: Database) -> None:
        """Opens no connection yet."""
        self._database = database
        self._turn = asyncio.Lock()
        self._own: Any = None

    async def add(self, rows: Sequence[Row]) -> None:
        """All rows or none. Raises what the driver raises, and TimeoutError after `STORE_SECONDS`."""
        async with asyncio.timeout(STORE_SECONDS), self._turn:
            if self._database.is_sqlite:
                await self._add_to_sqlite(rows)
                return
            try:
                await self._add_to_postgres(rows)
            except Exception as error:
                if not server_hung_up(error):
                    raise
                await self._add_to_postgres(rows)  # a row that is there already is left alone

    def close(self) -> None:
        """Gives the connection back."""
        if self._own is not None:
            self._own.close()
            self._own = None

    async def _add_to_postgres(self, rows: Sequence[Row]) -> None:
        """Straight on a connection that stays checked out: checking one out costs half as much as a batch."""
        if self._own is not None and self._own.driver_connection.is_closed():
            self._drop()
        if self._own is None:
            self._own = await self._database.writer.raw_connection()
        try:
            await _into_postgres(self._own.driver_connection, rows)
        except BaseException:
            self._drop()  # nobody knows what state it is in
            raise

    def _drop(self) -> None:
        self._own.invalidate()
        self.close()

    async def _add_to_sqlite(self, rows: Sequence[Row]) -> None:
        database = self._database
        async with database.write_gate, database.writer.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            try:
                await _into_sqlite(driver, rows)
            except BaseException:
                await connection.invalidate()  # nobody knows what state it is in
                raise


async def _into_postgres(driver: Any, rows: Sequence[Row]) -> None:
    await driver.execute(_POSTGRES, *(list(column) for column in zip(*rows, strict=True)))


async def _into_sqlite(driver: Any, rows: Sequence[Row]) -> None:
    """Waits for other writers in the driver's thread, and not for long: what waits there can't be called back."""
    await driver.executescript(f"PRAGMA busy_timeout={_BUSY_MS}; BEGIN IMMEDIATE")
    await driver.executemany(_SQLITE, [_for_sqlite(row) for row in rows])
    await driver.execute("COMMIT")
    await driver.execute(f"PRAGMA busy_timeout={_USUAL_BUSY_MS}")


def _for_sqlite(row: Row) -> list[Any]:
    """Instants and ids as SQLAlchemy stores them there."""
    values = list(row)
    values[_OCCURRED] = row[_OCCURRED].strftime("%Y-%m-%d %H:%M:%S.%f")
    for index in (_SESSION, _KEY):
        if row[index] is not None:
            values[index] = row[index].hex
    return values
