"""Apps whose logs are sealed, and people at their databases who drop the triggers first."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from app.core.context import acting_as
from app.core.entity import table_of
from app.core.errors import Conflict
from app.core.evidence.models import AuditSegment
from app.core.evidence.sealer import Sealer, SealRules
from app.core.evidence.seals import Seal
from app.core.identifiers import uuid7
from app.core.transaction import UnitOfWork
from tests.api import Caller
from tests.backend import RunningApp
from tests.modules.audit.support import START, Row

_TRIES = 20
REFUSING = re.compile(r"append_only|archived_only|not_held|no_replace|no_update|no_delete")


async def seal(app: RunningApp, rules: SealRules | None = None) -> list[Seal]:
    """Seals all that is there now, by the app's own rules if none are given; the app's job may be at it too."""
    sealer = Sealer(UnitOfWork(app.platform.database), rules or app.app.state.seal_rules)
    with acting_as("test", origin="job"):
        for _ in range(_TRIES):
            with suppress(Conflict):
                return await sealer.seal_all()
    raise AssertionError("somebody else seals all the time")


async def verify(caller: Caller, stream: str = "changes", **params: Any) -> Row:
    answer = await caller.get("audit/verify", params={"stream": stream, **params})
    assert answer.status_code == 200, answer.text
    found: Row = answer.json()
    return found


@asynccontextmanager
async def owner(app: RunningApp) -> AsyncIterator[AsyncConnection]:
    """Somebody who rules the database: no trigger is in their way any more."""
    engine = create_async_engine(app.platform.database.url, poolclass=NullPool)
    async with engine.begin() as connection:
        if app.platform.database.is_sqlite:
            names = await connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            for name in filter(REFUSING.search, names.scalars().all()):
                await connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            for log in ("audit_change", "audit_access", "audit_seal"):
                await connection.execute(text(f"ALTER TABLE {log} DISABLE TRIGGER USER"))
        yield connection
    await engine.dispose()


async def forge(app: RunningApp, statement: str, **values: Any) -> None:
    """One statement past everything."""
    async with owner(app) as connection:
        await connection.execute(text(statement), values)


async def add_segment(app: RunningApp, **columns: Any) -> str:
    """A segment with these columns; others get something harmless. Returns its name."""
    segments: Table = table_of(AuditSegment)
    defaults: Mapping[str, Any] = {
        "id": uuid7(),
        "created_at": START,
        "stream": "changes",
        "state": "pruned",
        "name": f"changes-{uuid4().hex[:8]}",
        "uri": "file:///archive",
        "first_id": 1,
        "last_id": 1,
        "first_seal": 1,
        "last_seal": 1,
        "row_count": 1,
        "held_count": 0,
        "run_id": uuid7(),
        "updated_at": START,
    }
    engine = create_async_engine(app.platform.database.url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(segments.insert(), {**defaults, **columns})
    await engine.dispose()
    app.has_written = True
    return str({**defaults, **columns}["name"])
