"""What an attacker does to sealed logs, and what the verifier says."""

# ruff: noqa: S608  statements are made of names of ours

from collections.abc import Sequence

from app.core.evidence.anchors import Head
from app.core.evidence.canonical import LOGS, STREAMS, Stream
from app.core.evidence.findings import Finding
from app.core.evidence.signing import SealKey
from tests.core.evidence.world import World

LOG = {stream: table.name for stream, table in LOGS.items()}


async def given(world: World, key: SealKey | None = None, seals: int = 3) -> None:
    """Three seals of three rows each, told to an anchor."""
    for _ in range(seals):
        await world.seal(key, anchor=world.anchor())


async def found(world: World, stream: Stream, *trusted: SealKey, heads: Sequence[Head] = ()) -> list[Finding]:
    return (await world.verify(stream, *trusted, heads=heads)).findings


async def cut_off(world: World, stream: Stream) -> None:
    await world.forge(
        f"DELETE FROM {LOG[stream]} WHERE id > 6",
        f"DELETE FROM audit_seal_leaves WHERE seal_id IN (SELECT id FROM audit_seal WHERE stream = '{stream}'"
        " AND number = 3)",
        f"DELETE FROM audit_seal WHERE stream = '{stream}' AND number = 3",
    )


async def rewrite(world: World, key: SealKey | None) -> None:
    """An attacker changes a row and makes all seals anew."""
    await world.forge(
        "DELETE FROM audit_seal_leaves",
        "DELETE FROM audit_seal",
        *(f"UPDATE {log} SET actor_id = 'nobody' WHERE id = 5" for log in LOG.values()),
    )
    sealer = world.sealer(key)
    for last in (3, 6, 9):
        for stream in STREAMS:
            head = await world.store().newest_seal(stream)
            assert await sealer._seal_next(stream, head, last) is not None
