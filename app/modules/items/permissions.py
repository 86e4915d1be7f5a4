"""The module's privileges, and the guards that ask for them."""

from typing import Annotated

from fastapi import Depends

from app.auth.dependencies import OwnerOr, PermissionChecker
from app.auth.principal import Principal
from app.core.module import Privilege

READ = "items:read"
CREATE = "items:create"
UPDATE = "items:update"
DELETE = "items:delete"
PURGE = "items:purge"

PRIVILEGES = (
    Privilege(READ, "See everybody's items."),
    Privilege(CREATE, "Make items of one's own."),
    Privilege(UPDATE, "Change everybody's items."),
    Privilege(DELETE, "Delete and restore everybody's items."),
    Privilege(PURGE, "Remove items for good."),
)

CanList = Annotated[Principal, Depends(PermissionChecker(READ, deleted=DELETE))]
CanCreate = Annotated[Principal, Depends(PermissionChecker(CREATE))]
MayRead = Annotated[Principal, Depends(OwnerOr(READ))]
MayUpdate = Annotated[Principal, Depends(OwnerOr(UPDATE))]
MayDelete = Annotated[Principal, Depends(OwnerOr(DELETE, PURGE))]
MayRestore = Annotated[Principal, Depends(OwnerOr(DELETE))]
