"""The archive's run: what goes where, what stays, and what is left when it is killed at any step."""

import random
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from app.core.evidence.archive import Scope
from app.core.evidence.canonical import STREAMS
from app.core.evidence.destinations import StorageFault
from app.core.evidence.locks import Busy, only_run
from app.core.evidence.runs import VerificationFailed
from tests.backend import Backend
from tests.conftest import FULL
from tests.core.evidence import killed_archiver
from tests.core.evidence.archive_world import CUTOFF, NOW, OLD, World, change_row, files, open_world
from tests.forks import FORKS

STEPS = [
    *("seal", "plan", "planned", "write", "write batch", "before rename", "after rename", "before manifest"),
    *("after manifest", "verify", "verify batch", "before verified", "verified", "prune", "before prune"),
    *("in prune transaction", "between batches", "before pruned", "pruned"),
]


@pytest.fixture
async def world(backend: Backend, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(backend.new_database(), tmp_path / "archive") as made:
        await made.fill()
        yield made


async def everything(world: World) -> dict[str, dict[int, bytes]]:
    return {stream: await world.lines(stream) for stream in STREAMS}


async def assert_all_there(world: World, before: dict[str, dict[int, bytes]]) -> None:
    """Each row once: here, or in a file; nothing that was not there, and no leftover."""
    for stream in STREAMS:
        hot, cold = await world.lines(stream), world.archived(stream)
        new = {id: line for id, line in hot.items() if id not in before[stream]}
        kept = {id: line for id, line in hot.items() if id in before[stream]}
        assert all(b'"audit_segment"' in line for line in new.values())
        assert not kept.keys() & cold.keys()
        assert {**kept, **cold} == before[stream]
        assert await world.verdict(stream) == []
    assert not list(world.folder.glob("*.tmp"))


async def test_old_rows_go_and_new_ones_stay(world: World) -> None:
    before = await everything(world)
    outcome = await world.work()
    assert (outcome.archived_rows, outcome.pruned_rows, outcome.held_rows) == (240, 240, 0)
    for stream in STREAMS:
        assert sorted(world.archived(stream)) == list(range(1, 121))
        assert min(await world.lines(stream)) == 121
        segments = await world.segments(stream)
        assert {segment.state for segment in segments} == {"pruned"}
        assert [segment.max_at for segment in segments] == [OLD + timedelta(minutes=n) for n in (49, 99, 119)]
    await assert_all_there(world, before)
    there = {path: path.read_bytes() for path in world.folder.iterdir()}
    again = await world.work()
    assert (again.archived_rows, again.pruned_rows, again.segments) == (0, 0, {})
    assert {path: path.read_bytes() for path in world.folder.iterdir()} == there


async def test_it_is_told_in_the_change_log(world: World) -> None:
    await world.work()
    told = [line for line in (await world.lines("changes")).values() if b'"audit_segment"' in line]
    assert all(b'"actor_type":"cli"' in line and b'"actor_id":"somebody"' in line for line in told)
    assert sum(b'"action":"INSERT"' in line for line in told) == len(await world.segments()) + len(
        await world.segments("access")
    )
    assert sum(b'"state":"pruned"' in line for line in told) == 6


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_a_step(world: World, step: str) -> None:
    before = await everything(world)
    for times in (1, 2):
        ended = _killed(world, step, times)
        assert ended == -signal.SIGKILL or (times == 2 and step == "seal")
        hot = await everything(world)
        for stream in STREAMS:
            assert before[stream].keys() <= hot[stream].keys() | world.archived(stream).keys()
            assert await world.verdict(stream) == []
    await world.work()
    await assert_all_there(world, before)


@pytest.mark.parametrize("seed", range(50 if FULL else 4))
async def test_killed_at_random(world: World, seed: int) -> None:
    chance, before = random.Random(seed), await everything(world)
    while _killed(world, "any", chance.randrange(1, 120)) != 0:
        hot = await everything(world)
        for stream in STREAMS:
            assert before[stream].keys() <= hot[stream].keys() | world.archived(stream).keys()
    await assert_all_there(world, before)


async def _behind_the_triggers(world: World, statement: str) -> None:
    """What whoever owns the database can do."""
    async with create_async_engine(world.url, poolclass=NullPool).begin() as connection:
        if world.database.is_sqlite:
            for rule in ("no_update", "no_replace", "archived_only", "not_held"):
                await connection.exec_driver_sql(f"DROP TRIGGER audit_change_{rule}")
        else:
            await connection.exec_driver_sql("ALTER TABLE audit_change DISABLE TRIGGER ALL")
        await connection.exec_driver_sql(statement)
        if not world.database.is_sqlite:
            await connection.exec_driver_sql("ALTER TABLE audit_change ENABLE TRIGGER ALL")


def _killed(world: World, step: str, times: int) -> int:
    """How a run ended that was to be killed at a step; 0 where it never came to that."""
    process = FORKS.Process(target=killed_archiver.run, args=(world.url, str(world.folder), step, times))
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


async def test_two_runs_at_once(world: World) -> None:
    async with only_run(world.database, world.archive()._destination):
        with pytest.raises(Busy):
            await world.work()
    assert await world.segments() == []
    assert not list(files(world.folder, "changes", ""))
    await world.work()
    assert len(await world.segments()) == 3


@pytest.mark.parametrize("times", [3, 9, 20])
async def test_interrupted(world: World, times: int) -> None:
    before, asked = await everything(world), iter(range(1000))
    outcome = await world.work(world.run(is_over=lambda: next(asked) >= times))
    assert outcome.interrupted
    for stream in STREAMS:
        assert await world.verdict(stream) == []
    assert not (await world.work()).interrupted
    await assert_all_there(world, before)


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".manifest.json"])
async def test_a_file_that_was_touched_is_not_pruned(world: World, suffix: str) -> None:
    await world.work(prune=False)
    before = await everything(world)
    victim = next(files(world.folder, "changes", suffix))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(bytes(data))
    with pytest.raises(VerificationFailed):
        await world.work(archive=False)
    assert before["changes"].items() <= (await world.lines("changes")).items()
    victim.unlink()
    with pytest.raises((VerificationFailed, StorageFault)):
        await world.work(archive=False)
    assert before["changes"].items() <= (await world.lines("changes")).items()


async def test_rows_that_were_altered_are_not_archived(world: World) -> None:
    """Seals are older than the archive: what differs from them is evidence, and has to stay."""
    await world.work(prune=False, before=NOW - timedelta(days=3000))
    await _behind_the_triggers(world, "UPDATE audit_change SET actor_id = 'another' WHERE id = 7")
    with pytest.raises(VerificationFailed):
        await world.work()
    assert 7 in await world.lines("changes")
    assert await world.verdict("changes") == ["root_mismatch: altered (7,)"]


async def test_a_row_added_behind_the_seal_is_not_pruned(world: World) -> None:
    await _behind_the_triggers(world, "DELETE FROM audit_change WHERE id = 15")
    await world.work(prune=False)
    await world.add("changes", [change_row(15, NOW, id=15)])
    with pytest.raises(VerificationFailed, match="not in the file"):
        await world.work(archive=False)


async def test_holds_keep_rows_here(world: World) -> None:
    hold = await world.hold(stream="changes", actor_id="actor-1")
    outcome = await world.work()
    held = {id for id, line in (await world.lines("changes")).items() if id <= 120}
    assert held == {id for id in range(1, 121) if id % 3 == 1}
    assert outcome.held_rows == len(held)
    assert sorted(world.archived("changes")) == list(range(1, 121))
    assert await world.verdict("changes") == []
    assert not (await world.work()).segments
    await world.release(hold)
    released = await world.work()
    assert released.pruned_rows == len(held)
    assert released.archived_rows == 0
    assert min(await world.lines("changes")) > 120
    assert await world.verdict("changes") == []


async def test_one_row_with_a_wrong_clock_keeps_nothing_else(world: World) -> None:
    await world.add("changes", [change_row(1, NOW + timedelta(days=30_000))])
    await world.add("changes", [change_row(n, CUTOFF - timedelta(days=9)) for n in range(120)])
    await world.work()
    assert 151 in await world.lines("changes")
    assert sorted(world.archived("changes")) == [*range(1, 121), *range(152, 272)]
    assert await world.verdict("changes") == []


async def test_no_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await everything(world)
    monkeypatch.setattr("app.core.evidence.destinations.Folder.free_bytes", lambda _: 100)
    with pytest.raises(StorageFault, match="100 bytes are free"):
        await world.work()
    monkeypatch.undo()
    await world.work()
    await assert_all_there(world, before)


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".manifest.json"])
async def test_a_disk_that_fills_up(world: World, suffix: str) -> None:
    """The system says so in the middle of a file."""
    before = await everything(world)
    world.folder.mkdir()
    draft = world.folder / f"access-000000000001-000000000050{suffix}.tmp"
    draft.symlink_to("/dev/full")
    with pytest.raises(StorageFault, match="No space left on device"):
        await world.work()
    draft.unlink(missing_ok=True)
    for stream in STREAMS:
        assert before[stream].items() <= (await world.lines(stream)).items()
    await world.work()
    await assert_all_there(world, before)


async def test_dry_run_writes_nothing(world: World) -> None:
    before = await everything(world)
    await world.hold(actor_id="actor-2")
    found = [one async for one in world.archive().forecast(Scope(CUTOFF, segment_rows=50))]
    assert [(one.stream, one.row_count, one.held_count) for one in found] == [
        ("access", 120, 40),
        ("changes", 120, 40),
    ]
    after = await everything(world)
    assert {id for id in after["changes"] if id not in before["changes"]} == {151}  # the hold
    assert not world.folder.exists()
    assert await world.segments() == []


async def test_restored_rows_are_the_same_and_go_again(world: World) -> None:
    before = await everything(world)
    await world.work()
    there = {path: path.read_bytes() for path in world.folder.iterdir()}
    for _ in range(2):
        outcome = await world.archive().restore(await world.segments())
        assert outcome.restored_rows == 120
        hot = await world.lines("changes")
        assert {id: line for id, line in hot.items() if id in before["changes"]} == before["changes"]
        assert await world.verdict("changes") == []
    again = await world.work()
    assert (again.archived_rows, again.pruned_rows) == (0, 120)
    assert {path: path.read_bytes() for path in world.folder.iterdir()} == there
    await assert_all_there(world, before)
