"""What clients say and get about legal holds."""

from datetime import datetime
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.core.evidence.canonical import Stream
from app.core.instants import Instant
from app.core.pagination import Flag, RecordQuery
from app.core.text import Reason, Text
from app.modules.audit.schemas import Id


class HoldCreate(BaseModel):
    """Which rows are to stay: those that fit all that is given. `reason` says why, for whoever reads it later."""

    model_config = ConfigDict(extra="forbid")

    stream: Stream | None = None
    actor_id: Annotated[Id, Field(min_length=1, max_length=64)] | None = None
    entity: (
        Annotated[Text, Field(min_length=1, max_length=64, description="The name of the table.")] | None
    ) = None
    entity_id: Annotated[Id, Field(min_length=1, max_length=255)] | None = None
    from_at: Annotated[Instant | None, Field(alias="from", description="Inclusive.")] = None
    to_at: Annotated[Instant | None, Field(alias="to", description="Exclusive.")] = None
    reason: Reason

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if all(value is None for name, value in self if name != "reason"):
            raise ValueError(
                "name a log, an actor, a table or a time: a hold on everything is meant by nobody"
            )
        if self.entity_id is not None and self.entity is None:
            raise ValueError("entity_id needs the entity whose id it is")
        if self.entity is not None and self.stream == "access":
            raise ValueError("the access log has no entities: requests are held by actor and time")
        if self.from_at is not None and self.to_at is not None and self.from_at >= self.to_at:
            raise ValueError("from must lie before to")
        return self


class HoldRelease(BaseModel):
    """Why the rows need not stay any longer."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class HoldQuery(RecordQuery):
    """Filters and order of the list of holds."""

    sortable: ClassVar[tuple[str, ...]] = ("created_at", "released_at")

    stream: Stream | None = None
    actor_id: Annotated[Id, Field(max_length=64)] | None = None
    entity: Annotated[Text, Field(max_length=64)] | None = None
    entity_id: Annotated[Id, Field(max_length=255)] | None = None
    active: Annotated[
        Flag | None, Field(description="`true`: only those that keep rows; `false`: only released ones.")
    ] = None


class HoldSummary(BaseModel):
    """A hold as its columns have it."""

    id: UUID
    created_at: datetime
    stream: str | None
    actor_id: str | None
    entity: str | None
    entity_id: str | None
    from_at: datetime | None
    to_at: datetime | None
    reason: str
    placed_by: str
    released_at: datetime | None
    released_by: str | None
    release_reason: str | None


class HoldRead(HoldSummary):
    """A legal hold: rows that fit all that is given are archived, and stay here until it is released.

    `placed_by` and `released_by` are ids of users; the labels beside them their e-mail addresses, as in the logs.
    """

    from_at: Annotated[datetime | None, Field(alias="from")]
    to_at: Annotated[datetime | None, Field(alias="to")]
    placed_by_label: str | None
    released_by_label: str | None
