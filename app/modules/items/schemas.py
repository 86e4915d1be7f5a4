"""What clients say and get about items."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.pagination import PageQuery
from app.core.text import Question, Text, Title

Description = Annotated[Text, Field(max_length=5000)]


class ItemCreate(BaseModel):
    """A new item; it belongs to the caller."""

    model_config = ConfigDict(extra="forbid")

    title: Title
    description: Description | None = None


class ItemUpdate(BaseModel):
    """Changes; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    title: Title = ""
    description: Description | None = None


class OwnerRef(BaseModel):
    """Whose item it is."""

    id: UUID
    full_name: str | None


class ItemSummary(BaseModel):
    """An item in a list."""

    id: UUID
    title: str
    owner_id: UUID
    created_at: datetime


class ItemRead(ItemSummary):
    """An item with its owner."""

    description: str | None
    owner: OwnerRef
    updated_at: datetime
    version: int


class ItemQuery(PageQuery):
    """Filters and order of a list of items."""

    sortable: ClassVar[tuple[str, ...]] = ("created_at", "updated_at", "title")

    owner_id: UUID | None = None


class MyItemQuery(PageQuery):
    """Order of a list of one's own items."""

    sortable: ClassVar[tuple[str, ...]] = ("created_at", "updated_at", "title")


class ItemSearch(ItemQuery):
    """Each word of `q` must begin a word of title or description; hits in the title come first."""

    q: Question
