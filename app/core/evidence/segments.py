"""What archiving asks of the database: segments, holds, and the rows that may go."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, String, and_, column, delete, func, or_, select, table
from sqlalchemy import bindparam as bind
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import select as select_entity

from app.core.entity import table_of
from app.core.evidence.canonical import LOGS, Stream
from app.core.evidence.holds import Hold
from app.core.evidence.models import AuditHold, AuditSegment
from app.core.query import Query
from app.core.transaction import UnitOfWork

_SEGMENTS, _HOLDS = table_of(AuditSegment), table_of(AuditHold)
COLUMNS = tuple(column.key for column in _SEGMENTS.columns)
_STREAM = bind("stream", type_=String)
_ALL = Query(select(*_SEGMENTS.columns).where(_SEGMENTS.c.stream == _STREAM).order_by(_SEGMENTS.c.pk))
_REVISION = Query(select(column("version_num")).select_from(table("alembic_version")))
_HOLD_COLUMNS = [_HOLDS.c[name] for name in Hold.__slots__]
_ACTIVE_HOLDS = Query(
    select(*_HOLD_COLUMNS).where(
        _HOLDS.c.released_at.is_(None), func.coalesce(_HOLDS.c.stream, _STREAM) == _STREAM
    )
)


def held(stream: Stream) -> ColumnElement[bool]:
    """Whether an active hold keeps a row: the same condition as the one in the database's triggers."""
    log, hold = LOGS[stream], _HOLDS.c
    fits = [
        hold.released_at.is_(None),
        func.coalesce(hold.stream, stream) == stream,
        or_(hold.actor_id.is_(None), hold.actor_id == log.c["actor_id"]),
        or_(hold.from_at.is_(None), log.c["occurred_at"] >= hold.from_at),
        or_(hold.to_at.is_(None), log.c["occurred_at"] < hold.to_at),
    ]
    if stream == "access":
        fits.append(hold.entity.is_(None))
    else:
        fits.append(or_(hold.entity.is_(None), hold.entity == log.c["entity"]))
        fits.append(or_(hold.entity_id.is_(None), hold.entity_id == log.c["entity_id"]))
    return select(hold.pk).where(*fits).exists()


def _range(stream: Stream) -> ColumnElement[bool]:
    log = LOGS[stream]
    return and_(log.c["id"] > bind("after", type_=BigInteger), log.c["id"] <= bind("last", type_=BigInteger))


@cache
def _free(stream: Stream) -> Query:
    log = LOGS[stream]
    rows = select(log.c["id"]).where(_range(stream), ~held(stream)).order_by(log.c["id"])
    return Query(rows.limit(bind("limit", type_=BigInteger)))


@cache
def _counts(stream: Stream) -> Query:
    log = LOGS[stream]
    kept = func.count().filter(held(stream))
    return Query(select(func.count().label("all"), kept.label("held")).select_from(log).where(_range(stream)))


@cache
def _unsealed(stream: Stream) -> Query:
    log = LOGS[stream]
    old = log.c["occurred_at"] < bind("before", type_=log.c["occurred_at"].type)
    ends = [func.coalesce(end, 0) for end in (func.min(log.c["id"]), func.max(log.c["id"]))]
    counts = [func.count().label("all"), func.count().filter(held(stream)).label("held")]
    return Query(
        select(*ends, *counts).select_from(log).where(log.c["id"] > bind("after", type_=BigInteger), old)
    )


class SegmentStore:
    """Segments are written as entities: each step of an archive is a row of the change log."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Reads through the read door, or inside the open transaction."""
        self.uow = uow

    async def all(self, stream: Stream) -> list[AuditSegment]:
        """The segments of a stream as they are now, oldest first; apart from any session."""
        rows = await self.uow.fetch(_ALL, {"stream": stream})
        return [AuditSegment(**dict(zip(COLUMNS, row, strict=True))) for row in rows]

    async def add(self, segment: AuditSegment) -> None:
        """Adds a segment, in the open transaction."""
        self.uow.session.add(segment)
        await self.uow.session.flush()

    async def change(self, id: UUID, **values: Any) -> None:
        """Changes a segment, in the open transaction."""
        found = await self.uow.session.exec(select_entity(AuditSegment).where(_SEGMENTS.c.id == id))
        segment = found.one()
        for name, value in values.items():
            setattr(segment, name, value)
        await self.uow.session.flush()

    async def active_holds(self, stream: Stream) -> list[Hold]:
        """The holds that may keep rows of this stream."""
        return [Hold(*row) for row in await self.uow.fetch(_ACTIVE_HOLDS, {"stream": stream})]

    async def free_ids(self, stream: Stream, after: int, last: int, limit: int) -> list[int]:
        """The next rows of a range that no hold keeps, in order."""
        values = {"after": after, "last": last, "limit": limit}
        return [int(id) for (id,) in await self.uow.fetch(_free(stream), values)]

    async def counts(self, stream: Stream, first_id: int, last_id: int) -> tuple[int, int]:
        """How many rows of a range are here, and how many of them are held."""
        ((rows, kept),) = await self.uow.fetch(_counts(stream), {"after": first_id - 1, "last": last_id})
        return int(rows), int(kept)

    async def unsealed(self, stream: Stream, after: int, before: datetime) -> tuple[int, int, int, int]:
        """Of the rows behind an id that are older: the first id and the last, how many, and how many are held."""
        ((first, last, rows, kept),) = await self.uow.fetch(
            _unsealed(stream), {"after": after, "before": before}
        )
        return int(first), int(last), int(rows), int(kept)

    async def remove(self, stream: Stream, first_id: int, last_id: int) -> int:
        """Removes the rows of a range that no hold keeps, in the open transaction; returns how many.

        The database refuses it outside of verified segments.
        """
        log = LOGS[stream]
        connection = await self.uow.session.connection()
        done = await connection.execute(
            delete(log).where(log.c["id"].between(first_id, last_id), ~held(stream))
        )
        return int(done.rowcount)

    async def put_back(self, stream: Stream, rows: Sequence[dict[str, Any]]) -> None:
        """Adds rows under the ids that they had, in the open transaction; those that are there stay as they are."""
        insert = sqlite_insert if self.uow.database.is_sqlite else postgres_insert
        connection = await self.uow.session.connection()
        await connection.execute(insert(LOGS[stream]).on_conflict_do_nothing(), list(rows))

    async def schema_revision(self) -> str:
        """Alembic's revision of the database."""
        rows = await self.uow.fetch(_REVISION, {})
        return ",".join(sorted(str(name) for (name,) in rows))
