"""Removes from a log what a file was just proved to hold: batch by batch, each in a transaction of its own."""

import asyncio
from array import array
from bisect import bisect_left

from app.core.clock import now
from app.core.evidence.archiver import Archiver, stream_of
from app.core.evidence.models import AuditSegment
from app.core.evidence.runs import Run, VerificationFailed


class Pruner:
    """Of one destination. Whoever calls holds the lock."""

    def __init__(self, archiver: Archiver, run: Run) -> None:
        """Works with the archiver's database and destination."""
        self._archiver = archiver
        self._segments = archiver.segments
        self._run = run

    async def prune(self, segment: AuditSegment) -> AuditSegment:
        """Removes the rows of a verified segment but for those that are held: `pruned`.

        Also of a segment that was restored, or that has rows which are held no more. Reads the whole file before.
        Raises VerificationFailed, StorageFault, Interrupted.
        """
        self._run.proceed("prune")
        manifest = self._archiver.manifest_of(segment)
        ids = array("q", (line.id for line in self._archiver.file_lines(segment, manifest)))
        if segment.state != "verified":
            await self._change(segment, state="verified")
        stream, kept = stream_of(segment), (1, 0)
        self._run.step("before prune")
        while kept[0] != kept[1]:  # more than once only where a hold was released meanwhile
            await self._remove(segment, ids)
            kept = await self._segments.counts(stream, segment.first_id, segment.last_id)
        self._run.step("before pruned")
        async with self._archiver.uow.transaction():
            values = {"state": "pruned", "held_count": kept[1], "pruned_at": now(), "updated_at": now()}
            await self._segments.change(segment.id, **values)
            if not kept[1]:
                await self._archiver.store.forget_leaves(stream, segment.first_seal, segment.last_seal)
        self._run.step("pruned")
        return await self._archiver.current(segment)

    async def _remove(self, segment: AuditSegment, ids: "array[int]") -> None:
        after, stream = segment.first_id - 1, stream_of(segment)
        while found := await self._segments.free_ids(stream, after, segment.last_id, self._run.batch):
            unknown = [id for id in found if not _has(ids, id)]
            if unknown:
                raise VerificationFailed(f"{segment.name}: row {unknown[0]} is here and not in the file")
            async with self._archiver.uow.transaction():
                removed = await self._segments.remove(stream, found[0], found[-1])
                if removed > len(found):
                    raise VerificationFailed(f"{segment.name}: a row appeared while others were removed")
                self._run.step("in prune transaction")
            after = found[-1]
            self._run.rows("prune", segment, removed)
            self._run.proceed("between batches")
            await asyncio.sleep(self._run.pause_seconds)

    async def _change(self, segment: AuditSegment, **values: object) -> None:
        async with self._archiver.uow.transaction():
            await self._segments.change(segment.id, **values, updated_at=now())


def _has(ids: "array[int]", id: int) -> bool:
    place = bisect_left(ids, id)
    return place < len(ids) and ids[place] == id
