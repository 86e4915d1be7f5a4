"""Threads, their members and messages.

Revision: 0005
Revises: 0004
Made: 2026-11-21 19:28:15.112771+00:00
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

from app.core.migration import batch_alter

revision: str = "0005"
down_revision: str | Sequence[str] | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "messenger_threads",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("creator_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("active_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["creator_pk"],
            ["users.pk"],
            name=op.f("fk_messenger_threads_creator_pk_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_messenger_threads")),
        sa.UniqueConstraint("id", name=op.f("uq_messenger_threads_id")),
        sqlite_autoincrement=True,
    )
    with batch_alter("messenger_threads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_messenger_threads_creator_pk"), ["creator_pk"], unique=False)

    op.create_table(
        "messenger_members",
        sa.Column("thread_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_number", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["thread_pk"],
            ["messenger_threads.pk"],
            name=op.f("fk_messenger_members_thread_pk_messenger_threads"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_pk"], ["users.pk"], name=op.f("fk_messenger_members_user_pk_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("thread_pk", "user_pk", name=op.f("pk_messenger_members")),
    )
    with batch_alter("messenger_members", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_messenger_members_user_pk"), ["user_pk"], unique=False)

    op.create_table(
        "messenger_messages",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_by", sa.Uuid(), nullable=True),
        sa.Column("thread_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("author_pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["author_pk"],
            ["users.pk"],
            name=op.f("fk_messenger_messages_author_pk_users"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["thread_pk"],
            ["messenger_threads.pk"],
            name=op.f("fk_messenger_messages_thread_pk_messenger_threads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_messenger_messages")),
        sa.UniqueConstraint("id", name=op.f("uq_messenger_messages_id")),
        sa.UniqueConstraint("thread_pk", "number", name="uq_messenger_messages_thread_pk_number"),
        sqlite_autoincrement=True,
    )
    with batch_alter("messenger_messages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_messenger_messages_author_pk"), ["author_pk"], unique=False)


def downgrade() -> None:
    """Back to the one before."""
    with batch_alter("messenger_messages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_messenger_messages_author_pk"))

    op.drop_table("messenger_messages")
    with batch_alter("messenger_members", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_messenger_members_user_pk"))

    op.drop_table("messenger_members")
    with batch_alter("messenger_threads", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_messenger_threads_creator_pk"))

    op.drop_table("messenger_threads")
