"""What clients say and get when they come in and leave."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.text import Email, Text
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
    """A pair of tokens; lifetimes in seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"]
    expires_in: int
    refresh_expires_in: int


class Me(BaseModel):
    """Who the presented credential stands for, and what it may."""

    user: UserRead
    method: Literal["jwt", "api_key"]
    session_id: UUID | None
    is_superuser: bool
    roles: list[str]
    privileges: list[str]


class OAuthError(BaseModel):
    """RFC 6749 5.2."""

    error: Literal["invalid_request", "invalid_grant", "unsupported_grant_type"]
    error_description: str
