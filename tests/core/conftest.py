"""An app of core's own: other settings, and a probe module with routes that fail on purpose."""

from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import Depends
from sqlalchemy.exc import OperationalError

from app.auth.dependencies import PermissionChecker, public
from app.auth.principal import Principal
from app.core.errors import Conflict
from app.core.module import Catalog, Module, Privilege
from app.core.routing import ModuleRouter
from app.main import create_app
from app.registry import catalog_of, discover
from app.startup import seed
from tests.api import Api
from tests.backend import Backend, RunningApp
from tests.conftest import settings_for

SECRET_OF_THE_SERVER = "s3cret-internals"
READ = "probe:read"


def probe_catalog() -> Catalog:
    """All modules and the probe."""
    router = ModuleRouter("/probe", tags=["probe"])

    @router.get("/broken", dependencies=[public("A probe.")])
    async def break_down() -> None:
        raise RuntimeError(SECRET_OF_THE_SERVER)

    @router.get("/broken-database", dependencies=[public("A probe.")])
    async def break_database() -> None:
        raise OperationalError(f"SELECT {SECRET_OF_THE_SERVER}", {}, OSError(SECRET_OF_THE_SERVER))

    @router.get("/refused", dependencies=[public("A probe.")])
    async def refuse() -> None:
        raise Conflict("Not now.")

    @router.post("/guarded")
    async def guarded(
        data: dict[str, int], _: Annotated[Principal, Depends(PermissionChecker(READ))]
    ) -> dict[str, int]:
        return data

    probe = Module(name="probe", router=router, privileges=(Privilege(READ, "Reads."),))
    return catalog_of([*discover().modules, probe])


@pytest.fixture(scope="session")
async def probe_running(backend: Backend) -> AsyncIterator[RunningApp]:
    """An app with the probe, strict hosts, CORS, small totals and no cache server."""
    settings = settings_for(
        backend.new_database(),
        "",
        cors_origins=("https://app.example.com",),
        allowed_hosts=("test", "api.example.com", "*.svc.example.com"),
        list_count_limit=100,
    )
    catalog = probe_catalog()
    app = create_app(settings, catalog)
    async with app.router.lifespan_context(app):
        running = RunningApp(app, settings)
        platform = running.platform
        await seed(platform.database, catalog, running.kernel.hasher, settings)
        platform.ready = True
        await running.remember()
        yield running


@pytest.fixture
async def probe_app(probe_running: RunningApp) -> AsyncIterator[RunningApp]:
    """The app for one test."""
    yield probe_running
    await probe_running.reset()


@pytest.fixture
async def probe(probe_app: RunningApp) -> Api:
    """A client of it."""
    return Api(probe_app)
