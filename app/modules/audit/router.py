"""The calls below `/audit`. They only read: there is no way to change or remove what was logged."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from app.core.platform import uow_of
from app.core.routing import ModuleRouter
from app.core.text import Text
from app.modules.audit.permissions import CanExport, CanRead
from app.modules.audit.schemas import (
    AccessPage,
    AccessQuery,
    ChangePage,
    ChangeQuery,
    ExportQuery,
    HistoryQuery,
    Moment,
    Span,
    StatsQuery,
    Story,
    encoded,
)
from app.modules.audit.schemas_records import AsOf, Difference, Drift, Entities, Stats
from app.modules.audit.service import LogService
from app.modules.audit.service_export import ExportService
from app.modules.audit.service_records import RecordService
from app.modules.audit.service_stats import StatsService

router = ModuleRouter("/audit", tags=["audit"])


async def _logs(request: Request) -> LogService:
    return LogService(uow_of(request))


async def _records(request: Request) -> RecordService:
    return RecordService(uow_of(request))


async def _span(
    since: Annotated[Moment | None, Query(alias="from", description="Inclusive.")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Exclusive.")] = None,
) -> Span:
    return Span(since=since, until=until)


Logs = Annotated[LogService, Depends(_logs)]
Records = Annotated[RecordService, Depends(_records)]
Within = Annotated[Span, Depends(_span)]
RequestId = Annotated[Text, Path(max_length=64)]
Entity = Annotated[Text, Path(max_length=64, description="The name of the table.")]
EntityId = Annotated[Text, Path(max_length=255, description="As the log has it; of a link a JSON array.")]


def _json(answer: Mapping[str, Any]) -> Response:
    return Response(encoded(answer), media_type="application/json")


@router.get("/access", response_model=AccessPage)
async def list_access(
    query: Annotated[AccessQuery, Query()], within: Within, service: Logs, _: CanRead
) -> Response:
    """Requests, the newest first. What is written while one pages is not mixed in."""
    return _json(await service.page(query.asked_of("access", within), query))


@router.get("/changes", response_model=ChangePage)
async def list_changes(
    query: Annotated[ChangeQuery, Query()], within: Within, service: Logs, _: CanRead
) -> Response:
    """Changes of rows, the newest first. What is written while one pages is not mixed in."""
    return _json(await service.page(query.asked_of("changes", within), query))


@router.get("/requests/{request_id}", response_model=Story)
async def read_story(request_id: RequestId, service: Logs, _: CanRead) -> Response:
    """All that is known of a request: how it was answered, and what it changed, by transaction."""
    return _json(await service.story(request_id))


@router.get("/entities")
async def list_entities(service: Records, _: CanRead) -> Entities:
    """The audited tables with how their columns are told, and the tables left out, with the reason."""
    return service.entities()


@router.get("/entities/{entity}/{id:path}/history", response_model=ChangePage)
async def read_history(
    entity: Entity, id: EntityId, query: Annotated[HistoryQuery, Query()], service: Records, _: CanRead
) -> Response:
    """A record's changes, the oldest first."""
    return _json(await service.history(entity, id, query))


@router.get("/entities/{entity}/{id:path}/as-of")
async def read_as_of(entity: Entity, id: EntityId, at: Moment, service: Records, _: CanRead) -> AsOf:
    """What a record was at an instant."""
    return await service.as_of(entity, id, at)


@router.get("/entities/{entity}/{id:path}/diff")
async def read_difference(
    entity: Entity,
    id: EntityId,
    since: Annotated[Moment, Query(alias="from")],
    until: Annotated[Moment, Query(alias="to")],
    service: Records,
    _: CanRead,
) -> Difference:
    """What became of a record from one instant to a later one."""
    return await service.difference(entity, id, since, until)


@router.get("/entities/{entity}/{id:path}/drift")
async def read_drift(entity: Entity, id: EntityId, service: Records, _: CanRead) -> Drift:
    """Whether a record's changes follow from each other and lead to the present row: else something wrote past them."""
    return await service.drift(entity, id)


@router.get("/stats")
async def read_stats(
    query: Annotated[StatsQuery, Query()], within: Within, request: Request, _: CanRead
) -> Stats:
    """How many rows fit, by buckets of time in UTC."""
    return await StatsService(uow_of(request)).count(query.asked_of(query.stream, within), query)


@router.get("/export", response_class=StreamingResponse)
async def export_log(
    query: Annotated[ExportQuery, Query()], within: Within, request: Request, _: CanExport
) -> StreamingResponse:
    """A log as a file, the oldest row first. The last line of JSONL counts the others and has their hash."""
    made = await ExportService(uow_of(request)).export(query.asked_of(query.stream, within), query)
    headers = {"Content-Disposition": f'attachment; filename="{made.name}"'}
    return StreamingResponse(made.chunks, media_type=made.media_type, headers=headers)
