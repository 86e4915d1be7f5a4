"""The module's privileges, and the guards that ask for them."""

from typing import Annotated

from fastapi import Depends

from app.auth.dependencies import PermissionChecker
from app.auth.principal import Principal
from app.core.module import Privilege

READ = "users:read"
CREATE = "users:create"
UPDATE = "users:update"
DELETE = "users:delete"
PURGE = "users:purge"
BLOCK = "users:block"
RESET_PASSWORD = "users:reset_password"  # noqa: S105  a privilege
ASSIGN_ROLES = "users:assign_roles"

PRIVILEGES = (
    Privilege(READ, "See users."),
    Privilege(CREATE, "Make accounts for others."),
    Privilege(UPDATE, "Change name and e-mail address of others."),
    Privilege(DELETE, "Delete and restore accounts."),
    Privilege(PURGE, "Remove accounts for good, with all that is theirs."),
    Privilege(BLOCK, "Block and unblock accounts."),
    Privilege(RESET_PASSWORD, "Set a password that must be changed at the next login."),
    Privilege(ASSIGN_ROLES, "Give and take roles, out of what one holds."),
)

CanList = Annotated[Principal, Depends(PermissionChecker(READ, deleted=DELETE))]
CanRead = Annotated[Principal, Depends(PermissionChecker(READ))]
CanCreate = Annotated[Principal, Depends(PermissionChecker(CREATE))]
CanUpdate = Annotated[Principal, Depends(PermissionChecker(UPDATE))]
CanDelete = Annotated[Principal, Depends(PermissionChecker(DELETE, hard=PURGE))]
CanRestore = Annotated[Principal, Depends(PermissionChecker(DELETE))]
CanBlock = Annotated[Principal, Depends(PermissionChecker(BLOCK))]
CanResetPassword = Annotated[Principal, Depends(PermissionChecker(RESET_PASSWORD, in_person=True))]
CanAssignRoles = Annotated[Principal, Depends(PermissionChecker(ASSIGN_ROLES, in_person=True))]
