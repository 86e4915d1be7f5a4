"""Makes generated revisions, and the way back in them, run on both databases.

What a revision drops is only known from the database it was generated on: columns come back with that database's
own types, indexes with its own options. Here they get the types that models have.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import Any

from alembic.operations.ops import (
    AddColumnOp,
    CreateIndexOp,
    CreateTableOp,
    DropTableOp,
    MigrateOperation,
    MigrationScript,
    ModifyTableOps,
    OpContainer,
)
from sqlalchemy import CHAR, JSON, UUID, Column, DateTime, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from app.core.entity import Key

_UUID_DIGITS = 32
_WHERE = ("sqlite_where", "postgresql_where")


def make_portable(_context: object, _revision: object, directives: Iterable[Any]) -> None:
    """Alembic's hook `process_revision_directives`: rewrites both directions in place."""
    for script in directives:
        if isinstance(script, MigrationScript) and script.upgrade_ops is not None:
            if _drop_referring_first(script.upgrade_ops) and script.downgrade_ops is not None:
                script.upgrade_ops.reverse_into(script.downgrade_ops)
            for operation in _flat(script.upgrade_ops):
                if isinstance(operation, CreateTableOp):
                    operation.info = {}  # notes of the model, which the database has no place for
        if isinstance(script, MigrationScript) and script.downgrade_ops is not None:
            for operation in _flat(script.downgrade_ops):
                _rewrite(operation)


def _drop_referring_first(container: OpContainer) -> bool:
    """Tables that go, so that none goes while another refers to it: Alembic's order is that of a set.

    Returns whether any table goes. Tables that refer to each other in a circle stay as they are.
    """
    dropped = {op.table_name: op for op in container.ops if isinstance(op, DropTableOp)}
    referring: dict[str, set[str]] = {name: set() for name in dropped}
    for name, operation in dropped.items():
        for key in operation.to_table().foreign_keys:
            target = key.target_fullname.rpartition(".")[0]
            if target in referring and target != name:
                referring[target].add(name)
    with suppress(CycleError):
        order = list(TopologicalSorter(referring).static_order())
        places = [i for i, operation in enumerate(container.ops) if _table_of(operation) in dropped]
        moved = sorted((container.ops[i] for i in places), key=lambda op: order.index(_table_of(op)))
        for place, next_one in zip(places, moved, strict=True):
            container.ops[place] = next_one
    return bool(dropped)


def _table_of(operation: MigrateOperation) -> str:
    return operation.table_name if isinstance(operation, (DropTableOp, ModifyTableOps)) else ""


def _flat(container: OpContainer) -> Iterator[MigrateOperation]:
    for operation in container.ops:
        if isinstance(operation, OpContainer):
            yield from _flat(operation)
        else:
            yield operation


def _rewrite(operation: MigrateOperation) -> None:
    if isinstance(operation, CreateTableOp):
        columns = [item for item in operation.columns if isinstance(item, Column)]
        for column in columns:
            column.type = portable_type(column)
        if any(column.name == "pk" for column in columns):
            operation.kw["sqlite_autoincrement"] = True  # keys of deleted rows are not given out again
    elif isinstance(operation, AddColumnOp):
        operation.column.type = portable_type(operation.column)
    elif isinstance(operation, CreateIndexOp):
        condition = next((operation.kw[name] for name in _WHERE if operation.kw.get(name) is not None), None)
        if condition is not None:
            # PostgreSQL's comes as a plain string, which only that dialect reads.
            clause = text(condition) if isinstance(condition, str) else condition
            operation.kw.update(dict.fromkeys(_WHERE, clause))


def portable_type(column: Column[Any]) -> TypeEngine[Any]:
    """The type that a model would give the column; its own where every database has it."""
    kind = column.type
    if column.name == "pk" or column.name.endswith("_pk"):
        return Key
    if isinstance(kind, (Uuid, UUID)) or (isinstance(kind, CHAR) and kind.length == _UUID_DIGITS):
        return Uuid()
    if isinstance(kind, DateTime):
        return DateTime(timezone=True)
    if isinstance(kind, JSON):
        return JSON().with_variant(JSONB(), "postgresql")
    return kind
