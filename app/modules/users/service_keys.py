"""Keys of users, for what other modules' rows refer to."""

from collections.abc import Sequence
from uuid import UUID

from app.core.transaction import UnitOfWork
from app.modules.users.repository_keys import UserKeyRepository


class UserKeyService:
    """Reads only, inside the caller's transaction."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Joins whatever transaction is open."""
        self.users = UserKeyRepository(uow)

    async def key_of(self, id: UUID, field: str) -> int:
        """The key of a live user, for a reference. Raises Invalid, which names `field`."""
        return await self.users.key_of(id, field)

    async def keys_of(self, ids: Sequence[UUID], field: str) -> list[int]:
        """The same for several. Raises Invalid, which names the entries of `field`."""
        return await self.users.keys_of(ids, field)
