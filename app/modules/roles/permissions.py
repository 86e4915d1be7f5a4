"""The module's privileges, and the guards that ask for them."""

from typing import Annotated

from fastapi import Depends

from app.auth.dependencies import PermissionChecker
from app.auth.principal import Principal
from app.core.module import Privilege

READ = "roles:read"
CREATE = "roles:create"
UPDATE = "roles:update"
DELETE = "roles:delete"
PURGE = "roles:purge"

PRIVILEGES = (
    Privilege(READ, "See roles and what they grant."),
    Privilege(CREATE, "Make roles, out of what one holds."),
    Privilege(UPDATE, "Change roles, and what they grant out of what one holds."),
    Privilege(DELETE, "Delete and restore roles."),
    Privilege(PURGE, "Remove roles for good."),
)

CanList = Annotated[Principal, Depends(PermissionChecker(READ, deleted=DELETE))]
CanRead = Annotated[Principal, Depends(PermissionChecker(READ))]
CanCreate = Annotated[Principal, Depends(PermissionChecker(CREATE, in_person=True))]
CanUpdate = Annotated[Principal, Depends(PermissionChecker(UPDATE, in_person=True))]
CanDelete = Annotated[Principal, Depends(PermissionChecker(DELETE, in_person=True, hard=PURGE))]
CanRestore = Annotated[Principal, Depends(PermissionChecker(DELETE, in_person=True))]
