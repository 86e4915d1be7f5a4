"""Tables of sessions and of their refresh tokens."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from app.core.entity import Key, Record


class AuthSession(Record, table=True):
    """One login: a family of refresh tokens. `auth_version` is the user's at that moment.

    `expires_at` is the absolute end, which no refresh moves.
    """

    __tablename__ = "sessions"

    user_pk: int = Field(foreign_key="users.pk", ondelete="CASCADE", index=True, sa_type=Key)
    auth_version: int
    expires_at: datetime
    last_used_at: datetime
    revoked_at: datetime | None = None
    revoked_reason: str | None = Field(default=None, max_length=32)
    ip: str | None = Field(default=None, max_length=45)
    user_agent: str | None = Field(default=None, max_length=256)


class RefreshToken(SQLModel, table=True):
    """A refresh token, by its hash only. `used_at` is set when its successor was given out."""

    __tablename__ = "refresh_tokens"

    pk: int | None = Field(default=None, primary_key=True, sa_type=Key)
    session_pk: int = Field(foreign_key="sessions.pk", ondelete="CASCADE", index=True, sa_type=Key)
    token_hash: str = Field(max_length=64, unique=True)
    parent_hash: str | None = Field(default=None, max_length=64, unique=True)
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    replays: int = 0
