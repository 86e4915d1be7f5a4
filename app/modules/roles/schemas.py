"""What clients say and get about roles, and the values that other modules get."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.pagination import PageQuery
from app.core.text import Name, Text

MAX_PRIVILEGES = 1000
Codes = Annotated[list[Annotated[Text, Field(max_length=127)]], Field(max_length=MAX_PRIVILEGES)]
ModuleNames = Annotated[list[Annotated[Text, Field(max_length=63)]], Field(max_length=MAX_PRIVILEGES)]


class RoleCreate(BaseModel):
    """A new role; nobody can put into it what they lack."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    description: Annotated[Text, Field(max_length=500)] = ""
    privileges: Codes = []
    modules: ModuleNames = []


class RoleUpdate(BaseModel):
    """Name and description; those that are left out stay."""

    model_config = ConfigDict(extra="forbid")

    name: Name = ""
    description: Annotated[Text, Field(max_length=500)] = ""


class RolePrivileges(BaseModel):
    """All privileges that the role is to hold."""

    model_config = ConfigDict(extra="forbid")

    codes: Codes


class RoleModules(BaseModel):
    """All modules that the role is to have."""

    model_config = ConfigDict(extra="forbid")

    modules: ModuleNames


class RoleRef(BaseModel):
    """A role as others name it."""

    id: UUID
    name: str


class PrivilegeSource(BaseModel):
    """Where a privilege comes from: a role, which holds it, or its module, or simply everything."""

    role: RoleRef
    via: Literal["privilege", "module", "superuser"]


class RoleSummary(BaseModel):
    """A role in a list."""

    id: UUID
    name: str
    description: str
    is_superuser: bool
    is_system: bool


class RoleColumns(RoleSummary):
    """A role's own columns."""

    created_at: datetime
    updated_at: datetime
    created_by: UUID | None
    updated_by: UUID | None
    version: int


class RoleRow(RoleColumns):
    """With the integer key, to ask for more; it never leaves the program."""

    pk: int


class RoleRead(RoleColumns):
    """A role with what it grants. `effective`: its privileges and the reads of its modules, worked out."""

    privileges: list[str]
    modules: list[str]
    effective: list[str]
    user_count: int


class RoleQuery(PageQuery):
    """Order of the list."""

    sortable: ClassVar[tuple[str, ...]] = ("name", "created_at")
    default_sort: ClassVar[str] = "name"
