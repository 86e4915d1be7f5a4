"""Use cases of messages. Who is in the thread reads them; who wrote one changes, deletes and restores it."""

from uuid import UUID

from app.auth.principal import Principal
from app.core.clock import now
from app.core.errors import Forbidden
from app.core.listing import Listing
from app.core.transaction import UnitOfWork
from app.modules.messenger.models import Message
from app.modules.messenger.repository import ThreadRepository
from app.modules.messenger.repository_members import MemberRepository
from app.modules.messenger.repository_messages import MessageRepository
from app.modules.messenger.schemas import MessageQuery, MessageRead, MessageSummary, MessageWrite
from app.modules.messenger.service_live import Hint, LiveThreads


class MessageService:
    """Every public write is one transaction of its own: once it is committed, those in the thread are told."""

    def __init__(self, uow: UnitOfWork, live: LiveThreads) -> None:
        """`live` tells the open sockets."""
        self.uow = uow
        self.live = live
        self.threads = ThreadRepository(uow)
        self.members = MemberRepository(uow)
        self.messages = MessageRepository(uow)

    async def page(self, thread_id: UUID, query: MessageQuery, caller: Principal) -> Listing[MessageSummary]:
        """A page of a thread's messages. Raises NotFound."""
        await self.threads.read_of(thread_id, caller.user_pk)
        of_thread = self.messages.of_thread(thread_id, caller.user_pk)
        return await self.messages.page(query, MessageSummary, of_thread)

    async def read(self, thread_id: UUID, id: UUID, caller: Principal) -> MessageRead:
        """A message. Raises NotFound."""
        return await self.messages.read_in(thread_id, id, caller.user_pk)

    async def post(self, thread_id: UUID, data: MessageWrite, caller: Principal) -> MessageRead:
        """Says something. Its author has read up to it. Raises NotFound.

        Those who write in one thread wait for each other: numbers come in the order of commits, so that who asks
        for what is `after` a number misses nothing.
        """
        async with self.uow.transaction():
            thread, own = await self.threads.hold(thread_id, caller.user_pk)
            number = await self.threads.count_message(thread, now())
            row = await self.messages.add(
                Message(thread_pk=own.thread_pk, author_pk=caller.user_pk, number=number, text=data.text)
            )
            await self.members.mark_read(own, number)
        return await self._told(thread_id, row.id, caller)

    async def update(self, thread_id: UUID, id: UUID, data: MessageWrite, caller: Principal) -> MessageRead:
        """Changes one's own message. The same text again is no change. Raises NotFound, Forbidden."""
        async with self.uow.transaction():
            row = await self._own(thread_id, id, caller)
            before = row.version
            await self.messages.update(row, {"text": data.text})
        if row.version == before:
            return await self.messages.read_in(thread_id, id, caller.user_pk)
        return await self._told(thread_id, id, caller)

    async def delete(self, thread_id: UUID, id: UUID, caller: Principal) -> None:
        """Deletes one's own message. Raises NotFound, Forbidden."""
        async with self.uow.transaction():
            await self.messages.delete(await self._own(thread_id, id, caller))
        await self.live.tell(self.uow, Hint("message", thread_id, id))

    async def restore(self, thread_id: UUID, id: UUID, caller: Principal) -> MessageRead:
        """Brings one's own message back. Raises NotFound, Forbidden."""
        async with self.uow.transaction():
            await self.messages.restore(await self._own(thread_id, id, caller, deleted=True))
        return await self._told(thread_id, id, caller)

    async def _told(self, thread_id: UUID, id: UUID, caller: Principal) -> MessageRead:
        await self.live.tell(self.uow, Hint("message", thread_id, id))
        return await self.messages.read_in(thread_id, id, caller.user_pk)

    async def _own(self, thread_id: UUID, id: UUID, caller: Principal, *, deleted: bool = False) -> Message:
        _, own = await self.threads.hold(thread_id, caller.user_pk)
        row = await self.messages.find_in(own.thread_pk, id, deleted=deleted)
        if row.author_pk != caller.user_pk:
            raise Forbidden("Only who wrote a message changes it.")
        return row
