"""The module's declaration. The logs are written, sealed and archived by the machinery of `core`, and read here."""

from app.core.audit.models import AuditAccess, AuditChange
from app.core.evidence.models import AuditHold, AuditSeal, AuditSealLeaves, AuditSegment
from app.core.module import Module
from app.modules.audit.permissions import EXPORT, PRIVILEGES, READ, VERIFY
from app.modules.audit.router import router

MODULE = Module(
    name="audit",
    router=router,
    depends_on=("users",),
    privileges=PRIVILEGES,
    entities=(AuditAccess, AuditChange, AuditSeal, AuditSealLeaves, AuditSegment, AuditHold),
    grants={"auditor": (READ, EXPORT, VERIFY)},
    restricted=True,
)
