"""Queries about threads."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, bindparam
from sqlalchemy import select as sa_select
from sqlmodel import col, select, update

from app.core.entity import table_of
from app.core.listing import Where
from app.core.query import PublicId, Query, among, id_list
from app.core.repository import BaseRepository
from app.modules.messenger.models import Thread, ThreadMember
from app.modules.messenger.schemas import ThreadRow

VIEWER = bindparam("viewer_pk", type_=BigInteger)
OWN_THREADS = sa_select(col(ThreadMember.thread_pk)).where(col(ThreadMember.user_pk) == VIEWER)

_UNREAD = {
    is_sqlite: Query(
        sa_select(
            table_of(Thread).c["id"].cast(PublicId()).label("id"),
            (col(Thread.last_number) - col(ThreadMember.read_number)).label("unread"),
        )
        .join(ThreadMember, col(ThreadMember.thread_pk) == col(Thread.pk))
        .where(col(ThreadMember.user_pk) == VIEWER, among(col(Thread.id), "ids", is_sqlite=is_sqlite))
    )
    for is_sqlite in (True, False)
}


class ThreadRepository(BaseRepository[Thread]):
    """Threads, to those who are in them."""

    model = Thread
    summaries = (ThreadRow,)

    def of_member(self, user_pk: int) -> Where:
        """The condition for the threads of one user."""
        return Where("member", lambda: col(Thread.pk).in_(OWN_THREADS), {"viewer_pk": user_pk})

    async def read_of(self, id: UUID, user_pk: int) -> ThreadRow:
        """A thread of this user's. Raises NotFound."""
        own = self.of_member(user_pk)
        found = await self.read_where(
            ThreadRow, Where("own", lambda: self.has_id() & own.build(), {"id": id, **own.values})
        )
        if found is None:
            raise self.not_found()
        return found

    async def unread(self, ids: Sequence[UUID], user_pk: int) -> dict[str, int]:
        """For each of these threads, by the text of its id, how many messages the user has not read."""
        is_sqlite = self.uow.database.is_sqlite
        values = {"viewer_pk": user_pk, "ids": id_list(ids, is_sqlite=is_sqlite)}
        return {str(id): int(count) for id, count in await self.uow.fetch(_UNREAD[is_sqlite], values)}

    async def hold(self, id: UUID, user_pk: int) -> tuple[Thread, ThreadMember]:
        """A thread of this user's, in which nothing else changes until the transaction ends. Raises NotFound.

        Membership is asked for behind the lock: who was removed meanwhile is not in it any more.
        """
        wanted = self.statement().where(col(Thread.id) == id).with_for_update()
        thread = (await self.uow.session.exec(wanted.execution_options(populate_existing=True))).first()
        if thread is None:
            raise self.not_found()
        own = select(ThreadMember).where(ThreadMember.thread_pk == thread.pk, ThreadMember.user_pk == user_pk)
        member = (await self.uow.session.exec(own.execution_options(populate_existing=True))).first()
        if member is None:
            raise self.not_found()
        return thread, member

    async def count_message(self, thread: Thread, moment: datetime) -> int:
        """The number of a thread's next message. Needs `hold`; bookkeeping, so a statement and no entity."""
        number = thread.last_number + 1
        await self.uow.session.exec(
            update(Thread).where(col(Thread.pk) == thread.pk).values(last_number=number, active_at=moment)
        )
        return number
