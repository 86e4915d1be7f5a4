"""The table of the items."""

from typing import ClassVar

from sqlalchemy import Index, Text
from sqlmodel import Field

from app.core.entity import Entity, Key, live_index
from app.core.search import Searchable


class Item(Entity, Searchable, table=True):
    """A thing with a title, owned by who made it."""

    __tablename__ = "items"
    __table_args__ = (
        live_index("ix_items_live_created_at_id", "created_at", "id"),
        Index("ix_items_owner_pk_created_at_id", "owner_pk", "created_at", "id"),
    )
    searchable: ClassVar[tuple[str, ...]] = ("title", "description")

    title: str = Field(max_length=200)
    description: str | None = Field(default=None, max_length=5000, sa_type=Text)
    owner_pk: int = Field(foreign_key="users.pk", ondelete="CASCADE", sa_type=Key)
