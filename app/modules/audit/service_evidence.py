"""Whether the logs are as they were sealed; the seals themselves; what was moved to the archive."""

import asyncio
from collections.abc import Sequence

from app.core.errors import Unavailable
from app.core.evidence.anchors import AnchorFault, Head
from app.core.evidence.canonical import STREAMS
from app.core.evidence.findings import Report
from app.core.evidence.sealer import SealRules
from app.core.evidence.store import EvidenceStore
from app.core.evidence.verifier import Archived, Verifier
from app.core.listing import Listing
from app.core.pagination import decode_cursor, encode_cursor
from app.core.transaction import UnitOfWork
from app.modules.audit.models import Item
from app.modules.audit.repository_evidence import SealRepository, SealWalk, SegmentRepository
from app.modules.audit.schemas_evidence import SealQuery, SegmentQuery, SegmentSummary, VerifyQuery

# What one call reads at most: the whole is for the command, which has no client that waits.
MAX_ROWS = 200_000
_TRIES = 3


class EvidenceService:
    """Reads only."""

    def __init__(self, uow: UnitOfWork, rules: SealRules) -> None:
        """`rules`: how this server seals; its key and its anchor are what a log is held against."""
        self.store = EvidenceStore(uow)
        self.seals = SealRepository(uow)
        self.segments = SegmentRepository(uow)
        self.signer = uow.database.lists.signer
        self._rules = rules

    async def verify(self, query: VerifyQuery) -> Item:
        """Checks the rows of a log against its seals, at most `MAX_ROWS` of them. Raises Unavailable.

        Rows that are removed or restored meanwhile would look like forged ones: what is found is only told where
        the archive is the same before and after.
        """
        heads = await self._heads()
        for _ in range(_TRIES):
            ranges = await self.segments.archived(query.stream)
            report = await self._report(query, heads, ranges)
            if report.ok or ranges == await self.segments.archived(query.stream):
                return report.told()
        raise Unavailable("The archive is at work; verify again when it is done.", retry_after_seconds=60)

    async def page_of_seals(self, query: SealQuery) -> Item:
        """`items`, `next_cursor` and `horizon_id`. Raises BadRequest for a cursor of another question."""
        digest = f"seals {query.stream} {query.order}"
        after = None
        if query.cursor is None:
            bounds = await self.seals.bounds()
        else:
            after, *ids = decode_cursor(self.signer, digest, query.cursor)
            bounds = dict(zip(STREAMS, ids, strict=True))
        rows = await self.seals.page(
            SealWalk(query.stream, bounds, query.order == "desc", query.limit + 1, after)
        )
        cursor = None
        if len(rows) > query.limit:
            cursor = encode_cursor(self.signer, digest, [rows[query.limit - 1]["id"], *bounds.values()])
        return {"items": rows[: query.limit], "next_cursor": cursor, "horizon_id": max(bounds.values())}

    async def page_of_segments(self, query: SegmentQuery) -> Listing[SegmentSummary]:
        """A page of the archive's segments, the newest first."""
        return await self.segments.page(query, SegmentSummary)

    async def _report(
        self, query: VerifyQuery, heads: Sequence[Head] | None, ranges: Sequence[Archived]
    ) -> Report:
        key = self._rules.key
        verifier = Verifier(
            self.store,
            trusted={key.public} if key is not None else (),
            heads=heads or (),
            archived={query.stream: ranges},
        )
        report = await verifier.verify(
            query.stream, from_seal=query.from_seal, to_seal=query.to_seal, max_rows=MAX_ROWS
        )
        if self._rules.anchor is not None:
            report.anchor = "unreadable" if heads is None else "checked"
        return report

    async def _heads(self) -> Sequence[Head] | None:
        """What the anchor has kept; None where there is none, or none that this server can read."""
        if self._rules.anchor is None:
            return None
        try:
            return await asyncio.to_thread(self._rules.anchor.heads)
        except AnchorFault:
            return None
