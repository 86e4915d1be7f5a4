"""For revisions: changes of tables that SQLite can only make by building the table anew.

Alembic's own batch mode then loses AUTOINCREMENT with its counter (keys would be given out again), every
trigger, and every index on an expression, because SQLite can't reflect it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import op
from alembic.operations import BatchOperations
from sqlalchemy import Connection, bindparam, column, inspect, select, table, text, update

from app.core.search import search_text_of

_MADE = text(
    "SELECT name, sql FROM sqlite_master WHERE tbl_name = :name AND type = :type AND sql IS NOT NULL"
)
_COUNTER = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
_ROWS_AT_ONCE = 1000


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


def fill_search(table_name: str, *columns: str) -> None:
    """Works out `search_text` of every row from these columns, the weightiest first: for rows that are there already.

    As long as the table is long: it is read once, by key, and each row whose text differs is written.
    """
    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(
            f"-- search_text of {table_name} is filled by a program, which SQL can't do"
        )
        return
    rows = table(table_name, column("pk"), column("search_text"), *(column(name) for name in columns))
    texts = [rows.c[name] for name in columns]
    following = select(rows.c.pk, rows.c.search_text, *texts).order_by(rows.c.pk).limit(_ROWS_AT_ONCE)
    change = update(rows).where(rows.c.pk == bindparam("key")).values(search_text=bindparam("derived"))
    connection, last = op.get_bind(), 0
    while found := connection.execute(following.where(rows.c.pk > last)).all():
        last = found[-1][0]
        due = [{"key": pk, "derived": made} for pk, old, *of in found if (made := search_text_of(of)) != old]
        if due:
            connection.execute(change, due)
