"""What clients say and get about threads, their members and messages."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.pagination import PLAIN_DIGITS, RecordQuery
from app.core.text import Paragraphs, Title

MAX_MEMBERS = 100
_MAX_NUMBER = 2_147_483_647
MessageText = Annotated[Paragraphs, Field(max_length=4000)]
UserIds = Annotated[list[UUID], Field(min_length=1, max_length=MAX_MEMBERS)]


class ThreadCreate(BaseModel):
    """A new thread; the caller is in it without being named."""

    model_config = ConfigDict(extra="forbid")

    subject: Title
    member_ids: Annotated[list[UUID], Field(max_length=MAX_MEMBERS)] = []


class MembersAdd(BaseModel):
    """Who joins a thread; who is in it already stays."""

    model_config = ConfigDict(extra="forbid")

    user_ids: UserIds


class ReadMark(BaseModel):
    """The number of the last message that was read."""

    model_config = ConfigDict(extra="forbid")

    number: Annotated[int, Field(ge=0, le=_MAX_NUMBER, strict=True)]


class MessageWrite(BaseModel):
    """The text of a message."""

    model_config = ConfigDict(extra="forbid")

    text: MessageText


class ThreadRow(BaseModel):
    """A thread as it is for everybody in it."""

    id: UUID
    subject: str
    creator_id: UUID | None
    created_at: datetime
    active_at: datetime
    last_number: int


class ThreadSummary(ThreadRow):
    """A thread in a list. `unread_count`: messages behind the caller's own mark."""

    unread_count: int


class MemberRead(BaseModel):
    """Somebody in a thread, and how far they have read."""

    id: UUID
    full_name: str | None
    joined_at: datetime
    read_number: int


class ThreadRead(ThreadSummary):
    """A thread with its members, by when they joined."""

    members: list[MemberRead]


class AuthorRef(BaseModel):
    """Who wrote a message."""

    id: UUID
    full_name: str | None


class MessageSummary(BaseModel):
    """A message in a list. Numbers of a thread have no gaps but for deleted messages."""

    id: UUID
    number: int
    author_id: UUID | None
    text: str
    created_at: datetime
    updated_at: datetime


class MessageRead(MessageSummary):
    """A message with its author; None where the account is gone for good."""

    thread_id: UUID
    author: AuthorRef | None
    version: int


class ThreadQuery(RecordQuery):
    """Order of a list of one's threads."""

    sortable: ClassVar[tuple[str, ...]] = ("active_at", "created_at", "subject")
    default_sort: ClassVar[str] = "-active_at"


class MessageQuery(RecordQuery):
    """Order of a list of messages. `after`: only those with a higher number, to catch up."""

    sortable: ClassVar[tuple[str, ...]] = ("number",)
    default_sort: ClassVar[str] = "-number"

    after: Annotated[int, Field(ge=0, le=_MAX_NUMBER), PLAIN_DIGITS] | None = None


# Frames of the WebSocket, from the server.


class ReadyFrame(BaseModel):
    """The first frame: from now on events come."""

    type: Literal["ready"] = "ready"
    user_id: UUID


class MissedFrame(BaseModel):
    """Events may have been lost: catch up through the lists."""

    type: Literal["missed"] = "missed"


class MessageFrame(BaseModel):
    """A message that is new, changed or restored, as it is now."""

    type: Literal["message"] = "message"
    message: MessageRead


class DeletedFrame(BaseModel):
    """A message that was deleted."""

    type: Literal["deleted"] = "deleted"
    thread_id: UUID
    message_id: UUID
    number: int


class ReadFrame(BaseModel):
    """How far somebody has read."""

    type: Literal["read"] = "read"
    thread_id: UUID
    user_id: UUID
    number: int


class MembersFrame(BaseModel):
    """Who is in a thread now."""

    type: Literal["members"] = "members"
    thread_id: UUID
    members: list[MemberRead]
