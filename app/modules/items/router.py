"""The calls below `/items`."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from app.auth.dependencies import Caller
from app.core.answers import created
from app.core.pagination import Flag, Page
from app.core.platform import uow_of
from app.core.routing import ModuleRouter
from app.modules.items.permissions import CanCreate, CanList, MayDelete, MayRead, MayRestore, MayUpdate
from app.modules.items.schemas import (
    ItemCreate,
    ItemQuery,
    ItemRead,
    ItemSearch,
    ItemSummary,
    ItemUpdate,
    MyItemQuery,
)
from app.modules.items.service import ItemService

router = ModuleRouter("/items", tags=["items"])


async def _service(request: Request) -> ItemService:
    return ItemService(uow_of(request))


Service = Annotated[ItemService, Depends(_service)]


@router.get("", response_model=Page[ItemSummary])
async def list_items(
    query: Annotated[ItemQuery, Query()], service: Service, _: CanList, request: Request
) -> Response:
    """Everybody's items, the newest first."""
    return (await service.page(query)).response(request)


@router.get("/my", response_model=Page[ItemSummary])
async def list_my_items(
    query: Annotated[MyItemQuery, Query()], service: Service, caller: Caller, request: Request
) -> Response:
    """One's own items, the newest first."""
    return (await service.page_mine(query, caller)).response(request)


@router.get("/search", response_model=Page[ItemSummary])
async def search_items(
    query: Annotated[ItemSearch, Query()], service: Service, _: CanList, request: Request
) -> Response:
    """Items in which each word of `q` begins a word; hits in the title first, then the newest."""
    return (await service.search(query)).response(request)


@router.post("", status_code=201)
async def create_item(
    data: ItemCreate, service: Service, caller: CanCreate, request: Request, response: Response
) -> ItemRead:
    """Makes an item of one's own."""
    item = await service.create(data, caller)
    created(request, response, item.id)
    return item


@router.get("/{item_id}")
async def read_item(item_id: UUID, service: Service, caller: MayRead) -> ItemRead:
    """An item: one's own, or anybody's with `items:read`."""
    return await service.read(item_id, caller)


@router.patch("/{item_id}")
async def update_item(item_id: UUID, data: ItemUpdate, service: Service, caller: MayUpdate) -> ItemRead:
    """Changes an item: one's own, or anybody's with `items:update`."""
    return await service.update(item_id, data, caller)


@router.delete("/{item_id}", status_code=204)
async def delete_item(item_id: UUID, service: Service, caller: MayDelete, hard: Flag = False) -> None:
    """Deletes an item: one's own, or anybody's with `items:delete`. `hard` needs `items:purge`."""
    await service.delete(item_id, caller, hard=hard)


@router.post("/{item_id}/restore")
async def restore_item(item_id: UUID, service: Service, caller: MayRestore) -> ItemRead:
    """Brings a deleted item back: one's own, or anybody's with `items:delete`."""
    return await service.restore(item_id, caller)
