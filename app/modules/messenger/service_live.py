"""Live events: what was committed reaches the open sockets of those who are in the thread, and nobody else's.

Over the bus goes a hint only. Each socket asks at the moment of delivery what there is to tell and whether its
caller is in the thread now; all that ask at the same time share the queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from app.auth.principal import Principal
from app.auth.sockets import LiveSocket
from app.core.coalesce import Coalescer
from app.core.errors import AppError, Unavailable
from app.core.logging import logger
from app.core.platform import Platform
from app.core.transaction import UnitOfWork
from app.modules.messenger.repository_members import MemberRepository
from app.modules.messenger.repository_messages import MessageRepository
from app.modules.messenger.schemas import (
    DeletedFrame,
    MemberRead,
    MembersFrame,
    MessageFrame,
    MessageRead,
    MissedFrame,
    ReadFrame,
    ReadyFrame,
)

TOPIC = "messenger"
_QUERY_SECONDS = 5.0
_MISSED = MissedFrame().model_dump_json()


@dataclass(frozen=True, slots=True)
class Hint:
    """Where to look. `about`: the message, or who has read; None for members."""

    kind: Literal["message", "read", "members"]
    thread_id: UUID
    about: UUID | None = None


class Envelope(BaseModel):
    """A hint on its way, and whom it may concern: who was in the thread when it was sent."""

    model_config = ConfigDict(extra="forbid")

    hint: Hint
    to: list[UUID]


class LiveThreads:
    """The open sockets of this process. One for the process."""

    def __init__(self, platform: Platform) -> None:
        """Listens to nothing yet."""
        self._database = platform.database
        self._bus = platform.bus
        self._sockets: dict[UUID, set[LiveSocket]] = {}
        self._frames: Coalescer[tuple[int, Hint], str] = Coalescer(self._load, _QUERY_SECONDS)
        self._listens = False

    async def follow(self, socket: LiveSocket) -> None:
        """Sends events until the socket ends. Raises what it is closed with."""
        if not self._listens:
            self._listens = True
            await self._bus.listen(TOPIC, self._hear)
        user_id = socket.caller.user_id
        own = self._sockets.setdefault(user_id, set())
        own.add(socket)
        socket.offer_text(ReadyFrame(user_id=user_id).model_dump_json())
        try:
            await socket.run()
        finally:
            own.discard(socket)
            if not own:
                self._sockets.pop(user_id, None)

    async def tell(self, uow: UnitOfWork, hint: Hint) -> None:
        """Sends a hint to whoever is in the thread: after the commit of `uow`, and what fails here is no failure of it.

        Raises RuntimeError inside of a transaction: it may still come to nothing, and who looks finds nothing yet.
        """
        if uow.is_open:
            raise RuntimeError("what is not committed must not be told")
        try:
            members = (await MemberRepository(uow).of([hint.thread_id])).get(hint.thread_id, [])
        except AppError as error:
            logger("server").warning("messenger.not_told", reason=error.detail)
            return
        envelope = Envelope(hint=hint, to=[member.id for member in members])
        await self._bus.publish(TOPIC, envelope.model_dump(mode="json"))

    def _hear(self, event: Any | None) -> None:
        if event is None:
            for sockets in self._sockets.values():
                for socket in sockets:
                    socket.offer_text(_MISSED)
            return
        try:
            envelope = Envelope.model_validate(event)
        except ValidationError:
            return  # not ours, or of another version
        for user_id in envelope.to:
            for socket in self._sockets.get(user_id, ()):
                socket.offer(partial(self._text, envelope.hint))

    async def _text(self, hint: Hint, caller: Principal) -> str | None:
        try:
            return await self._frames.get((caller.user_pk, hint))
        except TimeoutError:
            raise Unavailable("The database can't answer at the moment.") from None

    async def _load(self, keys: Sequence[tuple[int, Hint]]) -> Mapping[tuple[int, Hint], str]:
        """The frame of each hint, for those who are in its thread. Membership is asked for last."""
        uow, hints = UnitOfWork(self._database), {hint for _, hint in keys}
        members = MemberRepository(uow)
        messages = await MessageRepository(uow).any_of(
            {h.about for h in hints if h.kind == "message" and h.about}
        )
        people = await members.of({h.thread_id for h in hints if h.kind != "message"})
        frames = {hint: _frame(hint, messages, people.get(hint.thread_id, [])) for hint in hints}
        inside = await members.pairs({h.thread_id for h in hints}, {pk for pk, _ in keys})
        texts = {hint: frame.model_dump_json() for hint, frame in frames.items() if frame is not None}
        return {
            key: texts[key[1]] for key in keys if key[1] in texts and (key[0], key[1].thread_id) in inside
        }


def _frame(
    hint: Hint, messages: Mapping[UUID, tuple[MessageRead, bool]], people: Sequence[MemberRead]
) -> BaseModel | None:
    """What there is to tell; None where the hint leads nowhere, or into another thread than it says."""
    if hint.kind == "members":
        return MembersFrame(thread_id=hint.thread_id, members=list(people))
    if hint.about is None:
        return None
    if hint.kind == "read":
        numbers = {member.id: member.read_number for member in people}
        if hint.about not in numbers:
            return None
        return ReadFrame(thread_id=hint.thread_id, user_id=hint.about, number=numbers[hint.about])
    message, is_deleted = messages.get(hint.about, (None, False))
    if message is None or message.thread_id != hint.thread_id:
        return None
    if is_deleted:
        return DeletedFrame(thread_id=hint.thread_id, message_id=message.id, number=message.number)
    return MessageFrame(message=message)
