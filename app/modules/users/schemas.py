"""What clients say and get about users, and the values that other modules get."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.pagination import Flag, PageQuery
from app.core.text import Email, PersonName, Question, Text
from app.modules.roles.schemas import PrivilegeSource, RoleRef

FullName = Annotated[PersonName, Field(min_length=1, max_length=200)]
# The policy speaks of code points (schemas); longer texts are refused before anything is hashed.
Password = Annotated[Text, Field(min_length=1, max_length=1024, json_schema_extra={"format": "password"})]
Reason = Annotated[Text, Field(max_length=500)]
MAX_ROLES = 100


class Closed(BaseModel):
    """A body that takes only the fields it names."""

    model_config = ConfigDict(extra="forbid")


class UserRegister(Closed):
    """A new account."""

    email: Email
    password: Password
    full_name: FullName | None = None


class UserCreate(UserRegister):
    """A new account made by an administrator.

    Without `role_ids` it gets the role `regular`, as after self-registration, if the creator holds all that
    `regular` grants; else no role.
    """

    role_ids: Annotated[list[UUID], Field(max_length=MAX_ROLES)] | None = None


class UserUpdate(Closed):
    """What an administrator can change. A new e-mail address ends the user's sessions."""

    email: Email = ""
    full_name: FullName | None = None


class ProfileUpdate(Closed):
    """What users can change about themselves."""

    full_name: FullName | None = None


class PasswordChange(Closed):
    """The present password, and the new one."""

    current_password: Password
    new_password: Password


class PasswordSetting(Closed):
    """A password that an administrator sets; without one, the server makes one up."""

    new_password: Password | None = None


class TemporaryPassword(BaseModel):
    """What the user needs for the next login; there only where the server made it up, and shown once."""

    temporary_password: str | None = None


class EffectivePrivilege(BaseModel):
    """A privilege that a user holds, and every way in which they do."""

    code: str
    sources: list[PrivilegeSource]


class EffectivePrivileges(BaseModel):
    """All that a user may, with where each thing comes from. A superuser may everything there is."""

    is_superuser: bool
    privileges: list[EffectivePrivilege]


class AccountDelete(Closed):
    """The present password, so that a stolen token can't end an account."""

    password: Password


class UserBlock(Closed):
    """Why, for those who look later."""

    reason: Reason | None = None


class UserRoles(Closed):
    """All roles that the user is to hold."""

    role_ids: Annotated[list[UUID], Field(max_length=MAX_ROLES)]


class UserSummary(BaseModel):
    """A user in a list."""

    id: UUID
    email: str
    full_name: str | None
    is_blocked: bool
    created_at: datetime


class UserColumns(UserSummary):
    """A user's own columns."""

    created_by: UUID | None
    updated_at: datetime
    updated_by: UUID | None
    last_login_at: datetime | None
    version: int


class UserRow(UserColumns):
    """With the integer key, to ask for more; it never leaves the program."""

    pk: int


class UserRead(UserColumns):
    """A user with their roles."""

    roles: list[RoleRef]


class UserQuery(PageQuery):
    """Filters and order of the list. `q`: each word must begin a word of the e-mail address or the name."""

    sortable: ClassVar[tuple[str, ...]] = ("created_at", "email", "full_name", "last_login_at")

    q: Question | None = None
    is_blocked: Flag | None = None
    role: UUID | None = Field(default=None, description="Only users who hold the role with this id.")


class Account(BaseModel):
    """What authentication needs to know of a user."""

    pk: int
    id: UUID
    email: str
    full_name: str | None
    password_hash: str
    is_blocked: bool
    auth_version: int
    must_change_password: bool
    password_expires_at: datetime | None

    def has_expired_password(self, moment: datetime) -> bool:
        """Whether an administrator set the password, and nobody changed it in time."""
        return self.password_expires_at is not None and self.password_expires_at <= moment
