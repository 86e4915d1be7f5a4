"""The two logs. Rows are only ever added: triggers of the database refuse everything else."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, SmallInteger, text
from sqlmodel import Field, SQLModel

from app.core.documents import Json
from app.core.entity import Key

APPEND_ONLY = ("audit_change", "audit_access", "audit_seal")
# What is rare in a log that is well: small indexes, which cost usual rows nothing.
_FAILED, _NOT_200 = text("status >= 400"), text("status <> 200")
_NOT_OK, _NOT_ASKED_FOR = text("outcome <> 'ok'"), text("origin <> 'request'")


class AuditChange(SQLModel, table=True):
    """One changed row of one table. `tx_seq` counts the changes of a transaction, from 1, in their order.

    `old` and `new` speak the API's names: public ids instead of integer keys. An insert has the whole `new`, a
    delete the whole `old`, an update the changed fields of both. `xid` is PostgreSQL's number of the transaction.
    """

    __tablename__ = "audit_change"
    __table_args__ = (
        Index("ix_audit_change_entity_entity_id_id", "entity", "entity_id", "id"),
        Index("ix_audit_change_actor_id_id", "actor_id", "id"),
        Index("ix_audit_change_occurred_at_id", "occurred_at", "id"),
        Index(
            "ix_audit_change_origin_id",
            "origin",
            "id",
            sqlite_where=_NOT_ASKED_FOR,
            postgresql_where=_NOT_ASKED_FOR,
        ),
        {"info": {"not_audited": "It is the log itself."}},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    occurred_at: datetime
    xid: int | None = Field(default=None, sa_type=BigInteger)
    tx_id: UUID = Field(index=True)
    tx_seq: int
    request_id: str | None = Field(default=None, max_length=64, index=True)
    origin: str = Field(max_length=12)
    actor_type: str = Field(max_length=10)
    actor_id: str | None = Field(default=None, max_length=64)
    client_ip: str | None = Field(default=None, max_length=45)
    action: str = Field(max_length=8)
    cause: str | None = Field(default=None, max_length=12)
    entity: str = Field(max_length=64)
    entity_id: str = Field(max_length=255)
    changed: list[str] = Field(sa_type=Json)
    old: dict[str, Any] | None = Field(default=None, sa_type=Json)
    new: dict[str, Any] | None = Field(default=None, sa_type=Json)
    truncated: bool = False
    redacted: bool = False
    reason: str | None = Field(default=None, max_length=256)


class AuditAccess(SQLModel, table=True):
    """One request, whatever came of it.

    `seq` counts the requests of one process run (`boot_id`) from 1, so that a row which was lost leaves a hole.
    """

    __tablename__ = "audit_access"
    __table_args__ = (
        Index("ix_audit_access_occurred_at_id", "occurred_at", "id"),
        Index("ix_audit_access_actor_id_id", "actor_id", "id"),
        Index("ix_audit_access_client_ip_id", "client_ip", "id"),
        Index("ix_audit_access_route_id", "route", "id"),
        Index("ix_audit_access_failed_id", "id", sqlite_where=_FAILED, postgresql_where=_FAILED),
        Index("ix_audit_access_status_id", "status", "id", sqlite_where=_NOT_200, postgresql_where=_NOT_200),
        Index("ix_audit_access_outcome_id", "outcome", "id", sqlite_where=_NOT_OK, postgresql_where=_NOT_OK),
        Index("uq_audit_access_boot_id_seq", "boot_id", "seq", unique=True),
        {"info": {"not_audited": "It is the log itself."}},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Key)
    occurred_at: datetime
    xid: int | None = Field(default=None, sa_type=BigInteger)
    duration_us: int = Field(sa_type=BigInteger)
    request_id: str = Field(max_length=64, index=True)
    boot_id: str = Field(max_length=32)
    seq: int = Field(sa_type=BigInteger)
    method: str = Field(max_length=16)
    path: str = Field(max_length=1024)
    route: str | None = Field(default=None, max_length=256)
    query: dict[str, Any] | None = Field(default=None, sa_type=Json)
    status: int = Field(sa_type=SmallInteger)
    outcome: str = Field(max_length=12)
    error_class: str | None = Field(default=None, max_length=128)
    actor_type: str = Field(max_length=10)
    actor_id: str | None = Field(default=None, max_length=64)
    auth_method: str | None = Field(default=None, max_length=16)
    session_id: UUID | None = None
    api_key_id: UUID | None = None
    client_ip: str | None = Field(default=None, max_length=45)
    peer_ip: str | None = Field(default=None, max_length=45)
    forwarded_for: str | None = Field(default=None, max_length=256)
    user_agent: str | None = Field(default=None, max_length=256)
    request_bytes: int | None = Field(default=None, sa_type=BigInteger)
    response_bytes: int | None = Field(default=None, sa_type=BigInteger)
    is_probe: bool = False
    module: str | None = Field(default=None, max_length=64)
    operation: str | None = Field(default=None, max_length=128)
    privilege: str | None = Field(default=None, max_length=127)
