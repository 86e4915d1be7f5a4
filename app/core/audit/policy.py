"""What of a table goes into the log, and under which names. Everything, unless the table or column says why not."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sqlalchemy import JSON, Column, LargeBinary, Numeric, Table, Uuid

from app.core.audit.values import is_secret_name
from app.core.decimals import ExactDecimal

Treatment = Literal["full", "redact", "exclude"]
_SOFT_DELETE = "deleted_at"


@dataclass(frozen=True, slots=True)
class ColumnPolicy:
    """One column: its key in the table, its name in the log, and what is done with its values.

    `target`: the table whose public id stands for the integer key.
    """

    key: str
    name: str
    treatment: Treatment
    target: Table | None


@dataclass(frozen=True, slots=True, eq=False)
class TablePolicy:
    """One audited table; there is one object for each, which is looked up by what it is and not by what is in it.

    `keys`: of its primary key. `is_faithful`: what Python sends is what the database keeps.
    """

    table: Table
    columns: tuple[ColumnPolicy, ...]
    keys: tuple[str, ...]
    has_public_id: bool
    is_faithful: bool
    ignored: frozenset[str]

    def key_of(self, image: Mapping[str, Any]) -> tuple[Any, ...]:
        """The primary key of a row."""
        return tuple(image[key] for key in self.keys)


def not_audited(reason: str) -> dict[str, Any]:
    """For `__table_args__`: this table is no business record, for this reason."""
    return {"info": {"not_audited": reason}}


def bookkeeping() -> dict[str, Any]:
    """For `sa_column_kwargs`: the machinery's own notes, whose change is no event."""
    return {"info": {"audit": "exclude"}}


def shown() -> dict[str, Any]:
    """For `sa_column_kwargs`: named like a secret, and none."""
    return {"info": {"audit": "full"}}


def hidden() -> dict[str, Any]:
    """For `sa_column_kwargs`: a secret, whatever it is called."""
    return {"info": {"audit": "redact"}}


def replaced_whole() -> dict[str, Any]:
    """For `sa_column_kwargs`: JSON that is never changed in place, which the ORM would not notice."""
    return {"info": {"replaced_whole": True}}


def reason_of(table: Table) -> str | None:
    """Why a table is not audited; None for those that are."""
    found: str | None = table.info.get("not_audited")
    return found or ("It belongs to the migrations." if table.name == "alembic_version" else None)


@cache
def policy_of(table: Table) -> TablePolicy | None:
    """The policy of a table; None where it isn't audited. Raises ValueError for what can't be logged."""
    if reason_of(table) is not None:
        return None
    keys = tuple(column.key for column in table.primary_key.columns)
    if not keys:
        raise ValueError(f"{table.name} has no primary key: its rows can't be told apart in the log")
    columns = [_column(column) for column in table.columns]
    for column in columns:
        if column.key in keys and column.treatment != "full":
            raise ValueError(f"{table.name}.{column.key} is part of the key and can't be hidden in the log")
    return TablePolicy(
        table=table,
        columns=tuple(column for column in columns if not _is_inner(table, column)),
        keys=keys,
        has_public_id="id" in table.c and isinstance(table.c["id"].type, Uuid),
        is_faithful=not any(
            isinstance(c.type, Numeric | ExactDecimal | JSON | LargeBinary) or c.computed
            for c in table.columns
        ),
        ignored=frozenset(column.key for column in columns if column.treatment == "exclude"),
    )


def _is_inner(table: Table, column: ColumnPolicy) -> bool:
    """The integer key of a row that has a public id."""
    return column.key == "pk" and "id" in table.c


def _column(column: Column[Any]) -> ColumnPolicy:
    target = next((foreign.column.table for foreign in column.foreign_keys), None)
    if target is not None and not (
        isinstance(target, Table) and "id" in target.c and column.key.endswith("_pk")
    ):
        target = None
    name = f"{column.key.removesuffix('_pk')}_id" if target is not None else column.key
    given: Treatment | None = column.info.get("audit")
    usual: Treatment = "redact" if target is None and is_secret_name(column.key) else "full"
    return ColumnPolicy(column.key, name, given or usual, target if isinstance(target, Table) else None)


def soft_delete_cause(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """`soft_delete` or `restore` for an update that sets or unsets `deleted_at`."""
    if _SOFT_DELETE not in old or (old[_SOFT_DELETE] is None) is (new[_SOFT_DELETE] is None):
        return None
    return "soft_delete" if old[_SOFT_DELETE] is None else "restore"
