"""Roles of a company that works with this program; what they grant follows from the modules that are there."""

from app.auth.principal import Principal, Rights
from app.core.identifiers import uuid7
from app.core.module import Catalog
from app.modules.roles.schemas import RoleCreate
from app.modules.roles.service import RoleService
from seeds.field import Field, Progress, Seed

# Works with everything that is not the system's own administration, as far as the module is there.
_ADMINISTRATION = {"users", "roles", "privileges", "system", "auth", "audit"}


def planned(catalog: Catalog) -> list[RoleCreate]:
    """The roles, with privileges that some module declares."""
    work = [m for m in catalog.modules if m.name not in _ADMINISTRATION and not m.restricted]
    assignable = [m.name for m in work if m.name in catalog.assignable]

    def of_work(*actions: str) -> list[str]:
        return [p.code for m in work for p in m.privileges if p.action in actions]

    return [
        RoleCreate(name="reader", description="Looks at everything, changes nothing.", modules=assignable),
        RoleCreate(
            name="editor",
            description="Makes and changes what the team works on.",
            privileges=of_work("create", "update"),
            modules=assignable,
        ),
        RoleCreate(
            name="curator",
            description="Also tidies up: deletes and restores.",
            privileges=of_work("create", "update", "delete"),
            modules=assignable,
        ),
        RoleCreate(
            name="support",
            description="Helps users in and keeps abusers out.",
            privileges=["users:read", "users:update", "users:block"],
        ),
        RoleCreate(
            name="people",
            description="Looks after accounts from the first day to the last.",
            privileges=["users:read", "users:create", "users:update", "users:delete", "roles:read"],
        ),
        RoleCreate(
            name="access",
            description="Decides who may what.",
            privileges=[
                *("roles:read", "roles:create", "roles:update", "roles:delete"),
                *("privileges:read", "users:read", "users:assign_roles"),
            ],
        ),
        RoleCreate(
            name="operations",
            description="Keeps the system running.",
            privileges=["system:read", "users:read"],
        ),
    ]


async def sow(field: Field, count: int, progress: Progress) -> int:
    """Makes those that never existed under their names."""
    uow = field.unit_of_work()
    service = RoleService(uow, field.catalog)
    actor = Principal(uuid7(), 0, None, Rights((), is_superuser=True, privileges=frozenset()))
    made = 0
    for role in planned(field.catalog)[:count]:
        async with uow.transaction():
            is_new = not await service.roles.ever_existed(role.name)
            if is_new:
                await service.create(role, actor)
        made += is_new
        progress.advance(1)
    return made


SEED = Seed("roles", sow, count=7)
