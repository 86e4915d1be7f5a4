"""What a module says of itself: the one declaration from which routes, privileges and tables follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import BaseModel
from sqlmodel import SQLModel

from app.core.routing import ModuleRouter


@dataclass(frozen=True, slots=True)
class Privilege:
    """One thing that may be allowed; `code` is `module:action`.

    `reserved`: declared ahead of what asks for it; no guard of a route needs to.
    """

    code: str
    description: str
    reserved: bool = False

    @property
    def module(self) -> str:
        """The part before the colon."""
        return self.code.partition(":")[0]

    @property
    def action(self) -> str:
        """The part behind the colon."""
        return self.code.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Resource:
    """A table that clients may edit, as `/system/editable-resources` describes it.

    `operations` maps the operation's name to the privilege that it needs.
    """

    name: str
    model: type[SQLModel]
    path: str
    read: type[BaseModel]
    create: type[BaseModel] | None
    update: type[BaseModel] | None
    operations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the house.

    `depends_on`: the modules whose `service` and `schemas` it uses; listed = used. `entities`: its table
    classes. `grants`: privileges that seeded roles get when the privilege first appears. `assigned_to`:
    seeded roles that get the module itself (and so its read) when it first appears. `restricted`: the module
    can't be assigned to roles as a whole, and the seeded role `admin` holds none of its privileges by itself.
    """

    name: str
    router: ModuleRouter
    privileges: tuple[Privilege, ...] = ()
    depends_on: tuple[str, ...] = ()
    entities: tuple[type[SQLModel], ...] = ()
    resources: tuple[Resource, ...] = ()
    root_router: ModuleRouter | None = None
    grants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    assigned_to: tuple[str, ...] = ()
    restricted: bool = False

    @property
    def path(self) -> str:
        """The path of the module below the API's prefix."""
        return self.router.prefix

    @property
    def routers(self) -> tuple[ModuleRouter, ...]:
        """All of its routers."""
        return (self.router,) if self.root_router is None else (self.router, self.root_router)


@dataclass(frozen=True)
class Catalog:
    """The modules that this program consists of, lowest first."""

    modules: tuple[Module, ...]

    @cached_property
    def privileges(self) -> dict[str, Privilege]:
        """Every declared privilege by its code."""
        return {privilege.code: privilege for module in self.modules for privilege in module.privileges}

    @cached_property
    def assignable(self) -> dict[str, Module]:
        """The modules that a role may be given as a whole: those with a read privilege, unless restricted."""
        return {
            module.name: module
            for module in self.modules
            if not module.restricted and f"{module.name}:read" in {p.code for p in module.privileges}
        }
