"""One classifier for what databases refuse and for what breaks; and how connections heal."""

import asyncio
import contextlib
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from app.core.database import SQLITE_READERS
from app.core.entity import table_of
from app.core.errors import AppError, Conflict, InUse, Invalid, SchemaNotCurrent, Unavailable
from app.core.faults import translate
from app.core.query import Query
from app.core.transaction import UnitOfWork
from app.modules.roles.models import Role, RoleModule, UserRole
from app.modules.roles.repository import RoleRepository
from app.modules.users.models import User
from tests.api import Api, assert_problem
from tests.backend import RunningApp
from tests.core.people import give_back


def user(email: str) -> User:
    return User(email=email, password_hash="!")


async def refusal(app: RunningApp, *rows: Any) -> AppError:
    """What comes of inserting these rows."""
    uow = UnitOfWork(app.platform.database)

    async def insert() -> None:
        async with uow.transaction() as session:
            session.add_all(rows)
            await session.flush()

    with pytest.raises(AppError) as caught:
        await insert()
    return caught.value


async def test_taken_name_is_a_conflict_at_its_field(app: RunningApp) -> None:
    problem = await refusal(app, Role(name="Same"), Role(name="Same"))
    assert type(problem) is Conflict
    message = "A role with this name exists already."
    assert problem.errors == [{"loc": ["body", "name"], "code": "duplicate", "message": message}]
    assert isinstance(problem.__cause__, IntegrityError)


async def test_index_of_an_expression_is_known_too(app: RunningApp) -> None:
    problem = await refusal(app, user("a@example.com"), user("A@EXAMPLE.COM"))
    assert type(problem) is Conflict
    assert problem.errors[0]["loc"] == ["body", "email"]
    assert problem.detail == "A user with this e-mail address exists already."


async def test_unnamed_uniqueness_is_a_plain_conflict(app: RunningApp) -> None:
    problem = await refusal(app, Role(name="One", is_superuser=True))
    assert type(problem) is Conflict
    assert problem.errors == []


async def test_soft_deleted_rows_take_no_place(app: RunningApp) -> None:
    roles = RoleRepository(UnitOfWork(app.platform.database))
    async with roles.uow.transaction():
        first = await roles.add(Role(name="Same"))
        await roles.delete(first)
        await roles.add(Role(name="Same"))
        with pytest.raises(Conflict):
            async with roles.uow.savepoint():
                await roles.restore(first)


async def test_reference_to_nothing_is_invalid(app: RunningApp) -> None:
    assert type(await refusal(app, RoleModule(role_pk=10**9, module="users"))) is Invalid


async def test_what_is_referred_to_is_in_use(app: RunningApp) -> None:
    uow = UnitOfWork(app.platform.database)
    roles = RoleRepository(uow)
    async with uow.transaction() as session:
        role, holder = await roles.add(Role(name="Held")), user("held@example.com")
        session.add(holder)
        await session.flush()
        assert role.pk is not None
        assert holder.pk is not None
        session.add(UserRole(user_pk=holder.pk, role_pk=role.pk))
        await session.flush()
        with pytest.raises(InUse):
            async with uow.savepoint():
                await roles.purge(role)
        assert await roles.exists(roles.named("Held"))


async def test_value_out_of_range_is_invalid(app: RunningApp) -> None:
    """Reached only where no schema stands in front; the error names no value."""
    with pytest.raises(Exception, match=r".") as caught:
        async with app.unseen() as connection:
            await connection.execute(text("INSERT INTO roles (pk, name) VALUES (1, NULL)"))
    problem = translate(caught.value)
    assert type(problem) is Invalid
    assert "roles" not in problem.detail


@pytest.mark.parametrize("statement", ["SELECT 1 FROM nowhere", "SELECT nonsense FROM roles"])
async def test_missing_tables_and_columns_wait_for_a_migration(app: RunningApp, statement: str) -> None:
    async with app.platform.database.writer.connect() as connection:
        with pytest.raises(Exception, match=r".") as caught:
            await connection.execute(text(statement))
    problem = translate(caught.value)
    assert isinstance(problem, SchemaNotCurrent)
    assert (problem.status, problem.code, problem.headers["Retry-After"]) == (503, "unavailable", "5")


async def test_faults_of_the_program_are_not_the_clients(app: RunningApp) -> None:
    async with app.platform.database.writer.connect() as connection:
        with pytest.raises(Exception, match=r".") as caught:
            await connection.execute(text("SELECT FROM WHERE"))
    assert translate(caught.value) is None
    assert translate(ValueError("x")) is None
    assert isinstance(translate(TimeoutError()), Unavailable)
    assert isinstance(translate(ConnectionRefusedError()), Unavailable)


async def test_race_of_creates_answers_alike(api: Api) -> None:
    admin = await api.superuser()
    answers = await asyncio.gather(*(admin.post("privileges", {"code": "race:run"}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    problems = [a.json() for a in answers if a.status_code == 409]
    assert len({(p["code"], p["detail"], str(p["errors"])) for p in problems}) == 1


# connections

_SLOW = {
    True: Query(select(text("(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000)"
                            " SELECT count(*) FROM n) AS slow"))),
    False: Query(select(text("pg_sleep(20)::text AS slow"))),
}  # fmt: skip


async def test_cancelled_reads_leave_the_pool_healthy(api: Api, app: RunningApp) -> None:
    database, admin = app.platform.database, await api.superuser()
    for _ in range(3):
        tasks = [asyncio.create_task(database.fetch(_SLOW[database.is_sqlite], {})) for _ in range(12)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    answers = await asyncio.gather(*(admin.get("users") for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}
    places = SQLITE_READERS if database.is_sqlite else app.settings.database_pool_size
    async with asyncio.timeout(2):  # every place is free: nobody has to wait
        for _ in range(places):
            await database.read_gate.__aenter__()
    await give_back(database.read_gate, places)


async def kill_connections(app: RunningApp) -> int:
    """Ends every connection of the app to its database, as an administrator would; returns how many."""
    url = app.platform.database.url
    connection = await asyncpg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, database=url.database,
        **({"host": url.query["host"]} if "host" in url.query else {}),
    )  # fmt: skip
    try:
        killed = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return len(killed)
    finally:
        await connection.close()


async def test_killed_connections_heal(api: Api, app: RunningApp) -> None:
    if app.platform.database.is_sqlite:
        with contextlib.suppress(AppError):
            await app.platform.database.ping()  # a file has no connections to kill
        return
    admin = await api.superuser()
    for _ in range(3):
        await asyncio.gather(*(admin.get("users") for _ in range(12)))
        assert await kill_connections(app) > 0
        reads = await asyncio.gather(*(admin.get("users") for _ in range(12)))
        assert [answer.status_code for answer in reads] == [200] * 12
        made = await admin.post("roles", {"name": f"After {_}"})
        assert made.status_code == 201


async def test_read_that_is_killed_under_way_is_tried_once_more(app: RunningApp) -> None:
    database = app.platform.database
    if database.is_sqlite:
        return
    short = Query(select(text("pg_sleep(0.2)::text AS slow")))
    task = asyncio.create_task(database.fetch(short, {}))
    await asyncio.sleep(0.05)
    assert await kill_connections(app) > 0
    assert len(await task) == 1
    task = asyncio.create_task(database.fetch(_SLOW[False], {}))
    await asyncio.sleep(0.05)
    for _ in range(2):
        await kill_connections(app)
        await asyncio.sleep(0.1)
    with pytest.raises(Unavailable):
        await task
    await database.ping()


async def test_broken_connection_is_answered_503(probe: Api) -> None:
    answer = await probe.call("GET", "probe/broken-database")
    assert_problem(answer, 503, "unavailable")


def test_tables_of_the_test_exist() -> None:
    assert table_of(UserRole).name == "user_roles"
