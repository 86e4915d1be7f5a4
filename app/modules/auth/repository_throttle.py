"""Queries about what is counted against guessing."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, or_
from sqlalchemy import select as sa_select
from sqlmodel import col, delete, select

from app.auth.throttling import Tally
from app.core.query import Query
from app.core.transaction import UnitOfWork
from app.modules.auth.models import ThrottleTally

MAX_KEYS = 3
_TALLIES = Query(
    sa_select(
        col(ThrottleTally.key),
        col(ThrottleTally.count),
        col(ThrottleTally.started_at),
        col(ThrottleTally.last_at),
    ).where(or_(*(col(ThrottleTally.key) == bindparam(f"key_{index}") for index in range(MAX_KEYS))))
)


class TallyRepository:
    """Tallies by key; writing needs an open transaction."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Works on the transaction that is open when a method is called."""
        self.uow = uow

    async def read(self, keys: Sequence[str]) -> Mapping[str, Tally]:
        """The tallies of up to three keys, in one query; keys without one are left out."""
        values = {f"key_{i}": keys[i] if i < len(keys) else "" for i in range(MAX_KEYS)}
        return {row[0]: Tally(*row[1:]) for row in await self.uow.fetch(_TALLIES, values)}

    async def find_locked(self, key: str) -> ThrottleTally | None:
        """The tally as stored now; nobody else counts for this key, or forgets it, until the transaction ends.

        Two locks: a tally that isn't there yet has no row to lock.
        """
        await self.uow.lock(f"throttle:{key}")
        wanted = select(ThrottleTally).where(ThrottleTally.key == key).with_for_update()
        return (await self.uow.session.exec(wanted.execution_options(populate_existing=True))).first()

    async def keep(self, row: ThrottleTally | None, key: str, tally: Tally) -> None:
        """Stores a tally in its row, or in a new one."""
        row = row or ThrottleTally(key=key, count=0, started_at=tally.started_at, last_at=tally.last_at)
        row.count, row.started_at, row.last_at = tally.count, tally.started_at, tally.last_at
        self.uow.session.add(row)
        await self.uow.session.flush()

    async def forget(self, keys: Sequence[str]) -> None:
        """Removes tallies."""
        await self.uow.session.exec(delete(ThrottleTally).where(col(ThrottleTally.key).in_(keys)))

    async def forget_before(self, moment: datetime, limit: int) -> int:
        """Removes up to so many tallies that nothing was counted for since; returns how many."""
        old = sa_select(col(ThrottleTally.pk)).where(col(ThrottleTally.last_at) < moment).limit(limit)
        found = await self.uow.session.exec(delete(ThrottleTally).where(col(ThrottleTally.pk).in_(old)))
        return int(found.rowcount)
