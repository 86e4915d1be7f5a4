"""${message}

Revision: ${up_revision}
Revises: ${down_revision | comma,n}
Made: ${create_date}
"""

from collections.abc import Sequence

import sqlalchemy as sa
<%
    # What rendered types may speak of, each line once and in the order of the formatter.
    always = {
        "from alembic import op",
        "from sqlalchemy import Text",
        "from sqlalchemy.dialects import postgresql",
    }
    lines = sorted(always | {line for line in (imports or "").splitlines() if line})
%>\
${"\n".join(lines)}

from app.core.migration import batch_alter

revision: str = ${repr(up_revision)}
down_revision: str | Sequence[str] | None = ${repr(down_revision)}
branch_labels: str | Sequence[str] | None = ${repr(branch_labels)}
depends_on: str | Sequence[str] | None = ${repr(depends_on)}


def upgrade() -> None:
    """To this revision."""
    ${upgrades.replace("op.batch_alter_table(", "batch_alter(") if upgrades else "pass"}


def downgrade() -> None:
    """Back to the one before."""
    ${downgrades.replace("op.batch_alter_table(", "batch_alter(") if downgrades else "pass"}
