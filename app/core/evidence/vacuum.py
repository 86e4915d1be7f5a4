"""Gives the room of pruned rows back to the system, as far as the database can."""

import asyncio
import sqlite3
from collections.abc import Iterable

from app.core.database import Database
from app.core.evidence.canonical import LOGS, Stream


async def vacuum(database: Database, streams: Iterable[Stream]) -> None:
    """PostgreSQL makes the room usable again while others write; SQLite rewrites its file, and others wait.

    Takes as long as it takes: the limits of the program's own connections don't hold. Raises OSError, RuntimeError.
    """
    if database.is_sqlite:
        await asyncio.to_thread(_rewrite, str(database.url.database))
        return
    async with database.reader.connect() as connection:  # in no transaction
        try:
            await connection.exec_driver_sql("SET statement_timeout = 0")
            for stream in streams:
                await connection.exec_driver_sql(f"VACUUM (ANALYZE) {LOGS[stream].name}")
        finally:
            await connection.invalidate()  # with its settings


def _rewrite(path: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        raise RuntimeError(f"{path} can't be rewritten: {error}") from None
    finally:
        connection.close()
