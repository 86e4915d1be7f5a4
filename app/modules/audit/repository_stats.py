"""Counts rows of the logs by buckets of time, and by what they are about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    bindparam,
    cast,
    func,
    literal_column,
    select,
)

from app.core.evidence.canonical import LOGS, Stream
from app.core.query import Query
from app.modules.audit.models import Bound, Question
from app.modules.audit.repository import LogRepository, conditions


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows fell into one bucket; `start` in seconds since 1970, `group` None where the rows have none."""

    start: int
    group: str | None
    count: int


_GROUPS: Mapping[str, Any] = {
    "actor": lambda log: func.coalesce(log.c["actor_id"], log.c["actor_type"]),
    "status_class": lambda log: log.c["status"] // literal_column("100", Integer),
}


# SQLite rounds to thousandths: the last microseconds of a second would count as the next one.
_TO_SECONDS = len("2026-01-31 12:00:00")


def _bucket(stream: Stream, seconds: int, *, is_sqlite: bool) -> ColumnElement[Any]:
    at = LOGS[stream].c["occurred_at"]
    size: ColumnElement[int] = literal_column(str(seconds))
    epoch = (
        func.strftime("%s", func.substr(at, 1, _TO_SECONDS))
        if is_sqlite
        else func.floor(func.date_part("epoch", at))
    )
    number = cast(epoch, BigInteger)
    return number - number % size


@lru_cache(maxsize=500)
def _tally_query(
    stream: Stream, forms: tuple[str, ...], seconds: int, group_by: str | None, *, is_sqlite: bool
) -> Query:
    log = LOGS[stream]
    bucket = _bucket(stream, seconds, is_sqlite=is_sqlite).label("bucket")
    group: ColumnElement[Any] = literal_column("NULL")
    if group_by is not None:
        group = _GROUPS[group_by](log) if group_by in _GROUPS else log.c[group_by]
    named = group.label("grouped")
    statement: Select[Any] = (
        select(bucket, named, func.count().label("count"))
        .where(*conditions(stream, forms, is_sqlite=is_sqlite))
        .group_by(literal_column("bucket"), literal_column("grouped"))
        .order_by(literal_column("bucket"), literal_column("grouped"))
        .limit(bindparam("limit", type_=Integer))
    )
    return Query(statement)


@lru_cache(maxsize=500)
def _oldest_query(stream: Stream, forms: tuple[str, ...], *, is_sqlite: bool) -> Query:
    oldest = select(func.min(LOGS[stream].c["occurred_at"]).label("oldest"))
    return Query(oldest.where(*conditions(stream, forms, is_sqlite=is_sqlite)))


class StatsRepository(LogRepository):
    """The logs as numbers."""

    async def oldest(self, question: Question, bound: Bound) -> datetime | None:
        """When the first row that fits occurred; None where none does."""
        values = await self.values(question, bound)
        forms = tuple(sorted(values.keys() - {"bound", "pending"}))
        ((found,),) = await self.uow.fetch(
            _oldest_query(question.stream, forms, is_sqlite=self.is_sqlite), values
        )
        return found if found is None else found.astimezone(UTC)

    async def tally(
        self, question: Question, bound: Bound, seconds: int, group_by: str | None, limit: int
    ) -> Sequence[Tally]:
        """The buckets that are not empty, in order of time; at most `limit`."""
        values = await self.values(question, bound)
        forms = tuple(sorted(values.keys() - {"bound", "pending"}))
        query = _tally_query(question.stream, forms, seconds, group_by, is_sqlite=self.is_sqlite)
        rows = await self.uow.fetch(query, {**values, "limit": limit})
        return [
            Tally(int(start), None if group is None else _named(group, group_by), int(count))
            for start, group, count in rows
        ]


def _named(group: object, group_by: str | None) -> str:
    return f"{group}xx" if group_by == "status_class" else str(group)
