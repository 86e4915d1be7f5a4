"""Rewrites what Alembic found into a revision that runs where there are rows, on both databases, both ways."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from alembic.operations.ops import (
    AddColumnOp,
    AlterColumnOp,
    CreateIndexOp,
    CreateTableOp,
    DropColumnOp,
    DropTableOp,
    MigrateOperation,
    MigrationScript,
    ModifyTableOps,
)
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.core.conversions import conversion, family, is_convertible
from app.core.portable import make_portable, portable_type
from blueprint_tool.migrating.indexes import unseen_changes
from blueprint_tool.migrating.steps import (
    ConvertOp,
    FillEmptyOp,
    FillSearchOp,
    RefuseDuplicatesOp,
    RefuseRowsOp,
    StepsOp,
)

Fillings = Mapping[str, Mapping[str, str]]
Searches = Mapping[str, list[str]]
Demands = Mapping[str, Sequence[Sequence[str]]]
# What a text as a column's default would not become as it should: on SQLite, or in the server's own zone.
_NO_DEFAULTS = {"decimal", "datetime"}
_DERIVED = "search_text"


@dataclass
class Reviser:
    """Alembic's hook: keeps to the tables of this run.

    `up`, `down`: what fills columns on either way; `demands_up`, `demands_down`: by table, conditions that no row may
    fit, each with what is wrong with one that does.
    """

    tables: frozenset[str]
    up: Fillings = field(default_factory=dict)
    down: Fillings = field(default_factory=dict)
    searches_up: Searches = field(default_factory=dict)
    searches_down: Searches = field(default_factory=dict)
    demands_up: Demands = field(default_factory=dict)
    demands_down: Demands = field(default_factory=dict)
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
        if not upgrade.ops and not self.searches_up and not self.demands_up:
            directives.clear()
            return
        upgrade.reverse_into(downgrade)
        make_portable(context, None, directives)  # tables that go in order, and the way back of that order
        self._tell(upgrade.ops)
        up = [*_demanded(self.demands_up), *_runnable(upgrade.ops, self.up), *_refills(self.searches_up)]
        down = [
            *_demanded(self.demands_down),
            *_runnable(downgrade.ops, self.down),
            *_refills(self.searches_down),
        ]
        upgrade.ops[:], downgrade.ops[:] = [StepsOp(up)], [StepsOp(down)]

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
                self.notices += self._told(part)
        for table, demands in self.demands_up.items():
            self.notices += [f"the revision stops where rows of {table} {reason}" for _, reason in demands]

    def _told(self, op: MigrateOperation) -> Iterator[str]:
        if isinstance(op, DropColumnOp):
            yield f"the revision drops {op.table_name}.{op.column_name} with its values"
        if isinstance(op, AddColumnOp) and _needs_value(op.column) and op.column.name != _DERIVED:
            yield self._filled_with(op.table_name, op.column.name)
        if isinstance(op, AlterColumnOp) and op.modify_type is not None and op.existing_type is not None:
            kinds = (_portable(op.column_name, kind) for kind in (op.existing_type, op.modify_type))
            if conversion(*kinds, is_sqlite=True).misfit:
                told = f"{op.table_name}.{op.column_name} becomes {op.modify_type}"
                yield f"{told}: the revision stops where it can't hold a value"
        if isinstance(op, AlterColumnOp) and op.modify_nullable is False:
            yield self._filled_with(op.table_name, op.column_name)

    def _filled_with(self, table: str, name: str) -> str:
        value = self.up.get(table, {}).get(name)
        if value is not None:
            return f"rows that are there get {value!r} in {table}.{name}, where they have nothing"
        return (
            f"{table}.{name} must not be null and nothing can be guessed for it: the revision stops where rows have "
            "nothing there; add to it how they are filled"
        )


def _demanded(demands: Demands) -> Iterator[MigrateOperation]:
    for table, found in sorted(demands.items()):
        yield from (RefuseRowsOp(table, condition, reason) for condition, reason in found)


def _refills(searches: Searches) -> Iterator[MigrateOperation]:
    for table, columns in sorted(searches.items()):
        yield FillSearchOp(table, columns)


def _needs_value(column: Column[Any]) -> bool:
    return not column.nullable and column.server_default is None


def _runnable(found: Sequence[MigrateOperation], fillings: Fillings) -> Iterator[MigrateOperation]:
    """The same changes in an order, and with the steps between, that tables with rows need."""
    made = {op.table_name for op in found if isinstance(op, CreateTableOp)}
    for op in found:
        if isinstance(op, ModifyTableOps) and op.table_name not in made:
            yield from _on_rows(op, fillings.get(op.table_name, {}))
        else:
            yield op


def _on_rows(op: ModifyTableOps, values: Mapping[str, str]) -> Iterator[MigrateOperation]:
    """Conversions, then what Alembic found, then new columns filled, and what is unique last."""
    table = op.table_name
    before: list[MigrateOperation] = []
    parts: list[MigrateOperation] = []
    filled: list[MigrateOperation] = []
    settled: list[MigrateOperation] = []
    unique: list[CreateIndexOp] = []
    for part in op.ops:
        if isinstance(part, AddColumnOp) and _needs_value(part.column):
            value = values.get(part.column.name)
            parts.append(_added(part, value))
            filled += _filled(table, part.column.name, part.column.type, value)
            settled.append(_settled(part, value))
        elif isinstance(part, AlterColumnOp):
            before += _prepared(part, values.get(part.column_name))
            parts += _rest(part)
        elif isinstance(part, CreateIndexOp) and part.unique:
            unique.append(part)
        else:
            parts.append(part)
    yield from before
    yield from [ModifyTableOps(table, parts)] if parts else []
    yield from filled
    yield from [ModifyTableOps(table, settled)] if settled else []
    yield from (_duplicates(index) for index in unique)
    yield from [ModifyTableOps(table, unique)] if unique else []


def _has_default(kind: TypeEngine[Any], value: str | None) -> bool:
    """Whether rows that are there can be filled by a default of the database, which costs nothing."""
    return value is not None and family(_bare(kind)) not in _NO_DEFAULTS


def _added(op: AddColumnOp, value: str | None) -> AddColumnOp:
    """With a default for the rows that are there, or nullable at first."""
    column = op.column
    default = value if _has_default(column.type, value) else None
    made: Column[Any] = Column(column.name, column.type, server_default=default, nullable=default is None)
    return AddColumnOp(op.table_name, made)


def _filled(table: str, name: str, kind: TypeEngine[Any], value: str | None) -> Iterator[MigrateOperation]:
    """Between the two steps: what a default could not do, or that nobody needs it."""
    if value is None:
        reason = f"need a {name} and nothing can be guessed for it: add to the revision how it is filled"
        yield RefuseRowsOp(table, f"{name} IS NULL", reason)
    elif not _has_default(kind, value):
        yield FillEmptyOp(table, name, _portable(name, kind), value)


def _settled(op: AddColumnOp, value: str | None) -> AlterColumnOp:
    """The second step: the column as the model has it."""
    name, kind = op.column.name, op.column.type
    if _has_default(kind, value):
        return AlterColumnOp(
            op.table_name, name, existing_type=kind, existing_nullable=False, modify_server_default=None
        )
    return AlterColumnOp(op.table_name, name, existing_type=kind, modify_nullable=False)


def _prepared(op: AlterColumnOp, value: str | None) -> Iterator[MigrateOperation]:
    """Before a column is another one: its values in the new type, and none missing that must be there."""
    old, new = op.existing_type, op.modify_type
    if old is not None and new is not None:
        old, new = _portable(op.column_name, old), _portable(op.column_name, new)
        if not is_convertible(family(old), family(new)):
            raise TypeError(f"{op.table_name}.{op.column_name} can't become {new}: it is {old}")
        yield ConvertOp(op.table_name, op.column_name, old, new)
    kind = new or old
    if op.modify_nullable is False and kind is not None:
        name = op.column_name
        step = [] if value is None else [FillEmptyOp(op.table_name, name, _portable(name, kind), value)]
        yield from step or _filled(op.table_name, name, kind, None)


def _rest(op: AlterColumnOp) -> list[MigrateOperation]:
    """What is left of a change when the column has its type."""
    rest = copy(op)
    rest.existing_type, rest.modify_type = op.modify_type or op.existing_type, None
    return [rest] if rest.has_changes() else []


def _duplicates(op: CreateIndexOp) -> MigrateOperation:
    where = op.kw.get("sqlite_where")
    columns = [str(getattr(column, "name", column)) for column in op.columns]
    return RefuseDuplicatesOp(op.table_name, columns, "" if where is None else str(where))


def _portable(name: str, kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type as a revision writes it."""
    return portable_type(Column(name, _bare(kind)))


def _bare(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind
