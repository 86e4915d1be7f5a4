"""The calls below `/users`."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from app.auth.dependencies import Caller, Changing, Person, kernel_of
from app.core.answers import created, secret
from app.core.pagination import Flag, Page
from app.core.platform import platform_of, uow_of
from app.core.routing import ModuleRouter
from app.modules.roles.service import RoleService
from app.modules.users.permissions import (
    CanAssignRoles,
    CanBlock,
    CanCreate,
    CanDelete,
    CanList,
    CanRead,
    CanResetPassword,
    CanRestore,
    CanUpdate,
)
from app.modules.users.schemas import (
    AccountDelete,
    EffectivePrivileges,
    PasswordChange,
    PasswordSetting,
    ProfileUpdate,
    TemporaryPassword,
    UserBlock,
    UserCreate,
    UserQuery,
    UserRead,
    UserRoles,
    UserSummary,
    UserUpdate,
)
from app.modules.users.service_accounts import AccountService

router = ModuleRouter("/users", tags=["users"])


async def _service(request: Request) -> AccountService:
    uow, platform, kernel = uow_of(request), platform_of(request), kernel_of(request)
    return AccountService(uow, RoleService(uow, platform.catalog), kernel)


Service = Annotated[AccountService, Depends(_service)]


@router.get("/me")
async def read_me(service: Service, caller: Caller) -> UserRead:
    """One's own account."""
    return await service.read_own(caller)


@router.get("/me/privileges")
async def read_my_privileges(service: Service, caller: Caller) -> EffectivePrivileges:
    """What one's account may, and where each privilege comes from. A narrowed API key may less."""
    return await service.explain(caller.user_id)


@router.patch("/me")
async def update_me(data: ProfileUpdate, service: Service, caller: Person) -> UserRead:
    """Changes one's own name."""
    return await service.update_profile(data, caller)


@router.delete("/me", status_code=204)
async def delete_me(data: AccountDelete, service: Service, caller: Person) -> None:
    """Deletes one's own account and ends all its sessions. The last superuser can't."""
    await service.delete_own(data.password, caller)


@router.post("/me/change-password", status_code=204)
async def change_my_password(data: PasswordChange, service: Service, caller: Changing) -> None:
    """Sets a new password. Other sessions end, this one stays."""
    await service.change_password(data.current_password, data.new_password, caller)


@router.get("", response_model=Page[UserSummary])
async def list_users(
    query: Annotated[UserQuery, Query()], service: Service, _: CanList, request: Request
) -> Response:
    """Users, the newest first."""
    return (await service.page(query)).response(request)


@router.post("", status_code=201)
async def create_user(
    data: UserCreate, service: Service, principal: CanCreate, request: Request, response: Response
) -> UserRead:
    """Makes an account for somebody else. Giving roles needs `users:assign_roles`."""
    user = await service.create(data, principal)
    created(request, response, user.id)
    return user


@router.get("/{user_id}")
async def read_user(user_id: UUID, service: Service, _: CanRead) -> UserRead:
    """A user with their roles."""
    return await service.read(user_id)


@router.patch("/{user_id}")
async def update_user(user_id: UUID, data: UserUpdate, service: Service, principal: CanUpdate) -> UserRead:
    """Changes name and e-mail address. A new address ends the user's sessions."""
    return await service.update(user_id, data, principal)


@router.delete("/{user_id}", status_code=204)
async def delete_user(user_id: UUID, service: Service, principal: CanDelete, hard: Flag = False) -> None:
    """Deletes an account and ends its sessions; `hard` removes it for good, with all that is its own."""
    await service.delete(user_id, principal, hard=hard)


@router.post("/{user_id}/restore")
async def restore_user(user_id: UUID, service: Service, principal: CanRestore) -> UserRead:
    """Brings a deleted account back. Its old sessions stay dead."""
    return await service.restore(user_id, principal)


@router.post("/{user_id}/block")
async def block_user(
    user_id: UUID, service: Service, principal: CanBlock, data: UserBlock | None = None
) -> UserRead:
    """Blocks an account and ends all its sessions."""
    return await service.block(user_id, data.reason if data else None, principal)


@router.post("/{user_id}/unblock")
async def unblock_user(user_id: UUID, service: Service, principal: CanBlock) -> UserRead:
    """Lets a blocked user log in again. Old sessions stay dead."""
    return await service.unblock(user_id, principal)


@router.post("/{user_id}/reset-password", response_model_exclude_none=True)
async def reset_user_password(
    user_id: UUID,
    service: Service,
    principal: CanResetPassword,
    response: Response,
    data: PasswordSetting | None = None,
) -> TemporaryPassword:
    """Sets a password that must be changed at the next login, within 72 hours; ends all sessions.

    Without `new_password` the server makes one up and shows it here, once.
    """
    secret(response)
    made_up = await service.reset_password(user_id, data.new_password if data else None, principal)
    return TemporaryPassword(temporary_password=made_up)


@router.get("/{user_id}/privileges")
async def read_user_privileges(user_id: UUID, service: Service, _: CanRead) -> EffectivePrivileges:
    """What a user may, and where each privilege comes from: which roles hold it, or its module."""
    return await service.explain(user_id)


@router.put("/{user_id}/roles")
async def set_user_roles(
    user_id: UUID, data: UserRoles, service: Service, principal: CanAssignRoles
) -> UserRead:
    """Makes the user's roles be exactly these. Nobody can give a role that grants more than they hold."""
    return await service.set_roles(user_id, data.role_ids, principal)
