"""The unit of work: one commit by the outermost block, all or nothing, and reads that see their own writes."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from sqlmodel import col, update

from app.core.context import acting_as
from app.core.errors import Conflict, Unavailable
from app.core.transaction import UnitOfWork
from app.modules.roles.models import Role
from app.modules.roles.repository import RoleRepository
from app.modules.roles.schemas import RoleRow
from tests.backend import RunningApp
from tests.core.people import give_back, take_all

Make = Callable[[], RoleRepository]


@pytest.fixture
def make(app: RunningApp) -> Make:
    return lambda: RoleRepository(UnitOfWork(app.platform.database))


async def is_there(make: Make, name: str) -> bool:
    roles = make()
    return await roles.exists(roles.named(name))


async def test_outermost_block_commits(make: Make) -> None:
    roles = make()
    async with roles.uow.transaction():
        async with roles.uow.transaction():
            await roles.add(Role(name="inner"))
        assert roles.uow.is_open
        assert not await is_there(make, "inner")  # not committed yet
        assert await roles.exists(roles.named("inner"))  # but seen from inside
    assert not roles.uow.is_open
    assert await is_there(make, "inner")


async def test_failure_undoes_all(make: Make) -> None:
    roles = make()

    async def fail() -> None:
        async with roles.uow.transaction():
            await roles.add(Role(name="lost"))
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert not await is_there(make, "lost")
    async with roles.uow.transaction():  # the unit of work goes on
        await roles.add(Role(name="kept"))
    assert await is_there(make, "kept")


async def test_failed_inner_block_dooms_the_outer(make: Make) -> None:
    roles = make()

    async def swallow() -> None:
        with contextlib.suppress(ZeroDivisionError):
            async with roles.uow.transaction():
                _ = 1 / 0

    async def outer() -> None:
        async with roles.uow.transaction():
            await roles.add(Role(name="doomed"))
            await swallow()

    with pytest.raises(RuntimeError, match="nested transaction failed"):
        await outer()
    assert not await is_there(make, "doomed")
    async with roles.uow.transaction():
        await roles.add(Role(name="next"))
    assert await is_there(make, "next")


async def test_savepoint_fails_alone(make: Make) -> None:
    roles = make()
    async with roles.uow.transaction():
        await roles.add(Role(name="before"))
        with pytest.raises(Conflict):
            async with roles.uow.savepoint():
                await roles.add(Role(name="before"))
        await roles.add(Role(name="after"))
    assert await is_there(make, "before")
    assert await is_there(make, "after")


async def test_second_unit_of_work_inside_is_refused(make: Make) -> None:
    one, two = make(), make()
    async with one.uow.transaction():
        with pytest.raises(RuntimeError, match="another unit of work"):
            async with two.uow.transaction():
                pass
    async with two.uow.transaction():
        await two.add(Role(name="alone"))
    assert await is_there(make, "alone")


async def test_task_that_outlives_the_transaction_may_open_its_own(make: Make) -> None:
    one, two = make(), make()
    goes_on = asyncio.Event()

    async def later() -> None:
        await goes_on.wait()
        async with two.uow.transaction():
            await two.add(Role(name="later"))

    async with one.uow.transaction():
        task = asyncio.create_task(later())
    goes_on.set()
    await task
    assert await is_there(make, "later")


async def test_writing_needs_a_transaction(make: Make) -> None:
    with pytest.raises(RuntimeError, match="open transaction"):
        await make().add(Role(name="x"))


async def test_change_on_top_of_a_change_is_refused(make: Make) -> None:
    """The loser of a race gets a conflict, and its change is gone."""
    one = make()
    async with one.uow.transaction():
        row = await one.add(Role(name="contested"))
    id, pk = row.id, row.pk
    overtake = update(Role).where(col(Role.pk) == pk).values(version=Role.version + 1)

    async def lose() -> None:
        async with one.uow.transaction() as session:
            stale = await one.get(id)
            await session.exec(overtake, execution_options={"synchronize_session": False})
            await one.update(stale, {"description": "mine"})

    with pytest.raises(Conflict, match="changed in between"):
        await lose()
    assert (await make().read(id, RoleRow)).version == 1


async def test_update_stamps_only_what_differs(make: Make) -> None:
    roles = make()
    with acting_as("test", origin="job"):
        async with roles.uow.transaction():
            row = await roles.add(Role(name="stamped"))
            before = (row.version, row.updated_at)
            await roles.update(row, {"name": "stamped", "description": ""})
            assert (row.version, row.updated_at) == before
            await roles.update(row, {"description": "new"})
            assert row.version == before[0] + 1
            assert row.updated_at > before[1]


async def test_cancelled_transaction_leaves_nothing(make: Make) -> None:
    for _ in range(15):  # more than there are connections
        roles = make()
        inside = asyncio.Event()

        async def hang(roles: RoleRepository = roles, inside: asyncio.Event = inside) -> None:
            async with roles.uow.transaction():
                await roles.add(Role(name="cancelled"))
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hang())
        await inside.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
    assert not await is_there(make, "cancelled")
    roles = make()
    async with roles.uow.transaction():
        await roles.add(Role(name="healthy"))


async def test_full_gate_is_unavailable_and_heals(
    app: RunningApp, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.database.GATE_SECONDS", 0.05)
    gate = app.platform.database.write_gate
    taken = await take_all(gate)
    assert taken >= 1

    async def write() -> None:
        async with make().uow.transaction():
            pass

    with pytest.raises(Unavailable):
        await write()
    await give_back(gate, taken)
    await write()
