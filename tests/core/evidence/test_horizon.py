"""What is settled: nothing is sealed above a transaction that may still bring a lower id."""

import asyncio
import random
from typing import Any

import pytest

from app.core.audit.access import COLUMNS
from app.core.audit.access_store import _POSTGRES, ROW_COLUMNS, AccessStore
from app.core.errors import Unavailable
from app.core.evidence import sealer as sealer_module
from app.core.evidence.canonical import STREAMS
from app.core.evidence.horizon import Horizon
from app.core.evidence.sealer import Sealer
from tests.core.evidence.world import BOOT, START, World

INSERTS = {
    "changes": (
        "INSERT INTO audit_change (occurred_at, tx_id, tx_seq, origin, actor_type, action, entity, entity_id,"
        " changed, truncated, redacted)"
        " VALUES (now(), gen_random_uuid(), 1, 'job', 'system', 'BULK', 'users', 'x', '[]', false, false)"
        " RETURNING id"
    ),
    "access": (
        "INSERT INTO audit_access (occurred_at, duration_us, request_id, boot_id, seq, method, path, status,"
        " outcome, actor_type, is_probe) VALUES (now(), 1, 'x', md5(random()::text), 1, 'GET', '/', 200, 'ok',"
        " 'user', false) RETURNING id"
    ),
}


def only_postgres(world: World) -> None:
    if world.database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")


async def looks(sealer: Sealer, times: int = 4) -> None:
    for _ in range(times):
        while await sealer.work():
            pass


async def counts(world: World, sealer: Sealer, expected: list[int]) -> list[int]:
    """The rows of the change log's seals, when they are as expected: other databases of the server are busy too."""
    made: list[int] = []
    for _ in range(100):
        await looks(sealer, 1)
        made = [seal.row_count for seal in await world.seals("changes")]
        if made == expected:
            break
        await asyncio.sleep(0.05)
    return made


@pytest.mark.parametrize("ending", ["commit", "rollback"])
async def test_nothing_is_sealed_above_a_straggler(world: World, ending: str) -> None:
    only_postgres(world)
    sealer = world.sealer(seconds=0)
    slow = await world.raw()
    transaction = slow.transaction()
    await transaction.start()
    held = {stream: await slow.fetchval(INSERTS[stream]) for stream in STREAMS}
    await world.add(3)
    await looks(sealer)
    for stream in STREAMS:
        assert await world.seals(stream) == []
        assert min(await world.ids(stream)) > held[stream]
    with pytest.raises(Unavailable):
        await Horizon(world.store()).settle(0.2)
    await getattr(transaction, ending)()
    await slow.close()
    expected = [4 if ending == "commit" else 3]
    assert await counts(world, sealer, expected) == expected
    for stream in STREAMS:
        (seal,) = await world.seals(stream)
        assert (seal.first_id, seal.last_id) == (1, 4)
        assert [seal.row_count] == expected
    assert await world.is_sound()


async def test_a_reader_or_a_writer_that_came_later_holds_up_nothing(world: World) -> None:
    only_postgres(world)
    reader, later = await world.raw(), await world.raw()
    await world.add(2)
    reading = reader.transaction()
    await reading.start()
    await reader.fetchval("SELECT count(*) FROM audit_change")
    sealer = world.sealer(seconds=0)
    await looks(sealer, 1)  # the first look
    writing = later.transaction()
    await writing.start()
    await later.fetchval(INSERTS["changes"])
    assert await counts(world, sealer, [2]) == [2]
    await writing.commit()
    await reading.rollback()
    assert await counts(world, sealer, [2, 1]) == [2, 1]
    await reader.close()
    await later.close()


async def test_the_access_log_draws_its_transaction_before_its_ids(world: World) -> None:
    """The column of the id comes first in the table: a plan that computes both at once draws the id first."""
    only_postgres(world)
    connection = await world.raw()
    plan = await connection.fetch(f"EXPLAIN (VERBOSE) {_POSTGRES}", *([[]] * len(ROW_COLUMNS)))
    await connection.close()
    (drawn,) = [line[0] for line in plan if "nextval" in line[0]]
    assert "pg_current_xact_id" not in drawn
    assert any("pg_current_xact_id" in line[0] for line in plan)


async def test_rows_of_the_access_log_bear_the_number_of_their_transaction(world: World) -> None:
    blank: dict[str, Any] = {
        **dict.fromkeys(COLUMNS),
        "occurred_at": START,
        "duration_us": 1,
        "request_id": "r",
        "method": "GET",
        "path": "/",
        "status": 200,
        "outcome": "ok",
        "actor_type": "user",
        "is_probe": False,
    }
    store = AccessStore(world.database)
    await store.add([(BOOT, seq, *blank.values()) for seq in (1, 2)])
    store.close()
    async with world.outside.connect() as connection:
        found = await connection.exec_driver_sql("SELECT seq, xid FROM audit_access ORDER BY id")
        rows = [tuple(row) for row in found]
    assert [seq for seq, _ in rows] == [1, 2]
    if not world.database.is_sqlite:
        assert rows[0][1] == rows[1][1] > 0


async def test_settling_under_load(world: World) -> None:
    async def write() -> None:
        for _ in range(10):
            await world.add()

    writing = asyncio.create_task(write())
    settled = await Horizon(world.store()).settle(5)
    await writing
    for stream in STREAMS:
        assert 0 <= settled[stream] <= max(await world.ids(stream))


@pytest.mark.parametrize("seed", range(3))
async def test_any_schedule_of_slow_writers(world: World, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sealer works all the time; in the end every row is in exactly one seal, and none came in later."""
    monkeypatch.setattr(sealer_module, "SEAL_ROWS", 5)
    chance = random.Random(seed)
    sealer, is_over = world.sealer(seconds=0), asyncio.Event()

    async def slowly() -> None:
        connection = await world.raw()
        for _ in range(6):
            transaction = connection.transaction()
            await transaction.start()
            for _ in range(chance.randrange(3)):
                await connection.fetchval(INSERTS[chance.choice(STREAMS)])
                await asyncio.sleep(chance.random() / 50)
            await (transaction.commit() if chance.random() < 0.7 else transaction.rollback())
        await connection.close()

    async def work() -> None:
        while not is_over.is_set():
            await sealer.work()
            await asyncio.sleep(0.002)

    async def quickly() -> None:
        for _ in range(10):
            await world.add()

    working = asyncio.create_task(work())
    writers = [quickly()] if world.database.is_sqlite else [slowly() for _ in range(5)]
    await asyncio.gather(*writers)
    is_over.set()
    await working
    await world.sealer().seal_all()
    for stream in STREAMS:
        seals = await world.seals(stream)
        assert [seal.number for seal in seals] == list(range(1, len(seals) + 1))
        ids = await world.ids(stream)
        covering = [[seal.number for seal in seals if seal.first_id <= id <= seal.last_id] for id in ids]
        assert all(len(numbers) == 1 for numbers in covering)
        assert sum(seal.row_count for seal in seals) == len(ids)
    assert await world.is_sound()
