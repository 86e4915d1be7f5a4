"""What people are called, by their public ids."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from app.core.entity import table_of
from app.core.query import PublicId, Query, among, id_list
from app.core.transaction import UnitOfWork
from app.modules.users.models import User

_COLUMNS = (table_of(User).c["id"].cast(PublicId()).label("id"), table_of(User).c["email"])
_LABELS = {
    is_sqlite: Query(select(*_COLUMNS).where(among(col(User.id), "ids", is_sqlite=is_sqlite)))
    for is_sqlite in (True, False)
}


class LabelRepository:
    """Addresses of users, soft-deleted ones among them."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Reads only."""
        self.uow = uow

    async def emails(self, ids: Sequence[UUID]) -> dict[str, str]:
        """The address of each id that has one."""
        is_sqlite = self.uow.database.is_sqlite
        rows = await self.uow.fetch(_LABELS[is_sqlite], {"ids": id_list(ids, is_sqlite=is_sqlite)})
        return {str(id): str(email) for id, email in rows}
