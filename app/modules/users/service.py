"""Use cases of accounts. Only superusers touch superusers, and the last active one survives."""

from datetime import timedelta
from secrets import choice
from uuid import UUID

from app.auth.passwords import check_policy
from app.auth.ports import Kernel
from app.auth.principal import Principal
from app.core.clock import now
from app.core.errors import Conflict, Forbidden, LastSuperuser
from app.core.listing import Listing
from app.core.transaction import UnitOfWork
from app.modules.roles.service import RoleService
from app.modules.users.models import User
from app.modules.users.permissions import ASSIGN_ROLES
from app.modules.users.repository import UserRepository
from app.modules.users.schemas import (
    EffectivePrivilege,
    EffectivePrivileges,
    UserColumns,
    UserCreate,
    UserQuery,
    UserRead,
    UserRow,
    UserSummary,
    UserUpdate,
)

DEFAULT_ROLE = "regular"
# How long a password opens anything that an administrator has set.
TEMPORARY_LIFE = timedelta(hours=72)
_SPEAKABLE = "abcdefghjkmnpqrstuvwxyz23456789"


class UserService:
    """Every public write is one transaction, or part of the caller's."""

    def __init__(self, uow: UnitOfWork, roles: RoleService, kernel: Kernel) -> None:
        """`kernel` hashes passwords, and ends sessions when an account changes."""
        self.uow = uow
        self.users = UserRepository(uow, roles.holders)
        self.roles = roles
        self.kernel = kernel
        self.sessions = kernel.sessions(uow)

    async def page(self, query: UserQuery) -> Listing[UserSummary]:
        """A page of users."""
        return await self.users.page(query, UserSummary)

    async def read(self, id: UUID) -> UserRead:
        """A user with their roles. Raises NotFound."""
        row = await self.users.read(id, UserRow)
        return UserRead(**row.model_dump(exclude={"pk"}), roles=await self.roles.refs_of(row.pk))

    async def create(self, data: UserCreate, actor: Principal) -> UserRead:
        """An account made by an administrator. Raises Conflict, Forbidden, Invalid, WeakPassword."""
        if data.role_ids:
            actor.require(ASSIGN_ROLES)
            actor.require_person()
        row = await self.draft(data.email, data.password, data.full_name)
        async with self.uow.transaction():
            await self.users.add(row)
            role_ids = data.role_ids if data.role_ids is not None else await self._default_roles(actor)
            await self.roles.assign(_key(row), role_ids, actor)
        return await self.read(row.id)

    async def update(self, id: UUID, data: UserUpdate, actor: Principal) -> UserRead:
        """Changes name and address; a new address ends the sessions. Raises NotFound, Conflict, Forbidden."""
        changes = data.model_dump(exclude_unset=True)
        async with self.uow.transaction():
            row = await self._touchable(id, actor)
            moved = changes.get("email", row.email) != row.email
            if moved:  # whoever gets the mails of an account can set its password
                actor.require_person()
                _not_oneself(row, actor, "change the address of")
                await self._require_reach(row, actor)
            await self.users.update(row, changes)
            if moved:
                await self._end_everything(row, "email_changed")
        return await self.read(id)

    async def delete(self, id: UUID, actor: Principal, *, hard: bool) -> None:
        """Deletes an account. Raises NotFound, Conflict for oneself, LastSuperuser, Forbidden."""
        async with self.uow.transaction():
            row = await self._touchable(id, actor, deleted=None if hard else False)
            await self._not_last_superuser(row)
            _not_oneself(row, actor, "delete")
            await self._remove(row, hard=hard)

    async def restore(self, id: UUID, actor: Principal) -> UserRead:
        """Brings an account back; its old sessions stay dead. Raises NotFound, Conflict, Forbidden."""
        async with self.uow.transaction():
            await self.users.restore(await self._touchable(id, actor, deleted=True))
        return await self.read(id)

    async def block(self, id: UUID, reason: str | None, actor: Principal) -> UserRead:
        """Blocks and ends all sessions. Raises NotFound, Conflict for oneself, LastSuperuser, Forbidden."""
        async with self.uow.transaction():
            row = await self._touchable(id, actor)
            await self._not_last_superuser(row)
            _not_oneself(row, actor, "block")
            await self.users.update(row, {"is_blocked": True, "blocked_reason": reason})
            await self._end_everything(row, "blocked")
        return await self.read(id)

    async def unblock(self, id: UUID, actor: Principal) -> UserRead:
        """Lets the user log in again; old sessions stay dead. Raises NotFound, Forbidden."""
        async with self.uow.transaction():
            row = await self._touchable(id, actor)
            await self.users.update(row, {"is_blocked": False, "blocked_reason": None})
        return await self.read(id)

    async def reset_password(self, id: UUID, password: str | None, actor: Principal) -> str | None:
        """Sets a password that must be changed; returns it if it was made up here. Ends all sessions.

        Raises NotFound, Conflict for oneself, Forbidden for who may more than the actor, WeakPassword.
        """
        target = await self.users.read(id, UserColumns)
        made_up = None if password is not None else self._made_up()
        hashed = await self.hashed(made_up or password or "", target.email, target.full_name, "new_password")
        async with self.uow.transaction():
            row = await self._touchable(id, actor)
            _not_oneself(row, actor, "reset the password of")
            await self._require_reach(row, actor)
            limits = {"must_change_password": True, "password_expires_at": now() + TEMPORARY_LIFE}
            await self.users.update(row, {"password_hash": hashed, **limits})
            await self._end_everything(row, "password_reset")
        return made_up

    async def explain(self, id: UUID) -> EffectivePrivileges:
        """What a user may, and where each privilege comes from. Raises NotFound."""
        row = await self.users.read(id, UserRow)
        found = await self.roles.explain(row.pk)
        return EffectivePrivileges(
            is_superuser=any(source.via == "superuser" for sources in found.values() for source in sources),
            privileges=[EffectivePrivilege(code=code, sources=sources) for code, sources in found.items()],
        )

    async def set_roles(self, id: UUID, role_ids: list[UUID], actor: Principal) -> UserRead:
        """Makes the user's roles be exactly these. Raises NotFound, Conflict, LastSuperuser, Forbidden, Invalid."""
        async with self.uow.transaction():
            row = await self._touchable(id, actor)
            pk = _key(row)
            held = {ref.id for ref in await self.roles.refs_of(pk)}
            if held - set(role_ids):
                await self._not_last_superuser(row, unless_holding=role_ids)
                _not_oneself(row, actor, "take roles from")
            if await self.roles.assign(pk, role_ids, actor):
                await self.users.renew_rights(pk)
        return await self.read(id)

    # shared with the account's own use cases

    async def draft(self, email: str, password: str, full_name: str | None) -> User:
        """A user not yet stored; hashing happens here, before any transaction. Raises WeakPassword and others."""
        hashed = await self.hashed(password, email, full_name)
        return User(email=email, full_name=full_name, password_hash=hashed)

    async def hashed(
        self, password: str, email: str, full_name: str | None = None, field: str = "password"
    ) -> str:
        """The hash of a password that may be set. Raises WeakPassword, CompromisedPassword, Unavailable."""
        minimum = self.kernel.password_min_length
        check_policy(password, min_length=minimum, email=email, full_name=full_name, field=field)
        return await self.kernel.hasher.hash(password)

    def _made_up(self) -> str:
        """A password to be read out on the telephone: no characters that look alike."""
        length = max(20, self.kernel.password_min_length)
        return "".join(choice(_SPEAKABLE) for _ in range(length))

    async def _remove(self, row: User, *, hard: bool) -> None:
        await self._end_everything(row, "deleted")
        await (self.users.purge(row) if hard else self.users.delete(row))

    async def _end_everything(self, row: User, reason: str) -> None:
        await self.users.raise_auth_version(_key(row))
        await self.sessions.end_all(_key(row), reason)

    async def _touchable(self, id: UUID, actor: Principal, *, deleted: bool | None = False) -> User:
        # The lock makes rules about superusers hold against a second change under way.
        await self.uow.lock("superusers")
        row = await self.users.get(id, deleted=deleted)
        if not actor.is_superuser and (await self.roles.rights_of(_key(row))).is_superuser:
            raise Forbidden("Only superusers touch superusers.")
        return row

    async def _require_reach(self, row: User, actor: Principal) -> None:
        """Whoever sets the password of an account can act as it: nobody takes over who may more than they do.

        What everybody gets who registers is not asked for. Raises Forbidden.
        """
        held = (await self.roles.rights_of(_key(row))).privileges
        if not actor.holds_all(held - await self.roles.privileges_of_role(DEFAULT_ROLE)):
            raise Forbidden("That account may more than you do.")

    async def _not_last_superuser(self, row: User, unless_holding: list[UUID] | None = None) -> None:
        """Raises LastSuperuser if the row is the only active superuser and would not be one afterwards."""
        if row.is_blocked or row.deleted_at is not None:
            return
        if not (await self.roles.rights_of(_key(row))).is_superuser:
            return
        if unless_holding is not None and await self.roles.superuser_role() in unless_holding:
            return
        others = await self.users.count_others(_key(row), self.roles.superusers)
        if others == 0:
            raise LastSuperuser("The last active superuser can't be blocked, deleted or stripped.")

    async def _default_roles(self, actor: Principal) -> list[UUID]:
        role_id = await self.roles.find_by_name(DEFAULT_ROLE)
        return [role_id] if role_id is not None and await self.roles.may_give(role_id, actor) else []


def _not_oneself(row: User, actor: Principal, what: str) -> None:
    if row.id == actor.user_id:
        raise Conflict(f"Nobody can {what} themselves here.")


def _key(row: User) -> int:
    if row.pk is None:
        raise RuntimeError("the user was not flushed")
    return row.pk
