"""Seals over the logs, segments of their archive, holds; rows leave the logs only when they are archived.

Revision: 0004
Revises: 0003
Made: 2026-11-21 18:02:05.270242+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.core.migration import batch_alter

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# What a hold keeps, of a row that the database calls `row`. Requests are no records: who holds a record holds none.
_HELD = """
    EXISTS (SELECT 1 FROM audit_hold AS hold
            WHERE hold.released_at IS NULL AND coalesce(hold.stream, '{stream}') = '{stream}'
              AND coalesce(hold.actor_id, {row}.actor_id, '') = coalesce({row}.actor_id, '')
              AND {record}
              AND {row}.occurred_at >= coalesce(hold.from_at, {row}.occurred_at)
              AND (hold.to_at IS NULL OR {row}.occurred_at < hold.to_at))
"""
_RECORD = {
    "access": "hold.entity IS NULL",
    "changes": "coalesce(hold.entity, {row}.entity) = {row}.entity"
    " AND coalesce(hold.entity_id, {row}.entity_id) = {row}.entity_id",
}
_ARCHIVED = """
    EXISTS (SELECT 1 FROM audit_segment AS segment
            WHERE segment.stream = '{stream}' AND segment.state = 'verified'
              AND {row}.id BETWEEN segment.first_id AND segment.last_id)
"""
_KEEP = """
CREATE FUNCTION audit_keep_{stream}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM gone WHERE NOT {archived}) THEN
        RAISE EXCEPTION '% is append-only: rows go when their segment is verified', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT 1 FROM gone WHERE {held}) THEN
        RAISE EXCEPTION '% has rows under a legal hold', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$
"""
LOGS = {"access": "audit_access", "changes": "audit_change"}


def _conditions(stream: str, row: str) -> dict[str, str]:
    held = _HELD.format(stream=stream, row=row, record=_RECORD[stream].format(row=row))
    return {"stream": stream, "archived": _ARCHIVED.format(stream=stream, row=row), "held": held}


def _guard_on_postgres() -> None:
    op.execute(
        "CREATE TRIGGER audit_seal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
    )
    for stream, log in LOGS.items():
        op.execute(_KEEP.format(**_conditions(stream, "gone")))
        op.execute(f"DROP TRIGGER {log}_append_only ON {log}")
        op.execute(
            f"CREATE TRIGGER {log}_append_only BEFORE UPDATE OR TRUNCATE ON {log}"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        )
        op.execute(
            f"CREATE TRIGGER {log}_archived_only AFTER DELETE ON {log} REFERENCING OLD TABLE AS gone"
            f" FOR EACH STATEMENT EXECUTE FUNCTION audit_keep_{stream}()"
        )


def _guard_on_sqlite() -> None:
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_seal_no_{event.lower()} BEFORE {event} ON audit_seal"
            " BEGIN SELECT RAISE(ABORT, 'audit_seal is append-only'); END"
        )
    for stream, log in LOGS.items():
        parts = _conditions(stream, "OLD")
        op.execute(f"DROP TRIGGER {log}_no_delete")
        op.execute(
            f"CREATE TRIGGER {log}_archived_only BEFORE DELETE ON {log} WHEN NOT {parts['archived']} BEGIN"
            f" SELECT RAISE(ABORT, '{log} is append-only: rows go when their segment is verified'); END"
        )
        op.execute(
            f"CREATE TRIGGER {log}_not_held BEFORE DELETE ON {log} WHEN {parts['held']}"
            f" BEGIN SELECT RAISE(ABORT, '{log} has rows under a legal hold'); END"
        )
        # REPLACE deletes before it inserts, and in a verified segment nothing would stop it.
        archived = _conditions(stream, "NEW")["archived"]
        op.execute(
            f"CREATE TRIGGER {log}_no_replace AFTER INSERT ON {log} WHEN {archived} BEGIN"
            f" SELECT RAISE(ABORT, '{log} is append-only: nothing is added to a verified segment'); END"
        )


def _as_before_on_postgres() -> None:
    op.execute("DROP TRIGGER audit_seal_append_only ON audit_seal")
    for stream, log in LOGS.items():
        op.execute(f"DROP TRIGGER {log}_archived_only ON {log}")
        op.execute(f"DROP TRIGGER {log}_append_only ON {log}")
        op.execute(
            f"CREATE TRIGGER {log}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {log}"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        )
        op.execute(f"DROP FUNCTION audit_keep_{stream}()")


def _as_before_on_sqlite() -> None:
    for event in ("update", "delete"):
        op.execute(f"DROP TRIGGER audit_seal_no_{event}")
    for log in LOGS.values():
        op.execute(f"DROP TRIGGER {log}_archived_only")
        op.execute(f"DROP TRIGGER {log}_not_held")
        op.execute(f"DROP TRIGGER {log}_no_replace")
        op.execute(
            f"CREATE TRIGGER {log}_no_delete BEFORE DELETE ON {log}"
            f" BEGIN SELECT RAISE(ABORT, '{log} is append-only'); END"
        )


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "audit_hold",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stream", sa.String(length=8), nullable=True),
        sa.Column("actor_id", sa.String(length=64), nullable=True),
        sa.Column("entity", sa.String(length=64), nullable=True),
        sa.Column("entity_id", sa.String(length=255), nullable=True),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=256), nullable=False),
        sa.Column("placed_by", sa.String(length=64), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.String(length=64), nullable=True),
        sa.Column("release_reason", sa.String(length=256), nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_audit_hold")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_hold_id")),
        sqlite_autoincrement=True,
    )
    with batch_alter("audit_hold", schema=None) as batch_op:
        batch_op.create_index(
            "ix_audit_hold_active",
            ["pk"],
            unique=False,
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    op.create_table(
        "audit_seal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("stream", sa.String(length=8), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("form", sa.Integer(), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("min_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("max_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("merkle_root", sa.String(length=64), nullable=False),
        sa.Column("leaves_hash", sa.String(length=64), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=True),
        sa.Column("next_public_key", sa.String(length=64), nullable=True),
        sa.Column("seal_hash", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=True),
        sa.Column("signature", sa.String(length=128), nullable=True),
        sa.Column("next_signature", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_seal")),
        sqlite_autoincrement=True,
    )
    with batch_alter("audit_seal", schema=None) as batch_op:
        batch_op.create_index("ix_audit_seal_stream_last_id", ["stream", "last_id"], unique=False)
        batch_op.create_index("uq_audit_seal_stream_number", ["stream", "number"], unique=True)

    op.create_table(
        "audit_segment",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stream", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("uri", sa.String(length=512), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("first_seal", sa.BigInteger(), nullable=False),
        sa.Column("last_seal", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("held_count", sa.BigInteger(), nullable=False),
        sa.Column("min_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("max_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256_plain", sa.String(length=64), nullable=True),
        sa.Column("sha256_file", sa.String(length=64), nullable=True),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=True),
        sa.Column("boots", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pruned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_audit_segment")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_segment_id")),
        sqlite_autoincrement=True,
    )
    with batch_alter("audit_segment", schema=None) as batch_op:
        batch_op.create_index(
            "ix_audit_segment_verified",
            ["stream", "first_id"],
            unique=False,
            sqlite_where=sa.text("state = 'verified'"),
            postgresql_where=sa.text("state = 'verified'"),
        )
        batch_op.create_index("uq_audit_segment_stream_first_id", ["stream", "first_id"], unique=True)

    op.create_table(
        "audit_seal_leaves",
        sa.Column(
            "seal_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["seal_id"], ["audit_seal.id"], name=op.f("fk_audit_seal_leaves_seal_id_audit_seal")
        ),
        sa.PrimaryKeyConstraint("seal_id", name=op.f("pk_audit_seal_leaves")),
        sqlite_autoincrement=True,
    )

    if op.get_context().dialect.name == "postgresql":
        _guard_on_postgres()
    else:
        _guard_on_sqlite()


def downgrade() -> None:
    """Back to the one before. Drops the seals, and what is known of the archive."""
    if op.get_context().dialect.name == "postgresql":
        _as_before_on_postgres()
    else:
        _as_before_on_sqlite()
    op.drop_table("audit_seal_leaves")
    with batch_alter("audit_segment", schema=None) as batch_op:
        batch_op.drop_index("uq_audit_segment_stream_first_id")
        batch_op.drop_index(
            "ix_audit_segment_verified",
            sqlite_where=sa.text("state = 'verified'"),
            postgresql_where=sa.text("state = 'verified'"),
        )

    op.drop_table("audit_segment")
    with batch_alter("audit_seal", schema=None) as batch_op:
        batch_op.drop_index("uq_audit_seal_stream_number")
        batch_op.drop_index("ix_audit_seal_stream_last_id")

    op.drop_table("audit_seal")
    with batch_alter("audit_hold", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_audit_hold_active",
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    op.drop_table("audit_hold")
