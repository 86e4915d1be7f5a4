"""The tables of evidence: seals over the logs, segments that were moved to an archive, holds that keep rows here."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from app.core.audit.policy import not_audited, replaced_whole
from app.core.documents import Json
from app.core.entity import Key, Record

_SEALED = "Seals are a chain of their own: a change row for each would need a seal."
_ACTIVE = text("released_at IS NULL")
_VERIFIED = text("state = 'verified'")
_HEX, _SIGNATURE = 64, 128
# Of segments before these states, and of restored ones, all rows are here. Only of pruned ones it is settled which are.
PRUNED = ("pruned", "expired")
MAY_BE_GONE = ("verified", "restoring", *PRUNED)


class AuditSeal(SQLModel, table=True):
    """One link of a log's chain: what its rows from `first_id` to `last_id` hash to.

    `number` counts the seals of a stream from 1. An empty seal (`row_count` 0) says that nothing was written.
    """

    __tablename__ = "audit_seal"
    __table_args__ = (
        Index("uq_audit_seal_stream_number", "stream", "number", unique=True),
        Index("ix_audit_seal_stream_last_id", "stream", "last_id"),
        not_audited(_SEALED),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    stream: str = Field(max_length=8)
    number: int = Field(sa_type=BigInteger)
    form: int
    first_id: int = Field(sa_type=BigInteger)
    last_id: int = Field(sa_type=BigInteger)
    row_count: int = Field(sa_type=BigInteger)
    min_at: datetime | None = None
    max_at: datetime | None = None
    merkle_root: str = Field(max_length=_HEX)
    leaves_hash: str = Field(max_length=_HEX)
    prev_hash: str = Field(max_length=_HEX)
    sealed_at: datetime
    public_key: str | None = Field(default=None, max_length=_HEX)
    next_public_key: str | None = Field(default=None, max_length=_HEX)
    seal_hash: str = Field(max_length=_HEX)
    key_id: str | None = Field(default=None, max_length=16)
    signature: str | None = Field(default=None, max_length=_SIGNATURE)
    next_signature: str | None = Field(default=None, max_length=_SIGNATURE)


class AuditSealLeaves(SQLModel, table=True):
    """What each row of a seal hashed to, so that verification can name rows and not only ranges.

    `leaves`: 16 bytes a row, its id and the first eight bytes of its leaf. Nothing is proved by them, the seal's
    `leaves_hash` proves them; they go when the rows go.
    """

    __tablename__ = "audit_seal_leaves"
    __table_args__ = not_audited(_SEALED)

    seal_id: int = Field(
        primary_key=True, foreign_key="audit_seal.id", sa_type=Key, sa_column_kwargs={"autoincrement": False}
    )
    leaves: bytes = Field(sa_type=LargeBinary)


class AuditSegment(Record, table=True):
    """A range of a log that is archived, or about to be: from seal to seal, in one file beside its manifest.

    `state`: `planned`, `written`, `verified`, `pruned`, `restoring`, `restored`, `expired`. `boots`: the numbers
    of the access log in it, by process run.
    """

    __tablename__ = "audit_segment"
    __table_args__ = (
        Index("uq_audit_segment_stream_first_id", "stream", "first_id", unique=True),
        # What the triggers look for, row by row.
        Index(
            "ix_audit_segment_verified",
            "stream",
            "first_id",
            sqlite_where=_VERIFIED,
            postgresql_where=_VERIFIED,
        ),
    )

    stream: str = Field(max_length=8)
    state: str = Field(max_length=10)
    name: str = Field(max_length=80)
    uri: str = Field(max_length=512)
    first_id: int = Field(sa_type=BigInteger)
    last_id: int = Field(sa_type=BigInteger)
    first_seal: int = Field(sa_type=BigInteger)
    last_seal: int = Field(sa_type=BigInteger)
    row_count: int = Field(sa_type=BigInteger)
    held_count: int = Field(default=0, sa_type=BigInteger)
    min_at: datetime | None = None
    max_at: datetime | None = None
    size_bytes: int | None = Field(default=None, sa_type=BigInteger)
    sha256_plain: str | None = Field(default=None, max_length=_HEX)
    sha256_file: str | None = Field(default=None, max_length=_HEX)
    manifest_sha256: str | None = Field(default=None, max_length=_HEX)
    boots: dict[str, Any] | None = Field(default=None, sa_type=Json, sa_column_kwargs=replaced_whole())
    run_id: UUID
    updated_at: datetime
    written_at: datetime | None = None
    verified_at: datetime | None = None
    pruned_at: datetime | None = None
    expired_at: datetime | None = None


class AuditHold(Record, table=True):
    """A legal hold: rows that fit all that is given are archived and never removed from here, until it is released."""

    __tablename__ = "audit_hold"
    __table_args__ = (Index("ix_audit_hold_active", "pk", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),)

    stream: str | None = Field(default=None, max_length=8)
    actor_id: str | None = Field(default=None, max_length=64)
    entity: str | None = Field(default=None, max_length=64)
    entity_id: str | None = Field(default=None, max_length=255)
    from_at: datetime | None = None
    to_at: datetime | None = None
    reason: str = Field(max_length=256)
    placed_by: str = Field(max_length=64)
    released_at: datetime | None = None
    released_by: str | None = Field(default=None, max_length=64)
    release_reason: str | None = Field(default=None, max_length=256)
