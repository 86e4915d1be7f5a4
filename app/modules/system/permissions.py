"""The module's privileges, and the guards that ask for them."""

from typing import Annotated

from fastapi import Depends

from app.auth.dependencies import PermissionChecker
from app.auth.principal import Principal
from app.core.module import Privilege

READ = "system:read"

PRIVILEGES = (Privilege(READ, "See versions, modules and connections of the system."),)

CanRead = Annotated[Principal, Depends(PermissionChecker(READ))]
