"""The calls below `/roles`."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from app.core.answers import created
from app.core.pagination import Flag, Page
from app.core.platform import platform_of, uow_of
from app.core.routing import ModuleRouter
from app.modules.roles.permissions import CanCreate, CanDelete, CanList, CanRead, CanRestore, CanUpdate
from app.modules.roles.schemas import (
    RoleCreate,
    RoleModules,
    RolePrivileges,
    RoleQuery,
    RoleRead,
    RoleSummary,
    RoleUpdate,
)
from app.modules.roles.service import RoleService

router = ModuleRouter("/roles", tags=["roles"])


async def _service(request: Request) -> RoleService:
    return RoleService(uow_of(request), platform_of(request).catalog)


Service = Annotated[RoleService, Depends(_service)]


@router.get("", response_model=Page[RoleSummary])
async def list_roles(
    query: Annotated[RoleQuery, Query()], service: Service, _: CanList, request: Request
) -> Response:
    """Roles, by name."""
    return (await service.page(query)).response(request)


@router.post("", status_code=201)
async def create_role(
    data: RoleCreate, service: Service, principal: CanCreate, request: Request, response: Response
) -> RoleRead:
    """Makes a role; nobody can put into it what they lack."""
    role = await service.create(data, principal)
    created(request, response, role.id)
    return role


@router.get("/{role_id}")
async def read_role(role_id: UUID, service: Service, _: CanRead) -> RoleRead:
    """A role with what it grants and how many users hold it."""
    return await service.read(role_id)


@router.patch("/{role_id}")
async def update_role(role_id: UUID, data: RoleUpdate, service: Service, principal: CanUpdate) -> RoleRead:
    """Changes name and description. A system role can't be renamed."""
    return await service.update(role_id, data, principal)


@router.delete("/{role_id}", status_code=204)
async def delete_role(role_id: UUID, service: Service, principal: CanDelete, hard: Flag = False) -> None:
    """Deletes a role that nobody holds; `hard` for good."""
    await service.delete(role_id, principal, hard=hard)


@router.post("/{role_id}/restore")
async def restore_role(role_id: UUID, service: Service, _: CanRestore) -> RoleRead:
    """Brings a deleted role back; nobody holds it."""
    return await service.restore(role_id)


@router.put("/{role_id}/privileges")
async def set_role_privileges(
    role_id: UUID, data: RolePrivileges, service: Service, principal: CanUpdate
) -> RoleRead:
    """Makes the role's privileges be exactly these; counts from the next request of its holders."""
    return await service.set_privileges(role_id, data.codes, principal)


@router.put("/{role_id}/modules")
async def set_role_modules(
    role_id: UUID, data: RoleModules, service: Service, principal: CanUpdate
) -> RoleRead:
    """Makes the role's modules be exactly these; each grants the module's read."""
    return await service.set_modules(role_id, data.modules, principal)
