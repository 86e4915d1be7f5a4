"""What the database does by itself when a row is deleted: ON DELETE CASCADE and SET NULL, out of the metadata."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table

from app.core.audit.images import Image, Key, read_rows, referring
from app.core.audit.policy import TablePolicy, policy_of, reason_of
from app.core.audit.record import Change

_SETS = {"SET NULL", "SET DEFAULT"}


class Cascades:
    """Found before the delete is sent, told after it."""

    def __init__(self, connection: Connection) -> None:
        """Reads through the connection of the transaction."""
        self._connection = connection
        self._seen: set[tuple[str, Key]] = set()
        self._told: set[tuple[str, Key]] = set()
        self._deleted: list[Change] = []
        self._changed: list[tuple[TablePolicy, Key, Image]] = []

    def from_deleted(self, deleted: Mapping[TablePolicy, Sequence[Image]]) -> None:
        """Follows the foreign keys from rows that are about to be deleted; circles end where they began."""
        for policy, images in deleted.items():
            self._seen |= {(policy.table.name, policy.key_of(image)) for image in images}
        for policy, images in deleted.items():
            self._follow(policy.table, images)

    def tells(self, policy: TablePolicy, key: Key) -> bool:
        """Whether the row is told of here: then the unit of work's own delete of it isn't told twice."""
        return (policy.table.name, key) in self._told

    def empties(self, policy: TablePolicy, key: Key | None) -> bool:
        """Whether the database takes a reference out of this row: then an object's own idea of it is out of date."""
        return any(one is policy and own == key for one, own, _ in self._changed)

    def changes(self, told: Container[tuple[str, Key | None]] = ()) -> list[Change]:
        """Rows that went along, then rows that lost their reference and aren't `told` of elsewhere."""
        made = list(self._deleted)
        by_table: dict[TablePolicy, dict[Key, Image]] = {}
        for policy, key, image in self._changed:
            if (policy.table.name, key) not in self._seen and (policy.table.name, key) not in told:
                by_table.setdefault(policy, {})[key] = image
        for policy, before in by_table.items():
            after = read_rows(self._connection, policy, list(before), lock=False)
            made += [
                Change(policy, image, after[key], "set_null") for key, image in before.items() if key in after
            ]
        return made

    def _follow(self, table: Table, images: Sequence[Image]) -> None:
        for column, target in _referring_columns(table):
            policy = policy_of(column.table)
            action = _action(column, target)
            values = [image[target.key] for image in images if image[target.key] is not None]
            if policy is None or action is None or not values:
                continue
            found = referring(self._connection, policy, column.key, values)
            if action == "CASCADE":
                self._delete(policy, found)
            else:
                self._changed += [(policy, key, image) for key, image in found.items()]

    def _delete(self, policy: TablePolicy, found: dict[Key, Image]) -> None:
        new = {key: image for key, image in found.items() if (policy.table.name, key) not in self._seen}
        self._seen |= {(policy.table.name, key) for key in new}
        self._told |= {(policy.table.name, key) for key in new}
        self._deleted += [Change(policy, image, None, "cascade") for image in new.values()]
        if new:
            self._follow(policy.table, list(new.values()))


def _referring_columns(table: Table) -> Iterator[tuple[Column[Any], Column[Any]]]:
    """Columns of audited tables that refer to this one, with what they refer to."""
    for other in table.metadata.tables.values():
        if reason_of(other) is not None:
            continue
        for column in other.columns:
            for foreign in column.foreign_keys:
                if foreign.column.table is table:
                    yield column, foreign.column


def _action(column: Column[Any], target: Column[Any]) -> str | None:
    actions = [
        str(foreign.ondelete).upper()
        for foreign in column.foreign_keys
        if foreign.column is target and foreign.ondelete
    ]
    return next((action for action in actions if action == "CASCADE" or action in _SETS), None)
