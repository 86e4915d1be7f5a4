"""Every way to write that the ORM and its Core have: taken down exactly, or refused with nothing written."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete, insert, literal, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import selectinload
from sqlmodel import select

from app.core.audit.capture import AuditRefused
from app.core.audit.change_log import unaudited
from app.core.errors import AppError
from app.core.transaction import UnitOfWork, WriteSession
from tests.core.audit.conftest import World, run_sync
from tests.core.audit.world import TAGGED, Colour, Gauge, Note, Owner, Part, Tag, Task, table_for, tagged

Program = Callable[[WriteSession, UnitOfWork], Awaitable[None]]
Told = list[tuple[str, str]]


async def populate(session: WriteSession, _uow: UnitOfWork) -> None:
    """Two owners; tasks, notes, parts and tags of the first; a gauge."""
    ann, ben = Owner(pk=1, name="Ann"), Owner(pk=2, name="Ben")
    session.add_all([ann, ben])
    await session.flush()
    tags = [Tag(pk=pk, name=name) for pk, name in enumerate(("red", "green", "blue"), 1)]
    first = Task(pk=1, title="first", owner_pk=1, notes="long", tags=tags[:2])
    session.add_all([*tags, first, Task(pk=2, title="second", owner_pk=1)])
    await session.flush()
    session.add_all(
        [Task(pk=3, title="child", parent_pk=2), Note(pk=1, text="n", owner_pk=1), Part(pk=1, owner_pk=1)]
    )
    session.add(
        Gauge(code="g", amount=Decimal("1.10"), extra={"a": 1}, raw=b"x", colour=Colour.RED, api_token="t")
    )


async def task(session: WriteSession, pk: int = 1) -> Task:
    found = await session.get(Task, pk)
    assert found is not None
    return found


async def owner(session: WriteSession, pk: int = 1, *with_: Any) -> Owner:
    statement = select(Owner).where(Owner.pk == pk).options(*(selectinload(one) for one in with_))
    return (await session.exec(statement)).one()


async def gauge(session: WriteSession) -> Gauge:
    found = await session.get(Gauge, "g")
    assert found is not None
    return found


# --- through the unit of work


async def insert_one(session: WriteSession, _uow: UnitOfWork) -> None:
    session.add(Task(title="new", owner_pk=2))


async def insert_many(session: WriteSession, _uow: UnitOfWork) -> None:
    session.add_all([Tag(name=f"tag-{n}") for n in range(5)])


async def update_attribute(session: WriteSession, _uow: UnitOfWork) -> None:
    (await task(session)).title = "changed"


async def update_with_onupdate(session: WriteSession, _uow: UnitOfWork) -> None:
    (await owner(session)).name = "Anna"


async def update_expired(session: WriteSession, _uow: UnitOfWork) -> None:
    row = await task(session)
    session.expire(row, ["title"])
    row.title = "after expiry"


async def update_deferred(session: WriteSession, _uow: UnitOfWork) -> None:
    (await task(session)).notes = "never loaded"


async def update_json_in_place(session: WriteSession, _uow: UnitOfWork) -> None:
    row = await gauge(session)
    assert row.extra is not None
    row.extra["b"] = [1, {"secret": "s"}]
    await session.flush()


async def update_by_expression(session: WriteSession, _uow: UnitOfWork) -> None:
    row = await task(session)
    row.counter = Task.counter + 41


async def update_nothing(session: WriteSession, _uow: UnitOfWork) -> None:
    (await task(session)).title = "first"


async def update_twice(session: WriteSession, _uow: UnitOfWork) -> None:
    row = await task(session)
    row.title = "once"
    await session.flush()
    row.title = "twice"


async def change_key(session: WriteSession, _uow: UnitOfWork) -> None:
    (await gauge(session)).code = "renamed"


async def change_types(session: WriteSession, _uow: UnitOfWork) -> None:
    row = await gauge(session)
    row.amount, row.raw, row.colour, row.is_on = Decimal("10.1"), b"\x00\xff", Colour.BLUE, True
    row.made_at, row.api_token = datetime(2026, 1, 1, tzinfo=UTC), None


async def delete_one(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.delete(await session.get(Note, 1))


async def insert_and_update(session: WriteSession, _uow: UnitOfWork) -> None:
    row = Tag(name="made")
    session.add(row)
    await session.flush()
    row.name = "and changed"


async def insert_and_delete(session: WriteSession, _uow: UnitOfWork) -> None:
    row = Tag(name="made")
    session.add(row)
    await session.flush()
    await session.delete(row)


async def merge(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.merge(Note(pk=1, text="merged", owner_pk=1))


async def relationship_only(session: WriteSession, _uow: UnitOfWork) -> None:
    note = await session.get(Note, 1)
    assert note is not None
    note.owner = await owner(session, 2)


async def link_and_unlink(session: WriteSession, _uow: UnitOfWork) -> None:
    statement = select(Task).where(Task.pk == 1).options(selectinload(Task.tags))
    row = (await session.exec(statement)).one()
    blue = await session.get(Tag, 3)
    assert blue is not None
    row.tags = [row.tags[1], blue]


async def orphan(session: WriteSession, _uow: UnitOfWork) -> None:
    row = await owner(session, 1, Owner.parts)
    row.parts.clear()
    await session.flush()


async def delete_with_cascades(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(delete(Part))
    await session.delete(await owner(session, 1, Owner.parts))


async def soft_delete(session: WriteSession, _uow: UnitOfWork) -> None:
    (await owner(session)).deleted_at = datetime(2026, 1, 1, tzinfo=UTC)


async def savepoint_kept(session: WriteSession, uow: UnitOfWork) -> None:
    async with uow.savepoint():
        (await task(session)).title = "inside"
    (await task(session, 2)).title = "outside"


async def savepoint_undone(session: WriteSession, uow: UnitOfWork) -> None:
    (await task(session)).title = "before"
    with suppress(AppError):
        async with uow.savepoint():
            session.add(Tag(name="undone"))
            await session.flush()
            session.add(Tag(name="undone"))
    (await task(session, 2)).title = "after"


# --- statements


async def bulk_update(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(update(Task).where(Task.owner_pk == 1).values(counter=Task.counter + 1))


async def bulk_update_by_keys(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(update(Task), params=[{"pk": 1, "title": "a"}, {"pk": 2, "title": "b"}])


async def bulk_update_with_subquery(session: WriteSession, _uow: UnitOfWork) -> None:
    owners = select(Owner.pk).where(Owner.name == "Ann")
    await session.exec(update(Task).where(Task.owner_pk.in_(owners)).values(title="hers"))


async def bulk_update_with_parameters(session: WriteSession, _uow: UnitOfWork) -> None:
    statement = update(table_for(Task)).where(table_for(Task).c.title == "first")
    await session.exec(statement.values(title=literal("computed") + "!"))


async def bulk_delete(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(delete(Note).where(Note.pk == 1))


async def bulk_delete_with_cascades(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(delete(Part))
    await session.exec(delete(Owner).where(Owner.pk == 1))


async def bulk_delete_in_a_circle(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(delete(Task).where(Task.pk == 2))


async def bulk_insert(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(insert(Tag), params=[{"name": f"bulk-{n}"} for n in range(7)])


async def core_insert(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(tagged.insert().values(task_pk=2, tag_pk=3))


async def core_delete(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(tagged.delete().where(tagged.c.task_pk == 1))


async def insert_from_select(session: WriteSession, _uow: UnitOfWork) -> None:
    rows = select(table_for(Task).c.pk, literal(3)).where(table_for(Task).c.pk > 1)
    await session.exec(tagged.insert().from_select(["task_pk", "tag_pk"], rows))


async def pending_before_bulk(session: WriteSession, _uow: UnitOfWork) -> None:
    (await task(session)).title = "pending"
    await session.exec(update(Task).where(Task.title == "pending").values(counter=9))


PATHS: dict[str, tuple[Program, Told]] = {
    "insert": (insert_one, [("INSERT", "probe_tasks")]),
    "insert many": (insert_many, [("INSERT", "probe_tags")] * 5),
    "update": (update_attribute, [("UPDATE", "probe_tasks")]),
    "update with onupdate": (update_with_onupdate, [("UPDATE", "probe_owners")]),
    "update of an expired attribute": (update_expired, [("UPDATE", "probe_tasks")]),
    "update of a deferred attribute": (update_deferred, [("UPDATE", "probe_tasks")]),
    "json changed in place": (update_json_in_place, [("UPDATE", "probe_gauges")]),
    "update by an expression": (update_by_expression, [("UPDATE", "probe_tasks")]),
    "update that changes nothing": (update_nothing, []),
    "update twice": (update_twice, [("UPDATE", "probe_tasks")] * 2),
    "changed key": (change_key, [("UPDATE", "probe_gauges")]),
    "types": (change_types, [("UPDATE", "probe_gauges")]),
    "delete": (delete_one, [("DELETE", "probe_notes")]),
    "insert and update": (insert_and_update, [("INSERT", "probe_tags"), ("UPDATE", "probe_tags")]),
    "insert and delete": (insert_and_delete, [("INSERT", "probe_tags"), ("DELETE", "probe_tags")]),
    "merge": (merge, [("UPDATE", "probe_notes")]),
    "relationship only": (relationship_only, [("UPDATE", "probe_notes")]),
    "links set": (link_and_unlink, [("DELETE", TAGGED), ("INSERT", TAGGED)]),
    "orphan": (orphan, [("DELETE", "probe_parts")]),
    "delete with cascades": (
        delete_with_cascades,
        [("DELETE", "probe_owners"), ("DELETE", "probe_parts"), ("DELETE", TAGGED), ("DELETE", TAGGED)]
        + [("DELETE", "probe_tasks")] * 3
        + [("UPDATE", "probe_notes")],
    ),
    "soft delete": (soft_delete, [("UPDATE", "probe_owners")]),
    "savepoint kept": (savepoint_kept, [("UPDATE", "probe_tasks")] * 2),
    "savepoint undone": (savepoint_undone, [("UPDATE", "probe_tasks")] * 2),
    "bulk update": (bulk_update, [("UPDATE", "probe_tasks")] * 2),
    "bulk update by keys": (bulk_update_by_keys, [("UPDATE", "probe_tasks")] * 2),
    "bulk update with a subquery": (bulk_update_with_subquery, [("UPDATE", "probe_tasks")] * 2),
    "core update with parameters": (bulk_update_with_parameters, [("UPDATE", "probe_tasks")]),
    "bulk delete": (bulk_delete, [("DELETE", "probe_notes")]),
    "bulk delete with cascades": (
        bulk_delete_with_cascades,
        [("DELETE", "probe_owners"), ("DELETE", "probe_parts"), ("DELETE", TAGGED), ("DELETE", TAGGED)]
        + [("DELETE", "probe_tasks")] * 3
        + [("UPDATE", "probe_notes")],
    ),
    "bulk delete of a tree": (bulk_delete_in_a_circle, [("DELETE", "probe_tasks")] * 2),
    "bulk insert": (bulk_insert, [("INSERT", "probe_tags")] * 7),
    "core insert": (core_insert, [("INSERT", TAGGED)]),
    "core delete": (core_delete, [("DELETE", TAGGED)] * 2),
    "insert from select": (insert_from_select, [("INSERT", TAGGED)] * 2),
    "pending before bulk": (pending_before_bulk, [("UPDATE", "probe_tasks")] * 2),
}


@pytest.mark.parametrize("name", PATHS)
async def test_path_is_taken_down_exactly(world: World, name: str) -> None:
    program, told = PATHS[name]
    await world.given(populate)
    rows = await world.does(program)
    assert sorted((row["action"], row["entity"]) for row in rows) == sorted(told)
    assert {row["actor_type"] for row in rows} <= {"cli"}


async def upsert(session: WriteSession, uow: UnitOfWork) -> None:
    make = sqlite.insert if uow.database.is_sqlite else postgresql.insert
    values = make(Tag).values(pk=1, name="red")
    await session.exec(values.on_conflict_do_update(index_elements=["pk"], set_={"name": "upserted"}))


async def raw_text(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(text("update \"probe_tasks\" set title = 'x' -- harmless"))  # type: ignore[call-overload]


async def update_from(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(update(Task).where(Task.owner_pk == Owner.pk, Owner.name == "Ann").values(title="x"))


async def bulk_key_change(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(update(Gauge).values(code="other"))


async def too_many(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.exec(insert(Tag), params=[{"name": f"n{n}"} for n in range(1001)])


async def legacy_save(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.run_sync(lambda inner: inner.bulk_save_objects([Tag(name="legacy")]))


async def legacy_mappings(session: WriteSession, _uow: UnitOfWork) -> None:
    await session.run_sync(lambda inner: inner.bulk_insert_mappings(Tag, [{"name": "legacy"}]))


REFUSED: dict[str, Program] = {
    "upsert": upsert,
    "raw text": raw_text,
    "update from": update_from,
    "bulk change of keys": bulk_key_change,
    "too many rows": too_many,
    "bulk_save_objects": legacy_save,
    "bulk_insert_mappings": legacy_mappings,
    "core on the connection": run_sync(lambda c: c.execute(delete(table_for(Note)))),
    "driver's own SQL": run_sync(lambda c: c.exec_driver_sql("DELETE FROM probe_notes")),
    "a common table expression": run_sync(
        lambda c: c.exec_driver_sql("WITH gone AS (SELECT 1) INSERT INTO probe_tags (name) SELECT 'x'")
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_path_is_refused_and_nothing_is_written(world: World, name: str) -> None:
    await world.given(populate)
    await world.is_refused(REFUSED[name], AuditRefused)


async def test_what_is_unaudited_leaves_one_row_for_each_table(world: World) -> None:
    await world.given(populate)
    before, last = await world.state(), await world.last_id()

    async def program(session: WriteSession, uow: UnitOfWork) -> None:
        async with unaudited(uow, "because " * 50):
            await session.exec(text("UPDATE probe_tasks SET title = 'x'"))  # type: ignore[call-overload]
            await session.exec(text("DELETE FROM probe_notes"))  # type: ignore[call-overload]
            session.add(Tag(name="flushed inside"))
            await session.flush()

    await world.given(program)
    rows = await world.log(last)
    told = sorted((row["action"], row["entity"]) for row in rows)
    assert told == [("BULK", "probe_notes"), ("BULK", "probe_tasks"), ("INSERT", "probe_tags")]
    assert {row["entity"]: row["new"]["rows"] for row in rows if row["action"] == "BULK"} == {
        "probe_notes": 1,
        "probe_tasks": 3,
    }
    assert {row["reason"] for row in rows if row["action"] == "BULK"} == {("because " * 50)[:256]}
    assert await world.state() != before
