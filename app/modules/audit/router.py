"""The calls below `/audit`. There is none that changes or removes what was logged."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from app.core.answers import created
from app.core.instants import Instant
from app.core.pagination import Page
from app.core.platform import platform_of, uow_of
from app.core.routing import ModuleRouter
from app.core.text import Text
from app.modules.audit.permissions import CanExport, CanHold, CanRead, CanVerify
from app.modules.audit.schemas import (
    AccessPage,
    AccessQuery,
    ChangePage,
    ChangeQuery,
    ExportQuery,
    HistoryQuery,
    Span,
    StatsQuery,
    Story,
    encoded,
)
from app.modules.audit.schemas_evidence import (
    SealPage,
    SealQuery,
    SegmentQuery,
    SegmentSummary,
    Verification,
    VerifyQuery,
)
from app.modules.audit.schemas_holds import HoldCreate, HoldQuery, HoldRead, HoldRelease
from app.modules.audit.schemas_records import AsOf, Difference, Drift, Entities, Stats
from app.modules.audit.service import LogService
from app.modules.audit.service_evidence import EvidenceService
from app.modules.audit.service_export import ExportService
from app.modules.audit.service_holds import HoldService
from app.modules.audit.service_records import RecordService
from app.modules.audit.service_stats import StatsService

router = ModuleRouter("/audit", tags=["audit"])


async def _logs(request: Request) -> LogService:
    return LogService(uow_of(request))


async def _records(request: Request) -> RecordService:
    return RecordService(uow_of(request))


async def _evidence(request: Request) -> EvidenceService:
    return EvidenceService(uow_of(request), request.app.state.seal_rules)


async def _holds(request: Request) -> HoldService:
    return HoldService(uow_of(request), needs_two=platform_of(request).settings.holds_need_two)


async def _span(
    since: Annotated[Instant | None, Query(alias="from", description="Inclusive.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Exclusive.")] = None,
) -> Span:
    return Span(since=since, until=until)


Logs = Annotated[LogService, Depends(_logs)]
Records = Annotated[RecordService, Depends(_records)]
Evidence = Annotated[EvidenceService, Depends(_evidence)]
Holds = Annotated[HoldService, Depends(_holds)]
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
async def read_as_of(entity: Entity, id: EntityId, at: Instant, service: Records, _: CanRead) -> AsOf:
    """What a record was at an instant."""
    return await service.as_of(entity, id, at)


@router.get("/entities/{entity}/{id:path}/diff")
async def read_difference(
    entity: Entity,
    id: EntityId,
    since: Annotated[Instant, Query(alias="from")],
    until: Annotated[Instant, Query(alias="to")],
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


@router.get("/verify", response_model=Verification)
async def verify_log(
    query: Annotated[VerifyQuery, Query()], service: Evidence, _: CanVerify
) -> Mapping[str, Any]:
    """Whether a log is as it was sealed, for at most 200,000 rows: the whole is for `scripts/archive_audit.py`."""
    return await service.verify(query)


@router.get("/seals", response_model=SealPage)
async def list_seals(query: Annotated[SealQuery, Query()], service: Evidence, _: CanVerify) -> Response:
    """The links of both chains, the newest first, in the words that are hashed."""
    return _json(await service.page_of_seals(query))


@router.get("/segments", response_model=Page[SegmentSummary])
async def list_segments(
    query: Annotated[SegmentQuery, Query()], service: Evidence, _: CanVerify, request: Request
) -> Response:
    """What of the logs is archived, the newest first."""
    return (await service.page_of_segments(query)).response(request)


@router.get("/holds", response_model=Page[HoldRead])
async def list_holds(
    query: Annotated[HoldQuery, Query()], service: Holds, _: CanRead, request: Request
) -> Response:
    """Legal holds, the newest first, released ones too."""
    return (await service.page(query)).response(request)


@router.post("/holds", status_code=201)
async def place_hold(
    data: HoldCreate, service: Holds, caller: CanHold, request: Request, response: Response
) -> HoldRead:
    """Keeps rows from being removed: those that fit all that is given, also those that will be written."""
    hold = await service.place(data, caller)
    created(request, response, hold.id)
    return hold


@router.get("/holds/{hold_id}")
async def read_hold(hold_id: UUID, service: Holds, _: CanRead) -> HoldRead:
    """A legal hold."""
    return await service.read(hold_id)


@router.post("/holds/{hold_id}/release")
async def release_hold(hold_id: UUID, data: HoldRelease, service: Holds, caller: CanHold) -> HoldRead:
    """Ends a hold, for good. In production it takes somebody else than who placed it."""
    return await service.release(hold_id, data, caller)
