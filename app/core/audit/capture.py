"""Takes down what a transaction changes: from the unit of work, from bulk statements, from cascades.

The truth is what the database had and has: images are read before and after, never believed from objects. Rows of
the log are written by the same connection in the same transaction, so that neither exists without the other.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import Connection, Table, inspect
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session, UOWTransaction

from app.core import telemetry
from app.core.audit import change_store
from app.core.audit.cascades import Cascades
from app.core.audit.images import Image, Key, read_rows
from app.core.audit.policy import TablePolicy
from app.core.audit.public_ids import Known, PublicIds
from app.core.audit.record import Change, rows_of
from app.core.clock import now
from app.core.context import current
from app.core.identifiers import uuid7

# By way of SQLAlchemy, and straight from the driver.
_REFUSALS = (IntegrityError, DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)
_MAX_DIGESTS = 100
_MAX_REASON, _MAX_ACTOR_TYPE = 256, 10


class AuditRefused(Exception):
    """A write that would leave no trace, or a wrong one. A fault of the program, not of the client."""


class ActorMissing(AuditRefused):
    """A write by nobody: outside of requests and jobs, `acting_as` says who it is."""


class Capture:
    """Of one transaction. Lives in `session.info["capture"]`."""

    def __init__(self, known: Known, *, max_rows: int, require_actor: bool) -> None:
        """`known`: the process's memory of public ids. `max_rows`: of one bulk statement."""
        self.tx_id: UUID = uuid7()
        self.ids = PublicIds(known)
        self.max_rows = max_rows
        self._require_actor = require_actor
        self._seq = 0
        self._marks: dict[Any, int] = {}
        self.flushing: Flush | None = None
        self.unaudited: Unaudited | None = None
        self._seen = 0

    def write(self, connection: Connection, changes: Sequence[Change]) -> None:
        """Adds the changes to the log. Raises ActorMissing."""
        self.write_rows(connection, list(rows_of(changes, connection, self.ids)))

    def write_rows(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Adds rows with what they have in common: who, when, in which request and transaction."""
        if not rows:
            return
        context = current()
        if context.actor_type == "unknown":
            telemetry.audit.unknown_actor()
            if self._require_actor:
                raise ActorMissing("a write outside of requests must say who it is: with acting_as(…)")
        shared = {
            "occurred_at": now(),
            "tx_id": self.tx_id,
            "request_id": context.request_id,
            "origin": context.origin,
            "actor_type": context.actor_type[:_MAX_ACTOR_TYPE],
            "actor_id": context.actor_name if context.actor_id is None else str(context.actor_id),
            "client_ip": context.client_ip,
        }
        reason = (context.reason or "")[:_MAX_REASON] or None
        first, self._seq = self._seq + 1, self._seq + len(rows)
        own = [
            {"reason": reason, "truncated": False, "redacted": False, **row, "tx_seq": number}
            for number, row in enumerate(rows, first)
        ]
        with self.seen():
            try:
                change_store.add(connection, shared, own)
            except _REFUSALS as error:  # no value of the client's: never answered as one
                raise AuditRefused("the change log does not take its row") from error
        telemetry.audit.written("changes", len(own))

    @contextmanager
    def seen(self) -> Iterator[None]:
        """What is sent inside has been taken down: the guard lets it through."""
        self._seen += 1
        try:
            yield
        finally:
            self._seen -= 1

    @property
    def is_seeing(self) -> bool:
        """Whether the statement that is sent now has been seen."""
        return self._seen > 0 or self.flushing is not None

    def mark(self, transaction: Any) -> None:
        """A savepoint begins: what it counts is taken back with it."""
        self._marks[transaction] = self._seq

    def undo(self, transaction: Any) -> None:
        """A transaction or savepoint was rolled back."""
        self._seq = self._marks.pop(transaction, 0)
        self.ids.forget()
        self.flushing = None


@dataclass(slots=True)
class Unaudited:
    """Statements that go by the log on purpose: what is told of them is a summary."""

    reason: str
    counts: dict[str, int] = field(default_factory=dict)
    digests: dict[str, list[str]] = field(default_factory=dict)

    def note(self, table: str, statement: str) -> None:
        """A statement that writes to this table is being sent."""
        self.counts.setdefault(table, 0)
        self.digests.setdefault(table, []).append(hashlib.sha256(statement.encode()).hexdigest()[:16])

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row for each table stands for all that was done to it."""
        for table, count in sorted(self.counts.items()):
            told = {"rows": count, "statements": self.digests[table][:_MAX_DIGESTS]}
            what = {"action": "BULK", "cause": "bulk", "entity": table, "entity_id": "", "changed": []}
            yield {**what, "old": None, "new": told, "reason": self.reason[:_MAX_REASON]}


class Flush:
    """What one flush touches. Images from before it are read at once for all rows that are known beforehand."""

    def __init__(self, connection: Connection, context: UOWTransaction) -> None:
        """`connection`: the one that the flush writes through."""
        self.connection = connection
        self._context = context
        self.before: dict[Table, dict[Key, Image]] = {}
        self.touched: list[tuple[TablePolicy, Key | None, Any, str]] = []
        self.cascades = Cascades(connection)
        self._unlinked: list[Change] = []
        self._linked: dict[TablePolicy, list[Key]] = {}

    def read_before(self, policy: TablePolicy, keys: Iterable[Key]) -> None:
        """Reads what isn't read yet."""
        known = self.before.setdefault(policy.table, {})
        missing = [key for key in keys if key not in known]
        if missing:
            known.update(read_rows(self.connection, policy, missing, lock=_locks(self.connection)))

    def changes(self) -> list[Change]:
        """All that happened, in order: one SELECT for each table for what can't be read off the objects."""
        after = self._images_after()
        made: list[Change] = []
        for policy, key, target, kind in self.touched:
            before = self.before.get(policy.table, {}).get(key) if key is not None else None
            image = None if kind == "delete" else after[id(target)]
            if kind == "insert" or (before is not None and (kind == "delete" or image is not None)):
                made.append(Change(policy, None if kind == "insert" else before, image))
        for policy, keys in self._linked.items():
            rows = read_rows(self.connection, policy, keys, lock=False)
            made += [Change(policy, None, rows[key]) for key in keys if key in rows]
        told = {(policy.table.name, key) for policy, key, _, _ in self.touched}
        return [*made, *self._unlinked, *self.cascades.changes(told)]

    def maps(self, table: Table) -> bool:
        """Whether a class stands for the table, so that its mapper tells of its rows."""
        return any(table in mapper.tables for mapper in self._context.mappers)

    def unlink(self, policy: TablePolicy, keys: Sequence[Key]) -> None:
        """Rows of a link table that no class stands for, about to be deleted by a relationship."""
        rows = read_rows(self.connection, policy, keys, lock=_locks(self.connection))
        new = [key for key in keys if key in rows and not self.cascades.tells(policy, key)]
        self._unlinked += [Change(policy, rows[key], None) for key in new]

    def link(self, policy: TablePolicy, keys: Sequence[Key]) -> None:
        """The same, about to be inserted."""
        self._linked.setdefault(policy, []).extend(keys)

    def _images_after(self) -> dict[int, Image | None]:
        found: dict[int, Image | None] = {}
        unread: dict[TablePolicy, dict[Key, int]] = {}
        for policy, key, target, kind in self.touched:
            if kind == "delete":
                continue
            image = None if self.cascades.empties(policy, key) else _of_object(policy, target)
            if image is not None:
                found[id(target)] = image
            else:
                unread.setdefault(policy, {})[identity_of(target)] = id(target)
        for policy, places in unread.items():
            rows = read_rows(self.connection, policy, list(places), lock=False)
            found |= {place: rows.get(key) for key, place in places.items()}
        return found


def identity_of(target: Any) -> Key:
    """The primary key of a mapped object, as it is now."""
    return tuple(inspect(target).mapper.primary_key_from_instance(target))


def _of_object(policy: TablePolicy, target: Any) -> Image | None:
    """The row as the object has it, where that is what the database keeps; None where it must be asked."""
    values = target.__dict__
    if not policy.is_faithful or any(column.key not in values for column in policy.table.columns):
        return None
    return {column.key: values[column.key] for column in policy.table.columns}


def _locks(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def capture_of(session: Session) -> Capture | None:
    """The capture of the session's transaction; None where nothing is recorded."""
    found: Capture | None = session.info.get("capture")
    return found
