"""Statements straight to PostgreSQL's driver, from inside of a transaction that SQLAlchemy holds open.

SQLAlchemy's way to asyncpg prepares, describes and wraps what such a statement has no use for: it costs more
processor time than the statement itself. The errors are asyncpg's; `faults.translate` knows them like the others.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

Row = Sequence[Any]
# What a statement can fail with, whichever way it took.
FAILURES = (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError)


def fetch(connection: Connection, sql: str, arguments: Sequence[Any]) -> Sequence[Row]:
    """The rows that the statement returns, as the driver makes them; none for one that returns no rows.

    `connection` is one to PostgreSQL, inside of `run_sync`. Where no statement was sent yet, the database knows of no
    transaction: that first one goes through SQLAlchemy, which begins it. Raises `FAILURES`.
    """
    adapted: Any = connection.connection.dbapi_connection
    if adapted.driver_connection.is_in_transaction():
        rows: Sequence[Row] = adapted.run_async(lambda driver: driver.fetch(sql, *arguments))
        return rows
    result = connection.exec_driver_sql(sql, tuple(arguments))
    return [tuple(row) for row in result] if result.returns_rows else []
