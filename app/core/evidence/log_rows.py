"""Statements that read columns as the database keeps them, without what SQLAlchemy would make of their values."""

from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    LargeBinary,
    String,
    Text,
    Uuid,
    case,
    cast,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy import bindparam as bind

from app.core.evidence.canonical import LOGS, Stream, kind_of, row_form
from app.core.query import Query


def undone(column: Column[Any], *, is_sqlite: bool) -> ColumnElement[Any]:
    """The column's plain value. Instants that Python has no place for, before our era, become the lowest one."""
    plain: ColumnElement[Any] = type_coerce(column, String)
    if not is_sqlite and isinstance(kind_of(column), DateTime):
        is_instant = column.between(_EARLIEST, _LATEST) | column.is_(None)
        plain = case((is_instant, plain), else_=_BELOW)
    return plain.label(column.name)


@cache
def rows_query(stream: Stream, form: int, *, is_sqlite: bool, as_bytes: bool = False) -> Query:
    """The rows from `first` to `last`, at most `limit`, as the row's form takes them.

    `as_bytes`: texts on SQLite as they are in the file, whatever their encoding.
    """
    log = LOGS[stream]
    names = row_form(stream, form, is_sqlite=is_sqlite).names
    told = _on_sqlite if is_sqlite else _on_postgres
    columns = [(_as_bytes if as_bytes else told)(log.c[name]).label(name) for name in names]
    first, last = bind("first", type_=BigInteger), bind("last", type_=BigInteger)
    statement = select(*columns).where(log.c["id"] >= first, log.c["id"] <= last)
    return Query(statement.order_by(log.c["id"]).limit(bind("limit", type_=Integer)))


def _on_sqlite(column: Column[Any]) -> ColumnElement[Any]:
    return type_coerce(column, String)


def _as_bytes(column: Column[Any]) -> ColumnElement[Any]:
    is_text = func.typeof(column) == literal_column("'text'")
    return case((is_text, type_coerce(cast(column, LargeBinary), String)), else_=type_coerce(column, String))


def _on_postgres(column: Column[Any]) -> ColumnElement[Any]:
    """As lines tell it, but for JSON, which is text: the driver and Python need several times as long for that."""
    kind = kind_of(column)
    if isinstance(kind, DateTime):
        told = func.to_char(func.timezone(_UTC, column), _ISO, type_=String)
        return case((column.between(_EARLIEST, _LATEST), told), (column.is_not(None), _LOWEST))
    # Of JSON, its codec would make Python's objects, with Python's numbers.
    return cast(column, Text) if isinstance(kind, JSON | Uuid) else type_coerce(column, String)


def _constant(instant: str) -> ColumnElement[Any]:
    return literal_column(f"CAST('{instant}' AS TIMESTAMPTZ)")


_EARLIEST, _LATEST = _constant("0001-01-01 00:00:00+00"), _constant("9999-12-31 23:59:59.999999+00")
_BELOW = _constant("-infinity")
_UTC: ColumnElement[Any] = literal_column("'UTC'")
_ISO: ColumnElement[Any] = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")
_LOWEST = literal_column("'0001-01-01T00:00:00.000000Z'", String)
