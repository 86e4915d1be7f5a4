"""Queries about legal holds."""

from typing import Any

from sqlmodel import col
from sqlmodel.sql.expression import SelectOfScalar

from app.core.errors import NotFound
from app.core.evidence.models import AuditHold
from app.core.listing import Where
from app.core.repository import BaseRepository
from app.modules.audit.schemas_holds import HoldSummary


class HoldRepository(BaseRepository[AuditHold]):
    """Holds, the released ones too."""

    model = AuditHold
    summaries = (HoldSummary,)

    def statement(self, *, deleted: bool | None = False) -> SelectOfScalar[AuditHold]:
        """Locked: of two who release the same hold at once, the second one finds it released."""
        return super().statement(deleted=deleted).with_for_update()

    def filter(self, name: str, value: Any) -> Where:
        """`active` asks whether the hold was released, others for equality."""
        if name != "active":
            return super().filter(name, value)
        released = col(AuditHold.released_at)
        return Where(f"active:{value}", lambda: released.is_(None) if value else released.is_not(None))

    def not_found(self) -> NotFound:
        """In plain words."""
        return NotFound("There is no such hold.")
