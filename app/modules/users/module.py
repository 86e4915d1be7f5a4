"""The module's declaration."""

from app.core.module import Module, Resource
from app.modules.users.models import User
from app.modules.users.permissions import CREATE, DELETE, PRIVILEGES, PURGE, READ, UPDATE
from app.modules.users.router import router
from app.modules.users.schemas import UserCreate, UserRead, UserUpdate

MODULE = Module(
    name="users",
    router=router,
    depends_on=("roles",),
    privileges=PRIVILEGES,
    entities=(User,),
    resources=(
        Resource(
            name="user",
            model=User,
            path="/users",
            read=UserRead,
            create=UserCreate,
            update=UserUpdate,
            operations={"read": READ, "create": CREATE, "update": UPDATE, "delete": DELETE, "purge": PURGE},
        ),
    ),
)
