"""The logs as numbers."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from app.core.clock import now
from app.core.errors import FieldError, Invalid
from app.core.transaction import UnitOfWork
from app.modules.audit.models import Question
from app.modules.audit.repository_stats import StatsRepository, Tally
from app.modules.audit.schemas import Bucket, StatsQuery
from app.modules.audit.schemas_records import Point, Stats

MAX_POINTS = 2000
_SECONDS: dict[Bucket, int] = {"minute": 60, "hour": 3600, "day": 86400}


class StatsService:
    """Counts what fits a question."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Joins whatever transaction is open."""
        self.logs = StatsRepository(uow)

    async def count(self, question: Question, query: StatsQuery) -> Stats:
        """Every bucket between the ends of the question, the empty ones with 0. Raises Invalid for too many.

        Without `from` the first row that fits is the beginning, without `to` the present is the end.
        """
        size = _SECONDS[query.bucket]
        bound = await self.logs.bound(question.stream)
        until = question.filters.get("to") or now() + timedelta(microseconds=1)
        since = question.filters.get("from") or await self.logs.oldest(question, bound)
        starts = range(0) if since is None else _starts(since, until, size)
        _require_few(len(starts))
        tallies = await self.logs.tally(question, bound, size, query.group_by, MAX_POINTS + 1)
        points = _points(starts, tallies, is_grouped=query.group_by is not None)
        return Stats(
            stream=question.stream,
            bucket=query.bucket,
            group_by=query.group_by,
            total=sum(tally.count for tally in tallies),
            points=points,
        )


def _starts(since: datetime, until: datetime, size: int) -> range:
    """The beginnings of the buckets from `since` to before `until`, in seconds since 1970."""
    first, last = (_seconds(moment) for moment in (since, until - timedelta(microseconds=1)))
    return range(first - first % size, last + 1, size)


def _seconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


def _points(starts: range, tallies: Sequence[Tally], *, is_grouped: bool) -> list[Point]:
    groups = sorted({tally.group for tally in tallies}, key=lambda group: (group is None, group or ""))
    _require_few(max(len(tallies), len(starts) * len(groups)))
    counts = {(tally.start, tally.group): tally.count for tally in tallies}
    return [
        Point(at=datetime.fromtimestamp(start, UTC), group=group, count=counts.get((start, group), 0))
        for start in starts
        for group in (groups if is_grouped else [None])
    ]


def _require_few(points: int) -> None:
    if points > MAX_POINTS:
        fault = FieldError(
            loc=["query", "bucket"], code="too_many_points", message=f"At most {MAX_POINTS} points."
        )
        raise Invalid("Ask for a shorter time, larger buckets or fewer groups.", errors=[fault])
