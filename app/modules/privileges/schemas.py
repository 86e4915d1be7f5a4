"""What clients say and get about privileges."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.core.pagination import PageQuery
from app.core.text import Text

Code = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}:[a-z][a-z0-9_]{0,62}$", max_length=127),
    Field(examples=["reports:read"]),
]
ModuleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$", max_length=63)]


class PrivilegeCreate(BaseModel):
    """A privilege of the team's own; modules declare theirs in code."""

    model_config = ConfigDict(extra="forbid")

    code: Code
    description: Annotated[Text, Field(max_length=500)] = ""


class PrivilegeUpdate(BaseModel):
    """What can be changed of it. Its code can't: roles and programs refer to it."""

    model_config = ConfigDict(extra="forbid")

    description: Annotated[Text, Field(max_length=500)] = ""


class PrivilegeSummary(BaseModel):
    """A privilege in a list."""

    code: str
    module: str
    action: str
    description: str
    is_system: bool


class PrivilegeRead(PrivilegeSummary):
    """A privilege with its stamps."""

    id: UUID
    created_at: datetime
    updated_at: datetime
    version: int


class PrivilegeQuery(PageQuery):
    """Filters and order of the list."""

    sortable: ClassVar[tuple[str, ...]] = ("code", "module", "created_at")
    default_sort: ClassVar[str] = "code"

    module: ModuleName | None = None
