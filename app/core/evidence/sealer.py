"""Seals the logs: off the request path, over what is settled, one link after the other."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from app.core import telemetry
from app.core.clock import now
from app.core.errors import Conflict
from app.core.evidence.anchors import Anchor, AnchorFault, Head
from app.core.evidence.canonical import NEWEST_FORM, STREAMS, Span, Stream, instant_text, readable_instant
from app.core.evidence.horizon import Horizon
from app.core.evidence.merkle import LEAF, MerkleTree, leaf_of
from app.core.evidence.seals import NO_HASH, Seal
from app.core.evidence.signing import SealKey
from app.core.evidence.store import EvidenceStore
from app.core.logging import logger
from app.core.transaction import UnitOfWork

SEAL_ROWS = 10_000
HEARTBEAT_SECONDS = 3600.0
SETTLE_SECONDS = 10.0
_ANCHOR_BATCH = 1000
_GAP = timedelta(days=1)
_log = logger("server")


@dataclass(frozen=True, slots=True)
class SealRules:
    """`seconds`: how old the newest seal may get while rows come. `key`: None leaves seals unsigned."""

    seconds: float = 60.0
    key: SealKey | None = None
    anchor: Anchor | None = None
    anchor_every: int = 1


class Sealer:
    """Several may work at once: a link's number is given once, who comes second finds it taken."""

    def __init__(self, uow: UnitOfWork, rules: SealRules) -> None:
        """Does nothing yet. `uow` must be its own."""
        self._store = EvidenceStore(uow)
        self._rules = rules
        self._horizon = Horizon(self._store)
        self._anchored: dict[Stream, int] | None = None
        self._is_locked_out: set[Stream] = set()

    async def work(self) -> bool:
        """One look at both logs, for a Job: seals what is due; returns whether there may be more at once."""
        settled = await self._horizon.advance()
        more = False
        for stream in STREAMS:
            head = await self._store.newest_seal(stream)
            if self._is_due(head, settled[stream]) and self._may_sign(stream, head):
                sealed = await self._seal_next(stream, head, settled[stream])
                more = more or (sealed is not None and sealed.last_id < settled[stream])
            await self._measure(stream)
        await self._anchor()
        return more

    async def seal_all(self, *, cut_at: datetime | None = None) -> list[Seal]:
        """Seals all that is there now; no seal has rows of both sides of `cut_at`.

        Raises Unavailable while a transaction is open for long, Conflict.
        """
        settled = await self._horizon.settle(SETTLE_SECONDS)
        made = []
        for stream in STREAMS:
            head = await self._store.newest_seal(stream)
            if not self._may_sign(stream, head):
                raise Conflict(_LOCKED_OUT)
            while (head.last_id if head else 0) < settled[stream]:
                seal = await self._seal_next(stream, head, settled[stream], cut_at)
                if seal is not None:
                    made.append(seal)
                head = seal or await self._store.newest_seal(stream)
        await self._anchor()
        return made

    async def hand_over(self, successor: SealKey) -> list[Seal]:
        """Ends the chains' use of the present key: empty seals, signed by both, on both chains or on none.

        Raises Conflict where the configured key can't do that, or where somebody else seals at that moment.
        """
        if self._rules.key is None:
            raise Conflict("There is no key to hand over from: AUDIT_SEAL_KEY_FILE is empty.")
        made = []
        async with self._store.uow.transaction():
            for stream in STREAMS:
                head = await self._store.newest_seal(stream)
                if not self._may_sign(stream, head):
                    raise Conflict(_LOCKED_OUT)
                made.append(_empty(stream, head).signed(self._rules.key, successor))
                await self._add(made[-1], b"")
        await self._anchor()
        return made

    async def replace_key(self) -> list[Seal]:
        """Goes on with the configured key though nothing hands over to it, where the one before is lost.

        Verification tells of it until the auditors trust the new key too. Raises Conflict.
        """
        if self._rules.key is None:
            raise Conflict("There is no key to go on with: AUDIT_SEAL_KEY_FILE is empty.")
        made = []
        async with self._store.uow.transaction():
            for stream in STREAMS:
                seal = _empty(stream, await self._store.newest_seal(stream))
                made.append(seal.signed(self._rules.key))
                await self._add(made[-1], b"")
        await self._anchor()
        return made

    def _is_due(self, head: Seal | None, settled: int) -> bool:
        behind = settled - (head.last_id if head else 0)
        age = (now() - head.sealed_at).total_seconds() if head else float("inf")
        if behind <= 0:
            return head is not None and age >= HEARTBEAT_SECONDS
        is_fresh = 0 <= age < self._rules.seconds / 2  # below zero where the clock was set back
        return not is_fresh or behind >= SEAL_ROWS

    def _may_sign(self, stream: Stream, head: Seal | None) -> bool:
        """Whether the configured key is the one that has to sign next. Says so once where it isn't."""
        expected = (head.next_public_key or head.public_key) if head else None
        own = self._rules.key.public if self._rules.key else None
        if expected in (None, own):
            self._is_locked_out.discard(stream)
            return True
        if stream not in self._is_locked_out:
            self._is_locked_out.add(stream)
            _log.critical("audit.seal_key", stream=stream, reason=_LOCKED_OUT)
        return False

    async def _seal_next(
        self, stream: Stream, head: Seal | None, settled: int, cut_at: datetime | None = None
    ) -> Seal | None:
        """The next link, over at most `SEAL_ROWS` rows. None where somebody else was faster."""
        seal, leaves = await self._read(stream, head, settled, instant_text(cut_at) if cut_at else "")
        signed = seal.signed(self._rules.key)
        try:
            await self._add(signed, leaves)
        except Conflict:
            return None
        return signed

    async def _read(self, stream: Stream, head: Seal | None, settled: int, cut: str) -> tuple[Seal, bytes]:
        """An unsigned seal over the rows behind the head, and the index of its leaves."""
        first_id = head.last_id + 1 if head else 1
        tree, index, times, last = MerkleTree(), bytearray(), Span(), None
        async for batch in self._store.lines(stream, NEWEST_FORM, first_id, settled):
            for line in batch:
                if last is not None and (tree.count >= SEAL_ROWS or _is_between(last.at, line.at, cut)):
                    return _linked(stream, head, last.id, tree, bytes(index), times), bytes(index)
                leaf = leaf_of(line.data)
                tree.add(leaf)
                index += LEAF.pack(line.id, leaf[:8])
                times.take(line.at)
                last = line
            await asyncio.sleep(0)
        return _linked(stream, head, settled, tree, bytes(index), times), bytes(index)

    async def _add(self, seal: Seal, leaves: bytes) -> None:
        async with self._store.uow.transaction():
            await self._store.add_seal(seal, leaves)

    async def _measure(self, stream: Stream) -> None:
        head = await self._store.newest_seal(stream)
        last_id = head.last_id if head else 0
        oldest = await self._store.oldest_after(stream, last_id)
        waiting = (await self._store.waters()).ids[stream] - last_id
        age = max(0.0, (now() - oldest).total_seconds()) if oldest else 0.0
        telemetry.audit.unsealed(stream, max(0, waiting), age)

    async def _anchor(self) -> None:
        """Tells the anchor of all heads that it doesn't know yet. What fails is tried again at the next look."""
        anchor = self._rules.anchor
        if anchor is None:
            return
        try:
            if self._anchored is None:
                newest = await asyncio.to_thread(anchor.newest)
                self._anchored = dict(newest) if newest is not None else await self._before_heads()
            for stream in STREAMS:
                await self._anchor_stream(anchor, stream, self._anchored)
        except AnchorFault as fault:
            _log.error("audit.anchor", reason=str(fault))
            telemetry.audit.anchor_failed()

    async def _before_heads(self) -> dict[Stream, int]:
        """The heads themselves say enough to an anchor that can't be asked: they hash all that was before them."""
        heads = [(stream, await self._store.newest_seal(stream)) for stream in STREAMS]
        return {stream: head.number - 1 if head else 0 for stream, head in heads}

    async def _anchor_stream(self, anchor: Anchor, stream: Stream, known: dict[Stream, int]) -> None:
        while seals := await self._store.seals_after(stream, known[stream], _ANCHOR_BATCH):
            every = self._rules.anchor_every
            heads = [Head.of(seal) for seal in seals if seal.number % every == 0]
            await asyncio.to_thread(anchor.add, heads)
            known[stream] = seals[-1].number


_LOCKED_OUT = (
    "The configured key is not the one that this chain of seals belongs to; hand over to it with"
    " `archive_audit.py seal --hand-over-to`, or configure the key that was handed over to."
)


def _is_between(before: str, after: str, cut: str) -> bool:
    """Whether a seal ends between two instants: at `cut`, and where more than a day is missing.

    Archives go from seal to seal: what belongs to different times should not share one.
    """
    if (before < cut) != (after < cut):
        return True
    if before[:10] >= after[:10]:
        return False
    earlier, later = readable_instant(before), readable_instant(after)
    return earlier is not None and later is not None and later - earlier > _GAP


def _empty(stream: Stream, head: Seal | None) -> Seal:
    return _linked(stream, head, head.last_id if head else 0, MerkleTree(), b"", Span())


def _linked(
    stream: Stream, head: Seal | None, last_id: int, tree: MerkleTree, index: bytes, times: Span
) -> Seal:
    min_at, max_at = times.ends
    sealed_at = now()
    if head is not None and sealed_at <= head.sealed_at:  # the clock was set back
        sealed_at = head.sealed_at + timedelta(microseconds=1)
    return Seal(
        stream=stream,
        number=head.number + 1 if head else 1,
        form=NEWEST_FORM,
        first_id=head.last_id + 1 if head else 1,
        last_id=last_id,
        row_count=tree.count,
        min_at=min_at,
        max_at=max_at,
        merkle_root=tree.root.hex(),
        leaves_hash=sha256(index).hexdigest(),
        prev_hash=head.seal_hash if head else NO_HASH,
        sealed_at=sealed_at,
    )
