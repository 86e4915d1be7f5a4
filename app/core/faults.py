"""What a database error means to a client: one classifier for both databases.

PostgreSQL is told apart by SQLSTATE, whether the error comes through SQLAlchemy or straight from asyncpg
(SQLAlchemy with asyncpg raises almost no OperationalError). SQLite by its error code.
"""

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg
from sqlalchemy import Constraint, Index, Table, UniqueConstraint
from sqlalchemy.exc import DBAPIError, PendingRollbackError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError

from app.core.entity import metadata
from app.core.errors import AppError, Conflict, FieldError, InUse, Invalid, SchemaNotCurrent, Unavailable

# Classes of SQLSTATE (PostgreSQL manual, appendix A): connection, resources, operator, system.
_DOWN = ("08", "53", "57", "58")
_ENDED = ("57P01", "57P02", "57P03")
_LOST_RACE = ("40001", "40P01", "55P03")
_UNIQUE, _FOREIGN_KEY = "23505", "23503"
_BAD_VALUE = ("22", "23")
_NOT_MIGRATED = ("42P01", "42703")  # undefined table, undefined column
_SQLITE_NOT_MIGRATED = re.compile(r"no such (table|column)")
_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT}
_SQLITE_DOWN = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
_SQLITE_UNIQUE_EXPRESSION = re.compile(r"UNIQUE constraint failed: index '(.+)'")
_SQLITE_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")


@dataclass(frozen=True, slots=True)
class Taken:
    """What to say when a uniqueness is violated; `field` is the API's name of what is taken."""

    field: str
    message: str


def taken(field: str, message: str) -> dict[str, Taken]:
    """The `info` of a unique index or constraint: `Index(..., info=taken("email", "…"))`."""
    return {"taken": Taken(field, message)}


def translate(error: BaseException) -> AppError | None:
    """The problem that this error is to a client, or None where it is a fault of the program."""
    if isinstance(error, AppError):
        return error
    if isinstance(error, StaleDataError):
        return Conflict("This was changed in between by somebody else. Read it again, then try again.")
    cause, statement = _unwrapped(error)
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause, statement)
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return _of_postgres(state, getattr(cause, "constraint_name", None), statement)
    if isinstance(
        cause, (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError, PoolTimeout)
    ):
        return Unavailable("The database can't be reached at the moment.")
    return None


class _Translation:
    """`with translated:` turns what the database raises inside into `AppError`s, where a client is meant."""

    def __enter__(self) -> None:
        """Keeps no state: one object serves all."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception):
            problem = translate(error)
            if problem is not None and problem is not error:
                raise problem from error


translated = _Translation()


def means_lost_connection(error: BaseException) -> bool:
    """Whether the connection that raised this can't be used again."""
    cause = _unwrapped(error)[0]
    if isinstance(cause, sqlite3.Error):
        return False  # a file on disk is not lost by a statement that failed
    state = getattr(cause, "sqlstate", None)
    return not isinstance(state, str) or state.startswith(("08", "57"))


def server_hung_up(error: BaseException) -> bool:
    """Whether the server ended the connection: a restart, a crash, an administrator. Never because of a value."""
    cause = _unwrapped(error)[0]
    state = getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith("08") or state in _ENDED
    # asyncpg's internal error: the server's last words arrived while nobody was asking.
    return (
        isinstance(cause, (asyncpg.InternalClientError, ConnectionError))
        or type(cause) is asyncpg.InterfaceError
    )


def _unwrapped(error: BaseException) -> tuple[BaseException, str]:
    """The driver's own error and the statement, from under SQLAlchemy's wrappers."""
    if isinstance(error, PendingRollbackError) and error.__cause__ is not None:
        error = error.__cause__
    statement = (error.statement or "") if isinstance(error, StatementError) else ""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig.__cause__ or error.orig
    return error, statement


def _of_postgres(state: str, constraint: str | None, statement: str) -> AppError | None:
    if state.startswith(_DOWN):
        return Unavailable("The database can't answer at the moment.")
    if state in _LOST_RACE:
        return Conflict("Somebody else is changing the same thing. Try again.")
    if state == _UNIQUE:
        return _conflict(_by_name().get(constraint or ""))
    if state == _FOREIGN_KEY:
        return _reference(statement)
    if state.startswith(_BAD_VALUE):
        return Invalid("A value is out of the range that can be stored.")
    return SchemaNotCurrent() if state in _NOT_MIGRATED else None


def _of_sqlite(error: sqlite3.Error, statement: str) -> AppError | None:
    text, code = str(error), getattr(error, "sqlite_errorcode", 0) & 0xFF
    if match := _SQLITE_UNIQUE_EXPRESSION.search(text):
        return _conflict(_by_name().get(match[1]))
    if match := _SQLITE_UNIQUE.search(text):
        return _conflict(_by_columns().get(frozenset(match[1].split(", "))))
    if code in _SQLITE_BUSY:
        return Unavailable("The database is busy.", retry_after_seconds=1)
    if code in _SQLITE_DOWN:
        return Unavailable("The database can't answer at the moment.")
    if "FOREIGN KEY" in text:
        return _reference(statement)
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError)):
        return Invalid("A value is out of the range that can be stored.")
    return SchemaNotCurrent() if _SQLITE_NOT_MIGRATED.search(text) else None


def _reference(statement: str) -> AppError:
    if statement.lstrip().upper().startswith("DELETE"):
        return InUse("Something else still refers to this.")
    return Invalid("Something that this refers to does not exist.")


def _conflict(what: Taken | None) -> Conflict:
    if what is None:
        return Conflict("This exists already.")
    fault = FieldError(loc=["body", what.field], code="duplicate", message=what.message)
    return Conflict(what.message, errors=[fault])


def _uniques() -> list[tuple[Table, Index | Constraint]]:
    return [
        (table, rule)
        for table in metadata.tables.values()
        for rule in (*table.indexes, *table.constraints)
        if isinstance(rule, (Index, UniqueConstraint)) and "taken" in rule.info
    ]


def _by_name() -> Mapping[str, Taken]:
    return {str(rule.name): rule.info["taken"] for _, rule in _uniques()}


def _by_columns() -> Mapping[frozenset[str], Taken]:
    """SQLite names the columns and not the index, unless the index is one of expressions."""
    found = {}
    for table, rule in _uniques():
        assert isinstance(rule, (Index, UniqueConstraint))  # noqa: S101  as selected above
        found[frozenset(f"{table.name}.{column.name}" for column in rule.columns)] = rule.info["taken"]
    return found
