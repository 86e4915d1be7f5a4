"""The change log and the access log, to which rows can only be added.

Revision: 0003
Revises: 0002
Made: 2026-11-21 15:43:28.689021+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

from app.core.migration import batch_alter

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


LOGS = ("audit_access", "audit_change")
_REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$
"""


def _make_append_only() -> None:
    """The database itself refuses to change or remove what was logged. SQLite's REPLACE deletes, too."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(_REFUSE)
    for table in LOGS:
        if op.get_context().dialect.name == "postgresql":
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
            )
            continue
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _drop_triggers() -> None:
    for table in LOGS:
        if op.get_context().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
            continue
        for event in ("update", "delete"):
            op.execute(f"DROP TRIGGER {table}_no_{event}")
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_refuse()")


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "audit_access",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=True),
        sa.Column("duration_us", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("boot_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("path", sa.String(length=1024), nullable=False),
        sa.Column("route", sa.String(length=256), nullable=True),
        sa.Column("query", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("error_class", sa.String(length=128), nullable=True),
        sa.Column("actor_type", sa.String(length=10), nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=True),
        sa.Column("auth_method", sa.String(length=16), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("api_key_id", sa.Uuid(), nullable=True),
        sa.Column("client_ip", sa.String(length=45), nullable=True),
        sa.Column("peer_ip", sa.String(length=45), nullable=True),
        sa.Column("forwarded_for", sa.String(length=256), nullable=True),
        sa.Column("user_agent", sa.String(length=256), nullable=True),
        sa.Column("request_bytes", sa.BigInteger(), nullable=True),
        sa.Column("response_bytes", sa.BigInteger(), nullable=True),
        sa.Column("is_probe", sa.Boolean(), nullable=False),
        sa.Column("module", sa.String(length=64), nullable=True),
        sa.Column("operation", sa.String(length=128), nullable=True),
        sa.Column("privilege", sa.String(length=127), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_access")),
        sqlite_autoincrement=True,
    )
    with batch_alter("audit_access", schema=None) as batch_op:
        batch_op.create_index("ix_audit_access_actor_id_id", ["actor_id", "id"], unique=False)
        batch_op.create_index("ix_audit_access_client_ip_id", ["client_ip", "id"], unique=False)
        batch_op.create_index(
            "ix_audit_access_failed_id",
            ["id"],
            unique=False,
            sqlite_where=sa.text("status >= 400"),
            postgresql_where=sa.text("status >= 400"),
        )
        batch_op.create_index("ix_audit_access_occurred_at_id", ["occurred_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_access_request_id"), ["request_id"], unique=False)
        batch_op.create_index(
            "ix_audit_access_outcome_id",
            ["outcome", "id"],
            unique=False,
            sqlite_where=sa.text("outcome <> 'ok'"),
            postgresql_where=sa.text("outcome <> 'ok'"),
        )
        batch_op.create_index("ix_audit_access_route_id", ["route", "id"], unique=False)
        batch_op.create_index(
            "ix_audit_access_status_id",
            ["status", "id"],
            unique=False,
            sqlite_where=sa.text("status <> 200"),
            postgresql_where=sa.text("status <> 200"),
        )
        batch_op.create_index("uq_audit_access_boot_id_seq", ["boot_id", "seq"], unique=True)

    op.create_table(
        "audit_change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=True),
        sa.Column("tx_id", sa.Uuid(), nullable=False),
        sa.Column("tx_seq", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("origin", sa.String(length=12), nullable=False),
        sa.Column("actor_type", sa.String(length=10), nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=True),
        sa.Column("client_ip", sa.String(length=45), nullable=True),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("cause", sa.String(length=12), nullable=True),
        sa.Column("entity", sa.String(length=64), nullable=False),
        sa.Column("entity_id", sa.String(length=255), nullable=False),
        sa.Column("changed", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("old", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("new", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("redacted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=256), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_change")),
        sqlite_autoincrement=True,
    )
    with batch_alter("audit_change", schema=None) as batch_op:
        batch_op.create_index("ix_audit_change_actor_id_id", ["actor_id", "id"], unique=False)
        batch_op.create_index(
            "ix_audit_change_entity_entity_id_id", ["entity", "entity_id", "id"], unique=False
        )
        batch_op.create_index("ix_audit_change_occurred_at_id", ["occurred_at", "id"], unique=False)
        batch_op.create_index(
            "ix_audit_change_origin_id",
            ["origin", "id"],
            unique=False,
            sqlite_where=sa.text("origin <> 'request'"),
            postgresql_where=sa.text("origin <> 'request'"),
        )
        batch_op.create_index(batch_op.f("ix_audit_change_request_id"), ["request_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_change_tx_id"), ["tx_id"], unique=False)

    _make_append_only()


def downgrade() -> None:
    """Back to the one before. Drops the logs."""
    _drop_triggers()
    with batch_alter("audit_change", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_change_tx_id"))
        batch_op.drop_index(batch_op.f("ix_audit_change_request_id"))
        batch_op.drop_index(
            "ix_audit_change_origin_id",
            sqlite_where=sa.text("origin <> 'request'"),
            postgresql_where=sa.text("origin <> 'request'"),
        )
        batch_op.drop_index("ix_audit_change_occurred_at_id")
        batch_op.drop_index("ix_audit_change_entity_entity_id_id")
        batch_op.drop_index("ix_audit_change_actor_id_id")

    op.drop_table("audit_change")
    with batch_alter("audit_access", schema=None) as batch_op:
        batch_op.drop_index("uq_audit_access_boot_id_seq")
        batch_op.drop_index(
            "ix_audit_access_status_id",
            sqlite_where=sa.text("status <> 200"),
            postgresql_where=sa.text("status <> 200"),
        )
        batch_op.drop_index("ix_audit_access_route_id")
        batch_op.drop_index(
            "ix_audit_access_outcome_id",
            sqlite_where=sa.text("outcome <> 'ok'"),
            postgresql_where=sa.text("outcome <> 'ok'"),
        )
        batch_op.drop_index(batch_op.f("ix_audit_access_request_id"))
        batch_op.drop_index("ix_audit_access_occurred_at_id")
        batch_op.drop_index(
            "ix_audit_access_failed_id",
            sqlite_where=sa.text("status >= 400"),
            postgresql_where=sa.text("status >= 400"),
        )
        batch_op.drop_index("ix_audit_access_client_ip_id")
        batch_op.drop_index("ix_audit_access_actor_id_id")

    op.drop_table("audit_access")
