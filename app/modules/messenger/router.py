"""The calls below `/messenger`, and its WebSocket."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from starlette.requests import HTTPConnection

from app.core.answers import created
from app.core.pagination import Page
from app.core.platform import platform_of, uow_of
from app.core.routing import ModuleRouter
from app.modules.messenger.permissions import CanFollow, CanRead, CanWrite
from app.modules.messenger.schemas import (
    MembersAdd,
    MessageQuery,
    MessageRead,
    MessageSummary,
    MessageWrite,
    ReadMark,
    ThreadCreate,
    ThreadQuery,
    ThreadRead,
    ThreadSummary,
)
from app.modules.messenger.service import ThreadService
from app.modules.messenger.service_live import LiveThreads
from app.modules.messenger.service_messages import MessageService

router = ModuleRouter("/messenger", tags=["messenger"])


async def _live(connection: HTTPConnection) -> LiveThreads:
    platform = platform_of(connection)
    return platform.only(LiveThreads, lambda: LiveThreads(platform))


Live = Annotated[LiveThreads, Depends(_live)]


async def _threads(request: Request, live: Live) -> ThreadService:
    return ThreadService(uow_of(request), live)


async def _messages(request: Request, live: Live) -> MessageService:
    return MessageService(uow_of(request), live)


Threads = Annotated[ThreadService, Depends(_threads)]
Messages = Annotated[MessageService, Depends(_messages)]


@router.websocket("/live")
async def follow_threads(socket: CanFollow, live: Live) -> None:
    """What happens in one's threads, as it happens."""
    await live.follow(socket)


@router.get("/threads", response_model=Page[ThreadSummary])
async def list_threads(
    query: Annotated[ThreadQuery, Query()], service: Threads, caller: CanRead, request: Request
) -> Response:
    """The threads that the caller is in, those with the newest message first."""
    return (await service.page(query, caller)).response(request)


@router.post("/threads", status_code=201)
async def create_thread(
    data: ThreadCreate, service: Threads, caller: CanWrite, request: Request, response: Response
) -> ThreadRead:
    """Begins a thread; the caller is in it."""
    thread = await service.create(data, caller)
    created(request, response, thread.id)
    return thread


@router.get("/threads/{thread_id}")
async def read_thread(thread_id: UUID, service: Threads, caller: CanRead) -> ThreadRead:
    """A thread with its members."""
    return await service.read(thread_id, caller)


@router.post("/threads/{thread_id}/members")
async def add_members(thread_id: UUID, data: MembersAdd, service: Threads, caller: CanWrite) -> ThreadRead:
    """Lets people into a thread; they see all of its messages."""
    return await service.add_members(thread_id, data, caller)


@router.delete("/threads/{thread_id}/members/{user_id}", status_code=204)
async def remove_member(thread_id: UUID, user_id: UUID, service: Threads, caller: CanWrite) -> None:
    """Takes somebody out of a thread that the caller has begun."""
    await service.remove_member(thread_id, user_id, caller)


@router.post("/threads/{thread_id}/leave", status_code=204)
async def leave_thread(thread_id: UUID, service: Threads, caller: CanRead) -> None:
    """Takes the caller out of a thread."""
    await service.remove_member(thread_id, caller.user_id, caller)


@router.post("/threads/{thread_id}/read")
async def mark_thread_read(thread_id: UUID, data: ReadMark, service: Threads, caller: CanRead) -> ThreadRead:
    """Marks messages as read, up to a number."""
    return await service.mark_read(thread_id, data, caller)


@router.get("/threads/{thread_id}/messages", response_model=Page[MessageSummary])
async def list_messages(
    thread_id: UUID,
    query: Annotated[MessageQuery, Query()],
    service: Messages,
    caller: CanRead,
    request: Request,
) -> Response:
    """The messages of a thread, the newest first; with `after` those of higher numbers only."""
    return (await service.page(thread_id, query, caller)).response(request)


@router.post("/threads/{thread_id}/messages", status_code=201)
async def post_message(
    thread_id: UUID,
    data: MessageWrite,
    service: Messages,
    caller: CanWrite,
    request: Request,
    response: Response,
) -> MessageRead:
    """Says something in a thread."""
    message = await service.post(thread_id, data, caller)
    created(request, response, message.id)
    return message


@router.get("/threads/{thread_id}/messages/{message_id}")
async def read_message(thread_id: UUID, message_id: UUID, service: Messages, caller: CanRead) -> MessageRead:
    """A message with its author."""
    return await service.read(thread_id, message_id, caller)


@router.patch("/threads/{thread_id}/messages/{message_id}")
async def update_message(
    thread_id: UUID, message_id: UUID, data: MessageWrite, service: Messages, caller: CanWrite
) -> MessageRead:
    """Changes a message of one's own."""
    return await service.update(thread_id, message_id, data, caller)


@router.delete("/threads/{thread_id}/messages/{message_id}", status_code=204)
async def delete_message(thread_id: UUID, message_id: UUID, service: Messages, caller: CanWrite) -> None:
    """Deletes a message of one's own."""
    await service.delete(thread_id, message_id, caller)


@router.post("/threads/{thread_id}/messages/{message_id}/restore")
async def restore_message(
    thread_id: UUID, message_id: UUID, service: Messages, caller: CanWrite
) -> MessageRead:
    """Brings a deleted message of one's own back."""
    return await service.restore(thread_id, message_id, caller)
