"""For revisions: steps that look at rows, and stop before anything is lost.

A step that stops has changed nothing: all steps of a migration are one transaction, on both databases.
"""

from decimal import Decimal
from typing import Any

from alembic import op
from sqlalchemy import text

from app.core.conversions import Kind, conversion, family, scale_of
from app.core.migration import batch_alter

_INDEXES = text(
    "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :name AND sql IS NOT NULL"
)


class RowsInTheWay(RuntimeError):
    """Rows that a change can't be made with; the message says how to find them."""


def refuse_rows(table_name: str, condition: str, reason: str) -> None:
    """Raises RowsInTheWay where a row fits the condition; `reason`: what is wrong, behind `rows of orders`."""
    context = op.get_context()
    found = f"FROM {table_name} WHERE {condition}"
    if context.as_sql:
        context.impl.static_output(f"-- this must find nothing: SELECT * {found}")
    elif count := op.get_bind().exec_driver_sql(f"SELECT COUNT(*) {found}").scalar():
        told = f"rows of {table_name} {reason} ({count} of them)"
        raise RowsInTheWay(f"{told}; nothing was changed. To see them: SELECT * {found}")


def refuse_duplicates(table_name: str, *columns: str, where: str = "") -> None:
    """Raises RowsInTheWay where rows have the same in all of these columns, before they are made unique."""
    context, listed = op.get_context(), ", ".join(columns)
    conditions = " AND ".join([*([where] if where else []), *(f"{name} IS NOT NULL" for name in columns)])
    found = f"FROM {table_name} WHERE {conditions} GROUP BY {listed} HAVING COUNT(*) > 1"
    if context.as_sql:
        context.impl.static_output(f"-- this must find nothing: SELECT {listed}, COUNT(*) {found}")
    elif op.get_bind().exec_driver_sql(f"SELECT 1 {found}").first() is not None:
        told = f"rows of {table_name} have the same {' and '.join(columns)}, which shall be unique"
        raise RowsInTheWay(f"{told}; nothing was changed. To see them: SELECT {listed}, COUNT(*) {found}")


def fill_empty(table_name: str, column_name: str, kind: Kind, value: str) -> None:
    """Gives rows without a value this one, which is a text that PostgreSQL reads, instants in UTC."""
    if family(kind) == "decimal" and _is_sqlite():
        value = str(int(Decimal(value).scaleb(scale_of(kind))))
    elif family(kind) == "datetime" and not _is_sqlite():
        value += "+00:00"
    literal = value.replace("'", "''").replace(":", "\\:")
    op.execute(text(f"UPDATE {table_name} SET {column_name} = '{literal}' WHERE {column_name} IS NULL"))  # noqa: S608


def convert(table_name: str, column_name: str, old: Kind, new: Kind) -> None:
    """Gives a column another type, with the values it has. Raises RowsInTheWay for those that it can't keep."""
    rule = conversion(old, new, is_sqlite=_is_sqlite())
    if misfit := rule.misfit.format(c=column_name):
        refuse_rows(table_name, misfit, f"have a {column_name} that {new} can't hold")
    value = rule.value.format(c=column_name)
    if not _is_sqlite():
        op.alter_column(table_name, column_name, existing_type=old, type_=new, postgresql_using=value)
    elif op.get_context().as_sql:
        op.get_context().impl.static_output(f"-- {table_name}.{column_name} is converted by a program")
    else:
        _rebuild(table_name, column_name, new, value)


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _rebuild(table_name: str, column_name: str, new: Kind, value: str) -> None:
    """On SQLite: writes the new values, then builds the table anew, which copies them as they are.

    Without the column's indexes meanwhile: halfway through, a new value may be another row's old one.
    """
    connection = op.get_bind()
    made = [
        (name, sql) for name, sql in connection.execute(_INDEXES, {"name": table_name}) if column_name in sql
    ]
    for name, _ in made if value != column_name else []:
        op.execute(f'DROP INDEX "{name}"')
    if value != column_name:
        connection.exec_driver_sql(f"UPDATE {table_name} SET {column_name} = {value}")  # noqa: S608

    def as_new(_inspector: object, _table: object, column: dict[str, Any]) -> None:
        if column["name"] == column_name:
            column["type"] = new  # else Alembic would copy through a CAST, which makes the year of a date

    with batch_alter(table_name, reflect_kwargs={"listeners": [("column_reflect", as_new)]}) as batch:
        batch.alter_column(column_name, type_=new)
    for _, sql in made if value != column_name else []:
        connection.exec_driver_sql(sql)
