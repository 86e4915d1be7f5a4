"""What the change log adds to one row, and to many in one transaction: processor time by row, without a web server.

The database is opened twice in this process, with the change log and without, and the two take turns.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from sqlalchemy import func, insert, update
from sqlalchemy import select as sa_select
from sqlalchemy.engine import make_url
from sqlmodel import col, select

from app.core.audit.change_log import AuditRules, ChangeLog
from app.core.audit.models import AuditChange
from app.core.context import acting_as
from app.core.database import Database, ListRules
from app.core.entity import table_of
from app.core.identifiers import uuid7
from app.core.keys import Signer
from app.core.query import Query
from app.core.transaction import UnitOfWork, WriteSession
from app.registry import discover
from bench_tool import accounting
from bench_tool.plan import started_on
from bench_tool.population import search_text
from bench_tool.stage import Ground
from dev_tool.processes import DevError

MANY = 1000
TURNS = 5  # of each of the two, in each round
# With the session of an open transaction, how many rows, the turn's number and the owner of new rows.
Do = Callable[[WriteSession, int, int, int], Awaitable[None]]
_TOLD = Query(sa_select(func.count().label("count")).select_from(table_of(AuditChange)))


@dataclass(frozen=True, slots=True)
class Work:
    """What a transaction does, to how many rows; and how many transactions make a turn."""

    name: str
    do: Do
    rows: int = MANY
    times: int = 1


@dataclass(frozen=True, slots=True)
class BulkResult:
    """Microseconds of processor time for one row, in this process and in PostgreSQL: without the log, and with it."""

    work: str
    without: float
    whole: float
    database_without: float
    database_whole: float

    @property
    def added(self) -> float:
        """By the log, in this process."""
        return self.whole - self.without

    @property
    def database_added(self) -> float:
        """By the log, in PostgreSQL."""
        return self.database_whole - self.database_without


def measure(ground: Ground, rounds: int) -> list[BulkResult]:
    """The medians, on the processors of the programs. Raises DevError where the log holds other rows than it should."""
    with started_on(ground.cores.programs):
        return asyncio.run(_measure(ground, rounds))


async def _measure(ground: Ground, rounds: int) -> list[BulkResult]:
    url, lists = make_url(ground.variables["DATABASE_URL"]), ListRules(Signer(b"nobody asks for a list"), 1)
    databases = [
        Database(url, lists, pool_size=1),
        Database(url, lists, pool_size=1, recorder=ChangeLog(AuditRules())),
    ]
    discover()  # the ORM knows a table's neighbours once their modules are imported
    bench = _BulkBench(ground, databases)
    try:
        with acting_as("cli", origin="cli"):
            return [await bench.compare(work, rounds) for work in WORKS]
    finally:
        for database in databases:
            await database.dispose()


@dataclass(slots=True)
class _BulkBench:
    """`databases`: without the log, with it."""

    ground: Ground
    databases: Sequence[Database]
    turn: int = 0

    async def compare(self, work: Work, rounds: int) -> BulkResult:
        """Warms up, looks whether the log works, measures."""
        for database, expected in zip(self.databases, (0, work.rows), strict=True):
            before = await _told(database)
            await self._once(work, database)
            require_told(work.name, await _told(database) - before, expected)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)  # as the server does
        found = [await self._round(work) for _ in range(rounds)]
        (without, database_without), (whole, database_whole) = (
            (median(one[place][0] for one in found), median(one[place][1] for one in found))
            for place in range(len(self.databases))
        )
        return BulkResult(work.name, without, whole, database_without, database_whole)

    async def _round(self, work: Work) -> list[tuple[float, float]]:
        """For each of the two: microseconds by row, here and in PostgreSQL."""
        own, theirs = [0.0] * len(self.databases), [0.0] * len(self.databases)
        for _ in range(TURNS):
            for place, database in enumerate(self.databases):
                before, started = self._postgres_seconds(), time.process_time()
                for _ in range(work.times):
                    await self._once(work, database)
                own[place] += time.process_time() - started
                theirs[place] += self._postgres_seconds() - before
        by_row = 1e6 / (TURNS * work.times * work.rows)
        return [(mine * by_row, its * by_row) for mine, its in zip(own, theirs, strict=True)]

    async def _once(self, work: Work, database: Database) -> None:
        self.turn += 1
        async with UnitOfWork(database).transaction() as session:
            await work.do(session, work.rows, self.turn, self.ground.subject.user_pk)

    def _postgres_seconds(self) -> float:
        return accounting.seconds_of(accounting.processes(), self.ground.postgres.process.pid)


async def _told(database: Database) -> int:
    ((count,),) = await database.fetch(_TOLD, {})
    return int(count)


def require_told(name: str, found: int, expected: int) -> None:
    """Raises DevError: what leaves no rows costs nothing."""
    if found != expected:
        raise DevError(f"`{name}` left {found} rows in the change log instead of {expected}")


# The measured module is imported where it is used: without it, everything else here goes on.


async def _add_objects(session: WriteSession, rows: int, turn: int, owner_pk: int) -> None:
    from app.modules.items.models import Item  # noqa: PLC0415

    session.add_all(
        [Item(title=f"Row {n} of turn {turn}", description=_TEXT, owner_pk=owner_pk) for n in range(rows)]
    )


async def _insert(session: WriteSession, rows: int, turn: int, owner_pk: int) -> None:
    from app.modules.items.models import Item  # noqa: PLC0415

    moment = datetime.now(UTC)
    same = {"description": _TEXT, "owner_pk": owner_pk, "created_at": moment, "updated_at": moment}
    titles = [f"Row {n} of turn {turn}" for n in range(rows)]
    values = [
        {"id": uuid7(), "title": title, "search_text": search_text(title, _TEXT), "version": 1, **same}
        for title in titles
    ]
    await session.exec(insert(Item), params=values)


async def _change_objects(session: WriteSession, rows: int, turn: int, _owner_pk: int) -> None:
    from app.modules.items.models import Item  # noqa: PLC0415

    for row in (await session.exec(select(Item).where(col(Item.pk) <= rows))).all():
        row.title = f"Changed in turn {turn}"


async def _update(session: WriteSession, rows: int, turn: int, _owner_pk: int) -> None:
    from app.modules.items.models import Item  # noqa: PLC0415

    await session.exec(update(Item).where(col(Item.pk) <= rows).values(description=f"Changed in turn {turn}"))


_TEXT = "A text of some length, as people write it. " * 3
WORKS = (
    Work("insert of one row", _add_objects, rows=1, times=50),
    Work("update of one row", _change_objects, rows=1, times=50),
    Work(f"insert of {MANY}, objects", _add_objects),
    Work(f"insert of {MANY}, one statement", _insert),
    Work(f"update of {MANY}, objects", _change_objects),
    Work(f"update of {MANY}, one statement", _update),
)
