"""Use cases of items. Owners may everything with their own but purge; others need the privilege."""

from uuid import UUID

from app.auth.principal import Principal
from app.core.listing import Listing
from app.core.search import first_text_hits
from app.core.transaction import UnitOfWork
from app.modules.items.models import Item
from app.modules.items.permissions import DELETE, PURGE, READ, UPDATE
from app.modules.items.repository import ItemRepository
from app.modules.items.schemas import (
    ItemCreate,
    ItemQuery,
    ItemRead,
    ItemSearch,
    ItemSummary,
    ItemUpdate,
    MyItemQuery,
)


class ItemService:
    """Every public write is one transaction, or part of the caller's."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Joins whatever transaction is open on this unit of work."""
        self.uow = uow
        self.items = ItemRepository(uow)

    async def page(self, query: ItemQuery) -> Listing[ItemSummary]:
        """A page of everybody's items."""
        return await self.items.page(query, ItemSummary)

    async def page_mine(self, query: MyItemQuery, caller: Principal) -> Listing[ItemSummary]:
        """A page of the caller's own items."""
        return await self.items.page(query, ItemSummary, self.items.owned_by(caller.user_pk))

    async def search(self, query: ItemSearch) -> Listing[ItemSummary]:
        """Items in which each word of the question begins a word; hits in the title first, then the newest."""
        return await self.items.page(query, ItemSummary, lead=first_text_hits(Item, query.q))

    async def read(self, id: UUID, caller: Principal) -> ItemRead:
        """An item. Raises NotFound, also for those that the caller may not see."""
        item = await self.items.read(id, ItemRead)
        if item.owner_id != caller.user_id and not caller.can(READ):
            raise self.items.not_found()
        return item

    async def create(self, data: ItemCreate, caller: Principal) -> ItemRead:
        """A new item of the caller's."""
        async with self.uow.transaction():
            row = await self.items.add(Item(**data.model_dump(), owner_pk=caller.user_pk))
        return await self.items.read(row.id, ItemRead)

    async def update(self, id: UUID, data: ItemUpdate, caller: Principal) -> ItemRead:
        """Changes an item. Raises NotFound, Forbidden, Conflict."""
        async with self.uow.transaction():
            row = await self._allowed(id, caller, UPDATE)
            await self.items.update(row, data.model_dump(exclude_unset=True))
        return await self.items.read(id, ItemRead)

    async def delete(self, id: UUID, caller: Principal, *, hard: bool) -> None:
        """Deletes an item; `hard` needs the privilege, for one's own too. Raises NotFound, Forbidden."""
        async with self.uow.transaction():
            if hard:
                await self.items.purge(await self._purgeable(id, caller))
            else:
                await self.items.delete(await self._allowed(id, caller, DELETE))

    async def restore(self, id: UUID, caller: Principal) -> ItemRead:
        """Brings an item back. Raises NotFound, Forbidden, Conflict."""
        async with self.uow.transaction():
            await self.items.restore(await self._allowed(id, caller, DELETE, deleted=True))
        return await self.items.read(id, ItemRead)

    async def _allowed(self, id: UUID, caller: Principal, privilege: str, *, deleted: bool = False) -> Item:
        """The item, if it is the caller's own or the privilege is held: 404 where it can't be seen, else 403."""
        row = await self.items.get(id, deleted=deleted)
        if row.owner_pk != caller.user_pk and not caller.can(privilege):
            if not caller.can(READ):
                raise self.items.not_found()
            caller.require(privilege)
        return row

    async def _purgeable(self, id: UUID, caller: Principal) -> Item:
        """The item, live or deleted, for who may purge; that privilege alone is enough, and owners need it too."""
        if not caller.can(PURGE):
            await self.read(id, caller)  # 404 for who may not know of it
            caller.require(PURGE)
        return await self.items.get(id, deleted=None)
