"""Tables of the threads, of who is in them, and of what they say."""

from datetime import datetime

from sqlalchemy import Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.core.audit.policy import bookkeeping
from app.core.entity import Entity, Key, Record


class Thread(Record, table=True):
    """A conversation. `last_number`: of its newest message; `active_at`: when that was written. Both are bookkeeping.

    `creator_pk` may remove members; nobody may once that account is gone for good.
    """

    __tablename__ = "messenger_threads"

    subject: str = Field(max_length=200)
    creator_pk: int | None = Field(
        default=None, foreign_key="users.pk", ondelete="SET NULL", index=True, sa_type=Key
    )
    last_number: int = Field(default=0, sa_column_kwargs=bookkeeping())
    active_at: datetime = Field(sa_column_kwargs=bookkeeping())


class ThreadMember(SQLModel, table=True):
    """Somebody in a thread. `read_number`: of the last message that they have read; bookkeeping."""

    __tablename__ = "messenger_members"

    thread_pk: int = Field(
        primary_key=True, foreign_key="messenger_threads.pk", ondelete="CASCADE", sa_type=Key
    )
    user_pk: int = Field(
        primary_key=True, foreign_key="users.pk", ondelete="CASCADE", index=True, sa_type=Key
    )
    joined_at: datetime
    read_number: int = Field(default=0, sa_column_kwargs=bookkeeping())


class Message(Entity, table=True):
    """What somebody said. `number` counts the thread's messages from 1, in the order of their commits.

    It stays when its author's account is gone for good.
    """

    __tablename__ = "messenger_messages"
    __table_args__ = (UniqueConstraint("thread_pk", "number", name="uq_messenger_messages_thread_pk_number"),)

    thread_pk: int = Field(foreign_key="messenger_threads.pk", ondelete="CASCADE", sa_type=Key)
    author_pk: int | None = Field(
        default=None, foreign_key="users.pk", ondelete="SET NULL", index=True, sa_type=Key
    )
    number: int
    text: str = Field(max_length=4000, sa_type=Text)
