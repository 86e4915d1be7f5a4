"""For revisions: changes of tables that SQLite can only make by building the table anew.

Alembic's own batch mode then loses AUTOINCREMENT with its counter (keys would be given out again), every
trigger, and every index on an expression, because SQLite can't reflect it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import op
from alembic.operations import BatchOperations
from sqlalchemy import Connection, inspect, text

_MADE = text(
    "SELECT name, sql FROM sqlite_master WHERE tbl_name = :name AND type = :type AND sql IS NOT NULL"
)
_COUNTER = text("SELECT seq FROM sqlite_sequence WHERE name = :name")


@contextmanager
def batch_alter(table_name: str, schema: str | None = None, **options: Any) -> Iterator[BatchOperations]:
    """As `op.batch_alter_table`, on both databases, and keeps what that one loses on SQLite.

    An index on an expression, or a trigger, that speaks of a column which is dropped or renamed must be dropped
    before, with `op.drop_index` or `op.execute`: it is made again as it was, and would fail.
    """
    context = op.get_context()
    if context.as_sql or context.dialect.name != "sqlite":
        with op.batch_alter_table(table_name, schema=schema, **options) as batch:
            yield batch
        return
    connection = op.get_bind()
    keeps_keys = "AUTOINCREMENT" in _made(connection, table_name, "table")[table_name].upper()
    counter = connection.execute(_COUNTER, {"name": table_name}).scalar() if keeps_keys else None
    lost = _unseen_indexes(connection, table_name) | _made(connection, table_name, "trigger")
    if keeps_keys:
        options["table_kwargs"] = {"sqlite_autoincrement": True, **options.get("table_kwargs", {})}
    with op.batch_alter_table(table_name, schema=schema, **options) as batch:
        yield batch
    present = _made(connection, table_name, "index") | _made(connection, table_name, "trigger")
    for name, statement in lost.items():
        if name not in present:
            connection.exec_driver_sql(statement)
    if counter is not None:
        _set_counter(connection, table_name, counter)


def _made(connection: Connection, table_name: str, kind: str) -> dict[str, str]:
    """The statements that made what belongs to a table, by name."""
    rows = connection.execute(_MADE, {"name": table_name, "type": kind})
    return {str(name): str(statement) for name, statement in rows}


def _unseen_indexes(connection: Connection, table_name: str) -> dict[str, str]:
    """Indexes that reflection leaves out, and batch mode with it."""
    seen = {index["name"] for index in inspect(connection).get_indexes(table_name)}
    made = _made(connection, table_name, "index")
    return {name: statement for name, statement in made.items() if name not in seen}


def _set_counter(connection: Connection, table_name: str, value: int) -> None:
    """The last key that was ever given out."""
    values = {"name": table_name, "value": value}
    changed = connection.execute(text("UPDATE sqlite_sequence SET seq = :value WHERE name = :name"), values)
    if changed.rowcount == 0:
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :value)"), values)
