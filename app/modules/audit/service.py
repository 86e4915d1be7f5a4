"""Reading the logs page by page, and one request's whole story."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson

from app.core.errors import NotFound
from app.core.evidence.canonical import Stream
from app.core.pagination import decode_cursor, encode_cursor
from app.core.transaction import UnitOfWork
from app.modules.audit.models import Bound, Item, Question, Walk
from app.modules.audit.repository import LogRepository
from app.modules.audit.schemas import AccessRow, ChangeRow, Paging
from app.modules.users.service_labels import LabelService

# A request id may be a client's own, and be sent with every request: its story has an end.
STORY_ROWS = 1000
FIELDS: Mapping[Stream, tuple[str, ...]] = {
    "access": tuple(AccessRow.model_fields),
    "changes": tuple(ChangeRow.model_fields),
}


class LogService:
    """Reads only. What a walk sees is fixed by its first page."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Joins whatever transaction is open."""
        self.logs = LogRepository(uow)
        self.labels = LabelService(uow)
        self.signer = uow.database.lists.signer

    async def page(self, question: Question, paging: Paging) -> Item:
        """`items`, `next_cursor` and `horizon_id`. Raises BadRequest for a cursor of another question."""
        digest = _digest(question, paging)
        after, bound = await self._place(question.stream, digest, paging.cursor)
        walk = Walk(bound, paging.order == "desc", paging.limit + 1, after)
        rows = await self.logs.page(question, walk)
        cursor = None
        if len(rows) > paging.limit:
            place = [rows[paging.limit - 1]["id"], bound.last_id, " ".join(map(str, bound.pending))]
            cursor = encode_cursor(self.signer, digest, place)
        items = await self.told(question.stream, rows[: paging.limit])
        return {"items": items, "next_cursor": cursor, "horizon_id": bound.last_id}

    async def story(self, request_id: str) -> Item:
        """Every row of a request id; changes by transaction. Raises NotFound."""
        access, changes = [
            await self._all_of(stream, {"request_id": request_id}) for stream in ("access", "changes")
        ]
        if not access and not changes:
            raise NotFound("The logs know nothing of this request.")
        transactions: dict[str, list[Item]] = {}
        for change in changes[:STORY_ROWS]:
            transactions.setdefault(change["tx_id"], []).append(change)
        return {
            "request_id": request_id,
            "access": access[:STORY_ROWS],
            "transactions": [{"tx_id": id, "changes": inner} for id, inner in transactions.items()],
            "complete": max(len(access), len(changes)) <= STORY_ROWS,
        }

    async def told(self, stream: Stream, rows: Sequence[Item]) -> list[Item]:
        """Rows as the API tells them, with what their actors are called."""
        tell = _access if stream == "access" else _change
        labels = await self.labels_of({row["actor_id"] for row in rows} - {None})
        return [tell(row, labels) for row in rows]

    async def labels_of(self, ids: Iterable[str]) -> dict[str, str]:
        """The addresses of users; of those whose rows are gone out of the log."""
        users = {text: id for text in ids if (id := _user_id(text)) is not None}
        found = await self.labels.emails_of(users.values())
        purged = users.keys() - found.keys()
        return {**found, **(await self.logs.addresses_of_purged(purged) if purged else {})}

    async def _all_of(self, stream: Stream, filters: Mapping[str, Any]) -> list[Item]:
        """The first rows, and one more if there are too many."""
        walk = Walk(await self.logs.bound(stream), descending=False, limit=STORY_ROWS + 1)
        return await self.told(stream, await self.logs.page(Question(stream, filters), walk))

    async def _place(self, stream: Stream, digest: str, cursor: str | None) -> tuple[int | None, Bound]:
        if cursor is None:
            return None, await self.logs.bound(stream)
        after, last_id, pending = decode_cursor(self.signer, digest, cursor)
        return after, Bound(last_id, tuple(map(int, pending.split())))


def _user_id(text: str) -> UUID | None:
    """Commands and migrations act under names of their own."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _digest(question: Question, paging: Paging) -> str:
    """What a cursor is bound to: the log, its order and the filters."""
    filters = sorted((name, str(value)) for name, value in question.filters.items())
    return sha256(orjson.dumps(["log", question.stream, paging.order, filters])).hexdigest()[:16]


def _actor(row: Item, labels: Mapping[str, str]) -> Item:
    return {"type": row["actor_type"], "id": row["actor_id"], "label": labels.get(row["actor_id"])}


def _access(row: Item, labels: Mapping[str, str]) -> Item:
    told = {**row, "actor": _actor(row, labels), "duration_ms": row["duration_us"] / 1000}
    return {name: told[name] for name in FIELDS["access"]}


def _change(row: Item, labels: Mapping[str, str]) -> Item:
    told = {**row, "actor": _actor(row, labels)}
    return {name: told[name] for name in FIELDS["changes"]}
