"""The calls below `/privileges`."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from app.auth.dependencies import kernel_of
from app.auth.ports import Grants
from app.core.answers import created
from app.core.pagination import Flag, Page
from app.core.platform import uow_of
from app.core.routing import ModuleRouter
from app.modules.privileges.permissions import CanCreate, CanDelete, CanList, CanRead, CanRestore, CanUpdate
from app.modules.privileges.schemas import (
    Code,
    PrivilegeCreate,
    PrivilegeQuery,
    PrivilegeRead,
    PrivilegeSummary,
    PrivilegeUpdate,
)
from app.modules.privileges.service import PrivilegeService

router = ModuleRouter("/privileges", tags=["privileges"])


async def _service(request: Request) -> PrivilegeService:
    return PrivilegeService(uow_of(request))


async def _grants(request: Request) -> Grants:
    return kernel_of(request).grants(uow_of(request))


Service = Annotated[PrivilegeService, Depends(_service)]


@router.get("", response_model=Page[PrivilegeSummary])
async def list_privileges(
    query: Annotated[PrivilegeQuery, Query()], service: Service, _: CanList, request: Request
) -> Response:
    """Privileges, those of modules and the team's own."""
    return (await service.page(query)).response(request)


@router.post("", status_code=201)
async def create_privilege(
    data: PrivilegeCreate, service: Service, _: CanCreate, request: Request, response: Response
) -> PrivilegeRead:
    """Makes a privilege of the team's own, for use in the team's own code."""
    privilege = await service.create(data)
    created(request, response, privilege.code)
    return privilege


@router.get("/{code}")
async def read_privilege(code: Code, service: Service, _: CanRead) -> PrivilegeRead:
    """One privilege."""
    return await service.read(code)


@router.patch("/{code}")
async def update_privilege(
    code: Code, data: PrivilegeUpdate, service: Service, _: CanUpdate
) -> PrivilegeRead:
    """Changes the description of a privilege of the team's own."""
    return await service.update(code, data)


@router.delete("/{code}", status_code=204)
async def delete_privilege(
    code: Code,
    service: Service,
    _: CanDelete,
    grants: Annotated[Grants, Depends(_grants)],
    hard: Flag = False,
) -> None:
    """Takes the privilege from every role at once and deletes it."""
    await service.delete(code, grants, hard=hard)


@router.post("/{code}/restore")
async def restore_privilege(code: Code, service: Service, _: CanRestore) -> PrivilegeRead:
    """Brings a deleted privilege back; no role holds it."""
    return await service.restore(code)
