"""What users do with their own account, and what authentication asks about accounts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from app.auth.passwords import normalized
from app.auth.ports import Attempt
from app.auth.principal import Principal
from app.core.errors import FieldError, Forbidden, Invalid, WeakPassword
from app.core.listing import Where
from app.modules.roles.schemas import RoleRef
from app.modules.users.models import User
from app.modules.users.schemas import Account, ProfileUpdate, UserColumns, UserRead, UserRegister
from app.modules.users.service import DEFAULT_ROLE, UserService

_CHOSEN = {"must_change_password": False, "password_expires_at": None}


class AccountService(UserService):
    """The same users, from their own point of view."""

    async def register(self, data: UserRegister) -> UserRead:
        """A new account with the default role. Raises Conflict for an address in use, WeakPassword."""
        row = await self.draft(data.email, data.password, data.full_name)
        async with self.uow.transaction():
            await self.users.add(row)
            if row.pk is not None and (role := await self.roles.find_by_name(DEFAULT_ROLE)) is not None:
                await self.roles.assign(row.pk, [role], actor=None)
        return await self.read(row.id)

    async def create_with_roles(
        self, email: str, password: str, full_name: str | None, roles: list[str]
    ) -> UserRead:
        """An account with these roles by name, for commands. Raises Conflict, Invalid, WeakPassword."""
        row = await self.draft(email, password, full_name)
        async with self.uow.transaction():
            await self.users.add(row)
            ids = {name: await self.roles.find_by_name(name) for name in roles}
            if unknown := [name for name, id in ids.items() if id is None]:
                raise Invalid(f"There is no role {', '.join(unknown)}.")
            if row.pk is not None:
                await self.roles.assign(row.pk, [id for id in ids.values() if id is not None], actor=None)
        return await self.read(row.id)

    async def update_profile(self, data: ProfileUpdate, caller: Principal) -> UserRead:
        """Changes one's own name."""
        async with self.uow.transaction():
            row = await self.users.get(caller.user_id)
            await self.users.update(row, data.model_dump(exclude_unset=True))
        return await self.read(caller.user_id)

    async def change_password(self, current: str, new: str, caller: Principal) -> None:
        """Sets a new password; other sessions end, this one stays. Raises Forbidden, WeakPassword."""
        account, attempt = await self._confirmed(current, caller, "current_password")
        if account.must_change_password and normalized(new) == normalized(current):
            fault = FieldError(loc=["body", "new_password"], code="unchanged", message="Choose another one.")
            raise WeakPassword("The new password is the one that must be changed.", errors=[fault])
        hashed = await self.hashed(new, account.email, account.full_name, "new_password")
        async with self.uow.transaction():
            row = await self._unchanged(account)
            await attempt.succeed()
            await self.users.update(row, {"password_hash": hashed, **_CHOSEN})
            await self.sessions.end_all(account.pk, "password_changed", except_id=caller.session_id)

    async def delete_own(self, password: str, caller: Principal) -> None:
        """Soft-deletes one's own account. Raises Forbidden, LastSuperuser."""
        account, attempt = await self._confirmed(password, caller, "password")
        async with self.uow.transaction():
            await self.uow.lock("superusers")
            row = await self._unchanged(account)
            await attempt.succeed()
            await self._not_last_superuser(row)
            await self._remove(row, hard=False)

    async def read_own(self, caller: Principal) -> UserRead:
        """The caller's own account; out of the cache, whose key has the row's version from this very request."""

        async def load() -> dict[str, Any]:
            return (await self.users.read(caller.user_id, UserColumns)).model_dump(mode="json")

        columns = await self.kernel.profiles.get(caller.profile_key, load)
        roles = [RoleRef(id=role.id, name=role.name) for role in caller.rights.roles]
        return UserRead(**columns, roles=roles)

    # for authentication

    async def find_account(self, email: str) -> Account | None:
        """The live account of a canonical address."""
        return await self.users.read_where(Account, self.users.with_email(email))

    async def find_account_by_key(self, pk: int) -> Account | None:
        """The live account with this integer key."""
        return await self.users.read_where(Account, self.users.with_key(pk))

    async def set_password(self, account: Account, hashed: str) -> None:
        """Sets a chosen password and ends everything that was open. Needs a transaction that holds the row."""
        row = await self._unchanged(account)
        await self.users.update(row, {"password_hash": hashed, **_CHOSEN})
        await self._end_everything(row, "password_reset")

    async def lock_unchanged(self, account: Account) -> bool:
        """Locks the account's row; False where its password or state changed since it was read.

        Between verifying a password and opening a session, the password may be changed or the account blocked.
        """
        row = await self.users.find_locked(account.id)
        return row is not None and _is_same(row, account)

    async def note_login(self, account: Account, moment: datetime, new_hash: str | None) -> None:
        """Keeps the time of the login, and a stronger hash if there is one. Needs a transaction."""
        await self.users.note_login(account.pk, moment, new_hash)

    async def end_everything(self, user_id: UUID, reason: str) -> None:
        """Ends every session and kills every token of a user."""
        async with self.uow.transaction():
            await self._end_everything(await self.users.get(user_id), reason)

    async def _confirmed(self, password: str, caller: Principal, field: str) -> tuple[Account, Attempt]:
        """The caller's account, once the password was verified. Raises Forbidden, RateLimited."""
        async with self.kernel.attempts(self.uow).at_password(caller.user_id) as attempt:
            where = Where("id", self.users.has_id, {"id": caller.user_id})
            account = await self.users.read_where(Account, where)
            verdict = await self.kernel.hasher.verify(password, account.password_hash if account else None)
            if account is None or not verdict.matches:
                await attempt.fail()
                fault = FieldError(loc=["body", field], code="wrong", message="The password is wrong.")
                raise Forbidden("The password is wrong.", errors=[fault])
        return account, attempt

    async def _unchanged(self, account: Account) -> User:
        row = await self.users.find_locked(account.id)
        if row is None or not _is_same(row, account):
            raise Forbidden("The account was changed in between.")
        return row


def _is_same(row: User, account: Account) -> bool:
    return (
        row.password_hash == account.password_hash
        and row.auth_version == account.auth_version
        and row.is_blocked == account.is_blocked
    )
