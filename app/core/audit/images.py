"""Rows as they are in the database, before and after: read in the same transaction, on the same connection."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Table, any_, bindparam, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import ColumnElement

from app.core.audit import driver
from app.core.audit.policy import TablePolicy
from app.core.query import Query

Image = Mapping[str, Any]
Key = tuple[Any, ...]
_CHUNK = 400


def read_rows(
    connection: Connection, policy: TablePolicy, keys: Sequence[Key], *, lock: bool
) -> dict[Key, Image]:
    """The rows with these keys. In the order of the keys: locks are taken in one order."""
    if len(policy.keys) == 1 and policy.is_faithful and connection.dialect.name == "postgresql":
        return _read_at_once(connection, policy, keys, lock=lock)
    found: dict[Key, Image] = {}
    ordered = sorted(set(keys), key=repr)
    for start in range(0, len(ordered), _CHUNK):
        wanted = _among(policy, ordered[start : start + _CHUNK])
        found |= fetch(connection, policy, wanted, lock=lock)
    return found


def _read_at_once(
    connection: Connection, policy: TablePolicy, keys: Sequence[Key], *, lock: bool
) -> dict[Key, Image]:
    """Any number of them, by a statement that was compiled once and takes their keys as one list.

    For tables whose values come from the driver as they are: other types ask how the database sent them.
    """
    statement = _by_key(policy, lock=lock).on(connection.dialect)
    arguments = statement.arguments({"keys": [key for (key,) in set(keys)]})
    return _images(policy, statement.rows(driver.fetch(connection, statement.sql, arguments)))


@cache
def _by_key(policy: TablePolicy, *, lock: bool) -> Query:
    key = policy.table.c[policy.keys[0]]
    wanted = bindparam("keys", type_=ARRAY(key.type))
    statement = rows_of(policy.table, key == any_(wanted)).order_by(key)
    return Query(statement.with_for_update() if lock else statement)


def _images(policy: TablePolicy, rows: Iterable[Sequence[Any]]) -> dict[Key, Image]:
    names = [column.key for column in policy.table.columns]
    images = (dict(zip(names, row, strict=True)) for row in rows)
    return {policy.key_of(image): image for image in images}


def fetch(
    connection: Connection,
    policy: TablePolicy,
    condition: ColumnElement[bool] | None,
    *,
    lock: bool,
    parameters: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> dict[Key, Image]:
    """The rows that fit a condition. Raises ValueError where it speaks of other tables too."""
    statement = rows_of(policy.table, condition).order_by(*(policy.table.c[key] for key in policy.keys))
    if len(statement.get_final_froms()) != 1:
        raise ValueError("the condition joins other tables")
    if lock:
        statement = statement.with_for_update()
    if limit is not None:
        statement = statement.limit(limit)
    return _images(policy, connection.execute(statement, dict(parameters or {})))


def rows_of(table: Table, condition: ColumnElement[bool] | None) -> Select[*tuple[Any, ...]]:
    """All columns of a table, by their keys."""
    statement = select(*table.columns)
    return statement if condition is None else statement.where(condition)


def _among(policy: TablePolicy, keys: Sequence[Key]) -> ColumnElement[bool]:
    columns = [policy.table.c[key] for key in policy.keys]
    if len(columns) == 1:
        return columns[0].in_([key[0] for key in keys])
    return tuple_(*columns).in_(keys)


def referring(
    connection: Connection, policy: TablePolicy, column_key: str, values: Sequence[Any]
) -> dict[Key, Image]:
    """The rows whose column refers to one of these values."""
    found: dict[Key, Image] = {}
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK]
        found |= fetch(connection, policy, policy.table.c[column_key].in_(chunk), lock=True)
    return found
