"""Removes files of the archive that were kept long enough. Only by command, and never under a hold."""

from datetime import datetime

import orjson

from app.core.clock import now
from app.core.context import current
from app.core.evidence.archiver import Archiver, stream_of
from app.core.evidence.destinations import Destination
from app.core.evidence.models import AuditSegment
from app.core.evidence.runs import Run
from app.core.evidence.tombstones import expire


class Expirer:
    """Of one destination. Whoever calls holds the lock."""

    def __init__(self, archiver: Archiver, destination: Destination, run: Run) -> None:
        """Works with the archiver's database."""
        self._archiver = archiver
        self._destination = destination
        self._run = run

    async def why_not(self, segment: AuditSegment, before: datetime) -> str | None:
        """Why a segment's file has to stay, in words; None where it may go. Raises VerificationFailed."""
        if segment.state != "pruned" or segment.held_count:
            return f"it is {segment.state}" if segment.state != "pruned" else "rows of it are held"
        if segment.max_at is None or segment.max_at >= before:
            return "it is not old enough"
        holds = await self._archiver.segments.active_holds(stream_of(segment))
        if not holds:
            return None
        manifest = self._archiver.manifest_of(segment)
        for line in self._archiver.file_lines(segment, manifest):
            row = orjson.loads(line.data)
            if any(hold.keeps(row) for hold in holds):
                return f"row {line.id} is under a legal hold"
        return None

    async def expire(self, segment: AuditSegment) -> AuditSegment:
        """Removes the file and leaves a tombstone: `expired`. Raises VerificationFailed, StorageFault."""
        context = current()
        manifest = self._archiver.manifest_of(segment)
        by = str(context.actor_id or context.actor_name or context.actor_type)
        self._run.proceed("expire")
        async with self._archiver.uow.transaction():
            values = {"state": "expired", "expired_at": now(), "updated_at": now()}
            await self._archiver.segments.change(segment.id, **values)
            reason = context.reason or "kept long enough"
            expire(self._destination, manifest, key=self._run.key, at=now(), by=by, reason=reason)
            self._run.step("expired")
        return await self._archiver.current(segment)
