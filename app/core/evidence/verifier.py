"""Holds the rows of a log against its seals, and names what was altered, deleted, inserted or reordered."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import orjson

from app.core.clock import now
from app.core.evidence.anchors import Head
from app.core.evidence.boots import Intervals, find_lost
from app.core.evidence.canonical import FORMS, STREAMS, Line, Stream
from app.core.evidence.chain import Chain
from app.core.evidence.findings import Finding, Kind, Report
from app.core.evidence.merkle import LEAF, MerkleTree, leaf_of
from app.core.evidence.models import MAY_BE_GONE, PRUNED, AuditSegment
from app.core.evidence.seals import Seal
from app.core.evidence.store import EvidenceStore

LOWEST_ID = -(2**63)  # what was inserted in front of the first row, too
_SEALS_AT_ONCE = 200
_MOST_SWAPS = 200


@dataclass(frozen=True, slots=True)
class Archived:
    """What the database knows of a range whose rows may be gone. `held`: rows that stayed, once it is pruned."""

    name: str
    first_seal: int
    last_seal: int
    row_count: int
    held: int | None
    boots: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)


def archived_ranges(segments: Iterable[AuditSegment]) -> list[Archived]:
    """The ranges of segments whose rows may be gone."""
    return [
        Archived(
            name=one.name,
            first_seal=one.first_seal,
            last_seal=one.last_seal,
            row_count=one.row_count,
            held=one.held_count if one.state in PRUNED else None,
            boots=one.boots or {},
        )
        for one in segments
        if one.state in MAY_BE_GONE
    ]


@dataclass(slots=True)
class _Walk:
    """How far it came."""

    chain: Chain
    report: Report
    archived: dict[int, Archived]
    sealed_rows: dict[str, int] = field(default_factory=dict)
    kept_rows: dict[str, int] = field(default_factory=dict)


class Verifier:
    """Reads only."""

    def __init__(
        self,
        store: EvidenceStore,
        *,
        trusted: Collection[str] = (),
        heads: Iterable[Head] = (),
        archived: Mapping[Stream, Sequence[Archived]] | None = None,
    ) -> None:
        """`trusted`: public keys. `heads`: what an anchor has kept. `archived`: ranges that may be elsewhere."""
        self._store = store
        self._trusted = frozenset(trusted)
        self._heads: dict[Stream, dict[int, set[Head]]] = {stream: {} for stream in STREAMS}
        for head in heads:
            self._heads[head.stream].setdefault(head.number, set()).add(head)
        self._archived = archived or {}

    async def verify(
        self, stream: Stream, *, from_seal: int = 1, to_seal: int | None = None, max_rows: int | None = None
    ) -> Report:
        """Checks seals by their numbers, both ends included; stops when `max_rows` rows have been read."""
        report = Report(stream)
        before = await self._store.seal(stream, from_seal - 1) if from_seal > 1 else None
        chain = Chain(
            stream, trusted=self._trusted, handovers=await self._store.handovers(stream), before=before
        )
        ranges = self._archived.get(stream, ())
        archived = {number: one for one in ranges for number in range(one.first_seal, one.last_seal + 1)}
        walk = _Walk(chain, report, archived)
        head = await self._store.newest_seal(stream)
        end = min(to_seal or head.number, head.number) if head else 0
        reached = await self._follow(walk, from_seal - 1, end, max_rows)
        is_whole = reached >= (head.number if head else 0)
        report.complete = report.complete and is_whole and from_seal == 1
        report.seals = chain.count
        report.findings += chain.finish(reaches_head=is_whole)
        report.findings += self._against_segments(walk, ranges, from_seal, reached)
        report.findings += self._against_anchor(stream, head)
        report.signatures = "none" if not chain.is_signed else "checked" if self._trusted else "unchecked"
        await self._measure_tail(report, head)
        if stream == "access":
            await self._find_lost(report, ranges, max_rows)
        return report

    async def _follow(self, walk: _Walk, number: int, end: int, max_rows: int | None) -> int:
        """From seal to seal; the number of the last one that was checked."""
        while number < end and (
            seals := await self._store.seals_after(walk.report.stream, number, _SEALS_AT_ONCE)
        ):
            for seal in seals:
                is_full = max_rows is not None and walk.report.checked_rows + seal.row_count > max_rows
                if seal.number > end or (is_full and walk.chain.count):
                    return number
                walk.chain.follow(seal)
                if not self._is_anchored(seal):
                    what = "the anchor knows another seal of this number: the chain was rewritten"
                    place = (seal.stream, seal.first_id, seal.last_id)
                    walk.report.findings.append(Finding("anchor", *place, what, seal.number))
                await self._check(walk, seal)
                number = seal.number
        return number

    async def _check(self, walk: _Walk, seal: Seal) -> None:
        """The rows of one seal; of none whose form is unknown, which the chain has said."""
        if seal.form not in FORMS:
            return
        segment = walk.archived.get(seal.number)
        tree, found = MerkleTree(), dict[int, bytes]()
        first_id = LOWEST_ID if seal.number == 1 else seal.first_id
        async for batch in self._store.lines(seal.stream, seal.form, first_id, seal.last_id):
            for line in batch:
                leaf = leaf_of(line.data)
                tree.add(leaf)
                found[line.id] = leaf
        walk.report.checked_rows += tree.count
        if segment is not None:
            walk.sealed_rows[segment.name] = walk.sealed_rows.get(segment.name, 0) + seal.row_count
            walk.kept_rows[segment.name] = walk.kept_rows.get(segment.name, 0) + tree.count
        if tree.root.hex() == seal.merkle_root and tree.count == seal.row_count:
            return
        if segment is not None and not found:
            return
        walk.report.findings += await self._named(seal, found, segment)

    async def _named(self, seal: Seal, found: dict[int, bytes], segment: Archived | None) -> list[Finding]:
        """What differs, row by row where the index of leaves is whole, else for the range.

        Rows of a segment that is pruned or restored just now come and go, and its index may be gone: the file has it.
        """
        index = await self._store.leaves(seal.stream, seal.number)
        if index is None and segment is not None and segment.held is None and len(found) < seal.row_count:
            return []
        if index is None or len(index) % LEAF.size or sha256(index).hexdigest() != seal.leaves_hash:
            return [_range(seal, found)]
        sealed = dict(LEAF.iter_unpack(index))
        deleted = [] if segment is not None else sorted(sealed.keys() - found.keys())
        inserted = sorted(found.keys() - sealed.keys())
        altered = sorted(id for id in sealed.keys() & found.keys() if found[id][:8] != sealed[id])
        swapped = await self._swapped(seal, altered, sealed)
        made = [
            _finding("count", seal, deleted, "deleted"),
            _finding("count", seal, inserted, "inserted"),
            _finding("root_mismatch", seal, swapped, "reordered"),
            _finding("root_mismatch", seal, [id for id in altered if id not in set(swapped)], "altered"),
        ]
        named = [finding for finding in made if finding is not None]
        return named or ([] if segment is not None else [_range(seal, found)])

    async def _swapped(self, seal: Seal, altered: list[int], sealed: dict[int, bytes]) -> list[int]:
        """Of the altered rows those that are what another one was, but for the id."""
        if not 1 < len(altered) <= _MOST_SWAPS:
            return []
        lines = [line for id in altered for line in await self._line(seal, id)]
        return sorted(line.id for line in lines if _was_another(line, altered, sealed))

    async def _line(self, seal: Seal, id: int) -> list[Line]:
        return [line async for batch in self._store.lines(seal.stream, seal.form, id, id) for line in batch]

    def _against_segments(
        self, walk: _Walk, ranges: Sequence[Archived], first: int, last: int
    ) -> list[Finding]:
        """Whether what the segments say of themselves is what was sealed."""
        found = []
        for one in ranges:
            if one.first_seal < first or one.last_seal > last:
                continue
            counted = walk.sealed_rows.get(one.name, 0)
            if counted != one.row_count:
                what = f"{one.row_count} rows are said to be archived, {counted} were sealed"
                found.append(Finding("segment", walk.report.stream, None, None, what, segment=one.name))
            kept = walk.kept_rows.get(one.name, 0)
            if one.held is not None and kept != one.held:
                what = f"{kept} rows are here, {one.held} were left here when it was pruned"
                found.append(Finding("segment", walk.report.stream, None, None, what, segment=one.name))
        return found

    def _against_anchor(self, stream: Stream, head: Seal | None) -> list[Finding]:
        """Whether the chain still reaches as far as it did."""
        newest = max(self._heads[stream], default=0)
        if newest <= (head.number if head else 0):
            return []
        first_id = head.last_id + 1 if head else 1
        last_id = max(kept.last_id for kept in self._heads[stream][newest])
        what = f"the anchor knows {newest} seals: the end was cut off"
        return [Finding("anchor", stream, first_id, last_id, what, newest)]

    def _is_anchored(self, seal: Seal) -> bool:
        """Whether the anchor knows nothing else of this number."""
        return self._heads[seal.stream].get(seal.number, set()) <= {Head.of(seal)}

    async def _measure_tail(self, report: Report, head: Seal | None) -> None:
        """What no seal covers yet."""
        last_id = head.last_id if head else 0
        report.unsealed_rows = await self._store.count_after(report.stream, last_id)
        oldest = await self._store.oldest_after(report.stream, last_id)
        if oldest is not None:
            report.oldest_unsealed_s = round(max(0.0, (now() - oldest).total_seconds()), 3)

    async def _find_lost(self, report: Report, ranges: Sequence[Archived], max_rows: int | None) -> None:
        elsewhere = Intervals()
        for one in ranges:
            elsewhere.add_all(one.boots)
        lost = await find_lost(self._store, elsewhere, max_rows)
        report.lost_seq, report.without_stop = lost.holes, lost.without_stop
        report.complete = report.complete and lost.is_complete


def _range(seal: Seal, found: Mapping[int, bytes]) -> Finding:
    """Where nothing tells which rows they are."""
    kind: Kind = "root_mismatch" if len(found) == seal.row_count else "count"
    what = "rows differ from what was sealed"
    return Finding(kind, seal.stream, seal.first_id, seal.last_id, what, seal.number)


def _finding(kind: Kind, seal: Seal, ids: list[int], what: str) -> Finding | None:
    if not ids:
        return None
    return Finding(kind, seal.stream, ids[0], ids[-1], what, seal.number, ids=tuple(ids))


def _was_another(line: Line, altered: Sequence[int], sealed: Mapping[int, bytes]) -> bool:
    """Whether this row, under another's id, is what the other one was."""
    values = orjson.loads(line.data)
    return any(
        leaf_of(orjson.dumps({**values, "id": other}))[:8] == sealed[other]
        for other in altered
        if other != line.id
    )
