"""Tables of credentials: sessions and their tokens, API keys, reset links; and of the failures counted."""

from datetime import datetime

from sqlalchemy import JSON, Index
from sqlmodel import Field, SQLModel

from app.core.audit.policy import bookkeeping, not_audited, replaced_whole
from app.core.entity import Key, Record
from app.core.text import EMAIL_LENGTH


class AuthSession(Record, table=True):
    """One login: a family of refresh tokens. `auth_version` is the user's at that moment.

    `expires_at` is the absolute end, which no refresh moves.
    """

    __tablename__ = "sessions"

    user_pk: int = Field(foreign_key="users.pk", ondelete="CASCADE", index=True, sa_type=Key)
    auth_version: int = Field(sa_column_kwargs=bookkeeping())
    expires_at: datetime
    last_used_at: datetime = Field(sa_column_kwargs=bookkeeping())
    revoked_at: datetime | None = None
    revoked_reason: str | None = Field(default=None, max_length=32)
    ip: str | None = Field(default=None, max_length=45)
    user_agent: str | None = Field(default=None, max_length=256)


class RefreshToken(SQLModel, table=True):
    """A refresh token, by its hash only. `used_at` is set when its successor was given out."""

    __tablename__ = "refresh_tokens"
    __table_args__ = not_audited("Machinery of a session, renewed every quarter of an hour; its end is told.")

    pk: int | None = Field(default=None, primary_key=True, sa_type=Key)
    session_pk: int = Field(foreign_key="sessions.pk", ondelete="CASCADE", index=True, sa_type=Key)
    token_hash: str = Field(max_length=64, unique=True)
    parent_hash: str | None = Field(default=None, max_length=64, unique=True)
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    replays: int = 0


class ApiKey(Record, table=True):
    """An API key, by its digest only. `privileges` narrows what its owner may; None doesn't.

    A revoked key stays as history; a deleted one is gone. `last_used_at` is bookkeeping.
    """

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_user_pk_created_at_id", "user_pk", "created_at", "id"),)

    user_pk: int = Field(foreign_key="users.pk", ondelete="CASCADE", sa_type=Key)
    name: str = Field(max_length=100)
    prefix: str = Field(max_length=40, unique=True)
    last_four: str = Field(max_length=4)
    key_hash: str = Field(max_length=64)
    privileges: list[str] | None = Field(
        default=None, sa_type=JSON(none_as_null=True), sa_column_kwargs=replaced_whole()
    )
    expires_at: datetime | None = None
    last_used_at: datetime | None = Field(default=None, sa_column_kwargs=bookkeeping())
    revoked_at: datetime | None = None


class PasswordReset(SQLModel, table=True):
    """A request for a forgotten password: first what was asked, then the link that was mailed, by its hash.

    `email` is what was asked for, whether or not anybody has it. Until `due_at` another worker leaves it alone;
    it is None once the mail is out.
    """

    __tablename__ = "password_resets"
    __table_args__ = not_audited("A mailed link for half an hour; what is done with it is told.")

    pk: int | None = Field(default=None, primary_key=True, sa_type=Key)
    email: str = Field(max_length=EMAIL_LENGTH)
    created_at: datetime
    due_at: datetime | None = Field(index=True)
    attempts: int = 0
    user_pk: int | None = Field(
        default=None, foreign_key="users.pk", ondelete="CASCADE", index=True, sa_type=Key
    )
    token_hash: str | None = Field(default=None, max_length=64, unique=True)
    expires_at: datetime | None = None


class ThrottleTally(SQLModel, table=True):
    """Failures, or requests, counted for somebody: `key` is a keyed hash of whom and of what."""

    __tablename__ = "throttle_tallies"
    __table_args__ = not_audited("Counts against guessing, by hashes of whom they are about.")

    pk: int | None = Field(default=None, primary_key=True, sa_type=Key)
    key: str = Field(max_length=64, unique=True)
    count: int
    started_at: datetime
    last_at: datetime = Field(index=True)
