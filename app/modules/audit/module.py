"""The module's declaration. The tables of the logs belong to the machinery that writes them."""

from app.core.module import Module
from app.modules.audit.permissions import EXPORT, PRIVILEGES, READ
from app.modules.audit.router import router

MODULE = Module(
    name="audit",
    router=router,
    depends_on=("users",),
    privileges=PRIVILEGES,
    grants={"auditor": (READ, EXPORT)},
    restricted=True,
)
