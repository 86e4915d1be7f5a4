"""What people are called, for those who only have their ids."""

from collections.abc import Collection
from uuid import UUID

from app.core.transaction import UnitOfWork
from app.modules.users.repository_labels import LabelRepository


class LabelService:
    """Reads only."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Joins whatever transaction is open."""
        self.labels = LabelRepository(uow)

    async def emails_of(self, ids: Collection[UUID]) -> dict[str, str]:
        """The addresses that users have now, soft-deleted ones too, by the texts of their ids; none for the purged."""
        return await self.labels.emails(sorted(ids)) if ids else {}
