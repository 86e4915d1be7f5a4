"""A start of the program with so many further modules, in a process of its own, and how often it calls what.

Calls are counted and not timed: what grows faster than the modules is seen on any machine. Names of modules, privileges
and endpoints count how often they are compared, since searching a list calls nothing.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from cProfile import Profile
from pathlib import Path
from types import new_class
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, Query
from fastapi.routing import RouteContext, iter_route_contexts
from pydantic import create_model
from sqlmodel import Field

from app import main, registry
from app.auth.dependencies import PermissionChecker
from app.auth.passwords import PasswordHasher
from app.auth.principal import Principal
from app.composition import open_database
from app.core.config import Environment, Settings, load_settings
from app.core.entity import Entity, Key, live_index
from app.core.keys import Keyring
from app.core.module import Catalog, Module, Privilege, Resource
from app.core.pagination import Page, PageQuery
from app.core.repository import BaseRepository
from app.core.routing import ModuleRouter
from app.migrations import upgrade
from app.startup import seed

ACTIONS = ("read", "create", "update", "delete", "purge")


class Spelled(str):
    """A text whose comparisons are calls of Python, so that they are counted."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True

    def __str__(self) -> str:
        return self


def module(number: int) -> Module:
    """Like a generated one: a table that refers to the one before, lists, a privilege for each kind of call."""
    name, before = Spelled(f"things_{number}"), f"things_{number - 1}"
    fields: dict[str, Any] = {"__annotations__": {"title": str}, "title": Field(max_length=200)}
    if number:
        fields["__annotations__"]["parent_pk"] = int
        fields["parent_pk"] = Field(foreign_key=f"{before}.pk", ondelete="RESTRICT", sa_type=Key)
    table_args = (live_index(f"ix_{name}_live_created_at_id", "created_at", "id"),)
    space = {"__tablename__": name, "__table_args__": table_args, "__module__": __name__, **fields}
    model = new_class(f"Thing{number}", (Entity,), {"table": True}, lambda ns: ns.update(space))
    summary = create_model(f"Thing{number}Summary", id=(UUID, ...), title=(str, ...))
    new_class(
        f"Thing{number}Repository",
        (BaseRepository,),
        exec_body=lambda ns: ns.update({"model": model, "summaries": (summary,)}),
    )
    codes = {action: Spelled(f"{name}:{action}") for action in ACTIONS}
    return Module(
        name=name,
        router=router(number, summary, codes),
        privileges=tuple(Privilege(code, f"Does {code}.") for code in codes.values()),
        depends_on=(before,) if number else (),
        entities=(model,),
        resources=(
            Resource(f"thing_{number}", model, f"/{name}", summary, None, None, {"read": codes["read"]}),
        ),
    )


def router(number: int, summary: Any, codes: dict[str, Spelled]) -> ModuleRouter:
    """A call for each privilege; the list has a query of its own."""
    made = ModuleRouter(f"/things-{number}", tags=[f"things_{number}"])
    asked = create_model(f"Thing{number}Query", __base__=PageQuery, title=(str | None, None))

    def add(action: str, method: str, path: str, call: Callable[..., Any], **options: Any) -> None:
        call.__name__ = Spelled(f"{action}_thing_{number}")
        guard = Annotated[Principal, Depends(PermissionChecker(codes[action]))]
        call.__annotations__["_"] = guard
        made.add_api_route(path, call, methods=[method], **options)

    async def listed(query: Annotated[asked, Query()], _: Any) -> None: ...  # type: ignore[valid-type]
    async def new(data: summary, _: Any) -> None: ...
    async def changed(id: UUID, data: summary, _: Any) -> None: ...
    async def gone(id: UUID, _: Any) -> None: ...
    async def purged(id: UUID, _: Any) -> None: ...

    add("read", "GET", "", listed, response_model=Page[summary])
    add("create", "POST", "", new)
    add("update", "PATCH", "/{id}", changed)
    add("delete", "DELETE", "/{id}", gone)
    add("purge", "POST", "/{id}/purge", purged)
    return made


def told(profile: Profile) -> Counter[str]:
    """Calls by the name of what is called, of Python and of C."""
    found: Counter[str] = Counter()
    for entry in profile.getstats():
        code = entry.code
        name = code if isinstance(code, str) else f"{code.co_filename}:{code.co_qualname}"
        found[re.sub(r" at 0x\w+", "", name)] += entry.callcount
    return found


async def _ready(app: FastAPI) -> None:
    async with app.router.lifespan_context(app):
        if not app.state.platform.ready:
            raise RuntimeError("the program did not become ready")


async def _seeded(settings: Settings, catalog: Catalog) -> None:
    database, hasher = open_database(settings, Keyring(["no list is served here"])), PasswordHasher()
    try:
        await seed(database, catalog, hasher, settings)
    finally:
        hasher.close()
        await database.dispose()


def _naive_names(routes: Any) -> list[str]:
    names = [str(c.name) for c in iter_route_contexts(routes) if registry.guards_at(c)]
    return [name for name in names if names.count(name) > 1]


def _naive_routes(routes: Any, allowed: Any) -> list[str]:
    contexts = list(iter_route_contexts(routes))
    return [str(one.path) for one in contexts for other in contexts if _is_hidden(one, other) and not allowed]


def _is_hidden(one: RouteContext, other: RouteContext) -> bool:
    return one is not other and one.original_route is other.original_route


# Faults that a test plants: both look at each route once for every other one, or nearly.
PLANTS: dict[str, Callable[..., Any]] = {"repeated_names": _naive_names, "naked_routes": _naive_routes}


def count(number: int, folder: Path, *, is_planted: bool) -> None:
    """Writes the counts of a start with so many modules more into the folder."""
    settings = load_settings(
        _env_file=None,
        environment=Environment.TEST,
        database_url=f"sqlite+aiosqlite:///{folder}/{number}.db",
        secret_key="only-to-be-counted-" * 2,
        log_level="ERROR",
    )
    asyncio.run(upgrade(settings.database))
    asyncio.run(_seeded(settings, registry.discover()))
    for name, plant in PLANTS.items() if is_planted else ():
        setattr(main, name, plant)
    modules = [*registry.discover().modules, *(module(one) for one in range(number))]
    with Profile() as profile:
        catalog = registry.catalog_of(modules)
        asyncio.run(_seeded(settings, catalog))
        app = main.create_app(settings, catalog)
        asyncio.run(_ready(app))
        app.openapi()
    (folder / f"{number}.json").write_text(json.dumps(told(profile)))
