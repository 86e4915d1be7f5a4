"""The table of the users."""

from datetime import datetime
from random import SystemRandom
from typing import ClassVar

from sqlalchemy import BigInteger, text
from sqlmodel import Field

from app.core.audit.policy import bookkeeping, shown
from app.core.entity import Entity, live_index
from app.core.faults import taken
from app.core.search import Searchable

_random = SystemRandom()


def new_stamp() -> int:
    """A random version that never comes back, not even after a restore of the database."""
    return _random.getrandbits(62)


class User(Entity, Searchable, table=True):
    """An account. `email` is canonical (`app.core.text`).

    `auth_version`: tokens carry it; raising it kills all of them. `rights_version`: renewed with the user's
    roles; cached rights are filed under it. Both, and `last_login_at`, are bookkeeping. `must_change_password`:
    an administrator set it; what they set opens nothing any more after `password_expires_at`.
    """

    __tablename__ = "users"
    __table_args__ = (
        live_index(
            "uq_users_email_live",
            text("lower(email)"),
            unique=True,
            info=taken("email", "A user with this e-mail address exists already."),
        ),
        live_index("ix_users_live_created_at_id", "created_at", "id"),
    )
    searchable: ClassVar[tuple[str, ...]] = ("email", "full_name")

    email: str = Field(max_length=254)
    full_name: str | None = Field(default=None, max_length=200)
    password_hash: str = Field(max_length=255)
    is_blocked: bool = False
    blocked_reason: str | None = Field(default=None, max_length=500)
    must_change_password: bool = Field(default=False, sa_column_kwargs=shown())
    password_expires_at: datetime | None = Field(default=None, sa_column_kwargs=shown())
    last_login_at: datetime | None = Field(default=None, sa_column_kwargs=bookkeeping())
    auth_version: int = Field(default=1, sa_column_kwargs=bookkeeping())
    rights_version: int = Field(default_factory=new_stamp, sa_type=BigInteger, sa_column_kwargs=bookkeeping())
