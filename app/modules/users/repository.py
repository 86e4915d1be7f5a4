"""Queries about users."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, func
from sqlmodel import col, select, update

from app.core.entity import AnyColumn, table_of
from app.core.listing import Where
from app.core.repository import BaseRepository
from app.core.transaction import UnitOfWork
from app.modules.users.models import User, new_stamp
from app.modules.users.schemas import UserSummary

HoldersCondition = Callable[[AnyColumn, AnyColumn], ColumnElement[bool]]
Among = Callable[[AnyColumn], ColumnElement[bool]]


class UserRepository(BaseRepository[User]):
    """Users by id and by canonical e-mail address."""

    model = User
    summaries = (UserSummary,)

    def __init__(self, uow: UnitOfWork, holders: HoldersCondition) -> None:
        """`holders` makes the condition "holds the role with this id"; roles are another module's."""
        super().__init__(uow)
        self._holders = holders

    def filter(self, name: str, value: Any) -> Where:
        """`role` asks who holds it."""
        if name == "role":
            wanted = bindparam("role", type_=table_of(User).c["id"].type)
            return Where("role", lambda: self._holders(col(User.pk), wanted), {"role": value})
        return super().filter(name, value)

    def with_email(self, email: str) -> Where:
        """The condition for one canonical address."""
        return Where(
            "email", lambda: func.lower(col(User.email)) == func.lower(bindparam("email")), {"email": email}
        )

    def with_key(self, pk: int) -> Where:
        """The condition for one integer key."""
        return Where(
            "pk", lambda: col(User.pk) == bindparam("pk", type_=table_of(User).c["pk"].type), {"pk": pk}
        )

    async def find_locked(self, id: UUID) -> User | None:
        """The live user as stored now, whom nobody else changes until the transaction ends."""
        statement = self.statement().where(col(User.id) == id).with_for_update()
        return (await self.uow.session.exec(statement.execution_options(populate_existing=True))).first()

    async def all_among(self, among: Among) -> Sequence[User]:
        """The live users that another module's condition names. Needs a transaction."""
        return await self.all(among(col(User.pk)))

    async def count_others(self, pk: int, among: Among) -> int:
        """How many live users that are not blocked it names besides this one. Needs a transaction."""
        others = among(col(User.pk)) & (col(User.pk) != pk)
        active = select(func.count()).where(self.live(), col(User.is_blocked).is_(False), others)
        return int((await self.uow.session.exec(active)).one())

    # bookkeeping: Core statements, so that neither version nor change log move

    async def note_login(self, pk: int, moment: datetime, new_hash: str | None) -> None:
        """The time of the last login, and the hash with today's parameters if the stored one is weaker."""
        changes: dict[str, object] = {"last_login_at": moment}
        if new_hash is not None:
            changes["password_hash"] = new_hash
        await self._note(pk, changes)

    async def renew_rights(self, pk: int) -> None:
        """Puts cached rights of the user out of reach from the commit on."""
        await self._note(pk, {"rights_version": new_stamp()})

    async def raise_auth_version(self, pk: int) -> None:
        """Kills every token of the user from the commit on."""
        await self._note(pk, {"auth_version": col(User.auth_version) + 1})

    async def _note(self, pk: int, changes: dict[str, object]) -> None:
        await self.flush()
        await self.uow.session.exec(update(User).where(col(User.pk) == pk).values(**changes))
