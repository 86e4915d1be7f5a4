"""Every attack that the seals are for, and every check of the verifier taken out once."""

# ruff: noqa: S608  statements are made of names of ours

from typing import Any

import pytest
from sqlalchemy import insert, text

from app.core.evidence.canonical import LOGS, STREAMS, Stream
from app.core.evidence.verifier import Archived, Verifier
from tests.core.evidence.attacks import LOG, cut_off, found, given, rewrite
from tests.core.evidence.world import BOOT, ROWS, World, access_row, only


@pytest.mark.parametrize("stream", STREAMS)
async def test_sound_logs(world: World, stream: Stream) -> None:
    key = world.key("seal")
    await given(world, key)
    await world.add(2)
    report = await world.verify(stream, key, heads=world.anchor().heads())
    assert (report.ok, report.complete, report.checked_rows, report.seals) == (True, True, 9, 3)
    assert (report.unsealed_rows, report.signatures) == (2, "checked")
    assert report.oldest_unsealed_s is not None
    assert report.told()["findings"] == []
    part = await world.verify(stream, key, from_seal=2, to_seal=2)
    assert (part.ok, part.complete, part.checked_rows, part.seals) == (True, False, 3, 1)
    part = await world.verify(stream, max_rows=4)
    assert (part.ok, part.complete, part.checked_rows) == (True, False, 3)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(
    ("attack", "kind", "what", "ids"),
    [
        ("UPDATE {log} SET actor_id = 'nobody' WHERE id = 5", "root_mismatch", "altered", (5,)),
        ("DELETE FROM {log} WHERE id IN (4, 6)", "count", "deleted", (4, 6)),
        ("DELETE FROM {log} WHERE id > 6", "count", "deleted", (7, 8, 9)),
    ],
)
async def test_rows_of_a_sealed_range(
    world: World, stream: Stream, attack: str, kind: str, what: str, ids: tuple[int, ...]
) -> None:
    await given(world)
    await world.forge(attack.format(log=LOG[stream]))
    (finding,) = await found(world, stream)
    assert (finding.kind, finding.what, finding.ids, finding.stream) == (kind, what, ids, stream)
    assert (finding.first_id, finding.last_id) == (ids[0], ids[-1])
    other = STREAMS[1 - STREAMS.index(stream)]
    assert await found(world, other) == []


@pytest.mark.parametrize("stream", STREAMS)
async def test_rows_that_change_places(world: World, stream: Stream) -> None:
    await given(world)
    if stream == "access":  # a number of a process run is there once only
        await world.forge("DROP INDEX uq_audit_access_boot_id_seq")
    log = LOG[stream]
    await world.forge(
        *(f"UPDATE {log} SET id = {new} WHERE id = {old}" for old, new in ((4, 99), (6, 4), (99, 6)))
    )
    (finding,) = await found(world, stream)
    assert (finding.kind, finding.what, finding.ids, finding.seal) == (
        "root_mismatch",
        "reordered",
        (4, 6),
        2,
    )


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("id", [0, -1, -(2**62), -(2**63), 5])
async def test_rows_that_are_put_in_between_or_in_front(world: World, stream: Stream, id: int) -> None:
    await world.add(4)
    await world.forge(f"DELETE FROM {LOG[stream]} WHERE id = 4")  # a gap, as a rollback leaves it
    await given(world)
    hole = 4 if id == 5 else id
    async with world.forging() as connection:
        await connection.execute(insert(LOGS[stream]), {**ROWS[stream](77), "id": hole})
    (finding,) = await found(world, stream)
    assert (finding.kind, finding.what, finding.ids, finding.seal) == ("count", "inserted", (hole,), 1)


@pytest.mark.parametrize("stream", STREAMS)
async def test_without_an_index_of_leaves_the_range_is_named(world: World, stream: Stream) -> None:
    await given(world)
    await world.forge(
        "DELETE FROM audit_seal_leaves",
        f"UPDATE {LOG[stream]} SET actor_id = 'x' WHERE id = 5",
        f"DELETE FROM {LOG[stream]} WHERE id = 9",
    )
    altered, deleted = await found(world, stream)
    assert (altered.kind, altered.first_id, altered.last_id, altered.ids) == ("root_mismatch", 4, 6, ())
    assert (deleted.kind, deleted.first_id, deleted.last_id) == ("count", 7, 9)


@pytest.mark.parametrize("stream", STREAMS)
async def test_an_end_that_is_cut_off_with_its_seals(world: World, stream: Stream) -> None:
    key = world.key("seal")
    await given(world, key)
    heads = world.anchor().heads()
    await cut_off(world, stream)
    assert await found(world, stream, key) == []  # what only an anchor knows
    finding = only(await found(world, stream, key, heads=heads), "anchor")
    assert (finding.first_id, finding.last_id, finding.seal) == (7, 9, 3)
    assert "the end was cut off" in finding.what
    other = STREAMS[1 - STREAMS.index(stream)]
    assert await found(world, other, key, heads=heads) == []


@pytest.mark.parametrize("stream", STREAMS)
async def test_everything_is_made_anew(world: World, stream: Stream) -> None:
    key, evil = world.key("seal"), world.key("evil")
    await given(world, key)
    heads = world.anchor().heads()
    await rewrite(world, None)
    assert await found(world, stream) == []  # whoever has no key, no public key and no anchor, has nothing
    assert only(await found(world, stream, key), "bad_signature").what == "no signed seal covers it"
    await rewrite(world, evil)
    assert only(await found(world, stream, key), "bad_signature").what.endswith("is not trusted")
    await rewrite(world, key)  # it was stolen
    assert await found(world, stream, key) == []
    findings = await found(world, stream, key, heads=heads)
    assert [(one.kind, one.seal) for one in findings] == [("anchor", number) for number in (1, 2, 3)]


@pytest.mark.parametrize("stream", STREAMS)
async def test_signatures_that_are_taken_off(world: World, stream: Stream) -> None:
    key = world.key("seal")
    await given(world, key)
    await world.forge("UPDATE audit_seal SET signature = NULL")
    assert len([one for one in await found(world, stream) if "was removed" in one.what]) == 3
    await world.forge("UPDATE audit_seal SET key_id = NULL, public_key = NULL")
    assert any(one.what == "the seal was altered" for one in await found(world, stream))
    assert any(one.what == "no signed seal covers it" for one in await found(world, stream, key))


@pytest.mark.parametrize("stream", STREAMS)
async def test_a_seal_that_is_missing(world: World, stream: Stream) -> None:
    await given(world)
    await world.forge(
        "DELETE FROM audit_seal_leaves", f"DELETE FROM audit_seal WHERE number = 2 AND stream = '{stream}'"
    )
    finding = only(await found(world, stream), "missing_seal")
    assert (finding.first_id, finding.last_id, finding.seal) == (4, 6, 3)


@pytest.mark.parametrize("stream", STREAMS)
async def test_what_was_archived_may_be_gone(world: World, stream: Stream) -> None:
    await given(world)
    await world.forge(f"DELETE FROM {LOG[stream]} WHERE id < 5 OR id = 6")  # 5 is held
    assert await found(world, stream)
    ranges = [Archived("one", 1, 2, 6, 1)]
    report = await Verifier(world.store(), archived={stream: ranges}).verify(stream)
    assert report.findings == []
    for wrong, what in (
        (Archived("one", 1, 2, 7, 1), "7 rows are said"),
        (Archived("one", 1, 2, 6, 0), "1 rows are here"),
    ):
        report = await Verifier(world.store(), archived={stream: [wrong]}).verify(stream)
        assert what in only(report.findings, "segment").what
    await world.forge(f"UPDATE {LOG[stream]} SET actor_id = 'x' WHERE id = 5")
    report = await Verifier(world.store(), archived={stream: ranges}).verify(stream)
    assert only(report.findings, "root_mismatch").ids == (5,)


async def test_numbers_that_are_in_no_row(world: World) -> None:
    async def add(boot: str, *numbers: int, **changes: Any) -> None:
        async with world.outside.begin() as connection:
            for seq in numbers:
                row = access_row(seq, boot_id=boot, **changes)
                await connection.execute(insert(LOGS["access"]), row)

    await add(BOOT, 1, 2, 5, 6)
    await add("0" * 32, 3)
    await add("0" * 32, 4, method="AUDIT", path="audit.stop")
    await add("f" * 32, 1, 2)
    report = await world.verify("access")
    assert report.ok
    assert report.lost_seq == [
        {"boot_id": BOOT, "from": 3, "to": 4},
        {"boot_id": "0" * 32, "from": 1, "to": 2},
    ]
    assert report.without_stop == [{"boot_id": "f" * 32, "last_seq": 2}, {"boot_id": BOOT, "last_seq": 6}]
    boots = {BOOT: [[4, 4], [7, 9]], "0" * 32: [[1, 1], [2, 2]]}
    ranges = {"access": [Archived("one", 1, 1, 0, None, boots)]}
    report = await Verifier(world.store(), archived=ranges).verify("access")  # type: ignore[arg-type]  # one log
    assert report.lost_seq == [{"boot_id": BOOT, "from": 3, "to": 3}]
    assert report.without_stop == [{"boot_id": "f" * 32, "last_seq": 2}]
    assert (await world.verify("changes")).lost_seq == []


async def test_a_copy_elsewhere_is_as_sound(world: World) -> None:
    """Row by row into another database, whose own transactions have small numbers, with only the public key."""
    key = world.key("seal")
    await world.add(2, xid=2**40)
    await given(world, key)
    copy = await world.copied()
    try:
        assert await copy.is_sound(key, heads=world.anchor().heads())
        async with copy.outside.begin() as connection:
            if not copy.database.is_sqlite:
                for log in LOG.values():
                    await connection.execute(
                        text(f"SELECT setval('{log}_id_seq', (SELECT max(id) FROM {log}))")
                    )
        copy.added = 1000
        await copy.seal(key)
        assert await copy.is_sound(key)
        await copy.forge("UPDATE audit_change SET reason = 'x' WHERE id = 2")
        assert [one.ids for one in await found(copy, "changes", key)] == [(2,)]
    finally:
        await copy.close()
