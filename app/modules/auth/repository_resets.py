"""Queries about forgotten passwords."""

from datetime import datetime

from sqlalchemy import bindparam
from sqlalchemy import select as sa_select
from sqlmodel import col, delete, select, update

from app.core.query import Query, type_of
from app.core.transaction import UnitOfWork
from app.modules.auth.models import PasswordReset

_BY_HASH = Query(
    sa_select(col(PasswordReset.user_pk), col(PasswordReset.expires_at)).where(
        col(PasswordReset.token_hash) == bindparam("token_hash")
    )
)


class ResetRepository:
    """Requests and links; writing needs an open transaction."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Works on the transaction that is open when a method is called."""
        self.uow = uow

    async def add(self, row: PasswordReset) -> None:
        """Inserts."""
        self.uow.session.add(row)
        await self.uow.session.flush()

    async def owner_of(self, token_hash: str, moment: datetime) -> int | None:
        """The integer key of the user whom a link belongs to that is not yet over, or None."""
        rows = await self.uow.fetch(_BY_HASH, {"token_hash": token_hash})
        return next((int(user_pk) for user_pk, expires_at in rows if expires_at > moment), None)

    async def take_due(self, moment: datetime, until: datetime) -> PasswordReset | None:
        """The oldest request whose mail is due, kept from other workers `until` then; None where there is none."""
        due = select(PasswordReset).where(col(PasswordReset.due_at) <= moment).order_by(col(PasswordReset.pk))
        row = (await self.uow.session.exec(due.limit(1).with_for_update(skip_locked=True))).first()
        if row is not None:
            row.due_at, row.attempts = until, row.attempts + 1
            await self.uow.session.flush()
        return row

    async def has_due(self, moment: datetime) -> bool:
        """Whether any mail is due; asks through the read door."""
        return bool(await self.uow.fetch(_DUE, {"moment": moment}))

    async def become_link(self, pk: int, user_pk: int, token_hash: str, expires_at: datetime) -> bool:
        """Makes the request a link, the only one of this user; False where the request is gone."""
        mine = (col(PasswordReset.user_pk) == user_pk) & (col(PasswordReset.pk) != pk)
        await self.uow.session.exec(delete(PasswordReset).where(mine))
        changed = await self.uow.session.exec(
            update(PasswordReset)
            .where(col(PasswordReset.pk) == pk)
            .values(user_pk=user_pk, token_hash=token_hash, expires_at=expires_at)
        )
        return bool(changed.rowcount)

    async def set_due(self, pk: int, due_at: datetime | None) -> None:
        """When the mail is due next; None once it is out."""
        await self.uow.session.exec(
            update(PasswordReset).where(col(PasswordReset.pk) == pk).values(due_at=due_at)
        )

    async def remove(self, pk: int) -> None:
        """Removes a request."""
        await self.uow.session.exec(delete(PasswordReset).where(col(PasswordReset.pk) == pk))

    async def remove_of(self, user_pk: int) -> None:
        """Removes every link of a user."""
        await self.uow.session.exec(delete(PasswordReset).where(col(PasswordReset.user_pk) == user_pk))

    async def forget_before(self, moment: datetime, limit: int) -> int:
        """Removes up to so many links and requests from before `moment`; returns how many."""
        old = sa_select(col(PasswordReset.pk)).where(col(PasswordReset.created_at) < moment).limit(limit)
        found = await self.uow.session.exec(delete(PasswordReset).where(col(PasswordReset.pk).in_(old)))
        return int(found.rowcount)


_DUE = Query(
    sa_select(col(PasswordReset.pk))
    .where(col(PasswordReset.due_at) <= bindparam("moment", type_=type_of(col(PasswordReset.due_at))))
    .limit(1)
)
