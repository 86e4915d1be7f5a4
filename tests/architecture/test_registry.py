"""The check of modules at start-up refuses what it should: each planted fault is told, and nothing else."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from app.auth.dependencies import PermissionChecker, authenticated, public
from app.core.module import Module, Privilege
from app.core.repository import BaseRepository
from app.core.routing import ModuleRouter
from app.modules.users.models import User
from app.registry import (
    FaultyModules,
    catalog_of,
    discover,
    naked_routes,
    repeated_names,
    repositories,
    shape_faults,
)

READ, WRITE = "probes:read", "probes:write"
CanRead = Depends(PermissionChecker(READ))
CanWrite = Depends(PermissionChecker(WRITE))


async def answer() -> str:
    return "ok"


async def plain(_request: Request) -> Response:
    return PlainTextResponse("ok")


def router(*guards: Any) -> ModuleRouter:
    """A router with one route that has these dependencies."""
    made = ModuleRouter("/probes", tags=["probes"])
    made.add_api_route("/x", answer, dependencies=list(guards))
    return made


def module(made: ModuleRouter, *codes: str, **options: Any) -> Module:
    """A module `probes` that declares these privileges."""
    privileges = tuple(Privilege(code, "…") for code in codes)
    return Module(**{"name": "probes", "router": made, "privileges": privileges, **options})


def sound() -> Module:
    return module(router(CanRead), READ)


def naked() -> list[Module]:
    return [module(router())]


def two_guards() -> list[Module]:
    return [module(router(CanRead, CanWrite), READ, WRITE)]


def guard_and_public() -> list[Module]:
    return [module(router(CanRead, public("why not")), READ)]


def inherited_and_own() -> list[Module]:
    made = ModuleRouter("/probes", tags=["probes"])
    inner = APIRouter(dependencies=[Depends(authenticated)])
    inner.add_api_route("/x", answer, dependencies=[CanRead])
    made.include_router(inner)
    return [module(made, READ)]


def hidden_second_guard() -> list[Module]:
    async def outer(_: Annotated[object, CanWrite]) -> None: ...

    return [module(router(CanRead, Depends(outer)), READ, WRITE)]


def websocket() -> list[Module]:
    made = router(CanRead)

    @made.websocket("/feed")
    async def feed(socket: WebSocket) -> None: ...

    return [module(made, READ)]


def starlette_route() -> list[Module]:
    made = router(CanRead)
    made.add_route("/plain", plain)
    return [module(made, READ)]


def mounted() -> list[Module]:
    made = router(CanRead)
    made.mount("/files", PlainTextResponse("ok"))
    return [module(made, READ)]


def at_the_root() -> list[Module]:
    return [module(router(CanRead), READ, root_router=router())]


def undeclared() -> list[Module]:
    return [module(router(CanRead))]


def undeclared_flag() -> list[Module]:
    return [module(router(Depends(PermissionChecker(READ, hard=WRITE))), READ)]


def unused() -> list[Module]:
    return [module(router(CanRead), READ, WRITE)]


def foreign() -> list[Module]:
    return [module(router(Depends(PermissionChecker("others:read"))), "others:read")]


def twice_declared() -> list[Module]:
    return [module(router(CanRead), READ, READ)]


def same_name() -> list[Module]:
    return [sound(), sound()]


def unknown_dependency() -> list[Module]:
    return [module(router(CanRead), READ, depends_on=("ghosts",))]


def circle() -> list[Module]:
    other = Module(name="others", router=router(Depends(authenticated)), depends_on=("probes",))
    return [module(router(CanRead), READ, depends_on=("others",)), other]


def grants_undeclared() -> list[Module]:
    return [module(router(CanRead), READ, grants={"regular": (WRITE,)})]


FAULTS: list[tuple[Callable[[], list[Module]], str]] = [
    (naked, "probes: GET /probes/x has 0 guards instead of one"),
    (two_guards, "probes: GET /probes/x has 2 guards instead of one"),
    (guard_and_public, "probes: GET /probes/x has 2 guards instead of one"),
    (inherited_and_own, "probes: GET /probes/x has 2 guards instead of one"),
    (hidden_second_guard, "probes: GET /probes/x has 2 guards instead of one"),
    (websocket, "probes: /probes/feed has 0 guards instead of one"),
    (starlette_route, "probes: GET,HEAD /plain has 0 guards instead of one"),
    (mounted, "probes: /files has 0 guards instead of one"),
    (at_the_root, "probes: GET /probes/x has 0 guards instead of one"),
    (undeclared, "probes: GET /probes/x asks for probes:read, which the module does not declare"),
    (undeclared_flag, "probes: GET /probes/x asks for probes:write, which the module does not declare"),
    (unused, "probes: no route asks for probes:write"),
    (foreign, "probes: declares others:read, which is not in its name"),
    (twice_declared, "probes: declares probes:read twice"),
    (same_name, "probes: another module has the same name"),
    (unknown_dependency, "probes: depends on ghosts, which is not there"),
    (circle, "modules depend on each other in a circle: "),
    (grants_undeclared, "probes: grants probes:write, which it does not declare"),
]


@pytest.mark.parametrize(("plant", "line"), FAULTS, ids=[plant.__name__ for plant, _ in FAULTS])
def test_planted_fault_is_refused_by_its_line_and_no_other(
    plant: Callable[[], list[Module]], line: str
) -> None:
    with pytest.raises(FaultyModules) as refused:
        catalog_of(plant())
    assert {fault[: len(line)] for fault in refused.value.faults} == {line}


def test_privilege_that_is_declared_ahead_needs_no_route() -> None:
    declared = (Privilege(READ, "…"), Privilege(WRITE, "…", reserved=True))
    made = Module(name="probes", router=router(CanRead), privileges=declared)
    assert WRITE in catalog_of([made]).privileges


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(FaultyModules) as refused:
        catalog_of([module(router(), READ, depends_on=("ghosts",))])
    assert len(refused.value.faults) == 3


async def outer(_: Annotated[object, CanRead]) -> None:
    """A dependency that has the guard inside."""


@pytest.mark.parametrize(
    "made",
    [
        sound(),
        module(router(Depends(authenticated))),
        module(router(public("why not"))),
        module(router(Depends(PermissionChecker(READ, hard=WRITE))), READ, WRITE),
        module(router(Depends(outer)), READ),
        module(router(CanRead), READ, grants={"regular": (READ,)}),
    ],
)
def test_sound_module_is_accepted(made: Module) -> None:
    assert catalog_of([made]).modules == (made,)


def test_modules_come_in_the_order_of_their_needs() -> None:
    low, high = sound(), Module("above", router(Depends(authenticated)), depends_on=("probes",))
    assert [made.name for made in catalog_of([high, low]).modules] == ["probes", "above"]


def test_the_modules_of_the_house_are_found() -> None:
    names = [made.name for made in discover().modules]
    assert {"auth", "users", "roles", "privileges", "system"} <= set(names)
    assert names.index("privileges") < names.index("roles") < names.index("users") < names.index("auth")


def test_naked_route_of_the_app_is_told_unless_it_is_allowed() -> None:
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(router(CanRead))
    app.add_api_route("/open", answer)
    assert naked_routes(app.routes, {"/openapi.json"}) == ["GET /open"]
    assert naked_routes(app.routes, {"/openapi.json", "/open"}) == []


@pytest.mark.parametrize("route", [Route("/plain", plain), Mount("/files", PlainTextResponse("ok"))])
def test_naked_route_without_fastapi_is_told(route: Route | Mount) -> None:
    assert len(naked_routes([route], ())) == 1


def test_two_endpoints_of_one_name_are_told() -> None:
    app = FastAPI()
    app.include_router(router(CanRead))
    assert repeated_names(app.routes) == []
    app.include_router(router(CanRead), prefix="/again")
    assert repeated_names(app.routes) == [
        "GET /probes/x: another endpoint is called answer too",
        "GET /again/probes/x: another endpoint is called answer too",
    ]


class Fitting(BaseModel):
    email: str
    full_name: str | None


class WrongType(BaseModel):
    email: int


class NeverEmpty(BaseModel):
    full_name: str


class NoSuchColumn(BaseModel):
    shoe_size: str


def lists_of(shape: type[BaseModel]) -> list[type[BaseRepository[Any]]]:
    """Stands for a repository; a real subclass would stay in the program for good."""
    made: Any = type("Planted", (), {"model": User, "summaries": (shape,)})
    return [made]


@pytest.mark.parametrize("shape", [WrongType, NeverEmpty, NoSuchColumn])
def test_summary_that_does_not_fit_its_columns_is_told(shape: type[BaseModel]) -> None:
    (fault,) = shape_faults(lists_of(shape))
    assert fault.startswith(f"Planted: {shape.__name__} does not fit its columns")


def test_summaries_that_fit_are_accepted() -> None:
    assert shape_faults(lists_of(Fitting)) == []
    discover()
    assert {found.__name__ for found in repositories()} >= {"UserRepository", "RoleRepository"}
    assert shape_faults(repositories()) == []
