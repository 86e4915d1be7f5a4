"""From the fields of an answer to the columns of a SELECT, by names alone.

Inside, integer keys are called `pk` and `x_pk`; outside, ids are called `id` and `x_id`. So, for a field:

- `title` is the column `title`;
- `owner_id` is the public id of the row behind `owner_pk`;
- `owner: UserRef` is the columns of that row that `UserRef` names, folded into an object.
"""

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from sqlalchemy import ColumnElement, FromClause, Label, Table, TypeDecorator

from app.core.query import Row

NESTED = "__"
_UNIONS = (Union, types.UnionType)


class Plan:
    """Columns and joins that make one shape from one table. Raises KeyError if a field has no column."""

    def __init__(self, table: Table, shape: type[BaseModel]) -> None:
        """Worked out once for each pair; at start-up for every answer that is declared."""
        self.table = table
        self.source: FromClause = table
        self.columns: list[Label[Any]] = []
        self._aliases: dict[str, FromClause] = {}
        self._paths: list[tuple[str, str | None]] = []
        for name, field in shape.model_fields.items():
            inner = nested_model(field.annotation)
            if inner is not None:
                for part in inner.model_fields:
                    self._take(self._follow(name).c[part], name, part)
            elif name in table.c:
                self._take(table.c[name], name)
            else:
                self._take(self._follow(name.removesuffix("_id")).c["id"], name)
        self._names = tuple(name for name, _ in self._paths)
        self._nested = sorted({name for name, part in self._paths if part is not None})

    def _take(self, column: ColumnElement[Any], name: str, part: str | None = None) -> None:
        self.columns.append(column.label(name if part is None else f"{name}{NESTED}{part}"))
        self._paths.append((name, part))

    def _follow(self, name: str) -> FromClause:
        """The table behind `name_pk`, joined once; outer where there may be none."""
        if name not in self._aliases:
            key = self.table.c[f"{name}_pk"]
            (foreign,) = key.foreign_keys
            alias: FromClause = foreign.column.table.alias(name)
            self.source = self.source.join(alias, key == alias.c["pk"], isouter=bool(key.nullable))
            self._aliases[name] = alias
        return self._aliases[name]

    def values(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """The rows as dictionaries of the shape; further columns at the end of a row are left out."""
        if not self._nested:
            return [dict(zip(self._names, row, strict=False)) for row in rows]
        return [self._folded(row) for row in rows]

    def misfits(self, shape: type[BaseModel]) -> Iterator[str]:
        """Fields whose type is not that of their column, so that the raw value would not be a valid answer."""
        for (name, inner), column in zip(self._paths, self.columns, strict=True):
            model = shape if inner is None else nested_model(shape.model_fields[name].annotation)
            annotation = model.model_fields[inner or name].annotation if model is not None else None
            parts = get_args(annotation) if get_origin(annotation) in _UNIONS else (annotation,)
            kinds = {kind for part in parts for kind in _kinds(part)}
            if _python_type(column) not in kinds - {type(None)}:
                yield f"{name} is {annotation}, its column holds {_python_type(column).__name__}"
            elif getattr(column.element, "nullable", False) and type(None) not in kinds:
                yield f"{name} may be empty in the database"

    def _folded(self, row: Row) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for (name, part), value in zip(self._paths, row, strict=False):
            if part is None:
                made[name] = value
            else:
                made.setdefault(name, {})[part] = value
        for name in self._nested:
            if all(value is None for value in made[name].values()):
                made[name] = None  # an outer join that found nothing
        return made


_plans: dict[tuple[str, type[BaseModel]], Plan] = {}


def plan_of(table: Table, shape: type[BaseModel]) -> Plan:
    """The plan of a pair, made once."""
    key = (table.name, shape)
    if key not in _plans:
        _plans[key] = Plan(table, shape)
    return _plans[key]


def nested_model(annotation: Any) -> type[BaseModel] | None:
    """The model in `X` or `X | None`, if there is one."""
    if get_origin(annotation) in _UNIONS:
        inner = [part for part in get_args(annotation) if part is not type(None)]
        return nested_model(inner[0]) if len(inner) == 1 else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _kinds(annotation: Any) -> set[Any]:
    """The types of the values: `Annotated[X, …]` is X, a `Literal` is what its choices are."""
    if get_origin(annotation) is Annotated:
        return {get_args(annotation)[0]}
    if get_origin(annotation) is Literal:
        return {type(choice) for choice in get_args(annotation)}
    return {annotation}


def _python_type(column: ColumnElement[Any]) -> type[Any]:
    kind = column.type
    found: type[Any] = (kind.impl_instance if isinstance(kind, TypeDecorator) else kind).python_type
    return found
