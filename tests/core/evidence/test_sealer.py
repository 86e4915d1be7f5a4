"""When seals are made, by whom, and with which key."""

import asyncio
from datetime import timedelta

import pytest

from app.core.clock import now
from app.core.errors import Conflict
from app.core.evidence import sealer as sealer_module
from app.core.evidence.canonical import STREAMS
from app.core.evidence.sealer import HEARTBEAT_SECONDS, Sealer
from app.core.evidence.seals import Seal
from app.core.job import Job
from app.core.telemetry import exposition
from tests.backend import run_app
from tests.conftest import settings_for
from tests.core.evidence.world import World


async def looks(sealer: Sealer) -> None:
    """As a job does, when nothing is under way any more: on PostgreSQL, in no database of the server."""
    await sealer._horizon.settle(5)
    for _ in range(2):
        while await sealer.work():
            pass


async def numbers(world: World) -> list[int]:
    """How many seals each log has."""
    return [len(await world.seals(stream)) for stream in STREAMS]


def move_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(sealer_module, "now", lambda: now() + timedelta(seconds=seconds))


async def test_seals_follow_from_each_other(world: World) -> None:
    first = await world.seal()
    second = await world.seal(rows=2)
    assert [seal.stream for seal in first] == list(STREAMS)
    for before, after in zip(first, second, strict=True):
        assert (before.number, before.first_id, before.last_id, before.row_count) == (1, 1, 3, 3)
        assert (after.number, after.first_id, after.last_id, after.row_count) == (2, 4, 5, 2)
        assert (before.prev_hash, after.prev_hash) == ("0" * 64, before.seal_hash)
        assert before.min_at is not None
        assert before.max_at == before.min_at + timedelta(seconds=2)
        assert not before.is_signed
        assert await world.seals(before.stream) == [before, after]  # as they come back
    assert await world.is_sound()
    assert await world.sealer().seal_all() == []


async def test_a_seal_is_due_when_half_the_interval_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer = world.sealer(seconds=3600)
    await looks(sealer)
    assert await numbers(world) == [0, 0]  # nothing to seal
    await world.add()
    await looks(sealer)
    assert await numbers(world) == [1, 1]  # the first at once
    await world.add()
    move_clock(monkeypatch, 1700)
    await looks(sealer)
    assert await numbers(world) == [1, 1]
    move_clock(monkeypatch, 1801)
    await looks(sealer)
    assert await numbers(world) == [2, 2]


async def test_many_rows_are_sealed_before_that_and_in_several_seals(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer_module, "SEAL_ROWS", 4)
    sealer = world.sealer(seconds=3600)
    await world.add(11)
    await looks(sealer)
    assert [seal.row_count for seal in await world.seals("changes")] == [4, 4]  # the rest is not due
    await world.add(1)
    await looks(sealer)
    assert [seal.row_count for seal in await world.seals("changes")] == [4, 4, 4]
    assert await world.is_sound()


async def test_an_idle_log_says_every_hour_that_nothing_was_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.seal()
    sealer = world.sealer()
    move_clock(monkeypatch, HEARTBEAT_SECONDS - 100)
    await looks(sealer)
    assert await numbers(world) == [1, 1]
    move_clock(monkeypatch, HEARTBEAT_SECONDS + 5)
    await looks(sealer)
    assert await numbers(world) == [2, 2]
    beat = (await world.seals("changes"))[1]
    assert (beat.row_count, beat.first_id, beat.last_id, beat.min_at) == (0, 4, 3, None)
    await world.seal(rows=1)
    assert [seal.row_count for seal in await world.seals("access")] == [3, 0, 1]
    assert await world.is_sound()


async def test_a_clock_that_was_set_back_stops_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.seal()
    await world.add()
    move_clock(monkeypatch, -7200)
    await looks(world.sealer(seconds=60))
    first, second = await world.seals("changes")
    assert second.sealed_at == first.sealed_at + timedelta(microseconds=1)
    assert await world.is_sound()


async def test_two_sealers_never_fork_the_chain(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealer_module, "SEAL_ROWS", 3)
    other = World(
        world.backend,
        type(world.database)(world.database.url, world.database.lists, durable=False),
        world.outside,
        world.folder,
    )
    sealers = [world.sealer(seconds=0), other.sealer(seconds=0)]
    for _ in range(6):
        await world.add(4)
        await asyncio.gather(*(looks(sealer) for sealer in sealers))
    await asyncio.gather(*(each.sealer().seal_all() for each in (world, other)))
    await other.database.dispose()
    for stream in STREAMS:
        seals = await world.seals(stream)
        assert [seal.number for seal in seals] == list(range(1, len(seals) + 1))
        assert sum(seal.row_count for seal in seals) == 24
    assert await world.is_sound()


async def test_who_comes_second_finds_the_number_taken(world: World) -> None:
    await world.add(2)
    sealer, slow = world.sealer(), world.sealer()
    await sealer.seal_all()
    assert await slow._seal_next("changes", None, 2) is None
    assert await world.is_sound()


async def test_a_key_that_comes_later_covers_what_was_there(world: World) -> None:
    key = world.key("seal")
    await world.seal()
    assert not await world.is_sound(key)
    await world.seal(key)
    assert await world.is_sound(key)
    assert [
        report.signatures for report in [await world.verify("access", key), await world.verify("access")]
    ] == [
        "checked",
        "unchecked",
    ]


async def test_no_seal_without_the_key_of_the_chain(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.seal(world.key("seal"))
    await world.add()
    for key in (None, world.key("other")):
        with pytest.raises(Conflict, match="not the one that this chain"):
            await world.sealer(key).seal_all()
        sealer = world.sealer(key, seconds=0)
        await looks(sealer)
        assert await numbers(world) == [1, 1]
        with pytest.raises(Conflict):
            await sealer.hand_over(world.key("third"))
    with pytest.raises(Conflict, match="no key to hand over"):
        await world.sealer().hand_over(world.key("third"))


async def test_a_key_hands_over(world: World) -> None:
    old, new = world.key("old"), world.key("new")
    await world.seal(old)
    made = await world.sealer(old).hand_over(new)
    assert [(seal.row_count, seal.public_key, seal.next_public_key) for seal in made] == [
        (0, old.public, new.public)
    ] * 2
    await world.seal(new)
    for trusted in ((), (old,), (new,), (old, new)):
        assert await world.is_sound(*trusted)
    assert not await world.is_sound(world.key("third"))
    await world.add()
    with pytest.raises(Conflict):
        await world.sealer(old).seal_all()
    for stream in STREAMS:  # whoever has stolen the old key
        head = await world.store().newest_seal(stream)
        sealer = world.sealer(old)
        assert await sealer._seal_next(stream, head, head.last_id + 1 if head else 1) is not None
        report = await world.verify(stream, old)
        assert [finding.what for finding in report.findings] == [
            "it is signed by a key that was replaced before"
        ]


async def test_both_chains_are_handed_over_or_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = world.key("old"), world.key("new")
    await world.seal(old)
    sealer = world.sealer(old)
    usual, made = sealer._add, list[Seal]()

    async def fail_at_the_second(seal: Seal, leaves: bytes) -> None:
        made.append(seal)
        if len(made) == len(STREAMS):
            raise Conflict
        await usual(seal, leaves)

    monkeypatch.setattr(sealer, "_add", fail_at_the_second)
    with pytest.raises(Conflict):
        await sealer.hand_over(new)
    assert await numbers(world) == [1, 1]
    await world.sealer(old).hand_over(new)
    assert await world.is_sound(new)


async def test_a_lost_key_is_replaced_and_that_is_seen(world: World) -> None:
    lost, new = world.key("lost"), world.key("new")
    await world.seal(lost)
    with pytest.raises(Conflict):
        await world.seal(new)
    with pytest.raises(Conflict, match="no key to go on with"):
        await world.sealer().replace_key()
    await world.sealer(new).replace_key()
    await world.seal(new)
    for trusted in ((), (lost,), (new,)):
        assert not await world.is_sound(*trusted)
    assert await world.is_sound(lost, new)


def anchor_failures() -> list[str]:
    """As the metrics tell them: since the process began, so that other tests count too."""
    lines = exposition().decode().splitlines()
    return [line for line in lines if line.startswith("audit_anchor_failed_total")]


async def test_a_job_seals_an_app_that_runs(world: World) -> None:
    """While it is idle nothing stays unsealed, and its metrics say so."""
    url = world.database.url.render_as_string(hide_password=False)
    settings = settings_for(url, "", audit_seal_seconds=1, metrics_enabled=True)
    expected = [
        *(f'audit_unsealed_rows{{stream="{stream}"}} 0.0' for stream in STREAMS),
        *(f'audit_oldest_unsealed_seconds{{stream="{stream}"}} 0.0' for stream in STREAMS),
    ]
    async with run_app(settings) as running:
        failed = anchor_failures()
        await running.app.state.access_writer.settle()
        for _ in range(600):
            reports = [await world.verify(stream) for stream in STREAMS]
            left, lines = [report.unsealed_rows for report in reports], exposition().decode().splitlines()
            if left == [0, 0] and set(expected) <= set(lines):
                break
            await asyncio.sleep(0.1)
    assert left == [0, 0]
    assert set(expected) <= set(lines)
    assert anchor_failures() == failed != []
    assert all(report.ok and report.checked_rows for report in reports)


async def test_sealing_is_work_for_a_job(world: World) -> None:
    await world.add(2)
    sealer, is_done = world.sealer(seconds=0), asyncio.Event()

    async def work() -> bool:
        more = await sealer.work()
        if await numbers(world) == [1, 1]:
            is_done.set()
        return more

    job = Job("seals", work, 0.02)
    job.start()
    await asyncio.wait_for(is_done.wait(), 60)
    await job.stop()
    assert await world.is_sound()
