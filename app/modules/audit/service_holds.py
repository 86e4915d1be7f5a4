"""Use cases of legal holds. Nobody changes one: it is placed, and released once, both with a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from app.auth.principal import Principal
from app.core.clock import now
from app.core.errors import Conflict
from app.core.evidence.models import AuditHold
from app.core.listing import Listing
from app.core.logging import logger
from app.core.transaction import UnitOfWork
from app.modules.audit.models import Item
from app.modules.audit.repository_holds import HoldRepository
from app.modules.audit.schemas_holds import HoldCreate, HoldQuery, HoldRead, HoldRelease, HoldSummary
from app.modules.audit.service import LogService

# What is a word of Python's outside of the API.
_NAMES = {"from_at": "from", "to_at": "to"}
_log = logger("activity")


class HoldService:
    """Every public write is one transaction."""

    def __init__(self, uow: UnitOfWork, *, needs_two: bool) -> None:
        """`needs_two`: nobody releases the hold that they placed."""
        self.uow = uow
        self.holds = HoldRepository(uow)
        self.logs = LogService(uow)
        self._needs_two = needs_two

    async def page(self, query: HoldQuery) -> Listing[HoldSummary]:
        """A page of the holds, the newest first, with what is told of each."""
        listing = await self.holds.page(query, HoldSummary)
        return replace(listing, values=await self._told(listing.values))

    async def read(self, id: UUID) -> HoldRead:
        """A hold, also a released one. Raises NotFound."""
        hold = await self.holds.read(id, HoldSummary)
        (told,) = await self._told([hold.model_dump()])
        return HoldRead.model_validate(told)

    async def place(self, data: HoldCreate, caller: Principal) -> HoldRead:
        """Keeps the rows that fit, those that will be written too."""
        async with self.uow.transaction():
            row = await self.holds.add(AuditHold(**data.model_dump(), placed_by=str(caller.user_id)))
        _log.info("audit.hold_placed", hold_id=str(row.id))
        return await self.read(row.id)

    async def release(self, id: UUID, data: HoldRelease, caller: Principal) -> HoldRead:
        """Ends a hold, for good. Raises NotFound, Conflict."""
        releaser = str(caller.user_id)
        async with self.uow.transaction():
            row = await self.holds.get(id)
            if row.released_at is not None:
                raise Conflict("The hold was released already.")
            if self._needs_two and row.placed_by == releaser:
                raise Conflict("Nobody releases the hold that they placed: it takes a second person.")
            changes = {"released_at": now(), "released_by": releaser, "release_reason": data.reason}
            await self.holds.update(row, changes)
        _log.info("audit.hold_released", hold_id=str(id))
        return await self.read(id)

    async def _told(self, holds: Sequence[Item]) -> list[Item]:
        """By the names of the API, with what people are called."""
        people = {hold[name] for hold in holds for name in ("placed_by", "released_by")} - {None}
        labels = await self.logs.labels_of(people)
        return [_told(hold, labels) for hold in holds]


def _told(hold: Item, labels: Mapping[str, str]) -> Item:
    renamed = {_NAMES.get(name, name): value for name, value in hold.items()}
    people = {f"{name}_label": labels.get(hold[name]) for name in ("placed_by", "released_by")}
    return {**renamed, **people}
