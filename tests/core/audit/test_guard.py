"""What the change log can't see is refused; what it has no business with passes."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from sqlmodel import select as model_select

from app.core.audit.capture import AuditRefused
from app.core.audit.change_log import AuditRules, ChangeLog, unaudited
from app.core.audit.guard import Mode, tables_written
from app.core.context import acting_as
from app.core.database import Database, ListRules
from app.core.keys import Signer
from app.core.transaction import UnitOfWork, WriteSession
from tests.backend import Backend
from tests.core.audit.conftest import World, run_sync
from tests.core.audit.world import Owner, Tag, Task, metadata, table_for, tagged

WRITES = {
    "delete from users": "users",
    'DELETE FROM "users" WHERE TRUE': "users",
    'DELETE FROM"users"': "users",
    "DELETE/* all */FROM/**/users": "users",
    "-- delete from roles\nDELETE FROM users": "users",
    "/* ' */ DELETE FROM users -- '": "users",
    "DELETE FROM ONLY users": "users",
    "DELETE FROM ONLY (users)": "users",
    "DELETE FROM `users`": "users",
    "DELETE FROM [users]": "users",
    "DELETE FROM 'users'": "users",
    "UPDATE users SET a = 1": "users",
    "UPDATE ONLY users SET a = 1": "users",
    "UPDATE OR IGNORE users SET a = 1": "users",
    "UPDATE users AS u SET a = 1": "users",
    "UPDATE public.users SET a = 1": "users",
    'UPDATE "public" . "users" SET a = 1': "users",
    "UPDATE tessera.public.users SET a = 1": "users",
    "INSERT INTO users DEFAULT VALUES": "users",
    "INSERT INTO users (a) SELECT a FROM roles": "users",
    "INSERT OR REPLACE INTO users VALUES (1)": "users",
    "REPLACE INTO users VALUES (1)": "users",
    "MERGE INTO users USING roles ON TRUE WHEN MATCHED THEN DELETE": "users",
    "MERGE INTO ONLY users USING roles ON TRUE WHEN MATCHED THEN DELETE": "users",
    "COPY users (a) FROM STDIN": "users",
    "WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone": "users",
    "WITH a AS (SELECT 1) UPDATE users SET a = 1": "users",
    "SELECT 'it''s'; DELETE FROM users": "users",
    r"WITH x AS (SELECT E'\''), y AS (DELETE FROM users WHERE a = '') SELECT 1": "users",
    """WITH x AS (SELECT 1 AS "it's"), y AS (DELETE FROM users RETURNING 1 AS "it's") SELECT 1""": "users",
    "WITH x AS (SELECT $$'$$), y AS (DELETE FROM users WHERE a = 'x') SELECT 1": "users",
    "DO $body$ BEGIN DELETE FROM users; END $body$": "users",
    "TRUNCATE users": "users",
    "TRUNCATE TABLE throttles, ONLY public.users * RESTART IDENTITY CASCADE": "users",
    'TRUNCATE ONLY throttles, "users"': "users",
    "DROP TABLE IF EXISTS users": "users",
}
HARMLESS = [
    "SELECT * FROM users FOR UPDATE",
    "SELECT * FROM users FOR NO KEY UPDATE OF users SKIP LOCKED",
    "SELECT 'DELETE FROM users'",
    "SELECT 'it''s: DELETE FROM users'",
    r"SELECT E'it\'s: DELETE FROM users'",
    'SELECT 1 AS "DELETE FROM users"',
    "SELECT 1 -- DELETE FROM users",
    "SELECT 1 /* UPDATE users\n SET a = 1 */",
    "DELETE FROM throttles WHERE pk IN (SELECT pk FROM users)",
    "INSERT INTO throttles SELECT pk FROM users",
    "INSERT INTO throttles (users) VALUES (1) ON CONFLICT (users) DO UPDATE SET users = 2",
    "UPDATE throttles SET a = u.a FROM users AS u",
    "WITH u AS (SELECT * FROM users) DELETE FROM throttles USING u",
    "CREATE TABLE copies AS SELECT * FROM users",
    "COPY (SELECT * FROM users) TO STDOUT",
    "SELECT replace(a, 'x', 'y'), users.deleted FROM users",
    "INSERT INTO users_archive SELECT * FROM users",
    "UPDATE my_users SET a = 1",
    "",
]


@pytest.mark.parametrize(("statement", "table"), WRITES.items(), ids=WRITES)
def test_texts_that_write(statement: str, table: str) -> None:
    assert table in tables_written(statement)


@pytest.mark.parametrize("statement", HARMLESS)
def test_texts_that_do_not(statement: str) -> None:
    assert "users" not in tables_written(statement)


def through_connection(connection: Connection) -> None:
    connection.execute(update(table_for(Task)).values(title="unseen"))


def by_text(connection: Connection) -> None:
    connection.execute(text("UPDATE probe_tasks SET title = :title"), {"title": "unseen"})


def by_driver(connection: Connection) -> None:
    connection.exec_driver_sql('DELETE /* quietly */ FROM "probe_tasks"')


def into_links(connection: Connection) -> None:
    connection.execute(insert(tagged).values(task_pk=1, tag_pk=1))


def many_at_once(connection: Connection) -> None:
    connection.execute(insert(table_for(Tag)), [{"pk": 8, "name": "a"}, {"pk": 9, "name": "b"}])


def of_a_foreign_session(connection: Connection) -> None:
    with Session(connection, join_transaction_mode="create_savepoint") as session:
        session.add(Tag(name="unseen"))
        session.commit()


PROBES = [through_connection, by_text, by_driver, into_links, many_at_once, of_a_foreign_session]


async def one_task(session: WriteSession, _uow: UnitOfWork) -> None:
    session.add_all([Owner(pk=1, name="Ann"), Tag(pk=1, name="red"), Task(pk=1, title="first")])


@pytest.mark.parametrize("probe", PROBES)
async def test_ways_past_the_capture_are_refused(world: World, probe: Callable[[Connection], None]) -> None:
    await world.given(one_task)
    await world.is_refused(run_sync(probe), AuditRefused)


@pytest.mark.parametrize("probe", PROBES)
async def test_and_on_a_connection_of_its_own(world: World, probe: Callable[[Connection], None]) -> None:
    await world.given(one_task)
    before = await world.state()
    for engine in (world.database.writer, world.database.reader):
        with pytest.raises(AuditRefused):
            async with engine.connect() as connection:
                await connection.run_sync(probe)
    assert await world.state() == before


@pytest.mark.parametrize("legacy", ["bulk_insert_mappings", "bulk_save_objects"])
async def test_methods_that_have_no_events_are_refused(world: World, legacy: str) -> None:
    async def program(session: WriteSession, _uow: UnitOfWork) -> None:
        def run(inner: Session) -> None:
            if legacy == "bulk_save_objects":
                inner.bulk_save_objects([Tag(name="unseen")])
            else:
                inner.bulk_insert_mappings(Tag.__mapper__, [{"name": "unseen"}])

        await session.run_sync(run)

    await world.is_refused(program, AuditRefused)


async def test_what_is_not_audited_passes(world: World) -> None:
    def run(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TEMPORARY TABLE throttles (pk INTEGER, title VARCHAR(50))")
        connection.exec_driver_sql("INSERT INTO throttles SELECT pk, title FROM probe_tasks")
        connection.exec_driver_sql(
            "UPDATE throttles SET title = 'DELETE FROM probe_tasks' WHERE pk IN (SELECT pk FROM probe_tasks)"
        )
        assert connection.execute(text("SELECT title FROM throttles")).scalar() == "DELETE FROM probe_tasks"
        connection.execute(select(table_for(Task)).with_for_update())
        connection.exec_driver_sql("DELETE FROM throttles WHERE pk IN (SELECT pk FROM probe_tasks)")

    await world.given(one_task)
    assert await world.does(run_sync(run)) == []


@pytest.fixture
async def lenient(backend: Backend, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """As `world`, under another mode."""
    mode: Mode = request.param
    url = make_url(backend.new_database())
    outside = create_async_engine(url, poolclass=NullPool)
    async with outside.begin() as connection:
        await connection.run_sync(metadata.create_all)
    log = ChangeLog(AuditRules(guard=mode), metadata)
    database = Database(url, ListRules(Signer(b"0" * 32), 100), durable=False, recorder=log)
    yield World(database, outside)
    await database.dispose()
    await outside.dispose()


async def title(world: World) -> Any:
    async with world.outside.connect() as connection:
        return (await connection.execute(select(Task.title))).scalar_one()


@pytest.mark.parametrize("lenient", ["warn"], indirect=True)
async def test_a_guard_that_only_warns(lenient: World, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[tuple[str, dict[str, Any]]] = []

    class Log:
        def warning(self, event: str, **told: Any) -> None:
            warnings.append((event, told))

    monkeypatch.setattr("app.core.audit.guard.logger", lambda _name: Log())
    await lenient.given(one_task)
    assert warnings == []
    await lenient.given(run_sync(by_text))
    assert await title(lenient) == "unseen"
    assert warnings == [("audit.unseen_write", {"tables": ["probe_tasks"]})]


@pytest.mark.parametrize("lenient", ["off", "warn", "refuse"], indirect=True)
async def test_links_and_summaries_are_told_in_every_mode(lenient: World) -> None:
    """Both are seen by the guard's eyes only."""

    async def program(session: WriteSession, uow: UnitOfWork) -> None:
        row = (await session.exec(model_select(Task))).one()
        tag = (await session.exec(model_select(Tag))).one()
        await session.refresh(row, ["tags"])
        row.tags.append(tag)
        await session.flush()
        async with unaudited(uow, "by hand"):
            await (await session.connection()).run_sync(by_text)

    await lenient.given(one_task)
    last = await lenient.last_id()
    await lenient.given(program)
    rows = await lenient.log(last)
    assert [(row["action"], row["entity"], row["reason"]) for row in rows] == [
        ("INSERT", "probe_tagged", None),
        ("BULK", "probe_tasks", "by hand"),
    ]
    assert rows[1]["new"]["rows"] == 1
    assert len(rows[1]["new"]["statements"]) == 1


@pytest.mark.parametrize("lenient", ["off"], indirect=True)
async def test_a_guard_that_is_off(lenient: World) -> None:
    await lenient.given(one_task)
    last = await lenient.last_id()
    await lenient.given(run_sync(by_text))
    assert await title(lenient) == "unseen"
    assert await lenient.log(last) == []


async def test_what_the_session_writes_inside_of_unaudited_is_told_as_ever(world: World) -> None:
    """Only what goes by the capture is summed up."""

    async def program(session: WriteSession, uow: UnitOfWork) -> None:
        async with unaudited(uow, "half by hand"):
            session.add(Tag(pk=5, name="seen"))
            await session.flush()
            await (await session.connection()).run_sync(by_text)
            await (await session.connection()).run_sync(through_connection)

    await world.given(one_task)
    last = await world.last_id()
    with acting_as("cli", origin="cli", actor_name="ann"):
        uow = world.unit_of_work()
        async with uow.transaction() as session:
            await program(session, uow)
    rows = await world.log(last)
    assert [(row["action"], row["entity"], row["tx_seq"]) for row in rows] == [
        ("INSERT", "probe_tags", 1),
        ("BULK", "probe_tasks", 2),
    ]
    assert rows[1]["new"]["rows"] == 2
    assert {row["actor_id"] for row in rows} == {"ann"}
