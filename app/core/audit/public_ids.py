"""Integer keys to the public ids that the API speaks of. Keys are never given out twice: what is known stays."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, select

Known = OrderedDict[tuple[str, int], UUID]
MAX_KNOWN = 50_000
_CHUNK = 400


class PublicIds:
    """Of one transaction: what it made is its own until it is committed."""

    def __init__(self, known: Known) -> None:
        """`known`: what the process has learnt of this database; grows with each commit."""
        self._known = known
        self._pending: dict[tuple[str, int], UUID] = {}

    def note(self, table: Table, pk: int, id: UUID) -> None:
        """A row that was seen here."""
        self._pending[table.name, pk] = id

    def require(self, connection: Connection, wanted: Iterable[tuple[Table, int]]) -> None:
        """Learns what isn't known yet, in one SELECT for each table."""
        missing: dict[Table, set[int]] = {}
        for table, pk in wanted:
            if (table.name, pk) not in self._pending and (table.name, pk) not in self._known:
                missing.setdefault(table, set()).add(pk)
        for table, keys in missing.items():
            self._learn(connection, table, sorted(keys))

    def of(self, table: Table, pk: Any) -> str | None:
        """The public id as text; None for no key, and for a key that refers to nothing."""
        found = self._pending.get((table.name, pk)) or self._known.get((table.name, pk))
        return None if found is None else str(found)

    def keep(self) -> None:
        """What this transaction learnt is true from now on."""
        self._known.update(self._pending)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        self._pending.clear()

    def forget(self) -> None:
        """After a rollback, also of a savepoint: what was made is gone."""
        self._pending.clear()

    def _learn(self, connection: Connection, table: Table, keys: Sequence[int]) -> None:
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            rows = connection.execute(select(table.c["pk"], table.c["id"]).where(table.c["pk"].in_(chunk)))
            self._pending |= {(table.name, pk): id for pk, id in rows}
