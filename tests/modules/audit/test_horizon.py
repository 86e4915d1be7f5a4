"""A walk on PostgreSQL beside transactions that get a small id and commit late; and the plans of usual questions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from app.composition import open_database
from app.core.transaction import UnitOfWork
from app.modules.audit.models import Bound, Question, Walk
from app.modules.audit.repository import LogRepository, page_query
from tests.api import Caller
from tests.backend import Backend, RunningApp
from tests.conftest import settings_for
from tests.modules.audit.support import START, add_changes, ids, page, walk

_LATE = """
INSERT INTO audit_change (occurred_at, xid, tx_id, tx_seq, request_id, origin, actor_type, action, entity, entity_id,
    changed, truncated, redacted)
VALUES (now(), pg_current_xact_id()::text::bigint, gen_random_uuid(), 1, :request_id, 'job', 'system', 'UPDATE',
    'things', '1', '[]', false, false) RETURNING id
"""


@pytest.fixture(autouse=True)
def _postgres_only(backend: Backend) -> None:
    if backend.name != "postgres":
        pytest.skip("SQLite has one writer at a time, and other plans")


@asynccontextmanager
async def straggler(app: RunningApp, request_id: str) -> AsyncIterator[tuple[AsyncConnection, int]]:
    """An open transaction that has written a row, with the row's id."""
    engine = create_async_engine(app.platform.database.url, poolclass=NullPool)
    async with engine.connect() as connection:
        yield connection, (await connection.execute(text(_LATE), {"request_id": request_id})).scalar_one()
    await engine.dispose()


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_late_commit_is_neither_mixed_in_nor_hides_others(
    app: RunningApp, auditor: Caller, unique: str, order: str
) -> None:
    before = await add_changes(app, [{"request_id": unique} for _ in range(2)])
    async with straggler(app, unique) as (transaction, late):
        after = await add_changes(app, [{"request_id": unique} for _ in range(3)])
        assert before[-1] < late < after[0]
        first = await page(auditor, "audit/changes", request_id=unique, order=order, limit=1)
        assert first["horizon_id"] >= after[-1], "what was answered is listed at once"
        await transaction.commit()
    found = ids(first["items"])
    cursor = first["next_cursor"]
    while cursor is not None:
        more = await page(auditor, "audit/changes", request_id=unique, order=order, limit=1, cursor=cursor)
        found, cursor = found + ids(more["items"]), more["next_cursor"]
    assert sorted(found) == before + after
    assert late in ids(await walk(auditor, "audit/changes", request_id=unique)), "the next walk has it"


async def test_row_of_another_clusters_transaction_is_seen(
    app: RunningApp, auditor: Caller, unique: str
) -> None:
    """After a dump and restore, numbers of transactions mean nothing."""
    made = await add_changes(app, [{"request_id": unique, "xid": 2**40}, {"request_id": unique, "xid": None}])
    assert ids(await walk(auditor, "audit/changes", request_id=unique, limit=1)) == made[::-1]


_FILL = {
    "changes": """
        INSERT INTO audit_change (occurred_at, xid, tx_id, tx_seq, request_id, origin, actor_type, actor_id, action,
            entity, entity_id, changed, truncated, redacted)
        SELECT TIMESTAMPTZ '2026-03-01T12:00Z' - (50000 - n) * INTERVAL '1 minute',
            n, gen_random_uuid(), 1, 'r' || n, 'request', 'user',
            'u' || n % 1000, (ARRAY['INSERT','UPDATE','DELETE'])[1 + n % 3], 't' || n % 20, (n / 5)::text,
            '["a","b"]', false, false
        FROM generate_series(1, 50000) n""",
    "access": """
        INSERT INTO audit_access (occurred_at, xid, duration_us, request_id, boot_id, seq, method, path, route, status,
            outcome, actor_type, actor_id, client_ip, is_probe, module)
        SELECT TIMESTAMPTZ '2026-03-01T12:00Z' - (50000 - n) * INTERVAL '1 minute',
            n, n % 5000, 'r' || n, 'b', n, 'GET', '/p/' || n,
            '/r' || n % 50, CASE WHEN n % 100 = 0 THEN 404 ELSE 200 END,
            CASE WHEN n % 100 = 0 THEN 'client_error' ELSE 'ok' END, 'user', 'u' || n % 1000,
            '10.0.' || n % 40 || '.' || n % 7, n % 9 = 0, 'users'
        FROM generate_series(1, 50000) n""",
}
LAST_HOUR = START - timedelta(hours=1)
_QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    *(("access", {}), ("changes", {})),
    *(("access", {"actor_id": "u7"}), ("changes", {"actor_id": "u7"})),
    *(("access", {"request_id": "r7"}), ("changes", {"request_id": "r7"})),
    ("changes", {"entity": "t3", "entity_id": "77"}),
    ("changes", {"entity": "t3"}),
    ("changes", {"entity": "t3", "field": "a"}),
    ("changes", {"action": ["DELETE"]}),
    ("access", {"ip": "10.0.3.3"}),
    ("access", {"ip": "10.0.3.0/24"}),
    ("access", {"route": "/r7"}),
    ("access", {"status": 404}),
    ("access", {"status_class": "4xx"}),
    ("access", {"method": "GET", "include_probes": False}),
    ("access", {"path_prefix": "/p/7", "module": "users", "outcome": "ok", "min_duration_ms": 2}),
    ("changes", {"origin": "request", "actor_type": "user"}),
    ("changes", {"tx_id": UUID(int=1)}),
    ("access", {"from": LAST_HOUR}),
    ("changes", {"from": LAST_HOUR, "to": LAST_HOUR + timedelta(minutes=1)}),
    ("changes", {"to": LAST_HOUR, "action": ["DELETE", "INSERT"]}),
]


@pytest.fixture(scope="module")
async def filled(backend: Backend) -> AsyncIterator[LogRepository]:
    """50,000 rows in each log of a database of its own."""
    if backend.name != "postgres":
        pytest.skip("SQLite has other plans")
    settings = settings_for(backend.new_database(), "")
    database = open_database(settings, settings.keyring)
    engine = create_async_engine(database.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for statement in (*_FILL.values(), "ANALYZE audit_change", "ANALYZE audit_access"):
            await connection.execute(text(statement))
    await engine.dispose()
    yield LogRepository(UnitOfWork(database))
    await database.dispose()


async def plan_of(logs: LogRepository, question: Question, *, after: int | None, generic: bool) -> str:
    """What PostgreSQL would do; `generic`: as for a statement that was prepared long ago."""
    bound = Bound(50_000, (7, 8))
    values = await logs.values(question, bound)
    forms = tuple(sorted(values.keys() - {"bound", "pending"}))
    query = page_query(question.stream, forms, descending=True, has_after=after is not None, is_sqlite=False)
    statement = query.on(logs.uow.database.dialect)
    arguments = statement.arguments({**values, "after": after, "limit": 51})
    raw: Any = await logs.uow.database.reader.raw_connection()
    try:
        mode = "force_generic_plan" if generic else "force_custom_plan"
        await raw.driver_connection.execute(f"SET plan_cache_mode = {mode}")
        rows = await raw.driver_connection.fetch(f"EXPLAIN {statement.sql}", *arguments)
    finally:
        raw.close()
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("after", [None, 25_000])
@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize(("stream", "filters"), _QUESTIONS, ids=str)
async def test_usual_question_uses_an_index(
    filled: LogRepository, stream: Any, filters: dict[str, Any], generic: bool, after: int | None
) -> None:
    if "ip" in filters:
        read = ip_network if "/" in filters["ip"] else ip_address
        filters = {"ip": read(filters["ip"])}
    plan = await plan_of(filled, Question(stream, filters), after=after, generic=generic)
    assert "Seq Scan" not in plan, plan
    assert "Index" in plan, plan


@pytest.mark.parametrize(
    ("stream", "filters", "index"),
    [
        ("access", {"actor_id": "u7"}, "ix_audit_access_actor_id_id"),
        ("changes", {"entity": "t3", "entity_id": "77"}, "ix_audit_change_entity_entity_id_id"),
        ("changes", {"request_id": "r7"}, "ix_audit_change_request_id"),
        ("access", {"status_class": "4xx"}, "ix_audit_access_failed_id"),
    ],
)
async def test_selective_question_uses_its_own_index(
    filled: LogRepository, stream: Any, filters: dict[str, Any], index: str
) -> None:
    assert index in await plan_of(filled, Question(stream, filters), after=None, generic=True)


async def test_pages_of_a_large_log(filled: LogRepository) -> None:
    walked: list[int] = []
    after = None
    while rows := await filled.page(
        Question("access", {"actor_id": "u7"}), Walk(Bound(50_000), descending=True, limit=20, after=after)
    ):
        walked += [row["id"] for row in rows]
        after = walked[-1]
    assert walked == [*range(49_007, 0, -1000)]
