<% guard = "May" if v.owned else "Can" %>\
<% delete_guard = "MayDelete" if v.owned and v.soft else "CanDelete" %>\
<% asker = ("caller: " if v.owned else "_: ") %>\
<% making = ("caller: " if v.asks_caller else "_: ") %>\
<% called = (", caller" if v.owned else "") %>\
<% made_by = (", caller" if v.asks_caller else "") %>\
<% made = "made" if v.single in ("caller", "created", "data", "request", "response", "service") else v.single %>\
<% id = v.single + "_id" %>\
<% anybody = ": one's own, or anybody's with `" + v.code + ":" %>\
"""The calls below `${v.path}`."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from app.auth.dependencies import Caller
from app.core.answers import created
from app.core.pagination import Flag, Page
from app.core.platform import uow_of
from app.core.routing import ModuleRouter
from app.modules.${v.code}.permissions import CanCreate, CanDelete, CanList, CanRead, CanRestore, CanUpdate, MayDelete, MayRead, MayRestore, MayUpdate
from app.modules.${v.code}.schemas import ${v.name}Create, ${v.name}Query, ${v.name}Read, ${v.name}Search, ${v.name}Summary, ${v.name}Update, My${v.name}Query
from app.modules.${v.code}.service import ${v.name}Service

router = ModuleRouter("${v.path}", tags=["${v.code}"])


async def _service(request: Request) -> ${v.name}Service:
    return ${v.name}Service(uow_of(request))


Service = Annotated[${v.name}Service, Depends(_service)]


@router.get("", response_model=Page[${v.name}Summary])
async def list_${v.table}(
    query: Annotated[${v.name}Query, Query()], service: Service, _: CanList, request: Request
) -> Response:
    """${"Everybody's " + v.many if v.owned else capital(v.many)}, the newest first."""
    return (await service.page(query)).response(request)
% if v.owned:


@router.get("/my", response_model=Page[${v.name}Summary])
async def list_my_${v.table}(
    query: Annotated[My${v.name}Query, Query()], service: Service, caller: Caller, request: Request
) -> Response:
    """One's own ${v.many}, the newest first."""
    return (await service.page_mine(query, caller)).response(request)
% endif
% if v.searchable:


@router.get("/search", response_model=Page[${v.name}Summary])
async def search_${v.table}(
    query: Annotated[${v.name}Search, Query()], service: Service, _: CanList, request: Request
) -> Response:
    """${capital(v.many)} in which each word of `q` begins a word; ${v.hits}."""
    return (await service.search(query)).response(request)
% endif


@router.post("", status_code=201)
async def create_${v.single}(
    data: ${v.name}Create, service: Service, ${making}CanCreate, request: Request, response: Response
) -> ${v.name}Read:
    """Makes ${v.a_one}${" of one's own" if v.owned else ""}."""
    ${made} = await service.create(data${made_by})
    created(request, response, ${made}.id)
    return ${made}


@router.get("/${"{" + id + "}"}")
async def read_${v.single}(${id}: UUID, service: Service, ${asker}${guard}Read) -> ${v.name}Read:
    """${capital(v.a_one)}${anybody + "read`" if v.owned else ""}."""
    return await service.read(${id}${called})


@router.patch("/${"{" + id + "}"}")
async def update_${v.single}(${id}: UUID, data: ${v.name}Update, service: Service, ${making}${guard}Update) -> ${v.name}Read:
    """Changes ${v.a_one}${anybody + "update`" if v.owned else ""}."""
    return await service.update(${id}, data${made_by})


@router.delete("/${"{" + id + "}"}", status_code=204)
% if v.soft:
async def delete_${v.single}(${id}: UUID, service: Service, ${asker}${delete_guard}, hard: Flag = False) -> None:
% if v.owned:
    """Deletes ${v.a_one}${anybody}delete`. `hard` needs `${v.code}:purge`."""
% else:
    """Deletes ${v.a_one}; `hard` removes it for good."""
% endif
    await service.delete(${id}${called}, hard=hard)


@router.post("/${"{" + id + "}"}/restore")
async def restore_${v.single}(${id}: UUID, service: Service, ${asker}${guard}Restore) -> ${v.name}Read:
    """Brings a deleted ${v.one} back${anybody + "delete`" if v.owned else ""}."""
    return await service.restore(${id}${called})
% else:
async def delete_${v.single}(${id}: UUID, service: Service, _: CanDelete) -> None:
    """Removes ${v.a_one} for good."""
    await service.delete(${id})
% endif
