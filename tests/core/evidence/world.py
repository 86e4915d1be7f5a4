"""Logs with rows of a test's own, their seals, and an attacker who rules the database."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.core.database import Database, ListRules
from app.core.entity import table_of
from app.core.evidence.anchors import FileAnchor, Head
from app.core.evidence.canonical import LOGS, STREAMS, Stream
from app.core.evidence.findings import Report
from app.core.evidence.models import AuditSeal, AuditSealLeaves
from app.core.evidence.sealer import Sealer, SealRules
from app.core.evidence.seals import Seal
from app.core.evidence.signing import SealKey, load_key, make_key
from app.core.evidence.store import EvidenceStore
from app.core.evidence.verifier import Verifier
from app.core.keys import Signer
from app.core.transaction import UnitOfWork
from tests.backend import Backend

START = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
BOOT = "0" * 31 + "a"
SEALS, LEAVES = table_of(AuditSeal), table_of(AuditSealLeaves)
LISTS = ListRules(Signer(b"0" * 32), 100)


def access_row(seq: int, /, **changes: Any) -> dict[str, Any]:
    """A request, all columns but `id`."""
    return {
        "occurred_at": START + timedelta(seconds=seq),
        "xid": 7,
        "duration_us": 1500,
        "request_id": f"r-{seq}",
        "boot_id": BOOT,
        "seq": seq,
        "method": "GET",
        "path": "/api/v1/users",
        "route": "/api/v1/users",
        "query": {"q": "[redacted]", "limit": "5"},
        "status": 200,
        "outcome": "ok",
        "error_class": "ValueError",
        "actor_type": "user",
        "actor_id": "somebody",
        "auth_method": "bearer",
        "session_id": UUID(int=seq),
        "api_key_id": UUID(int=seq + 1),
        "client_ip": "192.0.2.1",
        "peer_ip": "192.0.2.2",
        "forwarded_for": "192.0.2.1",
        "user_agent": "probe",
        "request_bytes": 0,
        "response_bytes": 512,
        "is_probe": False,
        "module": "users",
        "operation": "list_users",
        "privilege": "users:read",
        **changes,
    }


def change_row(number: int, /, **changes: Any) -> dict[str, Any]:
    """A change, all columns but `id`."""
    return {
        "occurred_at": START + timedelta(seconds=number),
        "xid": 7,
        "tx_id": UUID(int=number),
        "tx_seq": 1,
        "request_id": f"r-{number}",
        "origin": "request",
        "actor_type": "user",
        "actor_id": "somebody",
        "client_ip": "192.0.2.1",
        "action": "UPDATE",
        "cause": "bulk",
        "entity": "users",
        "entity_id": f"u-{number}",
        "changed": ["email", "name"],
        "old": {"email": "a@example.com", "name": None, "count": number},
        "new": {"email": "b@example.com", "name": "B", "count": 1.5},
        "truncated": False,
        "redacted": True,
        "reason": "why",
        **changes,
    }


ROWS: Mapping[Stream, Callable[..., dict[str, Any]]] = {"access": access_row, "changes": change_row}


@dataclass
class World:
    """A migrated database without any row. `outside`: connections of an attacker, or of a slow writer."""

    backend: Backend
    database: Database
    outside: AsyncEngine
    folder: Path
    added: int = 0

    def uow(self) -> UnitOfWork:
        return UnitOfWork(self.database)

    def store(self) -> EvidenceStore:
        return EvidenceStore(self.uow())

    def sealer(self, key: SealKey | None = None, **rules: Any) -> Sealer:
        """Of its own: with a horizon that has seen nothing."""
        return Sealer(self.uow(), SealRules(key=key, **rules))

    def key(self, name: str) -> SealKey:
        """The key of that name, made at the first use."""
        path = self.folder / f"{name}.pem"
        if not path.exists():
            make_key(path)
        return load_key(path)

    def anchor(self) -> FileAnchor:
        return FileAnchor(self.folder / "anchor.jsonl")

    async def add(self, count: int = 1, streams: Iterable[Stream] = STREAMS, **changes: Any) -> None:
        """So many rows more, each in a transaction of its own."""
        for _ in range(count):
            self.added += 1
            async with self.outside.begin() as connection:
                for stream in streams:
                    await connection.execute(insert(LOGS[stream]), ROWS[stream](self.added, **changes))

    async def seal(self, key: SealKey | None = None, *, rows: int = 3, **rules: Any) -> list[Seal]:
        """Adds rows and seals them, with one seal for each log."""
        await self.add(rows)
        return await self.sealer(key, **rules).seal_all()

    async def verify(
        self, stream: Stream, *trusted: SealKey, heads: Sequence[Head] = (), **options: Any
    ) -> Report:
        """`trusted`: keys whose public halves an auditor has."""
        verifier = Verifier(self.store(), trusted={key.public for key in trusted}, heads=heads)
        return await verifier.verify(stream, **options)

    async def is_sound(self, *trusted: SealKey, heads: Sequence[Head] = ()) -> bool:
        """Whether both logs are as they were sealed, to the last row."""
        reports = [await self.verify(stream, *trusted, heads=heads) for stream in STREAMS]
        return all(report.ok and report.complete for report in reports)

    async def ids(self, stream: Stream) -> list[int]:
        async with self.outside.connect() as connection:
            log = LOGS[stream]
            return list((await connection.execute(select(log.c.id).order_by(log.c.id))).scalars())

    async def seals(self, stream: Stream) -> list[Seal]:
        return await self.store().seals_after(stream, 0, 1000)

    @asynccontextmanager
    async def forging(self) -> AsyncIterator[AsyncConnection]:
        """A transaction without any of the triggers."""
        async with self.outside.begin() as connection:
            if self.database.is_sqlite:
                names = await connection.exec_driver_sql(
                    "SELECT name FROM sqlite_master WHERE type='trigger'"
                )
                for name in list(names.scalars()):
                    await connection.exec_driver_sql(f"DROP TRIGGER {name}")
            else:
                await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            yield connection

    async def forge(self, *statements: str) -> None:
        """What the attacker does."""
        async with self.forging() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    async def raw(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection to PostgreSQL past everything."""
        address = self.database.url.render_as_string(hide_password=False)
        return await asyncpg.connect(address.replace("+asyncpg", ""))

    async def copied(self) -> "World":
        """Another database of the same kind with the same rows in the three tables."""
        made = await open_world(self.backend, self.folder)
        async with self.outside.connect() as source, made.forging() as target:
            for table in (*LOGS.values(), SEALS, LEAVES):
                rows = [dict(row._mapping) for row in await source.execute(select(table))]
                if rows:
                    await target.execute(insert(table), rows)
        return made

    async def close(self) -> None:
        await self.database.dispose()
        await self.outside.dispose()


async def open_world(backend: Backend, folder: Path) -> World:
    """To be closed."""
    url = make_url(backend.new_database())
    outside = create_async_engine(url, poolclass=NullPool)
    database = Database(url, LISTS, durable=False)
    await database.ping()  # a file of SQLite's turns to its write-ahead log while nobody else is there
    return World(backend, database, outside, folder)


def only(findings: Sequence[Any], kind: str) -> Any:
    """The one finding of a kind."""
    (found,) = [finding for finding in findings if finding.kind == kind]
    return found
