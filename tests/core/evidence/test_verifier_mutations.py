"""Whatever is changed anywhere is found; and a check that is taken out is missed."""

# ruff: noqa: S608  statements are made of names of ours

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import insert, text

from app.core.evidence import chain as chain_module
from app.core.evidence import verifier as verifier_module
from app.core.evidence.anchors import AnchorFault, Head
from app.core.evidence.canonical import LOGS, STREAMS, Stream
from app.core.evidence.merkle import MerkleTree
from app.core.evidence.seals import Seal
from app.core.evidence.verifier import Verifier
from tests.core.evidence.attacks import LOG, cut_off, found, given, rewrite
from tests.core.evidence.world import LEAVES, SEALS, World


async def changed(world: World, table: str, column: str, key: int) -> list[str]:
    """Values that differ from the one that is there, as SQL."""
    where = f"FROM {table} WHERE id = {key}"
    async with world.outside.connect() as connection:
        is_sqlite = world.database.is_sqlite
        kind = (
            await connection.execute(
                text(f"SELECT {'typeof' if is_sqlite else 'pg_typeof'}({column}) {where}")
            )
        ).scalar()
        value = (await connection.execute(text(f"SELECT CAST({column} AS TEXT) {where}"))).scalar()
    if value is None:
        return []
    if str(kind) in {"integer", "bigint", "smallint"}:
        return [str(int(value) + 1), str(int(value) ^ 32)] if column != "is_probe" else [str(1 - int(value))]
    if str(kind) == "boolean":
        return ["false" if value == "true" else "true"]
    if str(kind).startswith("timestamp"):
        return [f"{column} + interval '1 microsecond'"]
    if str(kind) == "uuid":
        return [f"'{'1' if value[0] == '0' else '0'}{value[1:]}'"]
    if column.endswith("_at"):
        return [f"'{value[:-1]}{(int(value[-1]) + 1) % 10}'", f"'{value[:-1]}'", "12", "'x'", "x'00'"]
    places = [0, len(value) // 2, len(value) - 1] if str(kind) != "jsonb" and value[0] not in "{[" else []
    made = [f"'{value[:place]}{'1' if value[place] == '0' else '0'}{value[place + 1 :]}'" for place in places]
    return made or ["'{\"q\": 1}'"]


@pytest.mark.parametrize("stream", STREAMS)
async def test_every_column_of_a_row_is_sealed(world: World, stream: Stream) -> None:
    await given(world, seals=2)
    if stream == "access":  # the database's own uniqueness
        await world.forge("DROP INDEX uq_audit_access_boot_id_seq")
    async with world.outside.connect() as connection:
        sound = dict(
            (await connection.execute(LOGS[stream].select().where(LOGS[stream].c.id == 5))).one()._mapping
        )
    for column in LOGS[stream].c:
        values = [value for value in await changed(world, LOG[stream], column.name, 5) if column.name != "id"]
        for value in [*values, "NULL"] if column.nullable else values or ["55"]:
            await world.forge(f"UPDATE {LOG[stream]} SET {column.name} = {value} WHERE id = 5")
            named = {id for one in await found(world, stream) for id in one.ids}
            assert 5 in named, (column.name, value)
            async with world.forging() as connection:
                await connection.execute(LOGS[stream].delete().where(LOGS[stream].c.id.in_((5, 55))))
                await connection.execute(insert(LOGS[stream]), sound)
    assert await found(world, stream) == []


@pytest.mark.parametrize("is_signed", [False, True])
async def test_every_column_of_a_seal_counts(world: World, is_signed: bool) -> None:
    key = world.key("seal") if is_signed else None
    trusted = (key,) if key else ()
    await given(world, key)
    if key is not None:
        await world.sealer(key).hand_over(world.key("new"))
        await world.seal(world.key("new"))
    async with world.outside.connect() as connection:
        rows = [
            dict(row._mapping)
            for row in await connection.execute(SEALS.select().where(SEALS.c.stream == "access"))
        ]
    assert await found(world, "access", *trusted) == []
    for sound in (rows[1], rows[-2]):
        for column in SEALS.c:
            if column.name == "id":
                continue  # the database's own: nothing refers to it but the index of leaves
            values = await changed(world, "audit_seal", column.name, sound["id"])
            for value in [*values, "NULL"] if column.nullable and values else values or ["'ab'"]:
                if column.name.endswith("_at") and not values:
                    value = "'2026-03-01 12:00:00'"  # noqa: PLW2901  an empty seal has no rows, and no times
                if column.name == "number" and int(value) in {row["number"] for row in rows}:
                    continue  # the database's uniqueness
                await world.forge(f"UPDATE audit_seal SET {column.name} = {value} WHERE id = {sound['id']}")
                assert await found(world, "access", *trusted), (column.name, value, sound["number"])
                async with world.forging() as connection:
                    await connection.execute(SEALS.update().where(SEALS.c.id == sound["id"]), sound)
    assert await found(world, "access", *trusted) == []


async def test_what_sqlite_lets_into_a_seal(world: World) -> None:
    if not world.database.is_sqlite:
        pytest.skip("PostgreSQL's columns have types")
    await given(world, world.key("seal"))
    async with world.outside.connect() as connection:
        query = SEALS.select().where(SEALS.c.stream == "access", SEALS.c.number == 2)
        sound = dict((await connection.execute(query)).one()._mapping)
    for column in SEALS.c:
        if column.name == "id":
            continue
        for value in ("'x'", "x'00ff'", "1.5", "-7", "''", "9223372036854775807"):
            await world.forge(f"UPDATE audit_seal SET {column.name} = {value} WHERE id = {sound['id']}")
            assert await found(world, "access"), (column.name, value)
            async with world.forging() as connection:
                await connection.execute(SEALS.update().where(SEALS.c.id == sound["id"]), sound)
    assert await found(world, "access") == []


async def test_an_index_of_leaves_that_lies_hides_nothing(world: World) -> None:
    """Whoever makes unsigned seals anew may make the index fit the rows, and not the root; or break it."""
    await given(world, seals=1)
    for index in (None, b"short"):
        (seal,) = await world.seals("changes")
        async with world.forging() as connection:
            await connection.execute(text("UPDATE audit_change SET actor_id = 'nobody' WHERE id = 2"))
        if index is None:
            made, index = await world.sealer()._read("changes", None, 3, "")  # noqa: PLW2901  as it would be now
            assert made.merkle_root != seal.merkle_root
        forged = _with_leaves(seal, index)
        async with world.forging() as connection:
            await connection.execute(LEAVES.update(), {"leaves": index})
            await connection.execute(
                SEALS.update().where(SEALS.c.stream == "changes"),
                {"leaves_hash": forged.leaves_hash, "seal_hash": forged.seal_hash},
            )
        (finding,) = await found(world, "changes")
        assert (finding.kind, finding.first_id, finding.last_id) == ("root_mismatch", 1, 3)


def _with_leaves(seal: Seal, index: bytes) -> Seal:
    return replace(seal, leaves_hash=sha256(index).hexdigest()).signed(None)


async def test_every_byte_of_the_anchor_counts(world: World) -> None:
    await given(world, seals=2)
    path = world.folder / "anchor.jsonl"
    sound = path.read_bytes()
    assert await world.is_sound(heads=world.anchor().heads())
    for place in range(0, len(sound), 7):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        try:
            heads = world.anchor().heads()
        except AnchorFault:
            continue
        assert not await world.is_sound(heads=heads), place


async def test_an_anchor_that_says_two_things_of_one_seal(world: World) -> None:
    await given(world, seals=2)
    heads = world.anchor().heads()
    lies = [Head(one.stream, one.number, one.last_id, "00" * 32, one.sealed_at) for one in heads[:1]]
    for order in ([*heads, *lies], [*lies, *heads]):
        assert not await world.is_sound(heads=order)


CHECKS: dict[str, Any] = {
    "links": (chain_module.Chain, "_links", lambda _self, _seal: iter(())),
    "signature": (chain_module.Chain, "_signature", lambda _self, _seal: iter(())),
    "root": (MerkleTree, "root", property(lambda _self: b"")),
    "anchored": (Verifier, "_is_anchored", lambda _self, _seal: True),
    "end": (Verifier, "_against_anchor", lambda _self, _stream, _head: []),
    "named": (verifier_module, "_finding", lambda *_: None),
    "swapped": (verifier_module, "_was_another", lambda *_: False),
}


@pytest.mark.parametrize("check", CHECKS)
async def test_a_check_that_is_taken_out_is_missed(
    world: World, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    """The attacks above are told apart by the checks: without one, its own is not found as it should be."""
    key = world.key("seal")
    await given(world, key)
    heads = world.anchor().heads()
    if check == "links":
        await world.forge(
            "UPDATE audit_seal SET prev_hash = seal_hash WHERE number = 2 AND stream = 'changes'"
        )
    elif check == "signature":
        await rewrite(world, world.key("evil"))
    elif check == "anchored":
        await rewrite(world, key)
    elif check == "end":
        await cut_off(world, "changes")
    elif check == "swapped":
        await world.forge(
            *(
                f"UPDATE audit_change SET id = {new} WHERE id = {old}"
                for old, new in ((4, 99), (6, 4), (99, 6))
            )
        )
    else:
        await world.forge("UPDATE audit_change SET actor_id = 'nobody' WHERE id = 5")
    sound = await found(world, "changes", key, heads=heads)
    assert sound
    place, name, weaker = CHECKS[check]
    monkeypatch.setattr(place, name, weaker)
    if check == "root":  # nothing fits any more: also what is sound
        assert len(await found(world, "changes", key, heads=heads)) > len(sound)
    else:
        assert await found(world, "changes", key, heads=heads) != sound
