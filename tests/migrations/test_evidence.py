"""What the triggers of the logs let through: nothing but rows whose archive was verified, and that nobody holds."""

# ruff: noqa: S608  statements are made of names of ours

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.migrations.alembic_run import Migrations

LOGS = {"access": "audit_access", "changes": "audit_change"}
BELOW = "0003"
REFUSED = (asyncpg.PostgresError, DBAPIError)


def instant(migrations: Migrations, second: int) -> str:
    """As the database keeps it."""
    text = f"2026-03-01 12:00:{second:02}.000000"
    return text if migrations.is_sqlite else f"{text}+00"


async def add_rows(migrations: Migrations, *, count: int = 6) -> None:
    """Rows with the ids from 1; actor `a-<id>`, entity `e-<id>`, record `r-<id>`, at second <id>."""
    json = "'[]'" if migrations.is_sqlite else "'[]'::jsonb"
    for id in range(1, count + 1):
        at = f"'{instant(migrations, id)}'"
        tx = "'" + f"{id:032x}" + "'" + ("" if migrations.is_sqlite else "::uuid")
        await migrations.query(
            "INSERT INTO audit_change (id, occurred_at, tx_id, tx_seq, origin, actor_type, actor_id, action, entity,"
            f" entity_id, changed, truncated, redacted) VALUES ({id}, {at}, {tx}, 1, 'job', 'user', 'a-{id}',"
            f" 'INSERT', 'e-{id}', 'r-{id}', {json}, false, false)"
        )
        await migrations.query(
            "INSERT INTO audit_access (id, occurred_at, duration_us, request_id, boot_id, seq, method, path, status,"
            f" outcome, actor_type, actor_id, is_probe) VALUES ({id}, {at}, 1, 'r', 'b', {id}, 'GET', '/', 200, 'ok',"
            f" 'user', 'a-{id}', false)"
        )


async def add_segment(migrations: Migrations, stream: str, first: int, last: int, state: str) -> None:
    number = await migrations.count("audit_segment") + 1
    uuid = f"'{number:032x}'" + ("" if migrations.is_sqlite else "::uuid")
    at = f"'{instant(migrations, 0)}'"
    await migrations.query(
        "INSERT INTO audit_segment (id, created_at, stream, state, name, uri, first_id, last_id, first_seal, last_seal,"
        f" row_count, held_count, run_id, updated_at) VALUES ({uuid}, {at}, '{stream}', '{state}', 'n', 'u',"
        f" {first}, {last}, 1, 1, 1, 0, {uuid}, {at})"
    )


async def add_hold(migrations: Migrations, **predicate: str) -> None:
    number = await migrations.count("audit_hold") + 1
    uuid = f"'{number:032x}'" + ("" if migrations.is_sqlite else "::uuid")
    at = f"'{instant(migrations, 0)}'"
    names = "".join(f", {name}" for name in predicate)
    values = "".join(f", '{value}'" for value in predicate.values())
    await migrations.query(
        f"INSERT INTO audit_hold (id, created_at, reason, placed_by{names}) VALUES ({uuid}, {at}, 'r', 'p'{values})"
    )


async def removable(migrations: Migrations, log: str) -> list[int]:
    """The ids of the rows that can be deleted; deletes them."""
    gone = []
    for (id,) in await migrations.query(f"SELECT id FROM {log} ORDER BY id"):
        try:
            await migrations.query(f"DELETE FROM {log} WHERE id = {id}")
        except REFUSED as error:
            if "append-only" not in str(error) and "legal hold" not in str(error):
                raise
        else:
            gone.append(id)
    return gone


async def is_refused(migrations: Migrations, statement: str) -> bool:
    """Whether a trigger says no. On SQLite with the settings of the program's connections."""
    statements = ["PRAGMA recursive_triggers=ON", statement] if migrations.is_sqlite else [statement]
    engine = create_async_engine(migrations.url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            for one in statements:
                await connection.exec_driver_sql(one)
    except REFUSED as error:
        if "append-only" not in str(error):
            raise
        return True
    finally:
        await engine.dispose()
    return False


@pytest.mark.parametrize("stream", LOGS)
async def test_rows_go_only_within_a_verified_segment(migrated: Migrations, stream: str) -> None:
    await add_rows(migrated)
    log, (other,) = LOGS[stream], [name for name in LOGS if name != stream]
    await add_segment(migrated, other, 1, 6, "verified")  # the other log's
    for state in ("planned", "written", "pruned", "restored", "expired"):
        await add_segment(migrated, stream, 10 + await migrated.count("audit_segment"), 6, state)
    for first, state in ((1, "written"), (2, "verified"), (4, "verified"), (5, "pruned")):
        last = 3 if first == 2 else first
        await add_segment(migrated, stream, first, last, state)
    with pytest.raises(REFUSED, match="append-only"):  # some of them may go, not all
        await migrated.query(f"DELETE FROM {log} WHERE id IN (3, 4, 5)")
    assert await migrated.count(log) == 6
    assert await removable(migrated, log) == [2, 3, 4]


@pytest.mark.parametrize("stream", LOGS)
@pytest.mark.parametrize(
    ("predicate", "held"),
    [
        ({}, {1, 2, 3, 4, 5, 6}),
        ({"stream": "access"}, {"access": {1, 2, 3, 4, 5, 6}, "changes": set()}),
        ({"stream": "changes"}, {"access": set(), "changes": {1, 2, 3, 4, 5, 6}}),
        ({"actor_id": "a-2"}, {2}),
        ({"entity": "e-3"}, {"access": set(), "changes": {3}}),
        ({"entity_id": "r-3"}, {"access": {1, 2, 3, 4, 5, 6}, "changes": {3}}),
        ({"entity": "e-3", "entity_id": "r-3"}, {"access": set(), "changes": {3}}),
        ({"entity": "e-3", "entity_id": "r-4"}, set()),
        ({"from_at": 3}, {3, 4, 5, 6}),
        ({"to_at": 3}, {1, 2}),
        ({"from_at": 2, "to_at": 4}, {2, 3}),
        ({"from_at": 2, "to_at": 4, "actor_id": "a-3"}, {3}),
        ({"actor_id": "a-3", "entity": "e-4"}, set()),
    ],
)
async def test_rows_that_are_held_stay(
    migrated: Migrations, stream: str, predicate: dict[str, str | int], held: set[int] | dict[str, set[int]]
) -> None:
    await add_rows(migrated)
    await add_segment(migrated, stream, 1, 6, "verified")
    told = {
        name: instant(migrated, value) if isinstance(value, int) else value
        for name, value in predicate.items()
    }
    await add_hold(migrated, **told)
    kept = held[stream] if isinstance(held, dict) else held
    if kept:
        with pytest.raises(REFUSED, match="legal hold"):
            await migrated.query(f"DELETE FROM {LOGS[stream]}")
    assert await removable(migrated, LOGS[stream]) == sorted({1, 2, 3, 4, 5, 6} - kept)
    await migrated.query(f"UPDATE audit_hold SET released_at = '{instant(migrated, 9)}'")
    assert await removable(migrated, LOGS[stream]) == sorted(kept)


async def test_a_row_of_nobody_is_held_by_its_time_only(migrated: Migrations) -> None:
    await add_rows(migrated, count=1)
    at = instant(migrated, 2)
    await migrated.query(
        "INSERT INTO audit_access (id, occurred_at, duration_us, request_id, boot_id, seq, method, path, status,"
        f" outcome, actor_type, is_probe) VALUES (2, '{at}', 1, 'r', 'b', 2, 'GET', '/', 200, 'ok', 'anonymous', false)"
    )
    await add_segment(migrated, "access", 1, 2, "verified")
    await add_hold(migrated, actor_id="a-1")
    assert await removable(migrated, "audit_access") == [2]


@pytest.mark.parametrize("log", [*LOGS.values(), "audit_seal"])
async def test_nothing_else_is_let_through(migrated: Migrations, log: str) -> None:
    await add_rows(migrated)
    for stream in LOGS:
        await add_segment(migrated, stream, 1, 6, "verified")
    await migrated.query(
        "INSERT INTO audit_seal (stream, number, form, first_id, last_id, row_count, merkle_root, leaves_hash,"
        f" prev_hash, sealed_at, seal_hash) VALUES ('access', 1, 1, 1, 6, 6, 'a', 'b', 'c',"
        f" '{instant(migrated, 0)}', 'd')"
    )
    assert await is_refused(migrated, f"UPDATE {log} SET id = id")
    if log == "audit_seal":
        assert await is_refused(migrated, f"DELETE FROM {log}")
    if migrated.is_sqlite:
        copied = f"REPLACE INTO {log} SELECT * FROM {log} WHERE id = 1"
        assert await is_refused(migrated, copied)
        assert await is_refused(migrated, copied.replace("REPLACE", "INSERT OR REPLACE"))
    else:
        assert await is_refused(migrated, f"TRUNCATE {log} CASCADE")
        upsert = f"INSERT INTO {log} SELECT * FROM {log} WHERE id = 1 ON CONFLICT (id) DO UPDATE SET id = 1"
        assert await is_refused(migrated, upsert)
    assert await migrated.count(log) == (1 if log == "audit_seal" else 6)


async def test_down_and_up_again_with_the_triggers_of_each(empty: Migrations) -> None:
    await empty.upgrade()
    upper = await triggers(empty)
    await empty.downgrade(BELOW)
    await add_rows(empty)
    for log in LOGS.values():
        assert await removable(empty, log) == []
        assert await is_refused(
            empty,
            f"UPDATE {log} SET status = 1" if log == "audit_access" else f"UPDATE {log} SET reason = 'x'",
        )
    lower = await triggers(empty)
    assert not [name for name in lower if "archived_only" in name or "seal" in name or "held" in name]
    await empty.upgrade()
    assert await triggers(empty) == upper
    assert await empty.count("audit_change") == 6
    await add_segment(empty, "changes", 1, 2, "verified")
    assert await removable(empty, "audit_change") == [1, 2]
    await empty.downgrade(BELOW)
    assert await triggers(empty) == lower


async def triggers(migrations: Migrations) -> set[str]:
    """Names of those on the logs, and of the functions behind them."""
    if migrations.is_sqlite:
        rows = await migrations.query(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit%'"
        )
    else:
        rows = await migrations.query(
            "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'audit%'"
            " UNION SELECT proname FROM pg_proc WHERE proname LIKE 'audit%'"
        )
    return {str(name) for (name,) in rows}
