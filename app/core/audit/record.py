"""From two images of a row to a row of the log."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, Table

from app.core.audit.images import Image
from app.core.audit.policy import ColumnPolicy, TablePolicy, soft_delete_cause
from app.core.audit.public_ids import PublicIds
from app.core.audit.values import fitted, mask, plain

Action = Literal["INSERT", "UPDATE", "DELETE", "BULK"]
_MAX_ID = 255


@dataclass(frozen=True, slots=True)
class Change:
    """One row that changed: its image before (None for an insert), and after (None for a delete)."""

    policy: TablePolicy
    before: Image | None
    after: Image | None
    cause: str | None = None

    @property
    def differing(self) -> tuple[ColumnPolicy, ...]:
        """The columns that the log tells of; empty where only bookkeeping changed."""
        shown = (column for column in self.policy.columns if column.treatment != "exclude")
        if self.before is None or self.after is None:
            return tuple(shown)
        before, after = self.before, self.after
        return tuple(column for column in shown if before[column.key] != after[column.key])

    def references(self) -> Iterator[tuple[Table, int]]:
        """The keys that must be told by public ids."""
        for column in self.policy.columns:
            for image in (self.before, self.after):
                if column.target is not None and image is not None and image[column.key] is not None:
                    yield column.target, image[column.key]


def rows_of(changes: Sequence[Change], connection: Connection, ids: PublicIds) -> Iterator[dict[str, Any]]:
    """The log's columns that depend on what changed, for each change that is worth a row."""
    for change in changes:
        for image in (change.before, change.after):
            if change.policy.has_public_id and image is not None and "pk" in image:
                ids.note(change.policy.table, image["pk"], image["id"])
    ids.require(connection, (reference for change in changes for reference in change.references()))
    for change in changes:
        columns = change.differing
        if columns:
            yield _row(change, columns, ids)


def _row(change: Change, columns: Sequence[ColumnPolicy], ids: PublicIds) -> dict[str, Any]:
    old, old_cut = _side(change.before, columns, ids)
    new, new_cut = _side(change.after, columns, ids)
    action: Action = (
        "UPDATE" if old is not None and new is not None else "INSERT" if old is None else "DELETE"
    )
    cause = change.cause
    if action == "UPDATE" and change.before is not None and change.after is not None:
        cause = cause or soft_delete_cause(change.before, change.after)
    return {
        "action": action,
        "cause": cause,
        "entity": change.policy.table.name,
        "entity_id": _entity_id(change.policy, change.before or change.after or {}, ids),
        "changed": [column.name for column in columns],
        "old": old,
        "new": new,
        "truncated": old_cut or new_cut,
        "redacted": any(column.treatment == "redact" for column in columns),
    }


def _side(
    image: Image | None, columns: Sequence[ColumnPolicy], ids: PublicIds
) -> tuple[dict[str, Any] | None, bool]:
    if image is None:
        return None, False
    return fitted({column.name: _shown(column, image[column.key], ids) for column in columns})


def _shown(column: ColumnPolicy, value: Any, ids: PublicIds) -> Any:
    if column.treatment == "redact":
        return mask(value)
    return ids.of(column.target, value) if column.target is not None and value is not None else plain(value)


def _entity_id(policy: TablePolicy, image: Mapping[str, Any], ids: PublicIds) -> str:
    """The public id; of a link, a JSON array of what it links, in the order of the key's columns."""
    if policy.has_public_id:
        return str(image["id"])
    by_key = {column.key: column for column in policy.columns}
    parts = [_shown(by_key[key], image[key], ids) for key in policy.keys]
    text = str(parts[0]) if len(parts) == 1 else orjson.dumps(parts).decode()
    return text[:_MAX_ID]
