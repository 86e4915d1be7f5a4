"""Steps of a revision that Alembic does not know: they fill, convert, and look for rows that stand in the way."""

from collections.abc import Sequence
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _repr_type, render_op
from alembic.operations.ops import MigrateOperation, OpContainer
from sqlalchemy.types import TypeEngine


class StepsOp(OpContainer):
    """One direction, ready: none of Alembic's hooks works it out of the other one again."""


class FillSearchOp(MigrateOperation):
    """Works out the searched texts of rows that are there."""

    def __init__(self, table_name: str, columns: Sequence[str]) -> None:
        """`columns`: the weightiest first."""
        self.table_name = table_name
        self.columns = tuple(columns)


class FillEmptyOp(MigrateOperation):
    """Gives rows without a value one."""

    def __init__(self, table_name: str, column_name: str, kind: TypeEngine[Any], value: str) -> None:
        """`value`: as PostgreSQL reads it."""
        self.table_name = table_name
        self.column_name = column_name
        self.kind = kind
        self.value = value


class ConvertOp(MigrateOperation):
    """Gives a column another type, with its values."""

    def __init__(self, table_name: str, column_name: str, old: TypeEngine[Any], new: TypeEngine[Any]) -> None:
        """`old`, `new`: as models have them."""
        self.table_name = table_name
        self.column_name = column_name
        self.old = old
        self.new = new


class RefuseRowsOp(MigrateOperation):
    """Stops where rows fit a condition."""

    def __init__(self, table_name: str, condition: str, reason: str) -> None:
        """`reason`: what is wrong with them."""
        self.table_name = table_name
        self.condition = condition
        self.reason = reason


class RefuseDuplicatesOp(MigrateOperation):
    """Stops where rows have the same."""

    def __init__(self, table_name: str, columns: Sequence[str], where: str) -> None:
        """`where`: which rows count; empty for all."""
        self.table_name = table_name
        self.columns = tuple(columns)
        self.where = where


def _call(context: AutogenContext, module: str, name: str, *arguments: str) -> str:
    context.imports.add(f"from app.core.{module} import {name}")
    return f"{name}({', '.join(arguments)})"


@renderers.dispatch_for(StepsOp)
def _steps(context: AutogenContext, op: StepsOp) -> list[str]:
    return [line for step in op.ops for line in render_op(context, step)]


@renderers.dispatch_for(FillSearchOp)
def _fill_search(context: AutogenContext, op: FillSearchOp) -> str:
    return _call(context, "migration", "fill_search", *map(repr, (op.table_name, *op.columns)))


@renderers.dispatch_for(FillEmptyOp)
def _fill_empty(context: AutogenContext, op: FillEmptyOp) -> str:
    where = repr(op.table_name), repr(op.column_name)
    return _call(context, "row_steps", "fill_empty", *where, _repr_type(op.kind, context), repr(op.value))


@renderers.dispatch_for(ConvertOp)
def _convert(context: AutogenContext, op: ConvertOp) -> str:
    kinds = (_repr_type(kind, context) for kind in (op.old, op.new))
    return _call(context, "row_steps", "convert", repr(op.table_name), repr(op.column_name), *kinds)


@renderers.dispatch_for(RefuseRowsOp)
def _refuse_rows(context: AutogenContext, op: RefuseRowsOp) -> str:
    words = map(repr, (op.table_name, op.condition, op.reason))
    return _call(context, "row_steps", "refuse_rows", *words)


@renderers.dispatch_for(RefuseDuplicatesOp)
def _refuse_duplicates(context: AutogenContext, op: RefuseDuplicatesOp) -> str:
    where = (f"where={op.where!r}",) if op.where else ()
    words = map(repr, (op.table_name, *op.columns))
    return _call(context, "row_steps", "refuse_duplicates", *words, *where)
