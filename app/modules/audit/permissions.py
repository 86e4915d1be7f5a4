"""The module's privileges, and the guards that ask for them."""

from typing import Annotated

from fastapi import Depends

from app.auth.dependencies import PermissionChecker
from app.auth.principal import Principal
from app.core.module import Privilege

READ = "audit:read"
EXPORT = "audit:export"
VERIFY = "audit:verify"
HOLD = "audit:hold"

PRIVILEGES = (
    Privilege(READ, "Read the logs: requests, changes, and what a record was at any time."),
    Privilege(EXPORT, "Take the logs away as files."),
    Privilege(VERIFY, "Check the logs against their seals, and see seals and archived segments."),
    Privilege(HOLD, "Place and release legal holds, which keep rows of the logs from being removed."),
)

CanRead = Annotated[Principal, Depends(PermissionChecker(READ))]
CanExport = Annotated[Principal, Depends(PermissionChecker(EXPORT))]
CanVerify = Annotated[Principal, Depends(PermissionChecker(VERIFY))]
CanHold = Annotated[Principal, Depends(PermissionChecker(HOLD))]
