"""The module's privileges, and the guards that ask for them."""

from typing import Annotated

from fastapi import Depends

from app.auth.dependencies import OwnerOr, PermissionChecker
from app.auth.principal import Principal
from app.core.module import Privilege

READ = "${v.code}:read"
CREATE = "${v.code}:create"
UPDATE = "${v.code}:update"
DELETE = "${v.code}:delete"
% if v.soft:
PURGE = "${v.code}:purge"
% endif
% for privilege in v.entity.privileges:
${privilege.action.upper()} = "${v.code}:${privilege.action}"
% endfor

PRIVILEGES = (
    Privilege(READ, "See ${"everybody's " if v.owned else ""}${v.many}."),
    Privilege(CREATE, "Make ${v.many}${" of one's own" if v.owned else ""}."),
    Privilege(UPDATE, "Change ${"everybody's " if v.owned else ""}${v.many}."),
% if v.soft:
    Privilege(DELETE, "Delete and restore ${"everybody's " if v.owned else ""}${v.many}."),
    Privilege(PURGE, "Remove ${v.many} for good."),
% else:
    Privilege(DELETE, "Remove ${v.many} for good."),
% endif
% for privilege in v.entity.privileges:
    Privilege(${privilege.action.upper()}, ${kinds.literal(privilege.description)}, reserved=True),
% endfor
)

CanList = Annotated[Principal, Depends(PermissionChecker(READ${", deleted=DELETE" if v.soft else ""}))]
% if not v.owned:
CanRead = Annotated[Principal, Depends(PermissionChecker(READ))]
% endif
CanCreate = Annotated[Principal, Depends(PermissionChecker(CREATE))]
% if v.owned:
MayRead = Annotated[Principal, Depends(OwnerOr(READ))]
MayUpdate = Annotated[Principal, Depends(OwnerOr(UPDATE))]
% if v.soft:
MayDelete = Annotated[Principal, Depends(OwnerOr(DELETE, PURGE))]
MayRestore = Annotated[Principal, Depends(OwnerOr(DELETE))]
% else:
CanDelete = Annotated[Principal, Depends(PermissionChecker(DELETE))]
% endif
% else:
CanUpdate = Annotated[Principal, Depends(PermissionChecker(UPDATE))]
CanDelete = Annotated[Principal, Depends(PermissionChecker(DELETE${", hard=PURGE" if v.soft else ""}))]
% if v.soft:
CanRestore = Annotated[Principal, Depends(PermissionChecker(DELETE))]
% endif
% endif
