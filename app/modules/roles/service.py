"""Use cases of roles: what they grant, who holds them. Nobody gives what they lack."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement

from app.auth.principal import HeldRole, Principal, Rights
from app.core.entity import AnyColumn
from app.core.errors import Conflict, Forbidden, InUse, Invalid
from app.core.listing import Listing
from app.core.module import Catalog
from app.core.transaction import UnitOfWork
from app.modules.privileges.service import PrivilegeService
from app.modules.roles.models import Role
from app.modules.roles.repository import RoleRepository
from app.modules.roles.schemas import (
    PrivilegeSource,
    RoleCreate,
    RoleQuery,
    RoleRead,
    RoleRef,
    RoleRow,
    RoleSummary,
    RoleUpdate,
)

_LACKING = "Nobody can grant what they lack: {}."


class RoleService:
    """Every public write is one transaction, or part of the caller's."""

    def __init__(self, uow: UnitOfWork, catalog: Catalog) -> None:
        """`catalog` tells which modules can be assigned."""
        self.uow = uow
        self.catalog = catalog
        self.roles = RoleRepository(uow)
        self.privileges = PrivilegeService(uow)

    async def page(self, query: RoleQuery) -> Listing[RoleSummary]:
        """A page of roles."""
        return await self.roles.page(query, RoleSummary)

    async def read(self, id: UUID) -> RoleRead:
        """A role with what it grants. Raises NotFound."""
        row = await self.roles.read(id, RoleRow)
        codes, modules = await self.roles.privileges_of(row.pk), await self.roles.modules_of(row.pk)
        modules = self._assignable(modules)
        effective = await self.privileges.live_codes() if row.is_superuser else _effective(codes, modules)
        return RoleRead(
            **row.model_dump(exclude={"pk"}),
            privileges=codes,
            modules=modules,
            effective=sorted(effective),
            user_count=await self.roles.count_holders(row.pk),
        )

    async def create(self, data: RoleCreate, actor: Principal) -> RoleRead:
        """A new role. Raises Invalid for what is unknown, Forbidden for what the actor lacks, Conflict."""
        self._known_modules(data.modules)
        async with self.uow.transaction():
            keys = await self.privileges.keys_of(data.privileges, "privileges")
            _may_grant(actor, data.privileges, data.modules)
            role = await self.roles.add(Role(name=data.name, description=data.description))
            pk = _key(role)
            await self.roles.set_privileges(pk, keys.values())
            await self.roles.set_modules(pk, data.modules)
        return await self.read(role.id)

    async def update(self, id: UUID, data: RoleUpdate, actor: Principal) -> RoleRead:
        """Changes name and description. Raises NotFound, Conflict, Forbidden."""
        async with self.uow.transaction():
            role = await self._editable(id, actor)
            changes = data.model_dump(exclude_unset=True)
            if role.is_system and changes.get("name", role.name) != role.name:
                raise Conflict("A system role can't be renamed.")
            is_renamed = changes.get("name", role.name) != role.name
            await self.roles.update(role, changes)
            if is_renamed:
                await self.privileges.renew_epoch()  # cached rights hold the names of roles
        return await self.read(id)

    async def delete(self, id: UUID, actor: Principal, *, hard: bool) -> None:
        """Deletes a role that nobody holds; soft-deleted users lose it. Raises NotFound, Conflict, InUse, Forbidden."""
        async with self.uow.transaction():
            role = await self._editable(id, actor, deleted=None if hard else False)
            if role.is_system:
                raise Conflict("A system role can't be deleted.")
            await self.roles.hold(_key(role))
            if holders := await self.roles.count_holders(_key(role)):
                raise InUse(f"{holders} users hold this role.")
            await self.roles.forget_holders(_key(role))
            await (self.roles.purge(role) if hard else self.roles.delete(role))
            await self.privileges.renew_epoch()

    async def restore(self, id: UUID) -> RoleRead:
        """Brings a role back; nobody holds it. Raises NotFound, Conflict."""
        async with self.uow.transaction():
            await self.roles.restore(await self.roles.get(id, deleted=True))
        return await self.read(id)

    async def set_privileges(self, id: UUID, codes: Sequence[str], actor: Principal) -> RoleRead:
        """Makes its privileges be exactly these. Raises NotFound, Invalid, Forbidden for new ones that are lacked."""
        async with self.uow.transaction():
            role = await self._editable(id, actor)
            keys = await self.privileges.keys_of(codes)
            pk = _key(role)
            await self.roles.hold(pk)  # what is taken from it meanwhile must not count as held already
            _may_grant(actor, set(codes) - set(await self.roles.privileges_of(pk)), ())
            if await self.roles.set_privileges(pk, keys.values()):
                await self.privileges.renew_epoch()
        return await self.read(id)

    async def set_modules(self, id: UUID, modules: Sequence[str], actor: Principal) -> RoleRead:
        """Makes its modules be exactly these. Raises NotFound, Invalid, Forbidden for new ones that are lacked."""
        self._known_modules(modules)
        async with self.uow.transaction():
            role = await self._editable(id, actor)
            pk = _key(role)
            await self.roles.hold(pk)
            _may_grant(actor, (), set(modules) - set(await self.roles.modules_of(pk)))
            if await self.roles.set_modules(pk, modules):
                await self.privileges.renew_epoch()
        return await self.read(id)

    async def withdraw(self, privilege_pk: int) -> None:
        """Takes a privilege from every role (port `Grants`)."""
        await self.roles.forget_privilege(privilege_pk)

    # values for other modules

    async def rights_of(self, user_pk: int) -> Rights:
        """What a user may through live roles."""
        held = await self.roles.held_by(user_pk)
        roles = tuple(HeldRole(ref.id, ref.name) for ref, _, _ in held)
        if any(is_superuser for _, is_superuser, _ in held):
            return Rights(roles, is_superuser=True, privileges=frozenset(await self.privileges.live_codes()))
        codes, modules = await self.roles.granted_to(user_pk)
        privileges = frozenset(_effective(codes, self._assignable(modules)))
        return Rights(roles, is_superuser=False, privileges=privileges)

    async def explain(self, user_pk: int) -> dict[str, list[PrivilegeSource]]:
        """Every privilege of a user by code, with each live role it comes from; both in order of their names."""
        sources: dict[str, list[PrivilegeSource]] = {}
        for ref, is_superuser, pk in await self.roles.held_by(user_pk):
            if is_superuser:
                for code in await self.privileges.live_codes():
                    sources.setdefault(code, []).append(PrivilegeSource(role=ref, via="superuser"))
                continue
            for code in await self.roles.privileges_of(pk):
                sources.setdefault(code, []).append(PrivilegeSource(role=ref, via="privilege"))
            for module in self._assignable(await self.roles.modules_of(pk)):
                sources.setdefault(f"{module}:read", []).append(PrivilegeSource(role=ref, via="module"))
        return dict(sorted(sources.items()))

    async def privileges_of_role(self, name: str) -> frozenset[str]:
        """What the live role of that name grants, implicit reads included; nothing where there is none."""
        role_id = await self.find_by_name(name)
        return frozenset((await self.read(role_id)).effective) if role_id is not None else frozenset()

    async def refs_of(self, user_pk: int) -> list[RoleRef]:
        """The live roles of a user, by name."""
        return [ref for ref, _, _ in await self.roles.held_by(user_pk)]

    async def find_by_name(self, name: str) -> UUID | None:
        """The id of the live role of that name."""
        rows = await self.roles.read_where(RoleRef, self.roles.named(name))
        return None if rows is None else rows.id

    async def superuser_role(self) -> UUID | None:
        """The id of the superuser role."""
        row = await self.roles.read_where(RoleRef, self.roles.of_superusers())
        return None if row is None else row.id

    def superusers(self, users_pk: AnyColumn) -> ColumnElement[bool]:
        """A condition for other modules' queries: the users who hold the superuser role."""
        return self.roles.superusers(users_pk)

    def holders(self, users_pk: AnyColumn, role_id: AnyColumn) -> ColumnElement[bool]:
        """A condition for other modules' queries: the users who hold the live role with this id."""
        return self.roles.holders(users_pk, role_id)

    async def may_give(self, role_id: UUID, actor: Principal) -> bool:
        """Whether the actor holds all that the role grants. Raises NotFound."""
        role = await self.read(role_id)
        return actor.is_superuser or (not role.is_superuser and actor.holds_all(frozenset(role.effective)))

    async def assign(self, user_pk: int, role_ids: Sequence[UUID], actor: Principal | None) -> bool:
        """Makes a user's roles be exactly these; returns whether that changed anything. Needs a transaction.

        Raises Invalid for unknown roles, Forbidden for new ones that grant what the actor lacks; without an
        actor (registration, commands) nothing is asked.
        """
        wanted = set(role_ids)
        roles = await self.roles.by_ids(wanted)
        if len(roles) != len(wanted):
            known = {role.id for role in roles}
            unknown = [index for index, id in enumerate(role_ids) if id not in known]
            raise Invalid.entries("role_ids", unknown, "There is no such role.", "unknown")
        held = {ref.id for ref, _, _ in await self.roles.held_by(user_pk)}
        for role in roles:
            if actor is not None and role.id not in held and not await self.may_give(role.id, actor):
                raise Forbidden(f"The role {role.name} grants more than you hold.")
        return await self.roles.set_holder(user_pk, [_key(role) for role in roles])

    async def _editable(self, id: UUID, actor: Principal, *, deleted: bool | None = False) -> Role:
        role = await self.roles.get(id, deleted=deleted)
        if role.is_superuser and not actor.is_superuser:
            raise Forbidden("Only superusers touch the superuser role.")
        return role

    def _known_modules(self, modules: Sequence[str]) -> None:
        assignable = self.catalog.assignable
        if unknown := [index for index, name in enumerate(modules) if name not in assignable]:
            raise Invalid.entries("modules", unknown, "This is no module that can be assigned.", "unknown")

    def _assignable(self, modules: Iterable[str]) -> list[str]:
        """Those that count: a module may be gone since it was assigned, or be restricted now."""
        assignable = self.catalog.assignable
        return sorted(name for name in modules if name in assignable)


def _effective(codes: Iterable[str], modules: Iterable[str]) -> set[str]:
    """Privileges and the implicit reads. A single privilege implies nothing else."""
    return {*codes, *(f"{module}:read" for module in modules)}


def _may_grant(actor: Principal, codes: Iterable[str], modules: Iterable[str]) -> None:
    lacking = sorted(code for code in _effective(codes, modules) if not actor.can(code))
    if lacking:
        raise Forbidden(_LACKING.format(", ".join(lacking)), required=lacking[0])


def _key(role: Role) -> int:
    if role.pk is None:
        raise RuntimeError("the role was not flushed")
    return role.pk
