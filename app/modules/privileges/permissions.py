"""The module's own privileges, and the guards that ask for them."""

from typing import Annotated

from fastapi import Depends

from app.auth.dependencies import PermissionChecker
from app.auth.principal import Principal
from app.core.module import Privilege

READ = "privileges:read"
CREATE = "privileges:create"
UPDATE = "privileges:update"
DELETE = "privileges:delete"
PURGE = "privileges:purge"

PRIVILEGES = (
    Privilege(READ, "See privileges."),
    Privilege(CREATE, "Make privileges of the team's own."),
    Privilege(UPDATE, "Describe the team's own privileges."),
    Privilege(DELETE, "Delete and restore the team's own privileges."),
    Privilege(PURGE, "Remove the team's own privileges for good."),
)

CanList = Annotated[Principal, Depends(PermissionChecker(READ, deleted=DELETE))]
CanRead = Annotated[Principal, Depends(PermissionChecker(READ))]
CanCreate = Annotated[Principal, Depends(PermissionChecker(CREATE, in_person=True))]
CanUpdate = Annotated[Principal, Depends(PermissionChecker(UPDATE, in_person=True))]
CanDelete = Annotated[Principal, Depends(PermissionChecker(DELETE, in_person=True, hard=PURGE))]
CanRestore = Annotated[Principal, Depends(PermissionChecker(DELETE, in_person=True))]
