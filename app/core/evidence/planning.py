"""Which seals are to be archived next: runs of them that are old enough, each small enough for one file."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.evidence.canonical import Stream
from app.core.evidence.models import AuditSegment
from app.core.evidence.seals import Seal
from app.core.evidence.store import EvidenceStore

MOST_SEALS = 5_000  # of one segment: its manifest holds them all
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """One segment to come: from seal to seal."""

    stream: Stream
    seals: tuple[Seal, ...]

    @property
    def row_count(self) -> int:
        """Of all seals."""
        return sum(seal.row_count for seal in self.seals)

    @property
    def first_id(self) -> int:
        """Of the range, whether there is such a row or not."""
        return self.seals[0].first_id

    @property
    def last_id(self) -> int:
        """Of the range."""
        return self.seals[-1].last_id


async def plans(
    store: EvidenceStore,
    stream: Stream,
    taken: Sequence[AuditSegment],
    *,
    before: datetime,
    segment_rows: int,
) -> AsyncIterator[Plan]:
    """Segments over seals whose rows are all older than `before`, apart from those that are `taken` already.

    A seal that is younger ends a segment and is left where it is: one row from a clock that was wrong must not keep
    all later ones from being archived.
    """
    spoken_for = sorted((segment.first_seal, segment.last_seal) for segment in taken)
    run: list[Seal] = []
    number = 0
    while seals := await store.seals_after(stream, number, _PAGE):
        number = seals[-1].number
        for seal in seals:
            is_free = not any(first <= seal.number <= last for first, last in spoken_for)
            # Of rows whose instants can't be read nobody knows how old they are.
            is_old = seal.max_at < before if seal.max_at else not seal.row_count
            if run and (not (is_free and is_old) or _is_full(run, seal, segment_rows)):
                if _has_rows(run):
                    yield Plan(stream, tuple(run))
                run = []
            if is_free and is_old:
                run.append(seal)
    if _has_rows(run):
        yield Plan(stream, tuple(run))


def _is_full(run: Sequence[Seal], seal: Seal, segment_rows: int) -> bool:
    rows = sum(one.row_count for one in run)
    return (
        len(run) >= MOST_SEALS
        or seal.form != run[0].form
        or (rows > 0 and rows + seal.row_count > segment_rows)
    )


def _has_rows(run: Sequence[Seal]) -> bool:
    return any(seal.row_count for seal in run)
