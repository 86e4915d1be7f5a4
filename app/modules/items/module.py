"""The module's declaration."""

from app.core.module import Module, Resource
from app.modules.items.models import Item
from app.modules.items.permissions import CREATE, DELETE, PRIVILEGES, PURGE, READ, UPDATE
from app.modules.items.router import router
from app.modules.items.schemas import ItemCreate, ItemRead, ItemUpdate

MODULE = Module(
    name="items",
    router=router,
    privileges=PRIVILEGES,
    entities=(Item,),
    resources=(
        Resource(
            name="item",
            model=Item,
            path="/items",
            read=ItemRead,
            create=ItemCreate,
            update=ItemUpdate,
            operations={"read": READ, "create": CREATE, "update": UPDATE, "delete": DELETE, "purge": PURGE},
        ),
    ),
    grants={"regular": (CREATE,)},
    assigned_to=("regular",),
)
