"""Rows as they are in the database, before and after: read in the same transaction, on the same connection."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from app.core.audit.policy import TablePolicy

Image = Mapping[str, Any]
Key = tuple[Any, ...]
_CHUNK = 400


def read_rows(
    connection: Connection, policy: TablePolicy, keys: Sequence[Key], *, lock: bool
) -> dict[Key, Image]:
    """The rows with these keys, in one SELECT for each 400. In the order of the keys: locks are taken in one order."""
    found: dict[Key, Image] = {}
    ordered = sorted(set(keys), key=repr)
    for start in range(0, len(ordered), _CHUNK):
        wanted = _among(policy, ordered[start : start + _CHUNK])
        found |= fetch(connection, policy, wanted, lock=lock)
    return found


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
    names = [column.key for column in policy.table.columns]
    rows = connection.execute(statement, dict(parameters or {}))
    images = (dict(zip(names, row, strict=True)) for row in rows)
    return {policy.key_of(image): image for image in images}


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
