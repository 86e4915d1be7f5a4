"""The module's declaration."""

from app.core.module import Module
from app.modules.system.permissions import PRIVILEGES
from app.modules.system.router import root_router, router

MODULE = Module(name="system", router=router, root_router=root_router, privileges=PRIVILEGES)
