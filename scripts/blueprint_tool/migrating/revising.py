"""Rewrites what Alembic found into a revision that runs where there are rows, on both databases, both ways."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _alter_column
from alembic.operations.ops import (
    AddColumnOp,
    AlterColumnOp,
    DropColumnOp,
    DropTableOp,
    ExecuteSQLOp,
    MigrateOperation,
    MigrationScript,
    ModifyTableOps,
)
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, String
from sqlalchemy.dialects import postgresql

from blueprint_tool.migrating.indexes import unseen_changes

Fillings = Mapping[str, Mapping[str, str]]
Searches = Mapping[str, list[str]]


class FillSearchOp(MigrateOperation):
    """Works out the searched texts of rows that are there."""

    def __init__(self, table_name: str, columns: Iterable[str]) -> None:
        """`columns`: the weightiest first."""
        self.table_name = table_name
        self.columns = tuple(columns)


class CastColumnOp(AlterColumnOp):
    """A change of type that PostgreSQL makes only where it is told how."""


@renderers.dispatch_for(FillSearchOp)
def _render_fill(context: AutogenContext, op: FillSearchOp) -> str:
    context.imports.add("from app.core.migration import fill_search")
    return f"fill_search({', '.join(map(repr, (op.table_name, *op.columns)))})"


@renderers.dispatch_for(CastColumnOp)
def _render_cast(context: AutogenContext, op: CastColumnOp) -> str:
    assert op.modify_type is not None  # noqa: S101  it is made of a changed type
    kind = op.modify_type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    using = f"CAST({op.column_name} AS {kind})"
    return _alter_column(context, op).removesuffix(")") + f", postgresql_using={using!r})"


@dataclass
class Reviser:
    """Alembic's hook: keeps to the tables of this run. `up` and `down` tell what fills columns on either way."""

    tables: frozenset[str]
    up: Fillings
    down: Fillings
    searches_up: Searches
    searches_down: Searches
    notices: list[str] = field(default_factory=list)

    def __call__(
        self, context: MigrationContext, _revision: object, directives: list[MigrationScript]
    ) -> None:
        """Rewrites the script in place; takes it away where nothing is to be done."""
        (script,) = directives
        upgrade, downgrade = script.upgrade_ops, script.downgrade_ops
        assert upgrade is not None  # noqa: S101  there is one base
        assert downgrade is not None  # noqa: S101
        found = [op for op in upgrade.ops if self._is_ours(op)]
        upgrade.ops[:] = [*found, *unseen_changes(context, self.tables, found)]
        if not upgrade.ops and not self.searches_up:
            directives.clear()
            return
        upgrade.reverse_into(downgrade)
        self._tell(upgrade.ops)
        upgrade.ops[:] = [*_runnable(upgrade.ops, self.up), *_refills(self.searches_up)]
        downgrade.ops[:] = [*_runnable(downgrade.ops, self.down), *_refills(self.searches_down)]

    def _is_ours(self, op: MigrateOperation) -> bool:
        name = getattr(op, "table_name", None)
        if name not in self.tables:
            told = f"the models of {name} differ from the revisions too; that is left to you"
            self.notices += [told] if told not in self.notices else []
        return name in self.tables

    def _tell(self, found: Iterable[MigrateOperation]) -> None:
        for op in found:
            if isinstance(op, DropTableOp):
                self.notices.append(f"the revision drops the table {op.table_name} with all its rows")
            for part in op.ops if isinstance(op, ModifyTableOps) else ():
                if isinstance(part, DropColumnOp):
                    column = f"{part.table_name}.{part.column_name}"
                    self.notices.append(f"the revision drops {column} with its values")
                if isinstance(part, AddColumnOp) and _needs_value(part.column):
                    self.notices.append(self._filled_with(part))

    def _filled_with(self, op: AddColumnOp) -> str:
        column, value = (
            f"{op.table_name}.{op.column.name}",
            self.up.get(op.table_name, {}).get(op.column.name),
        )
        if value is None:
            return (
                f"{column} must not be null and nothing can be guessed for it: the revision runs where the table "
                "is empty; elsewhere add to it how the column is filled, between its two steps"
            )
        return f"rows that are there get {value!r} in {column}"


def _refills(searches: Searches) -> Iterator[MigrateOperation]:
    for table, columns in sorted(searches.items()):
        yield FillSearchOp(table, columns)


def _needs_value(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None


def _runnable(found: Iterable[MigrateOperation], fillings: Fillings) -> Iterator[MigrateOperation]:
    """The same changes in an order, and with the steps between, that tables with rows need."""
    for op in found:
        if not isinstance(op, ModifyTableOps):
            yield op
            continue
        values = fillings.get(op.table_name, {})
        before: list[MigrateOperation] = []
        after: list[MigrateOperation] = []
        parts: list[MigrateOperation] = []
        for part in op.ops:
            if isinstance(part, AddColumnOp) and _needs_value(part.column):
                parts.append(_added(part, values.get(part.column.name)))
                after.append(_settled(part, filled=part.column.name in values))
            elif isinstance(part, AlterColumnOp):
                before += _fill_nulls(part, values)
                parts.append(_cast(part))
            else:
                parts.append(part)
        yield from before
        yield ModifyTableOps(op.table_name, parts)
        if after:
            yield ModifyTableOps(op.table_name, after)


def _added(op: AddColumnOp, value: str | None) -> AddColumnOp:
    """With a default for the rows that are there, or nullable at first."""
    column = op.column
    made: Column[Any] = Column(column.name, column.type, server_default=value, nullable=value is None)
    return AddColumnOp(op.table_name, made)


def _settled(op: AddColumnOp, *, filled: bool) -> AlterColumnOp:
    """The second step: the column as the model has it."""
    name, kind = op.column.name, op.column.type
    if filled:
        return AlterColumnOp(
            op.table_name, name, existing_type=kind, existing_nullable=False, modify_server_default=None
        )
    return AlterColumnOp(op.table_name, name, existing_type=kind, modify_nullable=False)


def _fill_nulls(op: AlterColumnOp, values: Mapping[str, str]) -> Iterator[MigrateOperation]:
    """Before a column may not be null any more."""
    if op.modify_nullable is False and op.column_name in values:
        value = values[op.column_name].replace("'", "''").replace(":", "\\:")
        yield ExecuteSQLOp(
            f"UPDATE {op.table_name} SET {op.column_name} = '{value}' WHERE {op.column_name} IS NULL"  # noqa: S608
        )


def _cast(op: AlterColumnOp) -> AlterColumnOp:
    old, new = op.existing_type, op.modify_type
    if new is None or old is None or isinstance(new, String) or old._type_affinity is new._type_affinity:  # noqa: SLF001
        return op
    return CastColumnOp(
        op.table_name,
        op.column_name,
        existing_type=old,
        existing_nullable=op.existing_nullable,
        modify_type=new,
        modify_nullable=op.modify_nullable,
    )
