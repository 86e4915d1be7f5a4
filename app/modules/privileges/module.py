"""The module's declaration."""

from app.core.module import Module, Resource
from app.modules.privileges.models import Privilege, RbacEpoch
from app.modules.privileges.permissions import CREATE, DELETE, PRIVILEGES, PURGE, READ, UPDATE
from app.modules.privileges.router import router
from app.modules.privileges.schemas import PrivilegeCreate, PrivilegeRead, PrivilegeUpdate

MODULE = Module(
    name="privileges",
    router=router,
    privileges=PRIVILEGES,
    entities=(Privilege, RbacEpoch),
    resources=(
        Resource(
            name="privilege",
            model=Privilege,
            path="/privileges",
            read=PrivilegeRead,
            create=PrivilegeCreate,
            update=PrivilegeUpdate,
            operations={"read": READ, "create": CREATE, "update": UPDATE, "delete": DELETE, "purge": PURGE},
        ),
    ),
)
