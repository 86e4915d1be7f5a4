"""Reads seals and segments. What is sealed is read by the machinery itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import BigInteger, ColumnElement, Integer, String, and_, func, literal_column, or_, select
from sqlalchemy import bindparam as bind

from app.core.entity import table_of
from app.core.evidence.canonical import STREAMS, Stream
from app.core.evidence.models import MAY_BE_GONE, AuditSeal, AuditSegment
from app.core.evidence.seals import Seal
from app.core.evidence.segments import SegmentStore
from app.core.evidence.verifier import Archived, archived_ranges
from app.core.query import Query
from app.core.repository import BaseRepository
from app.core.transaction import UnitOfWork
from app.modules.audit.models import Item
from app.modules.audit.schemas_evidence import SegmentSummary
from app.modules.audit.timeline import Gaps

_SEALS, _SEGMENTS = table_of(AuditSeal), table_of(AuditSegment)
_COLUMNS = ("id", *Seal.__slots__)


def _quoted(*words: str) -> list[ColumnElement[str]]:
    return [literal_column(f"'{word}'") for word in words]


def _newest(stream: Stream) -> ColumnElement[int]:
    """The id of a log's last seal, 0 for none. Each is committed before the next one gets its id."""
    ids = select(_SEALS.c.id).where(_SEALS.c.stream == literal_column(f"'{stream}'"))
    newest = ids.order_by(_SEALS.c.number.desc()).limit(literal_column("1")).scalar_subquery()
    return func.coalesce(newest, literal_column("0"))


# One for each log: both are sealed at the same time, so that a smaller id may come later.
_BOUNDS = Query(select(*(_newest(stream).label(stream) for stream in STREAMS)))


@cache
def _page_query(*, has_stream: bool, descending: bool, has_after: bool) -> Query:
    key = _SEALS.c.id
    within = [
        and_(_SEALS.c.stream == name, key <= bind(stream, type_=BigInteger))
        for stream, name in zip(STREAMS, _quoted(*STREAMS), strict=True)
    ]
    statement = select(*(_SEALS.c[name] for name in _COLUMNS)).where(or_(*within))
    if has_stream:
        statement = statement.where(_SEALS.c.stream == bind("stream", type_=String))
    if has_after:
        after = bind("after", type_=BigInteger)
        statement = statement.where(key < after if descending else key > after)
    ordered = statement.order_by(key.desc() if descending else key.asc())
    return Query(ordered.limit(bind("limit", type_=Integer)))


@dataclass(frozen=True, slots=True)
class SealWalk:
    """One page of a walk through the seals: up to the bounds of both logs, beyond `after` if there is one."""

    stream: Stream | None
    bounds: Mapping[str, int]
    descending: bool
    limit: int
    after: int | None


class SealRepository:
    """The links of both chains."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Reads through the read door."""
        self.uow = uow

    async def bounds(self) -> dict[str, int]:
        """The newest seal of each log, by its id: what a walk that begins now will see."""
        (row,) = await self.uow.fetch(_BOUNDS, {})
        return {stream: int(id) for stream, id in zip(STREAMS, row, strict=True)}

    async def page(self, walk: SealWalk) -> list[Item]:
        """Seals in the form in which they are hashed, with their ids."""
        query = _page_query(
            has_stream=walk.stream is not None, descending=walk.descending, has_after=walk.after is not None
        )
        values = {**walk.bounds, "stream": walk.stream, "after": walk.after, "limit": walk.limit}
        rows = await self.uow.fetch(query, values)
        found = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        return [{"id": seal["id"], **Seal.of(seal).told()} for seal in found]


def _may_be_gone(*more: ColumnElement[bool]) -> ColumnElement[bool]:
    """Segments of a log whose rows may have been removed."""
    states = (_SEGMENTS.c.state == state for state in _quoted(*MAY_BE_GONE))
    return and_(_SEGMENTS.c.stream == bind("stream", type_=String), or_(*states), *more)


_AT = bind("at", type_=_SEGMENTS.c.max_at.type)
_GAPS = Query(
    select(_SEGMENTS.c.first_id, _SEGMENTS.c.last_id).where(_may_be_gone()).order_by(_SEGMENTS.c.first_id)
)
_SINCE = Query(
    select(_SEGMENTS.c.name).where(_may_be_gone(_SEGMENTS.c.max_at > _AT)).order_by(_SEGMENTS.c.first_id)
)
_BACK_TO = Query(
    select(literal_column("1").label("one")).where(_may_be_gone(_SEGMENTS.c.min_at <= _AT)).limit(1)
)


class SegmentRepository(BaseRepository[AuditSegment]):
    """What was moved to the archive."""

    model = AuditSegment
    summaries = (SegmentSummary,)

    async def archived(self, stream: Stream) -> list[Archived]:
        """The ranges of a log whose rows may be gone, in their order."""
        return archived_ranges(await SegmentStore(self.uow).all(stream))

    async def gaps(self, stream: Stream) -> Gaps:
        """The same as ranges of ids."""
        rows = await self.uow.fetch(_GAPS, {"stream": stream})
        return Gaps(tuple((int(first), int(last)) for first, last in rows))

    async def names_since(self, stream: Stream, at: datetime) -> list[str]:
        """The segments whose rows may be gone, and some of which were written after an instant."""
        return [str(name) for (name,) in await self.uow.fetch(_SINCE, {"stream": stream, "at": at})]

    async def reaches_back_to(self, stream: Stream, at: datetime) -> bool:
        """Whether rows were archived that are as old as that: then the log was kept at that instant."""
        return bool(await self.uow.fetch(_BACK_TO, {"stream": stream, "at": at}))
