"""Before the program says that it is ready: whether the change log would tell of everything that is written.

What is wrong here would be seen by nobody: a hook on another session, a trigger that a migration lost, a pragma.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, MetaData, String, Table, column, inspect, literal_column, select, table
from sqlalchemy.ext.mutable import MutableBase
from sqlalchemy.orm import DeclarativeBase, Mapped, Mapper, mapped_column
from sqlalchemy.orm.attributes import instance_dict, set_attribute
from sqlmodel import SQLModel

from app.core.audit import driver
from app.core.audit.capture import AuditRefused, capture_of
from app.core.audit.models import APPEND_ONLY, AuditChange
from app.core.audit.policy import policy_of, reason_of
from app.core.database import Database
from app.core.entity import metadata, table_of
from app.core.errors import AppError, SchemaNotCurrent, Unavailable
from app.core.query import Query
from app.core.transaction import UnitOfWork, WriteSession

_TOLD = ["INSERT", "UPDATE", "DELETE"]
_PRAGMAS = ("foreign_keys", "recursive_triggers", "journal_mode", "busy_timeout")
_PRAGMA_VALUES = Query(
    select(
        *(
            select(literal_column("*")).select_from(table(f"pragma_{name}")).scalar_subquery().label(name)
            for name in _PRAGMAS
        )
    )
)
_master = table("sqlite_master", column("name"), column("type"))
_SQLITE_TRIGGERS = Query(select(_master.c.name).where(_master.c.type == "trigger"))
# Those that fire on what this program sees, and for what: the bits of `tgtype` in PostgreSQL's pg_trigger.h.
_POSTGRES_TRIGGERS = Query(
    select(literal_column("tgname").label("name"), literal_column("tgtype").label("fires"))
    .select_from(table("pg_trigger"))
    .where(literal_column("tgenabled IN ('O', 'A')"), literal_column("pg_table_is_visible(tgrelid)"))
)
_BEFORE, _DELETE, _UPDATE, _TRUNCATE = 2, 8, 16, 32
_LOGS = ("audit_change", "audit_access")
_POSTGRES = {
    "audit_seal_append_only": _BEFORE | _DELETE | _UPDATE | _TRUNCATE,
    **{f"{log}_append_only": _BEFORE | _UPDATE | _TRUNCATE for log in _LOGS},
    **{f"{log}_archived_only": _DELETE for log in _LOGS},
}
_SQLITE = (
    *("audit_seal_no_update", "audit_seal_no_delete"),
    *(f"{log}_{rule}" for log in _LOGS for rule in ("no_update", "no_replace", "archived_only", "not_held")),
)


class _Temporary(DeclarativeBase):
    """Apart from the program's own tables."""

    metadata = MetaData()


class Proof(_Temporary):
    """A table that exists for one transaction, which is rolled back."""

    __tablename__ = "audit_proof"
    __table_args__ = ({"prefixes": ["TEMPORARY"]},)

    word: Mapped[str] = mapped_column(String(10), primary_key=True)
    number: Mapped[int]


async def audit_faults(
    database: Database, entities: Iterable[type[SQLModel]], among: MetaData = metadata
) -> list[str]:
    """A line for everything that would make the change log incomplete. Leaves nothing behind.

    Raises Unavailable, SchemaNotCurrent: then it is asked again later.
    """
    found = [*_tables(among), *_documents(inspect(entity) for entity in entities)]
    uow = UnitOfWork(database)
    try:
        if database.is_sqlite:
            found += _pragmas("reading", await database.fetch(_PRAGMA_VALUES, {}))
        async with uow.transaction() as session:
            if database.is_sqlite:
                found += _pragmas("writing", await uow.fetch(_PRAGMA_VALUES, {}))
            found += await _triggers(uow)
            found += await _capture(session)
            await session.rollback()
    except (Unavailable, SchemaNotCurrent):
        raise
    except (AuditRefused, AppError, *driver.FAILURES) as error:
        found.append(_unwritten(error))
    return found


def _unwritten(error: Exception) -> str:
    """In one line: the database's own words, where it has any."""
    return f"the change log can't be written: {str(error.__cause__ or error).splitlines()[0]}"


def _tables(among: MetaData) -> Iterator[str]:
    for one in sorted(among.tables.values(), key=lambda table: table.name):
        try:
            policy_of(one)
        except ValueError as error:
            yield str(error)
        if reason_of(one) is None:
            yield from _unseen_parents(one)


def _unseen_parents(one: Table) -> Iterator[str]:
    """Whoever deletes the parent is not looked at, so nobody would see what the database does to its children."""
    for foreign in one.foreign_keys:
        if foreign.ondelete and reason_of(foreign.column.table) is not None:
            parent = foreign.column.table.name
            yield f"{one.name} is changed along with {parent}, and {parent} is not audited"


def _documents(mappers: Iterable[Mapper[Any]]) -> Iterator[str]:
    """JSON that is changed in place is not written by the ORM at all, unless its type notices."""
    for mapper in mappers:
        if isinstance(mapper.local_table, Table) and reason_of(mapper.local_table) is None:
            for attribute in mapper.column_attrs:
                (held, *_) = attribute.columns
                if isinstance(held.type, JSON) and not _is_noticed(mapper, attribute.key, held.info):
                    name = f"{mapper.local_table.name}.{held.key}"
                    yield f"{name} is JSON without a mutable type, and not declared `replaced_whole()`"


def _is_noticed(mapper: Mapper[Any], name: str, info: Mapping[Any, Any]) -> bool:
    """Whether it is only replaced, or what is assigned to it becomes something that tells of its own changes."""
    if info.get("replaced_whole"):
        return True
    values: tuple[Any, ...] = ({}, [])
    for value in values:
        target = mapper.class_manager.new_instance()
        try:
            set_attribute(target, name, value)
        except ValueError:  # a list where a dictionary is watched, or the other way round
            continue
        if isinstance(instance_dict(target)[name], MutableBase):
            return True
    return False


def _pragmas(door: str, rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    foreign_keys, recursive_triggers, journal_mode, busy_timeout = rows[0]
    in_force = {
        "foreign_keys": foreign_keys == 1,
        "recursive_triggers": recursive_triggers == 1,  # else REPLACE deletes rows past the triggers
        "journal_mode=WAL": str(journal_mode).lower() == "wal",
        "busy_timeout": int(busy_timeout) > 0,
    }
    for name, is_right in in_force.items():
        if not is_right:
            yield f"SQLite's {name} is not in force on the {door} connection"


async def _triggers(uow: UnitOfWork) -> list[str]:
    if uow.database.is_sqlite:
        present = {str(name) for (name,) in await uow.fetch(_SQLITE_TRIGGERS, {})}
        missing = [name for name in _SQLITE if name not in present]
    else:
        fires = {str(name): int(bits) for name, bits in await uow.fetch(_POSTGRES_TRIGGERS, {})}
        missing = [name for name, bits in _POSTGRES.items() if fires.get(name, 0) & bits != bits]
    return [f"the trigger {name} is missing or off: {_log_of(name)} could be altered" for name in missing]


def _log_of(trigger: str) -> str:
    return next(log for log in APPEND_ONLY if trigger.startswith(log))


async def _capture(session: WriteSession) -> list[str]:
    """Writes a row, changes it, deletes it, and looks whether the log has it all."""
    capture = capture_of(session.sync_session)
    if capture is None:
        return ["no change log watches the sessions that write"]
    connection = await session.connection()
    await connection.run_sync(_Temporary.metadata.create_all, checkfirst=False)
    row = Proof(word="proof", number=1)
    session.add(row)
    await session.flush()
    row.number = 2
    await session.flush()
    await session.delete(row)
    await session.flush()
    log = table_of(AuditChange)
    told = await connection.execute(
        select(log.c.action).where(log.c.tx_id == capture.tx_id).order_by(log.c.tx_seq)
    )
    actions = list(told.scalars())
    if actions != _TOLD:
        return [f"an insert, an update and a delete are {', '.join(actions) or 'nothing'} to the change log"]
    return []
