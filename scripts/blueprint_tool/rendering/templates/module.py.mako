"""The module's declaration."""

from app.core.module import Module, Resource
from app.modules.${v.code}.models import ${v.name}${v.link_imports}
from app.modules.${v.code}.permissions import CREATE, DELETE, PRIVILEGES, ${"PURGE, " if v.soft else ""}READ, UPDATE
from app.modules.${v.code}.router import router
from app.modules.${v.code}.schemas import ${v.name}Create, ${v.name}Read, ${v.name}Update

MODULE = Module(
    name="${v.code}",
    router=router,
% if v.dependencies:
    depends_on=(${quoted(v.dependencies)}),
% endif
    privileges=PRIVILEGES,
    entities=(${v.name},${v.link_entities}),
    resources=(
        Resource(
            name="${v.single}",
            model=${v.name},
            path="${v.path}",
            read=${v.name}Read,
            create=${v.name}Create,
            update=${v.name}Update,
            operations={"read": READ, "create": CREATE, "update": UPDATE, "delete": DELETE${', "purge": PURGE' if v.soft else ""}},
        ),
    ),
% if v.owned:
    grants={"regular": (CREATE,)},
% endif
)
