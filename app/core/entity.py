"""What every table has: keys, stamps, version, names of constraints."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, ColumnElement, Index, Integer, MetaData, Table, event, text
from sqlalchemy.orm import Mapped, declared_attr
from sqlmodel import Field, SQLModel

from app.core.clock import now
from app.core.context import current
from app.core.identifiers import uuid7

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: MetaData = SQLModel.metadata
metadata.naming_convention = NAMING

# SQLite gives out keys by itself only for the type INTEGER.
Key = BigInteger().with_variant(Integer, "sqlite")
LIVE = text("deleted_at IS NULL")
# A column of a table, or an attribute of its class.
AnyColumn = ColumnElement[Any] | Mapped[Any]


def live_index(name: str, *columns: Any, unique: bool = False, info: dict[str, Any] | None = None) -> Index:
    """An index over the rows that are not soft-deleted: uniqueness, order and counts of lists need no others."""
    return Index(name, *columns, unique=unique, sqlite_where=LIVE, postgresql_where=LIVE, info=info or {})


@event.listens_for(Table, "after_parent_attach")
def _never_reuse_keys(table: Table, _parent: object) -> None:
    """SQLite hands out the key of a deleted last row again unless AUTOINCREMENT is on."""
    if len(table.primary_key.columns) == 1:
        table.dialect_options["sqlite"]["autoincrement"] = True


class Record(SQLModel):
    """A row with an integer key `pk` that never leaves the program, and a public id."""

    pk: int | None = Field(default=None, primary_key=True, sa_type=Key)
    id: UUID = Field(default=None, unique=True, sa_column_kwargs={"insert_sentinel": True})
    created_at: datetime = Field(default=None)


class Stamped(Record):
    """A record that people change: stamps (who are public ids, without foreign key), and version.

    `version` rises by one with each UPDATE that the session flushes; an UPDATE of a row that changed since
    it was loaded finds no row and raises `StaleDataError` (answered as 409).
    """

    created_by: UUID | None = None
    updated_at: datetime = Field(default=None)
    updated_by: UUID | None = None
    version: int = Field(default=1, sa_type=Integer)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805  SQLAlchemy passes the class
        return {"version_id_col": vars(cls)["__table__"].c.version}


class Entity(Stamped):
    """The same with soft delete: a row that is deleted disappears, and can be brought back."""

    deleted_at: datetime | None = None
    deleted_by: UUID | None = None


# A `default_factory` inspects its signature for each field of each object (8 us), and gives two instants.
@event.listens_for(Record, "init", propagate=True)
def _stamp_record(target: Record, _args: object, values: dict[str, Any]) -> None:
    values.setdefault("id", uuid7())
    instant = values.setdefault("created_at", now())
    if isinstance(target, Stamped):
        values.setdefault("updated_at", instant)
        values.setdefault("created_by", current().actor_id)
        values.setdefault("updated_by", current().actor_id)


def table_of(model: type[SQLModel]) -> Table:
    """The model's table. Raises TypeError where the class has none."""
    table = vars(model).get("__table__")
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is no table")
    return table


def referenced(column: Column[Any]) -> Table:
    """The table that a foreign key points to, for joins across modules: their models are not imported."""
    (foreign,) = column.foreign_keys
    target = foreign.column.table
    assert isinstance(target, Table)  # noqa: S101  keys point to tables
    return target
