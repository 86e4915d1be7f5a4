"""Builds the app out of its parts. Nobody imports this module but the server."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute

import app as package
from app.composition import assemble_kernel, audit_settings, close, open_platform, seal_rules, sealing
from app.core import telemetry
from app.core.audit.writer import AccessWriter
from app.core.clients import ClientAddress
from app.core.collector import settle, undisturbed
from app.core.config import ROOT, RefusedStart, Settings, get_settings
from app.core.handlers import install
from app.core.logging import CHANNELS, configure, logger
from app.core.middleware.access_log import AccessLogMiddleware
from app.core.middleware.allowed_hosts import AllowedHostsMiddleware
from app.core.middleware.body_limit import BodyLimitMiddleware
from app.core.middleware.cors import CorsMiddleware
from app.core.middleware.faults import FaultsMiddleware
from app.core.middleware.head import HeadMiddleware
from app.core.middleware.rate_limit import RateLimitMiddleware
from app.core.middleware.request_id import RequestIdMiddleware
from app.core.middleware.security_headers import SecurityHeadersMiddleware
from app.core.module import Catalog
from app.core.routing import ModuleRouter, ModuleTable, remember_queries
from app.openapi import describe, operation_id
from app.pages.routes import page_routes
from app.registry import (
    API_PREFIX,
    FaultyModules,
    discover,
    naked_routes,
    repeated_names,
    repositories,
    shape_faults,
)
from app.startup import EXIT_REFUSED, Startup, choose_database

SPOOL = ROOT / "data" / "spool"
_log = logger("server")


@undisturbed()
def create_app(settings: Settings | None = None, catalog: Catalog | None = None) -> FastAPI:
    """The app for these settings. Raises RefusedStart, FaultyModules."""
    settings = settings or get_settings()
    if faults := settings.violations():
        raise RefusedStart(faults)
    catalog = catalog or discover()
    remember_queries()
    app = FastAPI(
        title="Tessera",
        version=package.__version__,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    app.state.settings, app.state.catalog, app.state.api_prefix = settings, catalog, API_PREFIX
    app.state.access_writer = AccessWriter(SPOOL)
    app.state.seal_rules = seal_rules(settings)
    app.router.routes.extend(page_routes(docs_enabled=settings.docs, version=package.__version__))
    table = _include(app, catalog)
    install(app)
    _add_middleware(app, settings)
    describe(app)
    if (
        faults := [f"{route} has no guard" for route in naked_routes(app.routes, _pages(app))]
        + repeated_names(app.routes)
        + shape_faults(repositories())
    ):
        raise FaultyModules(faults)
    app.router.routes.insert(0, table)
    if settings.metrics:
        telemetry.enable()
    return app


def _include(app: FastAPI, catalog: Catalog) -> ModuleTable:
    """Every module's routers; how they are found."""
    included: list[tuple[BaseRoute, ModuleRouter]] = []
    lifespan = app.router.lifespan_context
    for module in catalog.modules:
        for router in module.routers:
            prefix = API_PREFIX if router is module.router else ""
            router.open(prefix, module.name)
            app.include_router(router, prefix=prefix)
            included.append((app.routes[-1], router))
    # FastAPI wraps each router's into those before: some hundreds of them would be too deep to enter. They have none.
    app.router.lifespan_context = lifespan
    return ModuleTable(included, API_PREFIX)


def _pages(app: FastAPI) -> set[str]:
    """The paths that may be without a guard: documents for people, served as they are."""
    return {
        str(app.openapi_url),
        *(str(getattr(r, "path", "")) for r in page_routes(docs_enabled=True, version="")),
    }


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """The last one added is the outermost."""
    app.add_middleware(FaultsMiddleware)
    if settings.rate_limit:
        app.add_middleware(RateLimitMiddleware)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes)
    app.add_middleware(AllowedHostsMiddleware, hosts=settings.allowed_hosts)
    if settings.cors_origins:
        app.add_middleware(
            CorsMiddleware,
            allow_origins=settings.cors_origins,
            allow_credentials=True,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID", "If-Match"],
            expose_headers=[
                *("X-Request-ID", "Link", "Location", "Retry-After"),
                *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
            ],
        )
    app.add_middleware(
        AccessLogMiddleware,
        writer=app.state.access_writer,
        api_prefix=API_PREFIX,
        is_durable=settings.audit_access_durability == "durable",
        excluded=settings.audit_access_exclude,
    )
    app.add_middleware(SecurityHeadersMiddleware)  # never answers; what the log refuses carries its headers
    app.add_middleware(RequestIdMiddleware, address=ClientAddress(settings.trusted_proxies))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    configure(level=settings.log_level, json_console=settings.json_console, folder=settings.log_path)
    _log.info("start", version=package.__version__, environment=settings.environment.value)
    if settings.seal_key_path is None:
        tell = _log.warning if settings.is_production else _log.info
        tell("audit.unsigned", reason="AUDIT_SEAL_KEY_FILE is empty: seals of the logs are not signed")
    platform = open_platform(settings, app.state.catalog, await choose_database(settings))
    if not platform.bus.is_shared:
        _log.info(
            "bus.local", reason="CACHE_URL is empty: live events reach the sockets of this process only"
        )
    kernel = assemble_kernel(platform)
    app.state.platform, app.state.kernel = platform, kernel
    writer: AccessWriter = app.state.access_writer
    await writer.start(platform.database, audit_settings(settings))
    startup = Startup(platform, kernel.hasher)
    await startup.run()
    kernel.reset_mails.start()
    seals = sealing(platform.database, app.state.seal_rules)
    seals.start()
    settle()
    try:
        yield
    finally:
        platform.ready = False
        await kernel.reset_mails.stop()
        await seals.stop()
        await startup.stop()
        await writer.stop()
        await close(platform, kernel)
        CHANNELS["activity"].flush()
        _log.info("stop")


def __dir__() -> list[str]:
    """With `app`, for tools such as `fastapi dev` that look for it before they ask."""
    return sorted({*globals(), "app"})


def __getattr__(name: str) -> Any:
    """`app`, made when a server asks for it: importing this module has no effect."""
    if name != "app":
        raise AttributeError(name)
    try:
        return create_app()
    except (RefusedStart, FaultyModules) as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"refused to start: {line}\n")
        sys.exit(EXIT_REFUSED)
