"""Whose change it was: an operator, the program itself, or the one of twenty users who asked for it."""

import asyncio
import getpass
import pwd
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from app.commands import create_account, seed_database
from app.core.audit.capture import ActorMissing
from app.core.audit.models import AuditChange
from app.core.context import acting_as, as_operator, current
from app.core.database import Database
from app.core.entity import table_of
from app.core.identifiers import uuid7
from app.core.transaction import UnitOfWork, WriteSession
from seeds import seed_create_app
from seeds.field import discover
from tests.api import Api, Caller
from tests.backend import Backend, run_app
from tests.conftest import FULL, settings_for
from tests.core.audit.conftest import World
from tests.core.audit.world import Tag

USERS, WRITES = 20, 50 if FULL else 10
NAME = "o" * 70


@pytest.fixture(autouse=True)
def _operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: NAME)


async def changes(database: Database, **wanted: Any) -> list[dict[str, Any]]:
    log = table_of(AuditChange)
    statement = (
        select(log).order_by(log.c.id).where(*(log.c[name] == value for name, value in wanted.items()))
    )
    async with database.writer.connect() as connection:
        return [dict(row._mapping) for row in await connection.execute(statement)]


def actors(rows: list[dict[str, Any]]) -> set[tuple[str, str, str | None]]:
    return {(row["origin"], row["actor_type"], row["actor_id"]) for row in rows}


OPERATOR = ("cli", "cli", "o" * 64)


@pytest.fixture
async def database(backend: Backend) -> AsyncIterator[Database]:
    """Of its own, to look into."""
    from app.composition import open_database  # noqa: PLC0415  as the commands open theirs
    from app.core.keys import Keyring  # noqa: PLC0415

    made = open_database(settings_for(backend.new_database(), ""), Keyring(["no list is served here"]))
    yield made
    await made.dispose()


def settings_of(database: Database, **changes_: Any) -> Any:
    return settings_for(database.url.render_as_string(hide_password=False), "", **changes_)


async def test_commands_act_as_their_operator(database: Database) -> None:
    settings = settings_of(database, audit_require_actor=True)
    assert await seed_database(settings)
    seeded = await changes(database)
    assert {row["entity"] for row in seeded} >= {"privileges", "roles", "users"}
    await create_account(settings, "somebody@example.com", "correct horse battery staple", None, ["regular"])
    made = (await changes(database))[len(seeded) :]
    assert {row["entity"] for row in made} == {"users", "user_roles"}
    assert actors([*seeded, *made]) == {OPERATOR}


async def test_demo_data_is_an_operator_s(database: Database) -> None:
    counts = {one.name: 3 for one in discover()}
    await seed_create_app.sow(settings_of(database, audit_require_actor=True), counts)
    rows = await changes(database)
    assert len(rows) > sum(counts.values())
    assert actors(rows) == {OPERATOR}


async def test_a_start_acts_as_the_system(database: Database) -> None:
    settings = settings_of(database, audit_require_actor=True)
    async with run_app(settings):
        pass
    rows = await changes(database)
    assert ("job", "system", None) in actors(rows), "privileges are synchronised before anybody seeds"
    assert actors(rows) == {("job", "system", None), OPERATOR}


def test_an_operator_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", unknown)
    monkeypatch.setattr("app.core.context.os.getuid", lambda: 4711)
    with as_operator() as context:
        assert (context.actor_type, context.actor_name, context.actor_id) == ("cli", "uid:4711", None)
        assert current() is context
    assert current().actor_name is None


def test_names_are_cut_to_what_the_log_holds() -> None:
    assert pwd.getpwuid(0).pw_name  # the real thing is there, and shorter
    column = table_of(AuditChange).c.actor_id
    with as_operator() as context:
        assert context.actor_name is not None
        assert len(context.actor_name) == column.type.length  # type: ignore[attr-defined]


async def add_tag(session: WriteSession, _uow: UnitOfWork) -> None:
    session.add(Tag(name="by somebody"))


async def test_a_write_by_nobody_is_refused_whole(world: World) -> None:
    """`world` asks for an actor, as production does."""
    before = await world.state()

    async def write() -> None:
        uow = world.unit_of_work()
        async with uow.transaction() as session:
            await add_tag(session, uow)

    with pytest.raises(ActorMissing, match="must say who it is"):
        await write()
    assert (await world.state(), await world.last_id()) == (before, 0)
    with acting_as("user", origin="background", actor_id=(id := uuid7())):
        await write()
    assert actors(await world.log(0)) == {("background", "user", str(id))}


async def test_a_user_has_no_name_but_the_id(world: World) -> None:
    with acting_as("user", origin="request", actor_id=(id := uuid7()), actor_name="ann"):
        uow = world.unit_of_work()
        async with uow.transaction() as session:
            await add_tag(session, uow)
    assert actors(await world.log(0)) == {("request", "user", str(id))}


async def test_nobody_writes_under_another_s_name(api: Api) -> None:
    """Everybody at once; no row has a foreign actor or a foreign request. What was refused has left none."""
    callers = [await api.user() for _ in range(USERS)]
    sent: dict[str, tuple[str, str]] = {}

    async def write(caller: Caller, number: int) -> None:
        name = f"{caller.id} {number}"
        headers = {"X-Forwarded-For": "203.0.113.9"}
        answer = await caller.patch("users/me", {"full_name": name}, headers=headers)
        while answer.status_code == 503:  # a busy machine: who waits too long for the gate is sent away
            answer = await caller.patch("users/me", {"full_name": name}, headers=headers)
        assert answer.status_code == 200, answer.text
        request_id = answer.headers["x-request-id"]
        assert request_id not in sent
        sent[request_id] = caller.id, name

    async def write_all(caller: Caller) -> None:
        for number in range(WRITES):
            await write(caller, number)

    await asyncio.gather(*(write_all(caller) for caller in callers))
    assert len(sent) == USERS * WRITES
    everybody = {caller.id for caller in callers}
    rows = await changes(api.app.platform.database, entity="users", action="UPDATE")
    rows = [row for row in rows if row["entity_id"] in everybody or row["actor_id"] in everybody]
    told = {row["request_id"]: row for row in rows}
    assert len(rows) == USERS * WRITES == len(told)
    for request_id, (id, name) in sent.items():
        row = told[request_id]
        assert (row["origin"], row["actor_type"], row["actor_id"]) == ("request", "user", id)
        assert (row["entity_id"], row["new"]["full_name"], row["tx_seq"]) == (id, name, 1)
        assert row["client_ip"] == "127.0.0.1"
    assert len({row["tx_id"] for row in told.values()}) == USERS * WRITES
