"""A Core SELECT compiled once to the SQL of its driver.

Building and compiling a statement at each call costs more than running it: the compiled text goes to
asyncpg or aiosqlite directly, with the same bind and result processing that SQLAlchemy would apply.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Float,
    Select,
    String,
    Table,
    TypeDecorator,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

Processor = Callable[[Any], Any]
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class DriverStatement:
    """SQL text, how to make its arguments, and which result columns need a conversion."""

    sql: str
    binds: tuple[tuple[str, Processor | None], ...]
    constants: Mapping[str, Any]
    columns: tuple[tuple[int, Processor], ...]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The positional arguments. Raises KeyError if a value is missing."""
        made = []
        for name, process in self.binds:
            value = values[name] if name in values else self.constants[name]
            made.append(process(value) if process is not None and value is not None else value)
        return made

    def rows(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The driver's rows with Python values in them."""
        if not self.columns:
            return rows
        converted = []
        for row in rows:
            values = list(row)
            for index, process in self.columns:
                if values[index] is not None:
                    values[index] = process(values[index])
            converted.append(values)
        return converted


class Query:
    """A SELECT built once, with named parameters; `keys` are the names of its columns, in order."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        """`statement` must not use `in_()` with a list: its length is not known when it is compiled."""
        self.statement = statement
        self.keys = tuple(column.key for column in statement.selected_columns)
        self._driver: dict[str, DriverStatement] = {}

    def on(self, dialect: Dialect) -> DriverStatement:
        """The compiled form for a dialect, made at the first use."""
        if dialect.name not in self._driver:
            self._driver[dialect.name] = _compiled(self.statement, dialect)
        return self._driver[dialect.name]


def _compiled(statement: Select[*tuple[Any, ...]], dialect: Dialect) -> DriverStatement:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101  for the type checker
    if compiled.post_compile_params:
        raise ValueError("a statement with an expanding IN can't be compiled once")
    types = {name: bind.type for bind, name in compiled.bind_names.items()}
    return DriverStatement(
        sql=str(compiled),
        binds=tuple((name, _bind(types[name], dialect)) for name in compiled.positiontup or ()),
        constants={name: value for name, value in compiled.params.items() if value is not None},
        columns=tuple(
            (index, process)
            for index, column in enumerate(statement.selected_columns)
            if (process := _result(column.type, dialect)) is not None
        ),
    )


def _bind(kind: Any, dialect: Dialect) -> Processor | None:
    process: Processor | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return process


def _result(kind: Any, dialect: Dialect) -> Processor | None:
    if isinstance(kind, (UTCDateTime, Float)) and dialect.name == "postgresql":
        return None  # asyncpg's instants are aware and in UTC already, its floats are floats
    process: Processor | None = kind.dialect_impl(dialect).result_processor(dialect, None)
    return process


def among(column: Mapped[Any], name: str, *, is_sqlite: bool) -> ColumnElement[bool]:
    """`column` is one of a list given as one parameter, so that the statement is the same for any length."""
    if is_sqlite:
        return column.in_(select(func.json_each(bindparam(name, type_=String)).table_valued("value").c.value))
    return column == any_(bindparam(name, type_=ARRAY(type_of(column))))


def type_of(column: Mapped[Any]) -> TypeEngine[Any]:
    """The type of a table's attribute, for a parameter that is compared with it."""
    attribute: Any = column
    kind: TypeEngine[Any] = attribute.type
    return kind


def id_list(ids: Sequence[UUID | str | int], *, is_sqlite: bool) -> object:
    """The argument for `among`, of ids, of keys or of texts: SQLite keeps UUIDs as hexadecimal text."""
    return json.dumps([getattr(id, "hex", id) for id in ids]) if is_sqlite else list(ids)


class PublicId(TypeDecorator[str]):
    """A UUID read as its text, in the one spelling of the API. SQLite keeps 32 digits without dashes."""

    impl = String
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor | None:  # noqa: ARG002  SQLAlchemy names it
        """None where the database writes the spelling itself."""
        return _dashed if dialect.name == "sqlite" else None


def _dashed(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class _FewRows(ColumnElement[bool]):
    """Whether the statistics say that a table has at most so many rows."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, table: Table, limit: int) -> None:
        self.table_name = table.name
        self.limit = limit


@compiles(_FewRows)
def _unknown(_element: _FewRows, _compiler: object, **_options: Any) -> str:
    """SQLite keeps no such number."""
    return "1 = 0"


@compiles(_FewRows, "postgresql")
def _by_statistics(element: _FewRows, _compiler: object, **_options: Any) -> str:
    """-1 where the table was never analysed."""
    few = f"SELECT reltuples BETWEEN 0 AND {element.limit:d} FROM pg_catalog.pg_class"  # noqa: S608  our own number
    return f"({few} WHERE oid = '{element.table_name}'::regclass)"


def has_few_rows(table: Table, limit: int) -> ColumnElement[bool]:
    """A cheap guess, true where the database knows that the table is small. No promise: for choosing a plan only."""
    return _FewRows(table, limit)
