"""The whole of an archive's run: finish what is unfinished, seal, plan, write, verify, prune."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.core.database import Database
from app.core.evidence.archiver import SEGMENT_ROWS, Archiver, stream_of
from app.core.evidence.canonical import STREAMS, Stream
from app.core.evidence.destinations import Destination
from app.core.evidence.expiring import Expirer
from app.core.evidence.locks import only_run
from app.core.evidence.manifest import Manifest
from app.core.evidence.models import AuditSegment
from app.core.evidence.parquet import copy_to_parquet
from app.core.evidence.places import open_destination
from app.core.evidence.pruning import Pruner
from app.core.evidence.restoring import Restorer
from app.core.evidence.runs import Interrupted, Run
from app.core.evidence.sealer import Sealer, SealRules
from app.core.transaction import UnitOfWork


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run is about: rows older than `before`, in files of about `segment_rows` rows."""

    before: datetime
    streams: Sequence[Stream] = STREAMS
    segment_rows: int = SEGMENT_ROWS


@dataclass(slots=True)
class Outcome:
    """What a run did. `segments`: those that it worked on, as they are now."""

    segments: dict[str, AuditSegment] = field(default_factory=dict)
    archived_rows: int = 0
    pruned_rows: int = 0
    restored_rows: int = 0
    held_rows: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "segments": [segment_told(segment) for segment in self.segments.values()],
            "archived_rows": self.archived_rows,
            "pruned_rows": self.pruned_rows,
            "restored_rows": self.restored_rows,
            "held_rows": self.held_rows,
            "kept": self.kept,
            "interrupted": self.interrupted,
        }


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a segment to come would be. Rows that no seal covers yet are sealed first: `plain_bytes` is 0."""

    stream: Stream
    first_id: int
    last_id: int
    row_count: int
    held_count: int
    plain_bytes: int


class Archive:
    """One database and one destination, worked on by one run."""

    def __init__(self, database: Database, destination: Destination, run: Run, rules: SealRules) -> None:
        """Takes the lock only while it works."""
        self._database = database
        self._destination = destination
        self._run = run
        self._rules = rules
        self._archivers: dict[str, Archiver] = {}
        self.outcome = Outcome()

    async def work(self, scope: Scope, *, archive: bool, prune: bool) -> Outcome:
        """Archives, prunes, or both. Raises Busy, VerificationFailed, StorageFault, AppError."""
        async with only_run(self._database, self._destination):
            try:
                self._destination.sweep()
                for stream in scope.streams:
                    for segment in await self._archiver().segments.all(stream):
                        await self._advance(segment, archive=archive, prune=prune)
                if archive:
                    self._run.proceed("seal")
                    await Sealer(UnitOfWork(self._database), self._rules).seal_all(cut_at=scope.before)
                    for stream in scope.streams:
                        await self._archive_new(stream, scope, prune=prune)
            except Interrupted:
                self.outcome.interrupted = True
        return self.outcome

    async def restore(self, wanted: Sequence[AuditSegment]) -> Outcome:
        """Puts segments back into the log. Raises Busy, VerificationFailed, StorageFault, AppError."""
        async with only_run(self._database, self._destination):
            try:
                for segment in wanted:
                    restorer = Restorer(self._archiver(segment.uri), self._run)
                    restored = await restorer.restore(segment)
                    self.outcome.restored_rows += restored.row_count
                    self.outcome.segments[restored.name] = restored
            except Interrupted:
                self.outcome.interrupted = True
        return self.outcome

    async def expire(self, scope: Scope, *, is_dry: bool) -> Outcome:
        """Removes files whose rows are all older than `before`; `kept` says why others stay.

        Raises Busy, VerificationFailed, StorageFault, AppError.
        """
        async with only_run(self._database, self._destination):
            try:
                for segment in await self.segments(scope.streams):
                    archiver, destination = self._archiver(segment.uri), self._place(segment.uri)
                    expirer = Expirer(archiver, destination, self._run)
                    why = await expirer.why_not(segment, scope.before)
                    if why is not None:
                        self.outcome.kept[segment.name] = why
                    else:
                        gone = segment if is_dry else await expirer.expire(segment)
                        self.outcome.segments[segment.name] = gone
            except Interrupted:
                self.outcome.interrupted = True
        return self.outcome

    async def segments(self, streams: Sequence[Stream]) -> list[AuditSegment]:
        """Those that the database knows, oldest first."""
        return [one for stream in streams for one in await self._archiver().segments.all(stream)]

    def manifest_of(self, segment: AuditSegment) -> Manifest:
        """The manifest of a segment, wherever it is. Raises VerificationFailed, StorageFault."""
        return self._archiver(segment.uri).manifest_of(segment)

    async def forecast(self, scope: Scope) -> AsyncIterator[Forecast]:
        """What a run would archive. Writes nothing and takes no lock."""
        archiver = self._archiver()
        for stream in scope.streams:
            async for plan in archiver.plans(stream, before=scope.before, segment_rows=scope.segment_rows):
                _, held = await archiver.segments.counts(stream, plan.first_id, plan.last_id)
                ends = (plan.first_id, plan.last_id)
                yield Forecast(stream, *ends, plan.row_count, held, await archiver.estimate(plan))
            head = await archiver.store.newest_seal(stream)
            last_id = head.last_id if head else 0
            first, last, rows, held = await archiver.segments.unsealed(stream, last_id, scope.before)
            if rows:
                yield Forecast(stream, first, last, rows, held, 0)

    async def _archive_new(self, stream: Stream, scope: Scope, *, prune: bool) -> None:
        archiver = self._archiver()
        async for plan in archiver.plans(stream, before=scope.before, segment_rows=scope.segment_rows):
            await self._advance(await archiver.begin(plan), archive=True, prune=prune)

    async def _advance(self, segment: AuditSegment, *, archive: bool, prune: bool) -> None:
        """From whatever state it is in as far as it may go."""
        archiver = self._archiver(segment.uri)
        if archive and segment.state == "planned":
            self.outcome.segments[segment.name] = segment
            segment = await archiver.write(segment)
        if archive and segment.state == "written":
            segment = await archiver.verify(segment)
            self.outcome.archived_rows += segment.row_count
            self.outcome.segments[segment.name] = segment
            if self._run.parquet:
                copy_to_parquet(self._place(segment.uri), archiver.manifest_of(segment))
        if prune and await self._has_something_to_prune(archiver, segment):
            before, _ = await archiver.segments.counts(stream_of(segment), segment.first_id, segment.last_id)
            segment = await Pruner(archiver, self._run).prune(segment)
            self.outcome.pruned_rows += before - segment.held_count
            self.outcome.held_rows += segment.held_count
            self.outcome.segments[segment.name] = segment

    async def _has_something_to_prune(self, archiver: Archiver, segment: AuditSegment) -> bool:
        if segment.state in {"verified", "restored", "restoring"}:
            return True
        if segment.state != "pruned" or not segment.held_count:
            return False
        stream, after = stream_of(segment), segment.first_id - 1
        return bool(await archiver.segments.free_ids(stream, after, segment.last_id, 1))

    def _archiver(self, uri: str | None = None) -> Archiver:
        """For the place where a segment is; without one, for the place of this run."""
        place = uri or self._destination.uri
        if place not in self._archivers:
            self._archivers[place] = Archiver(UnitOfWork(self._database), self._place(place), self._run)
        return self._archivers[place]

    def _place(self, uri: str) -> Destination:
        return self._destination if uri == self._destination.uri else open_destination(uri)


def segment_told(segment: AuditSegment) -> dict[str, Any]:
    """A segment for programs: instants as ISO 8601, the public id, no integer key."""
    told = segment.model_dump(mode="json", exclude={"pk", "boots"})
    return dict(told)
