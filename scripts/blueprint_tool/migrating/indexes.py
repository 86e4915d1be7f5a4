"""Indexes whose condition or columns changed under the same name: Alembic does not see that by itself."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from alembic.operations.ops import (
    CreateIndexOp,
    CreateTableOp,
    DropIndexOp,
    MigrateOperation,
    ModifyTableOps,
)
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Index, MetaData, Table, inspect, text
from sqlalchemy.schema import CreateIndex

from app.core.entity import metadata

_MADE = text(
    "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :table AND sql IS NOT NULL"
)


def unseen_changes(
    context: MigrationContext, tables: Collection[str], found: Sequence[MigrateOperation]
) -> Iterator[MigrateOperation]:
    """Drops and creates what differs and is in none of the operations that were found."""
    made = {op.table_name for op in found if isinstance(op, CreateTableOp)}
    parts = [part for op in found if isinstance(op, ModifyTableOps) for part in op.ops]
    known = {part.index_name for part in parts if isinstance(part, CreateIndexOp | DropIndexOp)}
    for name in sorted(set(tables) & metadata.tables.keys() - made):
        for index, old in _changed(context, metadata.tables[name]):
            if index.name not in known:
                yield ModifyTableOps(name, [DropIndexOp.from_index(old), CreateIndexOp.from_index(index)])


def _changed(context: MigrationContext, table: Table) -> Iterator[tuple[Index, Index]]:
    connection = context.connection
    assert connection is not None  # noqa: S101  autogenerate always has one
    statements = {row.name: row.sql for row in connection.execute(_MADE, {"table": table.name})}
    reflected = {one["name"]: one for one in inspect(connection).get_indexes(table.name)}
    for index in sorted(table.indexes, key=lambda one: str(one.name)):
        wanted = str(CreateIndex(index).compile(dialect=context.dialect))
        if index.name in reflected and _plain(statements[index.name]) != _plain(wanted):
            yield index, _old(table.name, reflected[index.name])


def _plain(statement: str) -> str:
    return " ".join(statement.split())


def _old(table: str, reflected: Any) -> Index:
    """The index as the database has it."""
    columns: list[Column[Any]] = [Column(name) for name in reflected["column_names"]]
    where = reflected.get("dialect_options", {}).get("sqlite_where")
    options = {} if where is None else {"sqlite_where": where, "postgresql_where": where}
    index = Index(reflected["name"], *columns, unique=bool(reflected["unique"]), **options)
    Table(table, MetaData(), *columns, index)
    return index
