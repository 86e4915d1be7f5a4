"""The module's declaration."""

from app.core.module import Module, Resource
from app.modules.roles.models import Role, RoleModule, RolePrivilege, UserRole
from app.modules.roles.permissions import CREATE, DELETE, PRIVILEGES, PURGE, READ, UPDATE
from app.modules.roles.router import router
from app.modules.roles.schemas import RoleCreate, RoleRead, RoleUpdate

MODULE = Module(
    name="roles",
    router=router,
    depends_on=("privileges",),
    privileges=PRIVILEGES,
    entities=(Role, RolePrivilege, RoleModule, UserRole),
    resources=(
        Resource(
            name="role",
            model=Role,
            path="/roles",
            read=RoleRead,
            create=RoleCreate,
            update=RoleUpdate,
            operations={"read": READ, "create": CREATE, "update": UPDATE, "delete": DELETE, "purge": PURGE},
        ),
    ),
)
