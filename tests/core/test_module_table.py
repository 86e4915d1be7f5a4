"""How the module of a path is found: at one look, however many there are, and as FastAPI would find it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import FastAPI, Query, WebSocket
from fastapi.dependencies import utils as dependencies
from fastapi.routing import iter_route_contexts
from pydantic import create_model
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from app import main
from app.auth.dependencies import public
from app.core.module import Catalog, Module
from app.core.routing import ModuleRouter, ModuleTable, allowed_methods
from app.main import create_app
from app.registry import catalog_of, discover
from tests.conftest import settings_for

PUBLIC = public("A probe.")
GUARD = [PUBLIC]


def of(router: ModuleRouter, name: str, **options: Any) -> Module:
    return Module(name=name, router=router, **options)


def probe(number: int) -> Module:
    """A module with one call that says which one it is."""
    router = ModuleRouter(f"/probe-{number}", tags=["probe"])

    async def tell() -> int:
        return number

    tell.__name__ = f"tell_{number}"
    router.add_api_route("/number", tell, dependencies=GUARD)
    return of(router, f"probe_{number}")


def app_of(modules: Sequence[Module]) -> FastAPI:
    """The app's routes and its answers to errors. No middleware and no guard: they need a program that was started."""
    app = create_app(settings_for("sqlite+aiosqlite:///./never-opened.db", ""), Catalog(tuple(modules)))
    app.user_middleware.clear()
    assert PUBLIC.dependency is not None
    app.dependency_overrides[PUBLIC.dependency] = lambda: None
    return app


async def answer(app: FastAPI, path: str, method: str = "GET") -> httpx2.Response:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, path)


def scope_of(path: str, method: str = "GET") -> Scope:
    return {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}


def asked_routers(monkeypatch: pytest.MonkeyPatch) -> list[ModuleRouter]:
    """Every router that is asked from now on whether a path is its own."""
    asked: list[ModuleRouter] = []
    matches = ModuleRouter.matches

    def noted(self: ModuleRouter, scope: Scope) -> tuple[Match, Scope]:
        asked.append(self)
        return matches(self, scope)

    monkeypatch.setattr(ModuleRouter, "matches", noted)
    return asked


@pytest.mark.parametrize("number", [3, 60])
async def test_one_router_is_asked_however_many_there_are(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_of([probe(one) for one in range(number)])
    asked = asked_routers(monkeypatch)
    for last in (0, number - 1):
        asked.clear()
        assert (await answer(app, f"/api/v1/probe-{last}/number")).json() == last
        assert len(asked) == 1


async def test_without_the_table_all_those_before_would_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The count of the test above is one that can be another."""
    app = app_of([probe(one) for one in range(60)])
    app.router.routes = [route for route in app.routes if not isinstance(route, ModuleTable)]
    asked = asked_routers(monkeypatch)
    assert (await answer(app, "/api/v1/probe-59/number")).json() == 59
    assert len(asked) == 60


def test_table_finds_what_is_found_without_it() -> None:
    app = app_of(discover().modules)
    table, *others = app.routes
    assert isinstance(table, ModuleTable)
    paths = {(m, str(c.path)) for c in iter_route_contexts(others) for m in c.methods or ()}
    assert len(paths) > 40
    for method, path in sorted(paths):
        scope = scope_of(path, method)
        expected = next(route for route in others if route.matches(dict(scope))[0] is Match.FULL)
        is_of_a_module = path.startswith("/api/v1/")
        assert table.find(scope) is (expected if is_of_a_module else None), path
        assert (table.matches(dict(scope))[0] is Match.FULL) is is_of_a_module, path


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/api/v1/probe-1/nothing", "GET", HTTPStatus.NOT_FOUND),
        ("/api/v1/probe-1", "GET", HTTPStatus.NOT_FOUND),
        ("/api/v1/probe-11/number", "GET", HTTPStatus.NOT_FOUND),
        ("/api/v1/probe-", "GET", HTTPStatus.NOT_FOUND),
        ("/api/v1", "GET", HTTPStatus.NOT_FOUND),
        ("/probe-1/number", "GET", HTTPStatus.NOT_FOUND),
        ("/api/v1/probe-1/number", "POST", HTTPStatus.METHOD_NOT_ALLOWED),
        ("/api/v1/probe-1/number", "GET", HTTPStatus.OK),
        ("/console", "GET", HTTPStatus.NOT_FOUND),
    ],
)
async def test_what_no_module_has(path: str, method: str, status: int) -> None:
    assert (await answer(app_of([probe(1)]), path, method)).status_code == status


async def test_modules_that_share_a_place_are_asked_in_their_order() -> None:
    """One prefix twice, and one below another: the table leaves both to FastAPI."""

    def module(prefix: str, path: str, name: str) -> Module:
        router = ModuleRouter(prefix, tags=["shared"])

        async def tell() -> str:
            return name

        tell.__name__ = name
        router.add_api_route(path, tell, dependencies=GUARD)
        return of(router, name)

    app = app_of(
        [
            module("/shared", "/one", "first"),
            module("/shared", "/two", "second"),
            module("/nested/deep", "/x", "inner"),
            module("/nested", "/{any}/x", "outer"),
            module("/nested", "/y", "other"),
        ]
    )
    table = app.routes[0]
    assert isinstance(table, ModuleTable)
    for path, name in (("shared/one", "first"), ("shared/two", "second"), ("nested/deep/x", "inner")):
        assert table.find(scope_of(f"/api/v1/{path}")) is None
        assert (await answer(app, f"/api/v1/{path}")).json() == name
    assert (await answer(app, "/api/v1/nested/z/x")).json() == "outer"
    assert (await answer(app, "/api/v1/nested/y")).json() == "other"


async def test_router_at_the_root_and_routes_added_later_are_found() -> None:
    root = ModuleRouter("", tags=["root"])

    @root.get("/alive", dependencies=GUARD)
    async def alive() -> str:
        return "yes"

    app = app_of([of(ModuleRouter("/empty", tags=["empty"]), "empty", root_router=root)])
    app.add_api_route("/api/v1/late", alive)
    assert (await answer(app, "/alive")).json() == "yes"
    assert (await answer(app, "/api/v1/late")).json() == "yes"


def test_methods_of_a_path_are_those_of_its_module() -> None:
    app = app_of([probe(1), probe(2)])
    assert allowed_methods(app.routes, scope_of("/api/v1/probe-2/number", "POST")) == ["GET", "HEAD"]
    assert allowed_methods(app.routes, scope_of("/api/v1/probe-3/number", "POST")) == []
    assert "GET" in allowed_methods(app.routes, scope_of("/", "POST"))


def test_sockets_are_found_and_know_their_module() -> None:
    router = ModuleRouter("/wired", tags=["wired"])

    @router.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()

    routes: list[BaseRoute] = []
    app = FastAPI()
    router.open("/api/v1", "wired")
    app.include_router(router, prefix="/api/v1")
    routes.append(app.routes[-1])
    table = ModuleTable([(routes[0], router)], "/api/v1")
    scope = {"type": "websocket", "path": "/api/v1/wired/live", "root_path": "", "headers": []}
    assert table.matches(scope)[0] is Match.FULL
    assert scope["module"] == "wired"


async def test_hundreds_of_modules_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """FastAPI enters the lifespans of routers one inside of the other, until Python's stack is at its end."""

    @asynccontextmanager
    async def nothing(_app: FastAPI) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(main, "_lifespan", nothing)
    app = app_of([probe(number) for number in range(600)])
    async with app.router.lifespan_context(app):
        assert (await answer(app, "/api/v1/probe-599/number")).json() == 599


def asking(number: int) -> Module:
    """A module with a list that has a query of its own."""
    router = ModuleRouter(f"/asking-{number}", tags=["asking"])
    model = create_model(f"Asked{number}", word=(str, "none"))

    async def ask(query: Annotated[model, Query()]) -> str:  # type: ignore[valid-type]
        return str(query)

    ask.__name__ = f"ask_{number}"
    router.add_api_route("", ask, dependencies=GUARD)
    return of(router, f"asking_{number}")


async def test_document_tells_of_more_queries_than_fastapi_remembers() -> None:
    """By itself it remembers 128 models, and can't find the fields of the others again."""
    app = app_of(catalog_of([asking(number) for number in range(150)]).modules)
    paths = app.openapi()["paths"]
    for number in (0, 149):
        (parameter,) = paths[f"/api/v1/asking-{number}"]["get"]["parameters"]
        assert parameter["name"] == "word"


def test_fields_of_queries_are_made_once() -> None:
    app_of([])
    models = [create_model(f"Kept{number}", word=(str, "none")) for number in range(300)]
    first = [dependencies.get_cached_model_fields(model) for model in models]  # type: ignore[attr-defined]
    again = [dependencies.get_cached_model_fields(model) for model in models]  # type: ignore[attr-defined]
    assert all(one is other for one, other in zip(first, again, strict=True))
