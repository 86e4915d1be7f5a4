"""What sealing and verifying ask of the database."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from sqlite3 import OperationalError
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    String,
    Text,
    cast,
    delete,
    func,
    insert,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy import bindparam as bind
from sqlalchemy.exc import DBAPIError

from app.core.entity import table_of
from app.core.evidence.canonical import (
    LOGS,
    STREAMS,
    Line,
    RowForm,
    Stream,
    readable_instant,
    row_form,
    sqlite_instant,
)
from app.core.evidence.log_rows import rows_query, undone
from app.core.evidence.models import AuditSeal, AuditSealLeaves
from app.core.evidence.seals import Seal
from app.core.query import Query
from app.core.transaction import UnitOfWork

_SEALS, _LEAVES = table_of(AuditSeal), table_of(AuditSealLeaves)
_BATCH = 250
_MOST_HANDOVERS = 10_000
_STREAM = bind("stream", type_=String)
_AFTER = bind("after", type_=BigInteger)
_FROM, _LAST = bind("first", type_=BigInteger), bind("last", type_=BigInteger)
_IS_NUMBERED = func.typeof(_SEALS.c.number) == literal_column("'integer'")
_SEALS_THAT: Mapping[str, Sequence[ColumnElement[bool]]] = {
    "newest": (),
    "follow": (_SEALS.c.number > _AFTER,),
    "is": (_SEALS.c.number == _AFTER,),
    "hand over": (_SEALS.c.next_public_key.is_not(None),),
    "cover": (_SEALS.c.last_id >= _FROM, _SEALS.c.first_id <= _LAST),
}


@cache
def _seal_query(which: str, *, is_sqlite: bool) -> Query:
    """As the driver gives them. SQLite's columns take any type: what has no number is no link of the chain."""
    columns = [undone(_SEALS.c[name], is_sqlite=is_sqlite) for name in Seal.__slots__]
    statement = select(*columns).where(_SEALS.c.stream == _STREAM, *_SEALS_THAT[which])
    if is_sqlite:
        statement = statement.where(_IS_NUMBERED)
    order = _SEALS.c.number.desc() if which == "newest" else _SEALS.c.number.asc()
    return Query(statement.order_by(order).limit(bind("limit", type_=Integer)))


_LEAVES_OF = Query(
    select(_LEAVES.c.leaves)
    .join(_SEALS, _SEALS.c.id == _LEAVES.c.seal_id)
    .where(_SEALS.c.stream == _STREAM, _SEALS.c.number == bind("number", type_=BigInteger))
)
_ACCESS = LOGS["access"]
_PLACE = tuple_(_ACCESS.c.boot_id, _ACCESS.c.seq)
_HIGHEST = (
    select(_ACCESS.c.boot_id, _ACCESS.c.seq)
    .order_by(_ACCESS.c.boot_id.desc(), _ACCESS.c.seq.desc())
    .limit(bind("limit", type_=Integer))
)
_NUMBERS = Query(_HIGHEST)
_NUMBERS_BELOW = Query(
    _HIGHEST.where(tuple_(bind("boot_id", type_=String), bind("seq", type_=BigInteger)) > _PLACE)
)
_STOPS = Query(
    select(_ACCESS.c.id).where(
        _ACCESS.c.boot_id == bind("boot_id", type_=String),
        _ACCESS.c.seq == bind("seq", type_=BigInteger),
        _ACCESS.c.path == literal_column("'audit.stop'"),
        _ACCESS.c.method == literal_column("'AUDIT'"),
    )
)
# PostgreSQL's number of this transaction: larger than that of every one that has begun to write before.
_MARK = Query(select(cast(cast(func.pg_current_xact_id(), Text), BigInteger)))


@cache
def _waters(*, is_sqlite: bool) -> Query:
    """The largest ids that can be seen; on PostgreSQL, the smallest number of a transaction that still writes."""
    largest = [
        select(func.coalesce(func.max(LOGS[stream].c["id"]), 0)).scalar_subquery().label(stream)
        for stream in STREAMS
    ]
    if is_sqlite:
        return Query(select(*largest))
    oldest = func.pg_snapshot_xmin(func.pg_current_snapshot())
    return Query(select(*largest, cast(cast(oldest, Text), BigInteger).label("oldest")))


@cache
def _oldest(stream: Stream, *, is_sqlite: bool) -> Query:
    log = LOGS[stream]
    rows = select(undone(log.c["occurred_at"], is_sqlite=is_sqlite)).where(log.c["id"] > _AFTER)
    return Query(rows.order_by(log.c["id"]).limit(literal_column("1")))


@cache
def _count(stream: Stream) -> Query:
    log = LOGS[stream]
    return Query(select(func.count()).select_from(log).where(log.c["id"] > _AFTER))


@dataclass(frozen=True, slots=True)
class Waters:
    """The largest id of each log that can be seen now. `oldest`: None on SQLite, which has one writer at a time."""

    ids: dict[Stream, int]
    oldest: int | None


class EvidenceStore:
    """Seals, and the rows that they cover."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Reads through the read door, or inside the open transaction."""
        self.uow = uow
        self.is_sqlite = uow.database.is_sqlite

    async def waters(self) -> Waters:
        """What could be sealed, if nothing were under way."""
        ((access, changes, *rest),) = await self.uow.fetch(_waters(is_sqlite=self.is_sqlite), {})
        return Waters({"access": int(access), "changes": int(changes)}, int(rest[0]) if rest else None)

    async def mark(self) -> int:
        """A number that is larger than that of every transaction which has written so far. PostgreSQL only."""
        ((mark,),) = await self.uow.fetch(_MARK, {})
        return int(mark)

    async def lines(
        self, stream: Stream, form: int, first_id: int, last_id: int, *, batch: int = _BATCH
    ) -> AsyncGenerator[list[Line]]:
        """The rows of a range in the order of their ids, `batch` at a time."""
        shape: RowForm = row_form(stream, form, is_sqlite=self.is_sqlite)
        while first_id <= last_id:
            values = {"first": first_id, "last": last_id, "limit": batch}
            rows = await self._undone_rows(stream, form, values)
            if rows:
                yield [shape.read(row) for row in rows]
            if len(rows) < batch:
                return
            first_id = int(rows[-1][shape.id_index]) + 1

    async def lines_ahead(
        self, stream: Stream, form: int, first_id: int, last_id: int, *, batch: int
    ) -> AsyncGenerator[list[Line]]:
        """The same, outside of any transaction; the database works on the next ones meanwhile.

        Must be closed by who leaves it before its end.
        """
        shape: RowForm = row_form(stream, form, is_sqlite=self.is_sqlite)
        values = {"first": first_id, "last": last_id, "limit": batch}
        reading = asyncio.ensure_future(self._undone_rows(stream, form, values))
        try:
            while rows := await reading:
                values = {**values, "first": int(rows[-1][shape.id_index]) + 1}
                reading = asyncio.ensure_future(self._undone_rows(stream, form, values))
                await asyncio.sleep(0)  # so that it is sent before whoever takes these rows is busy with them
                yield [shape.read(row) for row in rows]
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _undone_rows(self, stream: Stream, form: int, values: Mapping[str, Any]) -> Sequence[Any]:
        try:
            return await self.uow.fetch(rows_query(stream, form, is_sqlite=self.is_sqlite), values)
        except (OperationalError, DBAPIError):
            if not self.is_sqlite:
                raise
        # A text that is none: Python's driver refuses the whole answer.
        rows = await self.uow.fetch(rows_query(stream, form, is_sqlite=True, as_bytes=True), values)
        return [[_decoded(value) for value in row] for row in rows]

    async def newest_seal(self, stream: Stream) -> Seal | None:
        """The head of the chain."""
        return _one(await self._seals("newest", {"stream": stream, "limit": 1}))

    async def seal(self, stream: Stream, number: int) -> Seal | None:
        """One seal by its number."""
        return _one(await self._seals("is", {"stream": stream, "after": number, "limit": 1}))

    async def seals_after(self, stream: Stream, number: int, limit: int) -> list[Seal]:
        """The next seals, in their order."""
        return await self._seals("follow", {"stream": stream, "after": number, "limit": limit})

    async def seals_over(self, stream: Stream, first_id: int, last_id: int, limit: int) -> list[Seal]:
        """The first seals that cover ids of a range, in their order; empty ones between them too."""
        values = {"stream": stream, "first": first_id, "last": last_id, "limit": limit}
        return await self._seals("cover", values)

    async def handovers(self, stream: Stream) -> list[Seal]:
        """The seals that hand over to another key."""
        return await self._seals("hand over", {"stream": stream, "limit": _MOST_HANDOVERS})

    async def _seals(self, which: str, values: Mapping[str, Any]) -> list[Seal]:
        rows = await self.uow.fetch(_seal_query(which, is_sqlite=self.is_sqlite), values)
        return [Seal.read(row) for row in rows]

    async def leaves(self, stream: Stream, number: int) -> bytes | None:
        """The index of leaves of a seal; None where its rows are gone."""
        rows = await self.uow.fetch(_LEAVES_OF, {"stream": stream, "number": number})
        return bytes(rows[0][0]) if rows else None

    async def oldest_after(self, stream: Stream, id: int) -> datetime | None:
        """When the first row behind an id was made; None where there is none, or where that is no instant."""
        rows = await self.uow.fetch(_oldest(stream, is_sqlite=self.is_sqlite), {"after": id})
        if not rows or not self.is_sqlite:
            return rows[0][0] if rows and rows[0][0].tzinfo else None
        return readable_instant(sqlite_instant(rows[0][0]))

    async def count_after(self, stream: Stream, id: int) -> int:
        """How many rows are behind an id."""
        ((count,),) = await self.uow.fetch(_count(stream), {"after": id})
        return int(count)

    async def numbers_below(self, place: tuple[str, int] | None, limit: int) -> Sequence[tuple[str, int]]:
        """Process runs and numbers of the access log, the newest run first, each from its largest number down.

        `place`: a run and a number below which to begin; None for the highest. It is not asked for by a name above
        all others, for which name that is depends on how the database sorts.
        """
        values = {"boot_id": place[0], "seq": place[1], "limit": limit} if place else {"limit": limit}
        rows = await self.uow.fetch(_NUMBERS_BELOW if place else _NUMBERS, values)
        return [(str(row[0]), row[1] if type(row[1]) is int else 0) for row in rows]

    async def has_stopped(self, boot_id: str, seq: int) -> bool:
        """Whether this row is the one by which a process run says that it ends."""
        rows = await self.uow.fetch(_STOPS, {"boot_id": boot_id, "seq": seq})
        return bool(rows)

    async def add_seal(self, seal: Seal, leaves: bytes) -> None:
        """Adds a seal with its leaves, in the open transaction. Raises Conflict where its number is taken."""
        session = self.uow.session
        values = {name: getattr(seal, name) for name in Seal.__slots__}
        connection = await session.connection()
        made = await connection.execute(insert(_SEALS).returning(_SEALS.c.id), values)
        if leaves:
            await connection.execute(insert(_LEAVES), {"seal_id": made.scalar_one(), "leaves": leaves})

    async def forget_leaves(self, stream: Stream, first_seal: int, last_seal: int) -> None:
        """Removes the indexes of seals whose rows are gone, in the open transaction."""
        connection = await self.uow.session.connection()
        among = select(_SEALS.c.id).where(
            _SEALS.c.stream == stream, _SEALS.c.number.between(first_seal, last_seal)
        )
        await connection.execute(delete(_LEAVES).where(_LEAVES.c.seal_id.in_(among)))


def _one(seals: Sequence[Seal]) -> Seal | None:
    return seals[0] if seals else None


def _decoded(value: Any) -> Any:
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value
