"""Link tables: what one row is connected with, read as public ids and replaced as a set."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field
from sqlalchemy import BigInteger, bindparam
from sqlalchemy import select as sa_select
from sqlmodel import SQLModel, select

from app.core.entity import Record, referenced, table_of
from app.core.faults import translated
from app.core.query import Query
from app.core.transaction import UnitOfWork

MAX_LINKS = 1000
Ids = Annotated[list[UUID], Field(max_length=MAX_LINKS)]


class Links:
    """The rows of one link table. Every one of them that comes or goes is in the change log."""

    _queries: ClassVar[dict[tuple[type[SQLModel], str], Query]] = {}

    def __init__(self, uow: UnitOfWork, model: type[SQLModel], own: str, other: str) -> None:
        """`own`, `other`: the columns with the keys of the row and of what it is connected with."""
        self.uow = uow
        self.model = model
        self.own = own
        self.other = other

    async def ids(self, pk: int) -> list[UUID]:
        """Public ids of what the row is connected with, in their order; soft-deleted ones are left out."""
        key = (self.model, self.own)
        if key not in self._queries:
            self._queries[key] = self._query()
        return [id for (id,) in await self.uow.fetch(self._queries[key], {"own": pk})]

    async def replace(self, row: Record, keys: Iterable[int]) -> bool:
        """Makes the links of a row be exactly these; returns whether that changed anything. Needs a transaction."""
        own: Any = getattr(self.model, self.own)
        rows: Sequence[SQLModel] = (
            await self.uow.session.exec(select(self.model).where(own == row.pk))
        ).all()
        present = {getattr(link, self.other): link for link in rows}
        wanted = set(keys)
        for key in present.keys() - wanted:
            await self.uow.session.delete(present[key])
        for key in sorted(wanted - present.keys()):
            self.uow.session.add(self.model(**{self.own: row.pk, self.other: key}))
        with translated:
            await self.uow.session.flush()
        return present.keys() != wanted

    def _query(self) -> Query:
        links = table_of(self.model)
        target = referenced(links.c[self.other])
        statement = (
            sa_select(target.c.id)
            .select_from(links)
            .join(target, target.c.pk == links.c[self.other])
            .where(links.c[self.own] == bindparam("own", type_=BigInteger))
            .order_by(target.c.id)
        )
        stamp = target.c.get("deleted_at")
        return Query(statement if stamp is None else statement.where(stamp.is_(None)))
