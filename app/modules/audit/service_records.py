"""One record through time: its history, what it was, what changed, and whether anything was changed past the log."""

from collections.abc import AsyncIterator
from datetime import datetime

from app.core.audit.values import REDACTED, plain
from app.core.errors import FieldError, Invalid, NotFound
from app.core.transaction import UnitOfWork
from app.modules.audit.models import Bound, Item, Live, Question, Walk
from app.modules.audit.repository_evidence import SegmentRepository
from app.modules.audit.repository_records import RecordRepository
from app.modules.audit.schemas import HistoryQuery
from app.modules.audit.schemas_records import (
    AsOf,
    AuditedColumn,
    AuditedEntity,
    Break,
    Difference,
    Drift,
    Entities,
    FieldDifference,
    LeftOutEntity,
)
from app.modules.audit.service import LogService
from app.modules.audit.timeline import Chain, Rewind, is_cut, same

_STEP = 500
_TRIES = 5


class RecordService:
    """Reads only. A record is named as the log names it: by its table, and its public id."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Joins whatever transaction is open."""
        self.log = LogService(uow)
        self.records = RecordRepository(uow)
        self.segments = SegmentRepository(uow)

    def entities(self) -> Entities:
        """Which tables are audited and how; which are not, and why."""
        audited = [
            AuditedEntity(
                entity=name,
                columns=[
                    AuditedColumn(
                        name=column.name,
                        policy=column.treatment,
                        references=None if column.target is None else column.target.name,
                    )
                    for column in policy.columns
                ],
            )
            for name, policy in self.records.audited().items()
        ]
        left_out = [LeftOutEntity(entity=name, reason=why) for name, why in self.records.left_out().items()]
        return Entities(audited=audited, excluded=left_out)

    async def history(self, entity: str, id: str, query: HistoryQuery) -> Item:
        """A page of the record's changes. Raises NotFound where there never was such a record."""
        page = await self.log.page(_question(entity, id), query)
        if not page["items"] and query.cursor is None:
            await self._live(entity, id)
        return page

    async def as_of(self, entity: str, id: str, at: datetime) -> AsOf:
        """The record at an instant: the present row with all later changes taken back. Raises NotFound."""
        live = await self.records.live(
            entity, id
        )  # before the log: what changes in between is taken back too
        rewind, newer, last = Rewind(live.state), None, None
        async for change in self._changes(entity, id, descending=True):
            if change["occurred_at"] <= at:
                last = change
                break
            rewind.undo(change)
            newer = change
        is_made = newer is not None and newer["action"] == "INSERT"
        segments = await self._missing(entity, at, is_made=is_made)
        is_known = newer is not None or last is not None or live.state is not None
        if not is_known and not segments:
            raise _unknown()
        reaches = last is not None or is_made or await self.segments.reaches_back_to("changes", at)
        state = None if last is None and _is_younger(rewind.state, at) else rewind.state
        passed_over = await self.log.logs.was_passed_over(entity, at)
        return AsOf(
            at=at,
            exists=state is not None,
            state=state,
            complete=reaches and rewind.is_whole and not passed_over and not segments,
            unknown_fields=_unknown_fields(state, live),
            redacted_fields=_redacted_fields(state, live),
            last_change_id=None if last is None else last["id"],
            segments=segments,
        )

    async def difference(self, entity: str, id: str, since: datetime, until: datetime) -> Difference:
        """What became of a record from one instant to a later one. Raises NotFound, Invalid."""
        if since > until:
            fault = FieldError(loc=["query", "to"], code="order", message="Must not lie before `from`.")
            raise Invalid("The instants are in the wrong order.", errors=[fault])
        before, after = [await self.as_of(entity, id, at) for at in (since, until)]
        told: set[str] = set()
        ids = []
        async for change in self._changes(entity, id, descending=True):
            if change["occurred_at"] <= since:
                break
            if change["occurred_at"] <= until:
                ids.append(change["id"])
                told |= set(change["changed"]) if change["action"] == "UPDATE" else set()
        return Difference(
            before=before, after=after, changed=_differences(before, after, told), change_ids=ids[::-1]
        )

    async def drift(self, entity: str, id: str) -> Drift:
        """Whether the changes follow from each other and lead to the present row. Raises NotFound."""
        for _ in range(_TRIES):
            live, gaps = await self.records.live(entity, id), await self.segments.gaps("changes")
            chain = Chain(gaps)
            bound = await self.log.logs.bound("changes")
            async for change in self._changes(entity, id, descending=False, bound=bound):
                chain.follow(change)
            # The row must be the one that these changes led to: it may have moved on while they were read, as the
            # archive may.
            is_still = (await self.records.live(entity, id)).state == live.state
            if is_still and await self.segments.gaps("changes") == gaps:
                break
        if not chain.checked and live.state is None:
            raise _unknown()
        chain.arrive(live.state)
        breaks = [Break(**found) for found in chain.breaks]
        return Drift(ok=not breaks, checked_changes=chain.checked, breaks=breaks)

    async def _missing(self, entity: str, at: datetime, *, is_made: bool) -> list[str]:
        """Segments of the archive that may hold changes of a record since an instant.

        None where it was made since then, since nothing came before that.
        """
        if is_made and self.records.is_made_once(entity):
            return []
        return await self.segments.names_since("changes", at)

    async def _live(self, entity: str, id: str) -> Live:
        live = await self.records.live(entity, id)
        if live.state is None:
            raise _unknown()
        return live

    async def _changes(
        self, entity: str, id: str, *, descending: bool, bound: Bound | None = None
    ) -> AsyncIterator[Item]:
        """All changes of the record, read a few hundred at a time."""
        logs, after = self.log.logs, None
        bound = bound or await logs.bound("changes")
        while True:
            rows = await logs.page(_question(entity, id), Walk(bound, descending, _STEP, after))
            for row in rows:
                yield row
            if len(rows) < _STEP:
                return
            after = rows[-1]["id"]


def _question(entity: str, id: str) -> Question:
    return Question("changes", {"entity": entity, "entity_id": id})


def _unknown() -> NotFound:
    return NotFound("There is no such record, and the log knows of none.")


def _is_younger(state: Item | None, at: datetime) -> bool:
    """Whether the record says itself that it was made later: of one that is older than the log."""
    made = (state or {}).get("created_at")
    return isinstance(made, str) and made > plain(at)


def _unknown_fields(state: Item | None, live: Live) -> list[str]:
    if state is None:
        return []
    return sorted({name for name, value in state.items() if is_cut(value)} | (live.names - state.keys()))


def _redacted_fields(state: Item | None, live: Live) -> list[str]:
    hidden = live.redacted or {name for name, value in (state or {}).items() if value == REDACTED}
    return sorted(hidden & (state or {}).keys())


def _differences(before: AsOf, after: AsOf, told: set[str]) -> list[FieldDifference]:
    """What differs, and secrets that were changed though they look alike."""
    old, new = before.state or {}, after.state or {}
    secrets = told & set(after.redacted_fields)
    return [
        FieldDifference(field=name, old=old.get(name), new=new.get(name))
        for name in sorted(old.keys() | new.keys())
        if name in secrets or not same(old.get(name), new.get(name))
    ]
