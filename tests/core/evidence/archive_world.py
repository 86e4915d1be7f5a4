"""A database with old rows and new ones in its logs, an archive beside it, and what must hold of both together."""

import gzip
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

from sqlalchemy import make_url
from sqlmodel import col, select

from app.core.audit.change_log import AuditRules, ChangeLog
from app.core.context import acting_as
from app.core.database import Database, ListRules
from app.core.evidence.archive import Archive, Outcome, Scope
from app.core.evidence.canonical import LOGS, STREAMS, Stream
from app.core.evidence.destinations import Folder
from app.core.evidence.models import AuditHold, AuditSegment
from app.core.evidence.runs import Run
from app.core.evidence.sealer import SealRules
from app.core.evidence.store import EvidenceStore
from app.core.evidence.verifier import Verifier, archived_ranges
from app.core.keys import Signer
from app.core.transaction import UnitOfWork

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CUTOFF = NOW - timedelta(days=90)
OLD = NOW - timedelta(days=200)
_BEFORE_CUTOFF, _AFTER_CUTOFF = 120, 30


def open_world_database(url: str) -> Database:
    return Database(
        make_url(url),
        ListRules(Signer(b"x" * 32), 1000),
        pool_size=4,
        durable=False,
        recorder=ChangeLog(AuditRules()),
    )


def change_row(number: int, at: datetime, **columns: Any) -> dict[str, Any]:
    return {
        "occurred_at": at,
        "xid": None,
        "tx_id": UUID(int=number),
        "tx_seq": 1,
        "request_id": f"request-{number}",
        "origin": "request",
        "actor_type": "user",
        "actor_id": f"actor-{number % 3}",
        "client_ip": "192.0.2.7",
        "action": "UPDATE",
        "cause": None,
        "entity": "things",
        "entity_id": str(number % 7),
        "changed": ["name"],
        "old": {"name": f"ä{number}", "price": "10.10"},
        "new": {"name": f"ö{number}", "deep": [1, 2.5, None, {"b": 1, "a": True}]},
        "truncated": False,
        "redacted": False,
        "reason": None,
        **columns,
    }


def access_row(number: int, at: datetime, **columns: Any) -> dict[str, Any]:
    return {
        "occurred_at": at,
        "xid": None,
        "duration_us": 1500,
        "request_id": f"request-{number}",
        "boot_id": "a" * 32,
        "seq": number,
        "method": "GET",
        "path": f"/things/{number}",
        "route": "/things/{id}",
        "query": {"q": "[redacted]"},
        "status": 200,
        "outcome": "ok",
        "actor_type": "user",
        "actor_id": f"actor-{number % 3}",
        "session_id": UUID(int=number),
        "client_ip": "2001:db8::7",
        "is_probe": False,
        **columns,
    }


_ROW = {"changes": change_row, "access": access_row}


@dataclass
class World:
    """One database, one folder."""

    url: str
    folder: Path
    database: Database
    rules: SealRules = field(default_factory=SealRules)

    @property
    def uow(self) -> UnitOfWork:
        return UnitOfWork(self.database)

    async def fill(self, old: int = _BEFORE_CUTOFF, new: int = _AFTER_CUTOFF) -> None:
        """Rows on both sides of the cutoff, in both logs."""
        for stream in STREAMS:
            times = [OLD + timedelta(minutes=n) for n in range(old)] + [NOW] * new
            await self.add(stream, [_ROW[stream](n, at) for n, at in enumerate(times, 1)])

    async def add(self, stream: Stream, rows: Sequence[dict[str, Any]]) -> None:
        uow = self.uow
        async with uow.transaction():
            connection = await uow.session.connection()
            await connection.execute(LOGS[stream].insert(), list(rows))

    async def lines(self, stream: Stream) -> dict[int, bytes]:
        """The rows that are in the database."""
        store = EvidenceStore(self.uow)
        found: dict[int, bytes] = {}
        async for batch in store.lines(stream, 1, -100, 2**40):
            found |= {line.id: line.data for line in batch}
        return found

    def archived(self, stream: Stream) -> dict[int, bytes]:
        """The rows that are in files. Asserts that each is in one file only."""
        found: dict[int, bytes] = {}
        for data in files(self.folder, stream, ".jsonl.gz"):
            for line in gzip.decompress(data.read_bytes()).splitlines():
                id = json.loads(line)["id"]
                assert id not in found
                found[id] = line
        return found

    def archive(self, run: Run | None = None) -> Archive:
        return Archive(self.database, Folder(self.folder), run or self.run(), self.rules)

    def run(self, **options: Any) -> Run:
        return Run(tool="tests", key=self.rules.key, **{"batch": 20, "pause_seconds": 0, **options})

    async def work(self, run: Run | None = None, **options: Any) -> Outcome:
        """`run`, unless `archive` or `prune` is off."""
        steps = {
            "archive": True,
            "prune": True,
            **{k: options.pop(k) for k in ("archive", "prune") if k in options},
        }
        scope = Scope(options.pop("before", CUTOFF), segment_rows=50, **options)
        with acting_as("cli", origin="cli", actor_name="somebody"):
            return await self.archive(run).work(scope, **steps)

    async def segments(self, stream: Stream = "changes") -> list[AuditSegment]:
        return await self.archive().segments([stream])

    async def hold(self, **columns: Any) -> UUID:
        """Places a hold; its id."""
        uow = self.uow
        with acting_as("cli", origin="cli", actor_name="somebody"):
            async with uow.transaction() as session:
                hold = AuditHold(reason="a case", placed_by="somebody", **columns)
                session.add(hold)
        return hold.id

    async def release(self, id: UUID) -> None:
        uow = self.uow
        with acting_as("cli", origin="cli", actor_name="somebody"):
            async with uow.transaction() as session:
                found = (await session.exec(select(AuditHold).where(col(AuditHold.id) == id))).one()
                found.released_at, found.released_by = NOW, "somebody else"

    async def verdict(self, stream: Stream) -> list[str]:
        """What verification says, in short."""
        gone = archived_ranges(await self.segments(stream))
        trusted = [self.rules.key.public] if self.rules.key else []
        verifier = Verifier(EvidenceStore(self.uow), trusted=trusted, archived={stream: gone})
        report = await verifier.verify(stream)
        return [f"{one.kind}: {one.what} {one.ids}" for one in report.findings]


def files(folder: Path, stream: str, suffix: str) -> Iterator[Path]:
    yield from sorted(folder.glob(f"{stream}-*{suffix}"))


@asynccontextmanager
async def open_world(url: str, folder: Path, rules: SealRules | None = None) -> AsyncIterator[World]:
    database = open_world_database(url)
    try:
        with patch("app.core.evidence.sealer.SEAL_ROWS", 25):  # so that segments of 50 rows come out
            yield World(url, folder, database, rules or SealRules())
    finally:
        await database.dispose()
