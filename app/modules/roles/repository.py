"""Queries about roles, their links, and what users hold through them."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Table, bindparam, func
from sqlalchemy import select as sa_select
from sqlmodel import SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.core.entity import AnyColumn, referenced, table_of
from app.core.listing import Where
from app.core.query import Query
from app.core.repository import BaseRepository
from app.modules.roles.models import Role, RoleModule, RolePrivilege, UserRole
from app.modules.roles.schemas import RoleRef, RoleSummary

K = TypeVar("K", int, str)
L = TypeVar("L", bound=SQLModel)

_USER = bindparam("user_pk", type_=BigInteger)
_ROLE = bindparam("role_pk", type_=BigInteger)
_LIVE = col(Role.deleted_at).is_(None)

_ROLES_OF_USER = Query(
    sa_select(col(Role.id), col(Role.name), col(Role.is_superuser), col(Role.pk))
    .join(UserRole, col(UserRole.role_pk) == col(Role.pk))
    .where(col(UserRole.user_pk) == _USER, _LIVE)
    .order_by(col(Role.name))
)
_MODULES_OF_USER = Query(
    sa_select(col(RoleModule.module))
    .distinct()
    .select_from(UserRole)
    .join(Role, (col(Role.pk) == col(UserRole.role_pk)) & _LIVE)
    .join(RoleModule, col(RoleModule.role_pk) == col(Role.pk))
    .where(col(UserRole.user_pk) == _USER)
)
_MODULES_OF_ROLE = Query(
    sa_select(col(RoleModule.module)).where(col(RoleModule.role_pk) == _ROLE).order_by(col(RoleModule.module))
)

_HELD = sa_select(col(UserRole.user_pk)).join(Role, (col(Role.pk) == col(UserRole.role_pk)) & _LIVE)


@cache
def _privileges() -> Table:
    """The module below is joined through its foreign key: its models are not imported."""
    return referenced(table_of(RolePrivilege).c.privilege_pk)


@cache
def _privileges_of_user() -> Query:
    privileges = _privileges()
    return Query(
        sa_select(privileges.c.code)
        .distinct()
        .select_from(UserRole)
        .join(Role, (col(Role.pk) == col(UserRole.role_pk)) & _LIVE)
        .join(RolePrivilege, col(RolePrivilege.role_pk) == col(Role.pk))
        .join(privileges, privileges.c.pk == col(RolePrivilege.privilege_pk))
        .where(col(UserRole.user_pk) == _USER, privileges.c.deleted_at.is_(None))
    )


@cache
def _privileges_of_role() -> Query:
    privileges = _privileges()
    return Query(
        sa_select(privileges.c.code)
        .select_from(RolePrivilege)
        .join(privileges, privileges.c.pk == col(RolePrivilege.privilege_pk))
        .where(col(RolePrivilege.role_pk) == _ROLE, privileges.c.deleted_at.is_(None))
        .order_by(privileges.c.code)
    )


@cache
def _users() -> Table:
    return referenced(table_of(UserRole).c.user_pk)


@cache
def _holders() -> Query:
    users = _users()
    counted = sa_select(func.count().label("n")).select_from(UserRole)
    return Query(
        counted.join(users, users.c.pk == col(UserRole.user_pk)).where(
            col(UserRole.role_pk) == _ROLE, users.c.deleted_at.is_(None)
        )
    )


class RoleRepository(BaseRepository[Role]):
    """Roles, and the links to privileges, modules and users."""

    model = Role
    summaries = (RoleSummary,)

    def named(self, name: str) -> Where:
        """The condition for one name."""
        return Where("name", lambda: col(Role.name) == bindparam("name"), {"name": name})

    def of_superusers(self) -> Where:
        """The condition for the superuser role."""
        return Where("superuser", lambda: col(Role.is_superuser).is_(True))

    async def seeded(self) -> Sequence[Role]:
        """The live roles that the system begins with. Needs a transaction."""
        return await self.all(col(Role.is_system).is_(True))

    async def ever_existed(self, name: str) -> bool:
        """Whether any role has or had this name, a soft-deleted one included. Needs a transaction."""
        return await self.find(col(Role.name) == name, deleted=None) is not None

    async def by_ids(self, ids: Iterable[UUID]) -> Sequence[Role]:
        """The live roles among these ids, by name; nobody deletes them until the transaction ends."""
        statement = self.statement().where(col(Role.id).in_(list(ids))).with_for_update(read=True)
        found = (await self.uow.session.exec(statement)).all()
        return sorted(found, key=lambda role: role.name)

    async def held_by(self, user_pk: int) -> Sequence[tuple[RoleRef, bool, int]]:
        """Live roles of a user by name: reference, whether it is the superuser's, integer key."""
        rows = await self.uow.fetch(_ROLES_OF_USER, {"user_pk": user_pk})
        return [(RoleRef(id=id, name=name), bool(is_superuser), pk) for id, name, is_superuser, pk in rows]

    async def granted_to(self, user_pk: int) -> tuple[set[str], set[str]]:
        """Codes of privileges, and names of modules, that a user has through live roles."""
        values = {"user_pk": user_pk}
        codes = {row[0] for row in await self.uow.fetch(_privileges_of_user(), values)}
        modules = {row[0] for row in await self.uow.fetch(_MODULES_OF_USER, values)}
        return codes, modules

    async def privileges_of(self, role_pk: int) -> list[str]:
        """Codes of the live privileges of a role, sorted."""
        return [row[0] for row in await self.uow.fetch(_privileges_of_role(), {"role_pk": role_pk})]

    async def modules_of(self, role_pk: int) -> list[str]:
        """Names of the modules of a role, sorted."""
        return [row[0] for row in await self.uow.fetch(_MODULES_OF_ROLE, {"role_pk": role_pk})]

    async def count_holders(self, role_pk: int) -> int:
        """How many live users hold the role, blocked ones included."""
        return int((await self.uow.fetch(_holders(), {"role_pk": role_pk}))[0][0])

    async def hold(self, role_pk: int) -> None:
        """Locks the role: until the transaction ends, nobody gives it to anybody or changes what it grants."""
        await self.uow.session.exec(select(Role.pk).where(Role.pk == role_pk).with_for_update())

    async def forget_holders(self, role_pk: int) -> None:
        """Takes the role from everybody."""
        await self._drop(select(UserRole).where(UserRole.role_pk == role_pk))

    async def set_privileges(self, role_pk: int, privilege_pks: Iterable[int]) -> bool:
        """Makes the links be exactly these; returns whether that changed anything."""
        wanted = set(privilege_pks)
        rows = (
            await self.uow.session.exec(select(RolePrivilege).where(RolePrivilege.role_pk == role_pk))
        ).all()
        return await self._set_links(
            {row.privilege_pk: row for row in rows},
            {pk: RolePrivilege(role_pk=role_pk, privilege_pk=pk) for pk in wanted},
        )

    async def add_privileges(self, role_pk: int, privilege_pks: Iterable[int]) -> None:
        """Adds links; those to privileges that are retired at the moment stay."""
        statement = select(RolePrivilege.privilege_pk).where(RolePrivilege.role_pk == role_pk)
        present = set((await self.uow.session.exec(statement)).all())
        for key in sorted(set(privilege_pks) - present):
            self.uow.session.add(RolePrivilege(role_pk=role_pk, privilege_pk=key))
        await self.flush()

    async def set_modules(self, role_pk: int, modules: Iterable[str]) -> bool:
        """Makes the links be exactly these; returns whether that changed anything."""
        rows = (await self.uow.session.exec(select(RoleModule).where(RoleModule.role_pk == role_pk))).all()
        return await self._set_links(
            {row.module: row for row in rows},
            {name: RoleModule(role_pk=role_pk, module=name) for name in set(modules)},
        )

    async def set_holder(self, user_pk: int, role_pks: Iterable[int]) -> bool:
        """Makes the roles of a user be exactly these; returns whether that changed anything."""
        rows = (await self.uow.session.exec(select(UserRole).where(UserRole.user_pk == user_pk))).all()
        return await self._set_links(
            {row.role_pk: row for row in rows},
            {pk: UserRole(user_pk=user_pk, role_pk=pk) for pk in set(role_pks)},
        )

    async def _set_links(self, present: dict[K, L], wanted: dict[K, L]) -> bool:
        for key in present.keys() - wanted.keys():
            await self.uow.session.delete(present[key])
        for key in sorted(wanted.keys() - present.keys()):
            self.uow.session.add(wanted[key])
        await self.flush()
        return present.keys() != wanted.keys()

    async def forget_privilege(self, privilege_pk: int) -> None:
        """Takes a privilege from every role."""
        await self._drop(select(RolePrivilege).where(RolePrivilege.privilege_pk == privilege_pk))

    async def _drop(self, links: SelectOfScalar[L]) -> None:
        for link in (await self.uow.session.exec(links)).all():
            await self.uow.session.delete(link)
        await self.flush()

    def holders(self, users_pk: AnyColumn, role_id: AnyColumn) -> ColumnElement[bool]:
        """Condition on a column of users' keys: those that hold the live role."""
        return users_pk.in_(_HELD.where(col(Role.id) == role_id))

    def superusers(self, users_pk: AnyColumn) -> ColumnElement[bool]:
        """Condition on a column of users' keys: those that hold the superuser role."""
        return users_pk.in_(_HELD.where(col(Role.is_superuser).is_(True)))
