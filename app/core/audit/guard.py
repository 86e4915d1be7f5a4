"""Refuses what would change an audited table without a trace: raw SQL, Core on a connection, foreign sessions.

Looks at the text that is sent to the driver, since every way ends there. A literal that reads like a statement may
be refused without need; a statement hidden in a stored procedure is not seen.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.sql.dml import Delete, Insert

from app.core.audit.capture import AuditRefused, Capture
from app.core.audit.policy import policy_of, reason_of
from app.core.entity import metadata
from app.core.logging import logger

Mode = Literal["refuse", "warn", "off"]
_NOISE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_NAME = r'((?:"?\w+"?\s*\.\s*)?"?\w+"?)'
_WRITES = re.compile(
    r"\b(?:(?:INSERT(?:\s+OR\s+\w+)?|REPLACE|MERGE)\s+INTO|UPDATE(?:\s+OR\s+\w+)?(?:\s+ONLY)?"
    r"|DELETE\s+FROM(?:\s+ONLY)?|COPY|DROP\s+TABLE(?:\s+IF\s+EXISTS)?)\s+" + _NAME,
    re.IGNORECASE,
)
_TRUNCATES = re.compile(r"\bTRUNCATE\b(?:\s+TABLE)?(?:\s+ONLY)?\s+([^;]*)", re.IGNORECASE)


@lru_cache(maxsize=4096)
def tables_written(statement: str) -> tuple[str, ...]:
    """The names of the tables that a text of SQL writes to."""
    text = _NOISE.sub(" ", statement)
    names = [match[1] for match in _WRITES.finditer(text)]
    names += [name for match in _TRUNCATES.finditer(text) for name in match[1].split(",")]
    plain = {name.split(".")[-1].strip().split()[0].strip('"').lower() for name in names if name.strip()}
    return tuple(sorted(plain))


def stand_guard(engine: Engine, mode: Mode, among: MetaData = metadata) -> None:
    """Looks at every statement of an engine from now on, for writes to the audited tables `among` these."""
    if mode == "off":
        return

    def audited_tables_written(statement: str) -> list[str]:
        found = [(name, among.tables.get(name)) for name in tables_written(statement)]
        return [name for name, table in found if table is not None and reason_of(table) is None]

    @event.listens_for(engine, "before_cursor_execute")
    def _look(
        connection: Connection,
        _cursor: Any,
        statement: str,
        _parameters: Any,
        context: Any,
        _many: bool,
    ) -> None:
        tables = audited_tables_written(statement)
        if not tables:
            return
        capture: Capture | None = connection.info.get("capture")
        if capture is not None and capture.is_seeing:
            _note_link(capture, context)
        elif capture is not None and capture.unaudited is not None:
            capture.unaudited.tables.update(tables)
            capture.unaudited.digests.append(hashlib.sha256(statement.encode()).hexdigest()[:16])
        elif mode == "refuse":
            raise AuditRefused(
                f"a statement writes to {', '.join(tables)} without being seen by the change log"
            )
        else:
            logger("server").warning("audit.unseen_write", tables=tables)

    @event.listens_for(engine, "after_cursor_execute")
    def _count(
        connection: Connection,
        cursor: Any,
        statement: str,
        _parameters: Any,
        _context: Any,
        _many: bool,
    ) -> None:
        capture: Capture | None = connection.info.get("capture")
        if capture is not None and capture.unaudited is not None and audited_tables_written(statement):
            capture.unaudited.row_count += max(0, cursor.rowcount)


def _note_link(capture: Capture, context: Any) -> None:
    """Rows of link tables that relationships write: no mapper tells of them, so their statements do."""
    compiled = getattr(context, "compiled", None)
    statement = getattr(compiled, "statement", None)
    if capture.flushing is None or not isinstance(statement, Insert | Delete):
        return
    table: Any = statement.table
    policy = policy_of(table)
    if policy is None or capture.flushing.maps(table):
        return
    keys: Sequence[Any] = [tuple(row[key] for key in policy.keys) for row in context.compiled_parameters]
    if isinstance(statement, Delete):
        with capture.seen():
            capture.flushing.unlink(policy, keys)
    else:
        capture.flushing.link(policy, keys)
