"""Queries about who is in a thread."""

from collections.abc import Collection, Iterable
from functools import cache
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy import select as sa_select
from sqlmodel import col, select, update

from app.core.clock import now
from app.core.entity import referenced, table_of
from app.core.query import Query, among, id_list
from app.core.transaction import UnitOfWork
from app.modules.messenger.models import Thread, ThreadMember
from app.modules.messenger.schemas import MemberRead


@cache
def _users() -> Table:
    """The module below is joined through its foreign key: its models are not imported."""
    return referenced(table_of(ThreadMember).c.user_pk)


@cache
def _of_threads(*, is_sqlite: bool) -> Query:
    users = _users()
    columns = users.c["id"], users.c.full_name, col(ThreadMember.joined_at), col(ThreadMember.read_number)
    return Query(
        sa_select(col(Thread.id).label("thread_id"), *columns)
        .join(ThreadMember, col(ThreadMember.thread_pk) == col(Thread.pk))
        .join(users, users.c.pk == col(ThreadMember.user_pk))
        .where(among(col(Thread.id), "threads", is_sqlite=is_sqlite))
        .order_by(col(ThreadMember.joined_at), users.c["id"])
    )


@cache
def _pairs(*, is_sqlite: bool) -> Query:
    return Query(
        sa_select(col(ThreadMember.user_pk), col(Thread.id))
        .join(Thread, col(ThreadMember.thread_pk) == col(Thread.pk))
        .where(
            among(col(Thread.id), "threads", is_sqlite=is_sqlite),
            among(col(ThreadMember.user_pk), "users", is_sqlite=is_sqlite),
        )
    )


class MemberRepository:
    """Members of threads. They are links: what identifies one is the pair."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Works inside and outside of a transaction; what writes needs an open one."""
        self.uow = uow

    async def of(self, thread_ids: Collection[UUID]) -> dict[UUID, list[MemberRead]]:
        """The members of each thread, by when they joined."""
        is_sqlite = self.uow.database.is_sqlite
        found: dict[UUID, list[MemberRead]] = {}
        values = {"threads": id_list(list(thread_ids), is_sqlite=is_sqlite)}
        for thread_id, id, name, joined_at, number in await self.uow.fetch(
            _of_threads(is_sqlite=is_sqlite), values
        ):
            member = MemberRead(id=id, full_name=name, joined_at=joined_at, read_number=number)
            found.setdefault(thread_id, []).append(member)
        return found

    async def pairs(self, thread_ids: Collection[UUID], user_pks: Collection[int]) -> set[tuple[int, UUID]]:
        """Which of these users are in which of these threads, at this moment."""
        is_sqlite = self.uow.database.is_sqlite
        values = {
            "threads": id_list(list(thread_ids), is_sqlite=is_sqlite),
            "users": id_list(list(user_pks), is_sqlite=is_sqlite),
        }
        rows = await self.uow.fetch(_pairs(is_sqlite=is_sqlite), values)
        return {(int(user_pk), thread_id) for user_pk, thread_id in rows}

    async def user_keys(self, ids: Collection[UUID]) -> dict[UUID, int]:
        """Integer keys of the users among these ids who are neither deleted nor blocked. Needs a transaction."""
        users = _users()
        active = users.c.deleted_at.is_(None) & users.c.is_blocked.is_(False)
        connection = await self.uow.session.connection()
        rows = await connection.execute(
            sa_select(users.c["id"], users.c.pk).where(users.c["id"].in_(list(ids)), active)
        )
        return {UUID(str(id)): int(pk) for id, pk in rows}

    async def keys_in(self, thread_pk: int) -> set[int]:
        """Integer keys of the members. Needs a transaction."""
        statement = select(ThreadMember.user_pk).where(ThreadMember.thread_pk == thread_pk)
        return set((await self.uow.session.exec(statement)).all())

    async def add(self, thread_pk: int, user_pks: Iterable[int], read_number: int) -> None:
        """New members, who have read up to a number."""
        joined_at = now()
        self.uow.session.add_all(
            ThreadMember(thread_pk=thread_pk, user_pk=pk, joined_at=joined_at, read_number=read_number)
            for pk in sorted(user_pks)
        )
        await self.uow.session.flush()

    async def find(self, thread_pk: int, user_id: UUID) -> ThreadMember | None:
        """The member with this public id, also a blocked or deleted one. Needs a transaction."""
        users = _users()
        pk = sa_select(users.c.pk).where(users.c["id"] == user_id).scalar_subquery()
        statement = select(ThreadMember).where(
            col(ThreadMember.thread_pk) == thread_pk, col(ThreadMember.user_pk) == pk
        )
        return (await self.uow.session.exec(statement)).first()

    async def remove(self, member: ThreadMember) -> None:
        """Takes somebody out."""
        await self.uow.session.delete(member)
        await self.uow.session.flush()

    async def mark_read(self, member: ThreadMember, number: int) -> bool:
        """Moves the mark forward; returns whether it moved. Bookkeeping, so a statement and no entity."""
        if number <= member.read_number:
            return False
        await self.uow.session.exec(
            update(ThreadMember)
            .where(
                col(ThreadMember.thread_pk) == member.thread_pk, col(ThreadMember.user_pk) == member.user_pk
            )
            .values(read_number=number)
        )
        return True
