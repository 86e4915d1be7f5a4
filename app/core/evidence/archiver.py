"""Copies a log's old rows into files, step by step: planned, written, verified.

Each step may be the last one of a process that is killed: the next one goes on from there.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from datetime import datetime
from itertools import islice

from app.core.clock import now
from app.core.evidence.anonymise import anonymised
from app.core.evidence.boots import Intervals
from app.core.evidence.canonical import FORMS, Line, Stream, instant_text
from app.core.evidence.destinations import Destination, StorageFault
from app.core.evidence.manifest import DATA, FORMAT, MANIFEST, Manifest
from app.core.evidence.models import AuditSegment
from app.core.evidence.planning import Plan, plans
from app.core.evidence.runs import Run, VerificationFailed
from app.core.evidence.seals import Seal
from app.core.evidence.segment_files import (
    Damaged,
    FileFacts,
    FileLine,
    SegmentReader,
    SegmentWriter,
    boots_of,
)
from app.core.evidence.segments import SegmentStore
from app.core.evidence.store import EvidenceStore
from app.core.transaction import UnitOfWork

SEGMENT_ROWS = 100_000
_ROOM = 1.5
_SAMPLE = 500
_READ = 500  # few enough that their values are still near the processor when lines are made of them


class Archiver:
    """Of one destination. Whoever calls holds the lock."""

    def __init__(self, uow: UnitOfWork, destination: Destination, run: Run) -> None:
        """`uow` must be its own."""
        self.uow = uow
        self.segments = SegmentStore(uow)
        self.store = EvidenceStore(uow)
        self._destination = destination
        self._run = run

    async def plans(self, stream: Stream, *, before: datetime, segment_rows: int) -> AsyncIterator[Plan]:
        """What would be archived now."""
        taken = await self.segments.all(stream)
        async for plan in plans(self.store, stream, taken, before=before, segment_rows=segment_rows):
            yield plan

    async def estimate(self, plan: Plan) -> int:
        """About how many bytes the lines of a plan have: by the first few hundred."""
        async for batch in self.store.lines(
            plan.stream, plan.seals[0].form, plan.first_id, plan.last_id, batch=_SAMPLE
        ):
            return sum(len(line.data) + 1 for line in batch) * plan.row_count // len(batch)
        return 0

    async def begin(self, plan: Plan) -> AuditSegment:
        """The segment of a plan: `planned`. Raises StorageFault where there is too little room for it."""
        free, needed = self._destination.free_bytes(), await self.estimate(plan)
        if free is not None and free < needed * _ROOM:
            raise StorageFault(
                f"{self._destination.uri}: {free} bytes are free; {plan.row_count} rows may need {needed * _ROOM:.0f}"
            )
        name = f"{plan.stream}-{plan.first_id:012}-{plan.last_id:012}"
        segment = AuditSegment(
            stream=plan.stream,
            state="planned",
            name=name,
            uri=self._destination.uri,
            first_id=plan.first_id,
            last_id=plan.last_id,
            first_seal=plan.seals[0].number,
            last_seal=plan.seals[-1].number,
            row_count=plan.row_count,
            run_id=self._run.id,
            updated_at=now(),
        )
        self._run.proceed("plan")
        async with self.uow.transaction():
            await self.segments.add(segment)
        self._run.step("planned")
        return await self.current(segment)

    async def write(self, segment: AuditSegment) -> AuditSegment:
        """Writes both files of a segment, anew if need be: `written`. Raises VerificationFailed, StorageFault."""
        seals = await self._seals(segment)
        boots = Intervals()
        self._run.proceed("write")
        with self._destination.writing(f"{segment.name}{DATA}") as file:
            writer = SegmentWriter(file, is_anonymised=self._run.anonymise)
            async with aclosing(self._lines(segment, seals[0].form, anonymise=self._run.anonymise)) as rows:
                async for batch in rows:
                    writer.add(batch)
                    if segment.stream == "access":
                        boots_of(batch, boots)
                    self._run.rows("write", segment, len(batch))
                    self._run.proceed("write batch")
            facts = writer.close()
            self._run.step("before rename")
        self._run.step("after rename")
        manifest = await self._manifest(segment, seals, facts, boots)
        if facts.row_count != segment.row_count:
            raise VerificationFailed(
                f"{segment.name}: {facts.row_count} rows are here, {segment.row_count} were sealed"
            )
        with self._destination.writing(f"{segment.name}{MANIFEST}") as file:
            file.write(manifest.data())
            self._run.step("before manifest")
        self._run.step("after manifest")
        return await self._change(
            segment,
            state="written",
            written_at=now(),
            size_bytes=facts.size_bytes,
            sha256_file=facts.sha256_file,
            sha256_plain=facts.sha256_plain,
            manifest_sha256=manifest.manifest_sha256,
            min_at=seals_span(seals)[0],
            max_at=seals_span(seals)[1],
            boots=boots.told() if segment.stream == "access" else None,
        )

    async def verify(self, segment: AuditSegment) -> AuditSegment:
        """Reads the file of a written segment again and compares row by row: `verified`. Raises VerificationFailed."""
        self._run.proceed("verify")
        manifest = self.manifest_of(segment)
        await self._covering(segment, manifest)
        lines = self.file_lines(segment, manifest)
        async with aclosing(self._lines(segment, manifest.form, anonymise=manifest.anonymised)) as rows:
            async for batch in rows:
                expected = list(islice(lines, len(batch)))
                if [(line.id, line.data) for line in batch] != [(line.id, line.data) for line in expected]:
                    raise VerificationFailed(f"{segment.name}: the file is not what the database has")
                self._run.rows("verify", segment, len(batch))
                self._run.proceed("verify batch")
        if next(lines, None) is not None:
            raise VerificationFailed(f"{segment.name}: the file has rows that the database hasn't")
        self._run.step("before verified")
        changed = await self._change(segment, state="verified", verified_at=now())
        self._run.step("verified")
        return changed

    def manifest_of(self, segment: AuditSegment) -> Manifest:
        """The manifest, as the database knows it. Raises VerificationFailed, StorageFault."""
        try:
            with self._destination.reading(f"{segment.name}{MANIFEST}") as file:
                manifest = Manifest.parse(file.read())
        except ValueError as error:
            raise VerificationFailed(f"{segment.name}{MANIFEST}: {error}") from None
        faults = manifest.faults()
        if manifest.manifest_sha256 != segment.manifest_sha256:
            faults.append("it is another one than the database knows")
        if faults:
            raise VerificationFailed(f"{segment.name}{MANIFEST}: {faults[0]}")
        return manifest

    def file_lines(self, segment: AuditSegment, manifest: Manifest) -> Iterator[FileLine]:
        """The lines of the file, which is held against its manifest on the way. Raises VerificationFailed."""
        try:
            yield from SegmentReader(self._destination, manifest).lines()
        except Damaged as damage:
            raise VerificationFailed(f"{segment.name}{DATA}: {damage}") from None

    async def _covering(self, segment: AuditSegment, manifest: Manifest) -> None:
        """Whether the seals in the manifest are the database's."""
        known = [seal.told() for seal in await self._seals(segment)]
        if [dict(seal) for seal in manifest.seals] != known:
            raise VerificationFailed(f"{segment.name}{MANIFEST}: its seals are not those of the database")

    async def _lines(
        self, segment: AuditSegment, form: int, *, anonymise: bool
    ) -> AsyncGenerator[list[Line]]:
        """The rows as the file has them."""
        ends = (segment.first_id, segment.last_id)
        rows = self.store.lines_ahead(stream_of(segment), form, *ends, batch=min(_READ, self._run.batch))
        async with aclosing(rows):
            async for batch in rows:
                yield [anonymised(line) for line in batch] if anonymise else batch

    async def _seals(self, segment: AuditSegment) -> list[Seal]:
        count = segment.last_seal - segment.first_seal + 1
        found = await self.store.seals_after(stream_of(segment), segment.first_seal - 1, count)
        if [seal.number for seal in found] != list(range(segment.first_seal, segment.last_seal + 1)):
            raise VerificationFailed(f"{segment.name}: seals are missing in the database")
        return found

    async def _manifest(
        self, segment: AuditSegment, seals: list[Seal], facts: FileFacts, boots: Intervals
    ) -> Manifest:
        """The same one each time: what it says of the run is what was planned."""
        stream = stream_of(segment)
        known = [one for one in await self.segments.all(stream) if one.uri == segment.uri]
        before = [one for one in known if (one.pk or 0) < (segment.pk or 0)]
        made = Manifest(
            format=FORMAT,
            stream=stream,
            name=segment.name,
            form=seals[0].form,
            columns=FORMS[seals[0].form][stream],
            first_id=segment.first_id,
            last_id=segment.last_id,
            row_count=facts.row_count,
            min_at=facts.min_at,
            max_at=facts.max_at,
            size_bytes=facts.size_bytes,
            plain_bytes=facts.plain_bytes,
            sha256_file=facts.sha256_file,
            sha256_plain=facts.sha256_plain,
            merkle_root=facts.merkle_root,
            boots=boots.told(),
            seals=tuple(seal.told() for seal in seals),
            previous=before[-1].manifest_sha256 if before else None,
            schema_rev=await self.segments.schema_revision(),
            tool=self._run.tool,
            run_id=str(segment.run_id),
            created_at=instant_text(segment.created_at),
            anonymised=self._run.anonymise,
        )
        return made.signed(self._run.key)

    async def _change(self, segment: AuditSegment, **values: object) -> AuditSegment:
        async with self.uow.transaction():
            await self.segments.change(segment.id, **values, updated_at=now())
        return await self.current(segment)

    async def current(self, segment: AuditSegment) -> AuditSegment:
        """The segment as the database has it now."""
        found = await self.segments.all(stream_of(segment))
        return next(one for one in found if one.id == segment.id)


def stream_of(segment: AuditSegment) -> Stream:
    """The stream's name as a type. Raises ValueError."""
    if segment.stream == "access":
        return "access"
    if segment.stream == "changes":
        return "changes"
    raise ValueError(f"{segment.stream} is no log")


def seals_span(seals: list[Seal]) -> tuple[datetime | None, datetime | None]:
    """The earliest and the latest instant that seals cover."""
    first = [seal.min_at for seal in seals if seal.min_at]
    last = [seal.max_at for seal in seals if seal.max_at]
    return min(first, default=None), max(last, default=None)
