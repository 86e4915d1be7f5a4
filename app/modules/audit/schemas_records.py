"""What the logs answer about records, tables and numbers."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.core.evidence.canonical import Stream
from app.modules.audit.schemas import Bucket, GroupBy


class AuditedColumn(BaseModel):
    """A field of the log. `redact`: told as changed, its value never; `exclude`: bookkeeping, not told at all."""

    name: str
    policy: Literal["full", "redact", "exclude"]
    references: str | None


class AuditedEntity(BaseModel):
    """A table whose changes are logged."""

    entity: str
    columns: list[AuditedColumn]


class LeftOutEntity(BaseModel):
    """A table whose changes are not logged, and why."""

    entity: str
    reason: str


class Entities(BaseModel):
    """Every table of the program."""

    audited: list[AuditedEntity]
    excluded: list[LeftOutEntity]


class AsOf(BaseModel):
    """A record at one instant.

    `segments`: those of the archive that may hold changes since then; where there are some, the state may be another.
    """

    at: datetime
    exists: bool
    state: dict[str, Any] | None
    complete: bool
    unknown_fields: list[str]
    redacted_fields: list[str]
    last_change_id: int | None
    segments: list[str]


class FieldDifference(BaseModel):
    """A field that changed. Of secrets only that they did."""

    field: str
    old: Any
    new: Any


class Difference(BaseModel):
    """A record at two instants, and what lies between them."""

    before: Annotated[AsOf, Field(serialization_alias="from")]
    after: Annotated[AsOf, Field(serialization_alias="to")]
    changed: list[FieldDifference]
    change_ids: list[int]


class Break(BaseModel):
    """Two neighbours that don't fit: something was changed past the log. `next_id` is null for the row itself."""

    previous_id: int | None
    next_id: int | None
    fields: list[str]


class Drift(BaseModel):
    """Whether a record's changes follow from each other, and lead to the row as it is."""

    ok: bool
    checked_changes: int
    breaks: list[Break]


class Point(BaseModel):
    """How many rows fell into the bucket that begins at `at`; `group` is null for rows that have none."""

    at: datetime
    group: str | None
    count: int


class Stats(BaseModel):
    """Buckets in UTC from the one of `from` to the one of `to`, the empty ones among them."""

    stream: Stream
    bucket: Bucket
    group_by: GroupBy | None
    total: int
    points: list[Point]
