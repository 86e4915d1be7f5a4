"""Tables of the tests' own, with everything that ORMs write in odd ways; and the oracle: folding the log."""

import enum
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Enum,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import DeclarativeBase, Mapped, deferred, mapped_column, relationship
from sqlmodel.sql.sqltypes import UTCDateTime

from app.core.audit.images import fetch
from app.core.audit.policy import policy_of
from app.core.audit.public_ids import PublicIds
from app.core.audit.record import Change, rows_of
from app.core.entity import NAMING, Key
from app.core.identifiers import uuid7

State = dict[tuple[str, str], dict[str, Any]]


class Colour(enum.Enum):
    """An enum whose values differ from its names."""

    RED = "r"
    BLUE = "b"


class Probe(DeclarativeBase):
    """Apart from the program's own: no other test of the process sees these tables."""

    metadata = MetaData(naming_convention=NAMING)


metadata = Probe.metadata
TAGGED = "probe_tagged"


tagged = Table(
    TAGGED,
    metadata,
    Column("task_pk", Key, ForeignKey("probe_tasks.pk", ondelete="CASCADE"), primary_key=True),
    Column("tag_pk", Key, ForeignKey("probe_tags.pk", ondelete="CASCADE"), primary_key=True),
)


class Owner(Probe):
    """Parent of tasks (deleted with it) and of notes (left behind)."""

    __tablename__ = "probe_owners"
    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, unique=True, default=uuid7, insert_sentinel=True)
    name: Mapped[str] = mapped_column(String(50))
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    touched: Mapped[datetime | None] = mapped_column(UTCDateTime, onupdate=lambda: datetime.now(UTC))
    seen: Mapped[int] = mapped_column(Integer, default=0, info={"audit": "exclude"})
    notes: Mapped[list["Note"]] = relationship(lazy="raise", back_populates="owner")
    parts: Mapped[list["Part"]] = relationship(lazy="raise", cascade="all, delete-orphan")


class Task(Probe):
    """With a link table that no class stands for."""

    __tablename__ = "probe_tasks"
    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, unique=True, default=uuid7, insert_sentinel=True)
    title: Mapped[str] = mapped_column(String(50))
    counter: Mapped[int] = mapped_column(Integer, default=0)
    notes: Mapped[str | None] = deferred(mapped_column(Text, nullable=True))
    owner_pk: Mapped[int | None] = mapped_column(Key, ForeignKey("probe_owners.pk", ondelete="CASCADE"))
    parent_pk: Mapped[int | None] = mapped_column(Key, ForeignKey("probe_tasks.pk", ondelete="CASCADE"))
    tags: Mapped[list["Tag"]] = relationship(secondary=tagged, lazy="raise")


class Tag(Probe):
    """The other end of the link."""

    __tablename__ = "probe_tags"
    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, unique=True, default=uuid7, insert_sentinel=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)


class Note(Probe):
    """Loses its owner, by the database or by the ORM."""

    __tablename__ = "probe_notes"
    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, unique=True, default=uuid7, insert_sentinel=True)
    text: Mapped[str] = mapped_column(Text)
    owner_pk: Mapped[int | None] = mapped_column(Key, ForeignKey("probe_owners.pk", ondelete="SET NULL"))
    owner: Mapped[Owner | None] = relationship(lazy="raise", back_populates="notes")


class Part(Probe):
    """Deleted by the ORM when its owner lets go of it."""

    __tablename__ = "probe_parts"
    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, unique=True, default=uuid7, insert_sentinel=True)
    owner_pk: Mapped[int] = mapped_column(Key, ForeignKey("probe_owners.pk"))


class Gauge(Probe):
    """A natural key, and values that Python and the database see differently."""

    __tablename__ = "probe_gauges"
    code: Mapped[str] = mapped_column(String(20), primary_key=True)
    amount: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    extra: Mapped[dict[str, Any] | None] = mapped_column(MutableDict.as_mutable(JSON(none_as_null=True)))
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    colour: Mapped[Colour | None] = mapped_column(
        Enum(Colour, values_callable=lambda e: [m.value for m in e])
    )
    is_on: Mapped[bool | None] = mapped_column(Boolean)
    api_token: Mapped[str | None] = mapped_column(String(50))
    made_at: Mapped[datetime | None] = mapped_column(UTCDateTime, server_default=func.now())


def table_for(model: type[Probe]) -> Table:
    """The table of a class."""
    table = model.__table__
    assert isinstance(table, Table)
    return table


CLASSES = (Owner, Task, Tag, Note, Part, Gauge)
TABLES: tuple[Table, ...] = (tagged, *(table_for(one) for one in CLASSES))


def snapshot(connection: Connection) -> State:
    """Every row as the log would tell it, by table and id."""
    state: State = {}
    ids = PublicIds({})  # type: ignore[arg-type]
    for table in TABLES:
        policy = policy_of(table)
        assert policy is not None
        changes = [
            Change(policy, None, image) for image in fetch(connection, policy, None, lock=False).values()
        ]
        for row in rows_of(changes, connection, ids):
            state[row["entity"], row["entity_id"]] = row["new"]
    return state


def fold(state: State, rows: Sequence[Mapping[str, Any]]) -> State:
    """The state after the changes. Asserts that each `old` was true."""
    state = {key: dict(value) for key, value in state.items()}
    for row in rows:
        key = row["entity"], row["entity_id"]
        if row["action"] == "INSERT":
            assert key not in state, f"inserted twice: {row}"
            state[key] = dict(row["new"])
        elif row["action"] == "DELETE":
            assert state.pop(key) == row["old"], row
        else:
            assert row["action"] == "UPDATE", row
            known = state.pop(key)
            assert {name: known[name] for name in row["old"]} == row["old"], row
            assert sorted(row["changed"]) == sorted(row["new"]) == sorted(row["old"]), row
            state[_key_after(row)] = {**known, **row["new"]}
    return state


def _key_after(row: Mapping[str, Any]) -> tuple[str, str]:
    """Where the row is filed from now on: a natural key may have changed."""
    return row["entity"], row["new"].get("code", row["entity_id"]) if row[
        "entity"
    ] == "probe_gauges" else row["entity_id"]
