"""Use cases of privileges: the team's own are edited, those of modules follow the code."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement

from app.auth.ports import Grants
from app.core.errors import Conflict, Invalid
from app.core.listing import Listing
from app.core.module import Catalog
from app.core.module import Privilege as Declared
from app.core.transaction import UnitOfWork
from app.modules.privileges.models import Privilege
from app.modules.privileges.repository import PrivilegeRepository, epoch_column
from app.modules.privileges.schemas import (
    PrivilegeCreate,
    PrivilegeQuery,
    PrivilegeRead,
    PrivilegeSummary,
    PrivilegeUpdate,
)

_FOLLOWS_CODE = "This privilege is declared by a module and follows the code."


class PrivilegeService:
    """Every public write is one transaction, or part of the caller's."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Joins whatever transaction is open on this unit of work."""
        self.uow = uow
        self.privileges = PrivilegeRepository(uow)

    async def page(self, query: PrivilegeQuery) -> Listing[PrivilegeSummary]:
        """A page of privileges."""
        return await self.privileges.page(query, PrivilegeSummary)

    async def read(self, code: str) -> PrivilegeRead:
        """One privilege. Raises NotFound."""
        found = await self.privileges.read_where(PrivilegeRead, self.privileges.with_code(code))
        if found is None:
            raise self.privileges.not_found()
        return found

    async def create(self, data: PrivilegeCreate) -> PrivilegeRead:
        """A privilege of the team's own. Raises Conflict if the code is taken."""
        module, _, action = data.code.partition(":")
        async with self.uow.transaction():
            row = Privilege(code=data.code, module=module, action=action, description=data.description)
            await self.privileges.add(row)
            await self.privileges.renew_epoch()  # superusers hold it from now on
        return await self.read(data.code)

    async def update(self, code: str, data: PrivilegeUpdate) -> PrivilegeRead:
        """Changes the description. Raises NotFound, Conflict."""
        async with self.uow.transaction():
            row = await self._own(code)
            await self.privileges.update(row, data.model_dump(exclude_unset=True))
        return await self.read(code)

    async def delete(self, code: str, grants: Grants, *, hard: bool) -> None:
        """Takes it from every role at once, then deletes it. Raises NotFound, Conflict."""
        async with self.uow.transaction():
            await self._hold()
            row = await self._own(code, deleted=None if hard else False)
            if row.pk is not None:
                await grants.withdraw(row.pk)
            await (self.privileges.purge(row) if hard else self.privileges.delete(row))
            await self.privileges.renew_epoch()

    async def restore(self, code: str) -> PrivilegeRead:
        """Brings it back, held by no role. Raises NotFound, Conflict if the code is taken."""
        async with self.uow.transaction():
            row = await self.privileges.get_by_code(code, deleted=True)
            if row.is_system:
                raise Conflict(_FOLLOWS_CODE)
            await self.privileges.restore(row)
            await self.privileges.renew_epoch()
        return await self.read(code)

    async def keys_of(self, codes: Iterable[str], field: str = "codes") -> dict[str, int]:
        """Integer keys of live privileges by code. Raises Invalid if one is unknown. Needs a transaction.

        Until it ends, nobody deletes a privilege or gives one to a role. `field`: where the codes come from.
        """
        await self._hold()
        wanted = list(codes)
        rows = await self.privileges.by_codes(set(wanted))
        found = {row.code: row.pk for row in rows if row.pk is not None}
        if unknown := [index for index, code in enumerate(wanted) if code not in found]:
            raise Invalid.entries(field, unknown, "There is no such privilege.", "unknown")
        return found

    async def renew_epoch(self) -> None:
        """Makes every cached set of rights unreachable; part of the transaction that changes what roles grant."""
        await self.privileges.renew_epoch()

    async def live_codes(self) -> set[str]:
        """The codes of all live privileges: what a superuser holds."""
        return await self.privileges.live_codes()

    @staticmethod
    def epoch() -> ColumnElement[int]:
        """A column for other modules' queries: the present epoch, 0 before anything was ever granted."""
        return epoch_column()

    async def synchronise(self, catalog: Catalog, *, retire: bool) -> list[str]:
        """Brings the table in line with what modules declare; returns the codes that were never there before.

        With `retire`, what no module declares any more is soft-deleted; it comes back, with the roles that held
        it, when its module does. A starting server does not retire: an older one may start beside a newer one.
        """
        async with self.uow.transaction():
            await self._hold()
            known = {row.code: row for row in await self.privileges.declared()}
            new = [code for code in catalog.privileges if code not in known]
            for code, privilege in catalog.privileges.items():
                await self._declare(privilege, known.get(code))
            for code, row in known.items():
                if retire and row.deleted_at is None and code not in catalog.privileges:
                    await self.privileges.delete(row)
            await self.privileges.renew_epoch()
        return new

    async def _declare(self, privilege: Declared, row: Privilege | None) -> None:
        if row is None:
            code, module, action = privilege.code, privilege.module, privilege.action
            row = await self.privileges.add(Privilege(code=code, module=module, action=action))
        values = {"description": privilege.description, "is_system": True}
        await self.privileges.update(row, {**values, "deleted_at": None, "deleted_by": None})

    async def in_line(self, catalog: Catalog, *, retire: bool) -> bool:
        """Whether `synchronise` would change nothing; asks only, writes nothing."""
        stored = await self.privileges.system_codes()
        declared = {code: privilege.description for code, privilege in catalog.privileges.items()}
        return stored == declared if retire else declared.items() <= stored.items()

    async def _hold(self) -> None:
        # Given to a role while it was being deleted, a privilege would be held again once it is restored.
        await self.uow.lock("privileges")

    async def _own(self, code: str, *, deleted: bool | None = False) -> Privilege:
        row = await self.privileges.get_by_code(code, deleted=deleted)
        if row.is_system:
            raise Conflict(_FOLLOWS_CODE)
        return row
