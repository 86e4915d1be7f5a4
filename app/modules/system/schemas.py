"""What the system says about itself."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from app.modules.system.models import State


class Ping(BaseModel):
    """The server's time."""

    status: Literal["ok"]
    time: datetime


class Checks(BaseModel):
    """States only: no hosts, no versions."""

    database: State
    cache: State
    migrations: State
    audit: State


class Health(BaseModel):
    """The state of the whole, and of its parts."""

    status: State
    checks: Checks

    @property
    def is_unavailable(self) -> bool:
        """Whether nothing works."""
        return self.status is State.UNAVAILABLE


class Live(BaseModel):
    """The process runs."""

    status: Literal["ok"]


class Info(BaseModel):
    """What runs here."""

    version: str
    python: str
    environment: str
    database: dict[str, str]
    cache: str
    revision: str | None
    modules: list[dict[str, Any]]


class EditableField(BaseModel):
    """A field of an editable table, by its name in the API."""

    name: str
    type: str
    required: bool
    nullable: bool
    read_only: bool
    max_length: int | None = None
    choices: list[Any] | None = None
    references: str | None = None
    default: Any | None = None


class EditableResource(BaseModel):
    """An editable table, as far as the caller may read it."""

    name: str
    module: str
    table: str
    path: str
    operations: dict[str, str]
    fields: list[EditableField]
