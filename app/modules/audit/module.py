"""The module's declaration. The logs are written by the machinery of `core`, and read here."""

from app.core.audit.models import AuditAccess, AuditChange
from app.core.module import Module
from app.modules.audit.permissions import EXPORT, PRIVILEGES, READ
from app.modules.audit.router import router

MODULE = Module(
    name="audit",
    router=router,
    depends_on=("users",),
    privileges=PRIVILEGES,
    entities=(AuditAccess, AuditChange),
    grants={"auditor": (READ, EXPORT)},
    restricted=True,
)
