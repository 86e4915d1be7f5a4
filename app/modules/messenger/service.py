"""Use cases of threads and of who is in them. Who is in a thread sees it; for everybody else there is none."""

from collections.abc import Collection, Sequence
from uuid import UUID

from app.auth.principal import Principal
from app.core.clock import now
from app.core.errors import Conflict, Forbidden, Invalid, NotFound
from app.core.listing import Listing
from app.core.transaction import UnitOfWork
from app.modules.messenger.models import Thread
from app.modules.messenger.repository import ThreadRepository
from app.modules.messenger.repository_members import MemberRepository
from app.modules.messenger.schemas import (
    MAX_MEMBERS,
    MembersAdd,
    ReadMark,
    ThreadCreate,
    ThreadQuery,
    ThreadRead,
    ThreadRow,
    ThreadSummary,
)
from app.modules.messenger.service_live import Hint, LiveThreads


class ThreadService:
    """Every public write is one transaction of its own: once it is committed, those concerned are told."""

    def __init__(self, uow: UnitOfWork, live: LiveThreads) -> None:
        """`live` tells the open sockets."""
        self.uow = uow
        self.live = live
        self.threads = ThreadRepository(uow)
        self.members = MemberRepository(uow)

    async def page(self, query: ThreadQuery, caller: Principal) -> Listing[ThreadSummary]:
        """A page of the caller's threads, with how many messages are unread in each."""
        found = await self.threads.page(query, ThreadRow, self.threads.of_member(caller.user_pk))
        unread = await self.threads.unread([UUID(row["id"]) for row in found.values], caller.user_pk)
        values = [{**row, "unread_count": unread.get(row["id"], 0)} for row in found.values]
        return Listing(ThreadSummary, values, found.query, found.total, found.count_limit, found.next_cursor)

    async def read(self, id: UUID, caller: Principal) -> ThreadRead:
        """A thread with its members. Raises NotFound."""
        row = await self.threads.read_of(id, caller.user_pk)
        members = (await self.members.of([id])).get(id, [])
        read_number = next((m.read_number for m in members if m.id == caller.user_id), row.last_number)
        unread_count = max(0, row.last_number - read_number)
        return ThreadRead(**row.model_dump(), unread_count=unread_count, members=members)

    async def create(self, data: ThreadCreate, caller: Principal) -> ThreadRead:
        """A new thread with these members and the caller. Raises Invalid for users who are not there, Conflict."""
        async with self.uow.transaction():
            keys = await self._known(data.member_ids, "member_ids")
            thread = await self.threads.add(
                Thread(subject=data.subject, creator_pk=caller.user_pk, active_at=now())
            )
            people = {*keys, caller.user_pk}
            _fits(people)
            await self.members.add(_key(thread), people, read_number=0)
        await self.live.tell(self.uow, Hint("members", thread.id))
        return await self.read(thread.id, caller)

    async def add_members(self, id: UUID, data: MembersAdd, caller: Principal) -> ThreadRead:
        """Lets people in, who see all of it and have nothing unread. Raises NotFound, Invalid, Conflict."""
        async with self.uow.transaction():
            thread, _ = await self.threads.hold(id, caller.user_pk)
            present = await self.members.keys_in(_key(thread))
            joining = set(await self._known(data.user_ids, "user_ids")) - present
            _fits(present | joining)
            await self.members.add(_key(thread), joining, thread.last_number)
        if joining:
            await self.live.tell(self.uow, Hint("members", id))
        return await self.read(id, caller)

    async def remove_member(self, id: UUID, user_id: UUID, caller: Principal) -> None:
        """Takes somebody out: oneself, or whoever the thread's creator wants. Raises NotFound, Forbidden."""
        async with self.uow.transaction():
            thread, own = await self.threads.hold(id, caller.user_pk)
            member = await self.members.find(_key(thread), user_id)
            if member is None:
                raise NotFound("There is no such member.")
            if member.user_pk != own.user_pk and thread.creator_pk != caller.user_pk:
                raise Forbidden("Only who began the thread takes others out.")
            await self.members.remove(member)
        await self.live.tell(self.uow, Hint("members", id))

    async def mark_read(self, id: UUID, data: ReadMark, caller: Principal) -> ThreadRead:
        """Moves the caller's mark forward, never back. Raises NotFound, Invalid for a number that is not there."""
        async with self.uow.transaction():
            thread, own = await self.threads.hold(id, caller.user_pk)
            if data.number > thread.last_number:
                raise Invalid.field("number", "There is no message of this number yet.")
            has_moved = await self.members.mark_read(own, data.number)
        if has_moved:
            await self.live.tell(self.uow, Hint("read", id, caller.user_id))
        return await self.read(id, caller)

    async def _known(self, ids: Sequence[UUID], field: str) -> Collection[int]:
        """Integer keys of these users. Raises Invalid for those who are not there, or blocked."""
        keys = await self.members.user_keys(ids)
        if unknown := [place for place, id in enumerate(ids) if id not in keys]:
            raise Invalid.entries(field, unknown, "There is no such user.", "unknown")
        return keys.values()


def _fits(people: Collection[int]) -> None:
    if len(people) > MAX_MEMBERS:
        raise Conflict(f"A thread has at most {MAX_MEMBERS} members.")


def _key(thread: Thread) -> int:
    if thread.pk is None:
        raise RuntimeError("the thread was not flushed")
    return thread.pk
