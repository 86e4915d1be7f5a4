"""Legal holds as values, for rows that are in files."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core.evidence.canonical import instant_of


@dataclass(frozen=True, slots=True)
class Hold:
    """What an active hold keeps: rows that fit all that is given."""

    stream: str | None
    actor_id: str | None
    entity: str | None
    entity_id: str | None
    from_at: datetime | None
    to_at: datetime | None

    def keeps(self, row: Mapping[str, Any]) -> bool:
        """Whether it keeps a row of a file. A row of the access log has no entity, and one without fits none."""
        wanted = {"actor_id": self.actor_id, "entity": self.entity, "entity_id": self.entity_id}
        if any(value is not None and row.get(name) != value for name, value in wanted.items()):
            return False
        at = instant_of(row["occurred_at"])
        return (self.from_at is None or at >= self.from_at) and (self.to_at is None or at < self.to_at)
