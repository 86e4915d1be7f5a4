"""Rows put into the logs directly, and walks through them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.core.audit.models import AuditAccess, AuditChange
from app.core.entity import table_of
from tests.api import Caller
from tests.backend import RunningApp

Row = dict[str, Any]
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def add_access(app: RunningApp, rows: Iterable[Row]) -> list[int]:
    """Requests with these columns; others get something harmless. Returns their ids."""
    defaults = {
        "occurred_at": START,
        "duration_us": 1500,
        "request_id": "r",
        "method": "GET",
        "path": "/",
        "route": None,
        "query": None,
        "status": 200,
        "outcome": "ok",
        "actor_type": "anonymous",
        "actor_id": None,
        "client_ip": None,
        "is_probe": False,
        "module": None,
    }
    made = [{**defaults, "boot_id": uuid4().hex, "seq": 1, **row} for row in rows]
    return await _add(app, table_of(AuditAccess), made)


async def add_changes(app: RunningApp, rows: Iterable[Row]) -> list[int]:
    """Changes with these columns; others get something harmless. Returns their ids."""
    defaults = {
        "occurred_at": START,
        "tx_seq": 1,
        "request_id": None,
        "origin": "request",
        "actor_type": "user",
        "actor_id": None,
        "action": "UPDATE",
        "cause": None,
        "entity": "things",
        "entity_id": "1",
        "changed": [],
        "old": {},
        "new": {},
        "truncated": False,
        "redacted": False,
    }
    return await _add(app, table_of(AuditChange), [{**defaults, "tx_id": uuid4(), **row} for row in rows])


async def _add(app: RunningApp, table: Table, rows: Sequence[Row]) -> list[int]:
    engine = create_async_engine(app.platform.database.url, poolclass=NullPool)
    async with engine.begin() as connection:
        statement = table.insert().returning(table.c["id"], sort_by_parameter_order=True)
        ids = list((await connection.execute(statement, rows)).scalars())
    await engine.dispose()
    return ids


async def page(caller: Caller, path: str, **params: Any) -> Row:
    """One page. Asserts that it is one."""
    answer = await caller.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: Row = answer.json()
    assert found.keys() == {"items", "next_cursor", "horizon_id"}
    assert all(item["id"] <= found["horizon_id"] for item in found["items"])
    return found


async def walk(caller: Caller, path: str, **params: Any) -> list[Row]:
    """All pages."""
    items: list[Row] = []
    cursor: Row = {}
    horizons = set()
    while True:
        found = await page(caller, path, **params, **cursor)
        horizons.add(found["horizon_id"])
        items += found["items"]
        if found["next_cursor"] is None:
            assert len(horizons) == 1
            return items
        cursor = {"cursor": found["next_cursor"]}


def ids(items: Iterable[Row]) -> list[int]:
    return [item["id"] for item in items]


def instant(item: Row) -> datetime:
    return datetime.fromisoformat(item["occurred_at"])
