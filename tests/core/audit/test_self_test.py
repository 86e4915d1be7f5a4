"""Start-up looks whether the change log works: each fault that it knows, planted."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    event,
    func,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

from app import startup
from app.core import database as database_module
from app.core.audit import selftest
from app.core.audit.change_log import AuditRules, ChangeLog
from app.core.audit.models import AuditChange
from app.core.audit.policy import not_audited, replaced_whole
from app.core.audit.selftest import audit_faults
from app.core.context import acting_as
from app.core.database import Database, ListRules
from app.core.entity import table_of
from app.core.errors import SchemaNotCurrent, Unavailable
from app.core.keys import Signer
from app.core.transaction import TransactionSession
from app.main import create_app
from app.registry import discover
from tests.backend import Backend
from tests.conftest import settings_for

ENTITIES = [entity for module in discover().modules for entity in module.entities]
LISTS = ListRules(Signer(b"0" * 32), 100)
LOGS = ("audit_change", "audit_access")
SQLITE = (
    *("audit_seal_no_update", "audit_seal_no_delete"),
    *(f"{log}_{rule}" for log in LOGS for rule in ("no_update", "no_replace", "archived_only", "not_held")),
)
POSTGRES = (
    "audit_seal_append_only",
    *(f"{log}_{rule}" for log in LOGS for rule in ("append_only", "archived_only")),
)


@pytest.fixture
async def database(backend: Backend) -> AsyncIterator[Database]:
    """Of its own: what is broken here stays broken."""
    log = ChangeLog(AuditRules(require_actor=True))
    made = Database(make_url(backend.new_database()), LISTS, durable=False, recorder=log)
    yield made
    await made.dispose()


@pytest.fixture
async def outside(database: Database) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(database.url, poolclass=NullPool)
    yield engine
    await engine.dispose()


async def faults(database: Database, **options: Any) -> list[str]:
    with acting_as("system", origin="job"):
        return await audit_faults(database, options.pop("entities", ENTITIES), **options)


async def run(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def test_a_sound_log_has_none_and_nothing_is_left_behind(
    database: Database, outside: AsyncEngine
) -> None:
    for _ in range(3):  # a start that waits for its database tries again
        assert await faults(database) == []
    async with outside.connect() as connection:
        log = table_of(AuditChange)
        assert (await connection.execute(select(func.count()).select_from(log))).scalar() == 0
        names = await connection.run_sync(lambda inner: inspect(inner).get_table_names())
    assert selftest.Proof.__tablename__ not in names


async def test_a_database_without_a_log(database: Database) -> None:
    database.recorder = None
    assert await faults(database) == ["no change log watches the sessions that write"]


async def test_hooks_that_see_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.audit.hooks.policy_of", lambda _table: None)
    (fault,) = await faults(database)
    assert fault == "an insert, an update and a delete are nothing to the change log"


async def test_a_hook_that_hangs_no_more(database: Database) -> None:
    from app.core.audit.hooks import _after_flush  # noqa: PLC0415  the one that is taken off

    event.remove(TransactionSession, "after_flush", _after_flush)
    try:
        (fault,) = await faults(database)
    finally:
        event.listen(TransactionSession, "after_flush", _after_flush)
    assert fault.endswith("are nothing to the change log")
    assert await faults(database) == []


async def test_a_write_by_nobody_is_a_fault_too(database: Database) -> None:
    (fault,) = await audit_faults(database, ENTITIES)
    assert "must say who it is" in fault


@pytest.mark.parametrize("log", ["audit_change", "audit_access", "audit_seal"])
async def test_lost_triggers(database: Database, outside: AsyncEngine, log: str) -> None:
    rules = [name for name in (SQLITE if database.is_sqlite else POSTGRES) if name.startswith(log)]
    assert rules
    for dropped, rule in enumerate(rules, 1):
        await run(outside, f"DROP TRIGGER {rule}" + ("" if database.is_sqlite else f" ON {log}"))
        found = await faults(database)
        assert len(found) == dropped
        assert all(f"missing or off: {log} could be altered" in fault for fault in found)
        assert any(f"the trigger {rule} is" in fault for fault in found)


async def test_a_trigger_that_is_off_or_weaker(database: Database, outside: AsyncEngine) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite can't switch triggers off")
    await run(
        outside,
        "ALTER TABLE audit_change DISABLE TRIGGER audit_change_append_only",
        "DROP TRIGGER audit_access_append_only ON audit_access",
        "CREATE TRIGGER audit_access_append_only BEFORE UPDATE ON audit_access EXECUTE FUNCTION audit_refuse()",
        "ALTER TABLE audit_access DISABLE TRIGGER audit_access_archived_only",
        "DROP TRIGGER audit_seal_append_only ON audit_seal",
        "CREATE TRIGGER audit_seal_append_only BEFORE UPDATE OR TRUNCATE ON audit_seal"
        " EXECUTE FUNCTION audit_refuse()",
    )
    assert len(await faults(database)) == 4


@pytest.mark.parametrize("pragma", ["foreign_keys=OFF", "recursive_triggers=OFF", "busy_timeout=0"])
@pytest.mark.parametrize("door", ["writing", "reading"])
async def test_pragmas_of_both_doors(database: Database, pragma: str, door: str) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL has none")
    engine = database.writer if door == "writing" else database.reader

    @event.listens_for(engine.sync_engine, "connect")
    def _undo(connection: Any, _record: object) -> None:
        connection.cursor().execute(f"PRAGMA {pragma}")

    (fault,) = await faults(database)
    assert fault == f"SQLite's {pragma.partition('=')[0]} is not in force on the {door} connection"


async def test_a_file_without_wal(
    database: Database, outside: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL has none")
    usual = database_module._set_pragmas

    def leave_journal(connection: Any, pragmas: dict[str, object]) -> None:
        usual(connection, {name: value for name, value in pragmas.items() if name != "journal_mode"})

    monkeypatch.setattr(database_module, "_set_pragmas", leave_journal)
    async with outside.connect() as connection:
        await connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
    assert [fault.partition(" is ")[0] for fault in await faults(database)] == [
        "SQLite's journal_mode=WAL",
        "SQLite's journal_mode=WAL",
    ]


async def test_a_log_that_takes_no_rows(database: Database, outside: AsyncEngine) -> None:
    body = "EXECUTE FUNCTION audit_refuse()"
    if database.is_sqlite:
        body = "BEGIN SELECT RAISE(ABORT, 'audit_change is append-only'); END"
    await run(outside, f"CREATE TRIGGER stuffed BEFORE INSERT ON audit_change {body}")
    (fault,) = await faults(database)
    assert fault.startswith("the change log can't be written: ")
    assert fault.endswith("audit_change is append-only")


async def test_a_log_that_is_not_there_yet_is_waited_for(database: Database, outside: AsyncEngine) -> None:
    await run(outside, "ALTER TABLE audit_change RENAME TO elsewhere")
    with pytest.raises(SchemaNotCurrent):
        await faults(database)


async def test_tables_that_cannot_be_told_of(database: Database) -> None:
    planted = MetaData()
    Table("keyless", planted, Column("name", String(10)))
    Table("opaque", planted, Column("api_token", String(10), primary_key=True))
    Table("machinery", planted, Column("pk", Integer, primary_key=True), **not_audited("It counts."))
    parent = ForeignKey("machinery.pk", ondelete="CASCADE")
    Table("children", planted, Column("pk", Integer, primary_key=True), Column("parent_pk", parent))
    found = await faults(database, among=planted)
    assert len(found) == 3
    assert "keyless has no primary key: its rows can't be told apart in the log" in found
    assert "opaque.api_token is part of the key and can't be hidden in the log" in found
    assert "children is changed along with machinery, and machinery is not audited" in found


class Planted(DeclarativeBase):
    """Apart from the program's own."""


class Document(Planted):
    """JSON of every kind."""

    __tablename__ = "documents"
    pk: Mapped[int] = mapped_column(primary_key=True)
    bare: Mapped[Any] = mapped_column(JSON)
    whole: Mapped[Any] = mapped_column(JSON, **replaced_whole())
    watched: Mapped[Any] = mapped_column(MutableDict.as_mutable(JSON()))
    listed: Mapped[Any] = mapped_column(MutableList.as_mutable(JSON()))


class Scratch(Planted):
    """Nobody asks."""

    __tablename__ = "scratches"
    __table_args__ = not_audited("It is scratched out.")
    pk: Mapped[int] = mapped_column(primary_key=True)
    bare: Mapped[Any] = mapped_column(JSON)


async def test_json_that_could_change_unseen(database: Database) -> None:
    assert await faults(database, entities=[Document, Scratch]) == [
        "documents.bare is JSON without a mutable type, and not declared `replaced_whole()`"
    ]


async def test_a_database_that_is_down_is_no_fault(database: Database) -> None:
    dead = Database(make_url("postgresql+asyncpg://a:b@127.0.0.1:9/none"), LISTS, recorder=database.recorder)
    with pytest.raises(Unavailable):
        await faults(dead)
    await dead.dispose()


class Refused(BaseException):
    """In place of the end of the process."""


async def test_start_is_refused_with_a_line_for_each(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(backend.new_database(), "")
    engine = create_async_engine(settings.database, poolclass=NullPool)
    triggers = ["audit_change_archived_only", "audit_access_not_held"]
    if backend.name == "postgres":
        triggers = [f"{log}_append_only ON {log}" for log in ("audit_change", "audit_access")]
    await run(engine, *(f"DROP TRIGGER {trigger}" for trigger in triggers))
    await engine.dispose()

    def end(code: int) -> None:
        raise Refused(code)

    monkeypatch.setattr("app.startup.os._exit", end)
    app = create_app(settings)
    with pytest.raises(Refused) as ending:
        async with app.router.lifespan_context(app):
            pytest.fail("it started")
    assert ending.value.args == (startup.EXIT_REFUSED,)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("refused to start: the trigger audit_")] == lines
    assert len(lines) == 2
    assert not app.state.platform.ready
    await app.state.access_writer.stop()
    await app.state.platform.database.dispose()
    app.state.kernel.hasher.close()
