"""Brings archived rows back: into a database file of their own, or into the log that they came from."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.dialects.sqlite import insert

from app.core.clock import now
from app.core.database import private_file
from app.core.errors import Conflict
from app.core.evidence.archiver import Archiver, stream_of
from app.core.evidence.canonical import LOGS, Stream, values_of
from app.core.evidence.models import AuditSegment
from app.core.evidence.runs import Run
from app.core.evidence.segment_files import FileLine


class Restorer:
    """Into the log itself. Whoever calls holds the lock."""

    def __init__(self, archiver: Archiver, run: Run) -> None:
        """Works with the archiver's database and destination."""
        self._archiver = archiver
        self._run = run

    async def restore(self, segment: AuditSegment) -> AuditSegment:
        """Puts the rows of a pruned segment back under their ids: `restored`. May be repeated.

        The next prune removes them again, without a new file. Raises VerificationFailed, StorageFault, Interrupted.
        """
        self._run.proceed("restore")
        manifest = self._archiver.manifest_of(segment)
        if manifest.anonymised:
            raise Conflict(f"{segment.name} is anonymised: its rows are not those that were sealed.")
        for _ in self._archiver.file_lines(
            segment, manifest
        ):  # all of it is proved before the first row is put back
            pass
        if segment.state != "restored":
            await self._change(segment, "restoring")
        lines = self._archiver.file_lines(segment, manifest)
        stream = stream_of(segment)
        while batch := list(islice(lines, self._run.batch)):
            async with self._archiver.uow.transaction():
                rows = [values_of(stream, line.data) for line in batch]
                await self._archiver.segments.put_back(stream, rows)
                self._run.step("in restore transaction")
            self._run.rows("restore", segment, len(batch))
            self._run.proceed("between batches")
        return await self._change(segment, "restored")

    async def _change(self, segment: AuditSegment, state: str) -> AuditSegment:
        async with self._archiver.uow.transaction():
            await self._archiver.segments.change(segment.id, state=state, updated_at=now())
        return await self._archiver.current(segment)


class LogFile:
    """An SQLite file with tables like those of the logs, for looking at what was archived."""

    def __init__(self, path: Path) -> None:
        """Makes the file, for its owner only, and its tables where they aren't there."""
        private_file(path)
        self._engine = create_engine(f"sqlite:///{path}")
        for log in LOGS.values():
            log.create(self._engine, checkfirst=True)

    def add(self, stream: Stream, lines: Iterator[FileLine], batch: int) -> Iterator[int]:
        """Adds rows under their ids, those that are there stay; yields after each batch how many it had."""
        statement = insert(LOGS[stream]).on_conflict_do_nothing()
        while rows := [values_of(stream, line.data) for line in islice(lines, batch)]:
            with self._engine.begin() as connection:
                connection.execute(statement, rows)
            yield len(rows)

    def close(self) -> None:
        """Ends the connection."""
        self._engine.dispose()
