"""What clients say and get when they come in and leave, and about their credentials."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.instants import Instant
from app.core.pagination import RecordQuery
from app.core.text import Email, Name, Text
from app.modules.users.schemas import Password, UserRead, UserRegister

MAX_TOKEN = 512
RefreshText = Annotated[Text, Field(min_length=1, max_length=MAX_TOKEN)]


class Register(UserRegister):
    """A new account of one's own."""


class Login(BaseModel):
    """E-mail address and password."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    password: Password


class Refresh(BaseModel):
    """A refresh token."""

    model_config = ConfigDict(extra="forbid")

    refresh_token: RefreshText


class Logout(BaseModel):
    """The session's refresh token, where there is no access token at hand."""

    model_config = ConfigDict(extra="forbid")

    refresh_token: RefreshText | None = None


class Tokens(BaseModel):
    """A pair of tokens; lifetimes in seconds. `must_change_password` is there only where it is true."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"]
    expires_in: int
    refresh_expires_in: int
    must_change_password: bool = False


class Me(BaseModel):
    """Who the presented credential stands for, and what it may."""

    user: UserRead
    method: Literal["jwt", "api_key"]
    api_key_id: UUID | None
    session_id: UUID | None
    is_superuser: bool
    roles: list[str]
    privileges: list[str]


class OAuthError(BaseModel):
    """RFC 6749 5.2."""

    error: Literal["invalid_request", "invalid_grant", "unsupported_grant_type"]
    error_description: str


class SessionSummary(BaseModel):
    """A living session: one login, with where it was made."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    ip: str | None
    user_agent: str | None


class SessionRead(SessionSummary):
    """With whether it is the one that asks."""

    current: bool


class SessionQuery(RecordQuery):
    """Order of the list."""

    sortable: ClassVar[tuple[str, ...]] = ("created_at", "last_used_at")
    default_sort: ClassVar[str] = "-last_used_at"


class ForgottenPassword(BaseModel):
    """Whose password was forgotten."""

    model_config = ConfigDict(extra="forbid")

    email: Email


class PasswordResetting(BaseModel):
    """The token of the mailed link, and the new password."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[Text, Field(min_length=1, max_length=MAX_TOKEN)]
    new_password: Password


class ApiKeyCreate(BaseModel):
    """A new API key. `privileges` narrows what it may; without them it may what its owner may."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    expires_at: Instant | None = None
    privileges: Annotated[list[Annotated[Text, Field(max_length=127)]], Field(max_length=1000)] | None = None


class ApiKeySummary(BaseModel):
    """A key in a list: never the key itself. `prefix` and `last_four` are how it begins and ends."""

    id: UUID
    name: str
    prefix: str
    last_four: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class ApiKeyRead(ApiKeySummary):
    """With what narrows it; None where nothing does."""

    privileges: list[str] | None


class ApiKeyCreated(ApiKeyRead):
    """A new key. `key` is shown here and never again."""

    key: str


class ApiKeyText(BaseModel):
    """A key in full, as found somewhere."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[Text, Field(min_length=1, max_length=MAX_TOKEN)]


class ApiKeyQuery(RecordQuery):
    """Order of the list."""

    sortable: ClassVar[tuple[str, ...]] = ("created_at", "name", "last_used_at", "expires_at")
