"""A change log that can't be written: nothing else is written either, and all goes on when it can be."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from tests.api import Api, Caller
from tests.backend import Backend, RunningApp, run_app
from tests.conftest import settings_for


@pytest.fixture
async def served(backend: Backend) -> AsyncIterator[RunningApp]:
    """An app with a database of its own."""
    async with run_app(settings_for(backend.new_database(), "")) as app:
        yield app


@pytest.fixture
async def outside(served: RunningApp) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(served.platform.database.url, poolclass=NullPool)
    yield engine
    await engine.dispose()


async def run(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql(statement)


async def counts(engine: AsyncEngine) -> dict[str, int]:
    async with engine.connect() as connection:
        tables = ("users", "roles", "role_privileges", "user_roles", "sessions")
        found = {name: await connection.exec_driver_sql(f"SELECT count(*) FROM {name}") for name in tables}  # noqa: S608
        return {name: int(rows.scalar_one()) for name, rows in found.items()}


async def attempts(api: Api, root: Caller) -> dict[str, httpx2.Response]:
    """A write of each kind: one row, several tables at once, a login; past the client's own checks."""
    raw = api._client
    prefix = "/api/v1"
    role = {"name": "planned", "privileges": ["users:read"]}
    login = {"email": root.email, "password": "ChangeMe123!"}
    return {
        "update": await raw.patch(f"{prefix}/users/me", json={"full_name": "New"}, headers=root.headers),
        "insert": await raw.post(f"{prefix}/roles", json=role, headers=root.headers),
        "login": await raw.post(f"{prefix}/auth/login", json=login),
    }


async def test_without_its_table_nothing_is_written(served: RunningApp, outside: AsyncEngine) -> None:
    api = Api(served)
    root = await api.superuser()
    before, name = await counts(outside), (await root.get("users/me")).json()["full_name"]
    await run(outside, "ALTER TABLE audit_change RENAME TO audit_elsewhere")
    answers = await attempts(api, root)
    assert {kind: answer.status_code for kind, answer in answers.items()} == dict.fromkeys(answers, 503)
    assert await counts(outside) == before
    assert (await root.get("users/me")).json()["full_name"] == name
    await run(outside, "ALTER TABLE audit_elsewhere RENAME TO audit_change")
    answers = await attempts(api, root)
    assert [answer.status_code for answer in answers.values()] == [200, 201, 200]
    assert (await root.get("users/me")).json()["full_name"] == "New"


async def test_where_the_database_refuses_the_row_nothing_is_written(
    served: RunningApp, outside: AsyncEngine
) -> None:
    api = Api(served)
    root = await api.superuser()
    before, is_sqlite = await counts(outside), served.platform.database.is_sqlite
    body = "BEGIN SELECT RAISE(FAIL, 'no'); END" if is_sqlite else "EXECUTE FUNCTION audit_refuse()"
    await run(outside, f"CREATE TRIGGER stuffed BEFORE INSERT ON audit_change {body}")
    answers = await attempts(api, root)
    assert {kind: answer.status_code for kind, answer in answers.items()} == dict.fromkeys(answers, 500)
    assert await counts(outside) == before
    await run(outside, "DROP TRIGGER stuffed" + ("" if is_sqlite else " ON audit_change"))
    answers = await attempts(api, root)
    assert [answer.status_code for answer in answers.values()] == [200, 201, 200]
