"""The calls below `/system`, and `/health*` and `/metrics` at the root."""

from typing import Annotated

from fastapi import Depends, Request, Response

from app.auth.dependencies import Caller, public
from app.core.clients import is_local
from app.core.context import current
from app.core.platform import platform_of
from app.core.routing import ModuleRouter
from app.core.telemetry import CONTENT_TYPE, exposition
from app.modules.system.permissions import CanRead
from app.modules.system.schemas import EditableResource, Health, Info, Live, Ping
from app.modules.system.service import SystemService

router = ModuleRouter("/system", tags=["system"])
root_router = ModuleRouter("", tags=["health"])


async def _service(request: Request) -> SystemService:
    state = request.app.state
    return SystemService(platform_of(request), state.api_prefix, state.access_writer)


Service = Annotated[SystemService, Depends(_service)]


@router.get("/ping", dependencies=[public("Tells the time and nothing else.")])
async def ping(service: Service, response: Response) -> Ping:
    """The server's time."""
    response.headers.update(service.fallback_headers())
    return service.ping()


@router.get("/editable-resources", response_model_exclude_none=True)
async def list_editable_resources(service: Service, caller: Caller) -> list[EditableResource]:
    """The tables that can be edited through the API, as far as the caller may read them."""
    return service.editable_resources(caller)


@router.get("/info")
async def read_info(service: Service, _: CanRead) -> Info:
    """Versions, database, cache, modules."""
    return await service.info()


@root_router.get(
    "/health",
    responses={503: {"model": Health}},
    dependencies=[public("Monitoring asks without a credential; states only.")],
)
async def read_health(service: Service, response: Response) -> Health:
    """The state of every part; 503 where the whole is unavailable."""
    health = await service.health()
    response.status_code = 503 if health.is_unavailable else 200
    return health


@root_router.get("/health/ready", dependencies=[public("Load balancers ask without a credential.")])
async def read_readiness(service: Service) -> Live:
    """Whether requests can be served; 503 until then."""
    await service.require_ready()
    return Live(status="ok")


@root_router.get("/health/live", dependencies=[public("Supervisors ask without a credential.")])
async def read_liveness() -> Live:
    """The process runs; touches nothing else."""
    return Live(status="ok")


@root_router.get("/metrics", dependencies=[public("Scrapers ask from the local network; others get 404.")])
async def read_metrics(service: Service, request: Request) -> Response:
    """Prometheus text, for loopback and private networks only, where METRICS_ENABLED says so."""
    service.require_metrics(is_local=is_local(request.scope, current().client_ip))
    return Response(exposition(), media_type=CONTENT_TYPE)
