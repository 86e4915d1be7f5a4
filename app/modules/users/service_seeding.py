"""The first superuser."""

from uuid import UUID

from app.auth.passwords import PasswordHasher
from app.core.errors import Conflict
from app.core.transaction import UnitOfWork
from app.modules.roles.service import RoleService
from app.modules.users.models import User
from app.modules.users.repository import UserRepository


class SuperuserSeeding:
    """Makes the first superuser, and never a second one."""

    def __init__(self, uow: UnitOfWork, roles: RoleService, hasher: PasswordHasher) -> None:
        """Joins whatever transaction is open."""
        self.uow = uow
        self.users = UserRepository(uow, roles.holders)
        self.roles = roles
        self.hasher = hasher

    async def exists(self) -> bool:
        """Whether any live user is a superuser, blocked or not."""
        async with self.uow.transaction():
            return bool(await self._superusers())

    async def ensure(self, email: str, password: str) -> UUID | None:
        """Makes the superuser unless there is one; returns the new one's id. Raises Conflict for a taken address."""
        if await self.exists():
            return None
        password_hash = await self.hasher.hash(password)
        async with self.uow.transaction():
            await self.uow.lock("superusers")
            role = await self.roles.superuser_role()
            if role is None:
                raise Conflict("The roles are not seeded yet.")
            if await self._superusers():
                return None
            row = await self.users.add(
                User(email=email, full_name="Administrator", password_hash=password_hash)
            )
            if row.pk is not None:
                await self.roles.assign(row.pk, [role], actor=None)
        return row.id

    async def anyone_with(self, password: str) -> bool:
        """Whether an active superuser has this password."""
        async with self.uow.transaction():
            hashes = [row.password_hash for row in await self._superusers() if not row.is_blocked]
        verdicts = [await self.hasher.verify(password, stored) for stored in hashes]
        return any(verdict.matches for verdict in verdicts)

    async def _superusers(self) -> list[User]:
        return list(await self.users.all_among(self.roles.superusers))
