"""Queries about messages."""

from collections.abc import Collection
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, bindparam
from sqlalchemy import select as sa_select
from sqlmodel import col

from app.core.entity import table_of
from app.core.listing import Where
from app.core.query import Query, among, id_list
from app.core.repository import BaseRepository
from app.core.shape import plan_of
from app.modules.messenger.models import Message, Thread
from app.modules.messenger.repository import OWN_THREADS
from app.modules.messenger.schemas import MessageRead, MessageSummary


@cache
def _any(*, is_sqlite: bool) -> Query:
    plan = plan_of(table_of(Message), MessageRead)
    columns = [*plan.columns, col(Message.deleted_at).label("deleted_at")]
    statement = sa_select(*columns).select_from(plan.source)
    return Query(statement.where(among(col(Message.id), "ids", is_sqlite=is_sqlite)))


class MessageRepository(BaseRepository[Message]):
    """Messages, to those who are in their thread."""

    model = Message
    summaries = (MessageSummary,)

    def filter(self, name: str, value: Any) -> Where:
        """`after` asks for higher numbers."""
        if name == "after":
            after = bindparam("after", type_=Integer)
            return Where("after", lambda: col(Message.number) > after, {"after": value})
        return super().filter(name, value)

    def of_thread(self, thread_id: UUID, viewer_pk: int) -> Where:
        """The condition for the messages of one thread, if the viewer is in it."""

        def built() -> ColumnElement[bool]:
            wanted = bindparam("thread_id", type_=table_of(Thread).c["id"].type)
            thread = sa_select(col(Thread.pk)).where(
                col(Thread.id) == wanted, col(Thread.pk).in_(OWN_THREADS)
            )
            return col(Message.thread_pk) == thread.scalar_subquery()

        return Where("thread", built, {"thread_id": thread_id, "viewer_pk": viewer_pk})

    async def read_in(self, thread_id: UUID, id: UUID, viewer_pk: int) -> MessageRead:
        """A message of a thread that the viewer is in. Raises NotFound."""
        thread = self.of_thread(thread_id, viewer_pk)
        one = Where("one", lambda: self.has_id() & thread.build(), {"id": id, **thread.values})
        found = await self.read_where(MessageRead, one)
        if found is None:
            raise self.not_found()
        return found

    async def find_in(self, thread_pk: int, id: UUID, *, deleted: bool = False) -> Message:
        """A message of this thread, to change it. Raises NotFound."""
        found = await self.find(col(Message.id) == id, col(Message.thread_pk) == thread_pk, deleted=deleted)
        if found is None:
            raise self.not_found()
        return found

    async def any_of(self, ids: Collection[UUID]) -> dict[UUID, tuple[MessageRead, bool]]:
        """Each message by its id, with whether it is deleted: for those who have made sure who may see it."""
        if not ids:
            return {}
        is_sqlite = self.uow.database.is_sqlite
        rows = await self.uow.fetch(
            _any(is_sqlite=is_sqlite), {"ids": id_list(list(ids), is_sqlite=is_sqlite)}
        )
        shown = plan_of(table_of(Message), MessageRead).values(rows)
        found = [MessageRead.model_validate(values) for values in shown]
        return {message.id: (message, row[-1] is not None) for message, row in zip(found, rows, strict=True)}
