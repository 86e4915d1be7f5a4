"""The module's privileges, and the guards that ask for them. Which threads one sees, membership decides."""

from typing import Annotated

from fastapi import Depends

from app.auth.dependencies import PermissionChecker
from app.auth.principal import Principal
from app.auth.sockets import LiveSocket, SocketGuard
from app.core.module import Privilege

READ = "messenger:read"
WRITE = "messenger:write"

PRIVILEGES = (
    Privilege(READ, "Read the threads that one is in, mark and leave them."),
    Privilege(WRITE, "Begin threads, write in those that one is in, change who is in them."),
)

CanRead = Annotated[Principal, Depends(PermissionChecker(READ))]
CanWrite = Annotated[Principal, Depends(PermissionChecker(WRITE))]
CanFollow = Annotated[LiveSocket, Depends(SocketGuard(READ))]
