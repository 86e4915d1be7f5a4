"""Rows of audited tables as they are now, told as the log tells them: for comparing with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, FromClause, MetaData, Table, bindparam, select

from app.core.audit.policy import ColumnPolicy, TablePolicy, policy_of, reason_of
from app.core.audit.values import fitted, mask, plain
from app.core.entity import metadata
from app.core.query import Query
from app.core.transaction import UnitOfWork
from app.modules.audit.models import Live

_READERS: Mapping[type, Any] = {
    UUID: UUID,
    int: int,
    str: str,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
}


@dataclass(frozen=True, slots=True)
class _Reading:
    """How to read one row by its id in the log. `kinds`: what the parts of the id are."""

    query: Query
    columns: tuple[ColumnPolicy, ...]
    kinds: tuple[type, ...]


_readings: dict[str, _Reading] = {}


class RecordRepository:
    """Reads any audited table, and knows which ones there are."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Reads through the read door."""
        self.uow = uow

    async def live(self, entity: str, id: str) -> Live:
        """The row as it is now; no state where there is none, or no such table any more."""
        policy = _policy(entity)
        if policy is None:
            return Live(None)
        if entity not in _readings:
            _readings[entity] = _reading(policy)
        reading = _readings[entity]
        names = frozenset(column.name for column in reading.columns)
        redacted = frozenset(column.name for column in reading.columns if column.treatment == "redact")
        parts = _parts(id, reading.kinds)
        rows = await self.uow.fetch(reading.query, parts) if parts is not None else ()
        if not rows:
            return Live(None, names, redacted)
        told = {
            column.name: mask(value) if column.treatment == "redact" else plain(value)
            for column, value in zip(reading.columns, rows[0], strict=True)
        }
        return Live(fitted(told)[0], names, redacted)

    @staticmethod
    def is_made_once(entity: str) -> bool:
        """Whether an id of this table never comes back: links can be made again under the same one."""
        policy = _policy(entity)
        return policy is not None and policy.has_public_id

    @staticmethod
    def audited() -> dict[str, TablePolicy]:
        """The tables whose changes are logged."""
        found = {name: _policy(name) for name in sorted(metadata.tables)}
        return {name: policy for name, policy in found.items() if policy is not None}

    @staticmethod
    def left_out() -> dict[str, str]:
        """The other tables, with why."""
        tables = [*metadata.tables.values(), Table("alembic_version", MetaData())]
        reasons = {table.name: reason_of(table) for table in sorted(tables, key=lambda table: table.name)}
        return {name: reason for name, reason in reasons.items() if reason is not None}


def _policy(entity: str) -> TablePolicy | None:
    table = metadata.tables.get(entity)
    return None if table is None else policy_of(table)


def _reading(policy: TablePolicy) -> _Reading:
    """Foreign keys become public ids by a join for each, as the log tells them."""
    source: FromClause = policy.table
    shown: dict[str, ColumnElement[Any]] = {}
    for number, column in enumerate(policy.columns):
        own: Column[Any] = policy.table.c[column.key]
        shown[column.key] = own
        if column.target is not None:
            target = column.target.alias(f"referred_{number}")
            source = source.join(target, own == target.c["pk"], isouter=True)
            shown[column.key] = target.c["id"]
    columns = tuple(column for column in policy.columns if column.treatment != "exclude")
    key = ["id"] if policy.has_public_id else list(policy.keys)
    wanted = [
        shown[name] == bindparam(f"key_{index}", type_=shown[name].type) for index, name in enumerate(key)
    ]
    statement = select(*(shown[column.key].label(column.name) for column in columns)).select_from(source)
    kinds = tuple(shown[name].type.python_type for name in key)
    return _Reading(Query(statement.where(*wanted)), columns, kinds)


def _parts(id: str, kinds: tuple[type, ...]) -> dict[str, Any] | None:
    """The values of the key's columns; None for a text that can't be an id of this table."""
    try:
        texts = [id] if len(kinds) == 1 else json.loads(id)
        return {
            f"key_{index}": _READERS[kind](text)
            for index, (kind, text) in enumerate(zip(kinds, texts, strict=True))
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
