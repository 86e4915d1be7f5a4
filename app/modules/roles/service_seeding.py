"""The roles that every system begins with, and what they get when modules bring new privileges."""

from collections.abc import Iterable

from app.core.module import Catalog
from app.core.transaction import UnitOfWork
from app.modules.privileges.service import PrivilegeService
from app.modules.roles.models import Role
from app.modules.roles.repository import RoleRepository

SUPERUSER, ADMIN, AUDITOR, REGULAR = "superuser", "admin", "auditor", "regular"
_DESCRIPTIONS = {
    SUPERUSER: "May everything. The only role that passes every check.",
    ADMIN: "Runs the system: every privilege that modules declare, but for purging and the audit log.",
    AUDITOR: "Reads, exports and verifies the audit log, and nothing else.",
    REGULAR: "What everybody gets who registers.",
}


class RoleSeeding:
    """Never brings back what was changed or deleted: each thing is given once, when it first appears."""

    def __init__(self, uow: UnitOfWork, catalog: Catalog) -> None:
        """Joins whatever transaction is open."""
        self.uow = uow
        self.catalog = catalog
        self.roles = RoleRepository(uow)
        self.privileges = PrivilegeService(uow)

    async def synchronise(self, *, retire: bool) -> bool:
        """Privileges as modules declare them; new ones go to the seeded roles that are there already.

        Returns whether anything had to be changed.
        """
        if await self.privileges.in_line(self.catalog, retire=retire):
            return False
        async with self.uow.transaction():
            new = await self.privileges.synchronise(self.catalog, retire=retire)
            for role in await self.roles.seeded():
                await self._give(role, self._grants(role.name, new), self._modules(role.name, new))
        return True

    async def seed(self) -> list[str]:
        """Makes the seeded roles that never existed; returns their names."""
        made: list[str] = []
        async with self.uow.transaction():
            await self.uow.lock("roles")
            for name, description in _DESCRIPTIONS.items():
                if await self.roles.ever_existed(name):
                    continue
                role = Role(
                    name=name, description=description, is_superuser=name == SUPERUSER, is_system=True
                )
                await self.roles.add(role)
                codes = list(self.catalog.privileges)
                await self._give(role, self._grants(name, codes), self._modules(name, codes))
                made.append(name)
            if made:
                await self.privileges.renew_epoch()
        return made

    async def _give(self, role: Role, codes: Iterable[str], modules: Iterable[str]) -> None:
        if role.pk is None:
            raise RuntimeError("the role was not flushed")
        keys = await self.privileges.keys_of(codes)
        await self.roles.add_privileges(role.pk, keys.values())
        await self.roles.set_modules(role.pk, {*await self.roles.modules_of(role.pk), *modules})

    def _grants(self, role: str, codes: Iterable[str]) -> set[str]:
        """Those among the codes that go to the role: declared by their modules, or by the rule of `admin`."""
        among = set(codes)
        declared = {code for module in self.catalog.modules for code in module.grants.get(role, ())}
        if role == ADMIN:
            declared |= {
                privilege.code
                for module in self.catalog.modules
                for privilege in module.privileges
                if not module.restricted and privilege.action != "purge"
            }
        return declared & among

    def _modules(self, role: str, codes: Iterable[str]) -> set[str]:
        """Modules that go to the role, among those whose read privilege is new."""
        among = set(codes)
        return {
            module.name
            for module in self.catalog.modules
            if role in module.assigned_to and f"{module.name}:read" in among
        }
