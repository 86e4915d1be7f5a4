"""Refuses what would change an audited table without a trace: raw SQL, Core on a connection, foreign sessions.

Looks at the text that is sent to the driver, since every way ends there. A literal that reads like a statement may
be refused without need; a statement hidden in a stored procedure is not seen.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.sql.dml import Delete, Insert

from app.core import telemetry
from app.core.audit.capture import AuditRefused, Capture
from app.core.audit.policy import policy_of, reason_of
from app.core.entity import metadata
from app.core.logging import logger

Mode = Literal["refuse", "warn", "off"]
# Comments; texts in all their quotes, since one of them may hide the beginning of another.
_QUOTED = re.compile(
    r"--[^\n]*|/\*.*?\*/"
    r"|\bE'(?P<escaped>(?:[^'\\]|\\.|'')*)'|'(?P<text>(?:[^']|'')*)'"
    r"|(?P<name>\"(?:[^\"]|\"\")*\"|`[^`]*`)"
    r"|\$(?P<tag>[A-Za-z_]\w*|)\$(?P<body>.*?)\$(?P=tag)\$",
    re.DOTALL | re.IGNORECASE,
)
_PART = r"""["'`\[]?\w+["'`\]]?"""
_NAME = rf"\s*\(?\s*((?:{_PART}\s*\.\s*)*{_PART})"
_WRITES = re.compile(
    r"\b(?:(?:INSERT(?:\s+OR\s+\w+)?|REPLACE|MERGE)\s+INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM"
    r"|COPY|DROP\s+TABLE(?:\s+IF\s+EXISTS)?)\b(?:\s+ONLY\b)?" + _NAME,
    re.IGNORECASE,
)
_TRUNCATES = re.compile(r"\bTRUNCATE\b(?:\s+TABLE\b)?([^;]*)", re.IGNORECASE)
_TRUNCATED = re.compile(r"\s*(?:ONLY\b)?" + _NAME, re.IGNORECASE)


@lru_cache(maxsize=4096)
def tables_written(statement: str) -> tuple[str, ...]:
    """The names of the tables that a text of SQL writes to, and a few words that only stand where they would."""
    text = _without_texts(statement)
    names = [match[1] for match in _WRITES.finditer(text)]
    for truncate in _TRUNCATES.finditer(text):
        names += [match[1] for part in truncate[1].split(",") if (match := _TRUNCATED.match(part))]
    return tuple(sorted({name.split(".")[-1].strip().strip("\"'`[]").lower() for name in names}))


def _without_texts(statement: str) -> str:
    return _QUOTED.sub(_shown, statement)


def _shown(match: re.Match[str]) -> str:
    """Names, whatever quotes they have: SQLite takes a single word in any. Bodies of code. Else a blank."""
    if match["body"] is not None:
        return f" {_without_texts(match['body'])} "
    if match["name"] is not None:
        return match["name"] if match["name"][1:-1].isidentifier() else ' "?" '
    text = match["text"]
    return f" '{text}' " if text is not None and text.isidentifier() else " "


class Guard:
    """Looks at every statement of an engine, for writes to the audited tables among some."""

    def __init__(self, mode: Mode, among: MetaData = metadata) -> None:
        """`mode` decides about unseen writes only; what is seen is seen in any case."""
        self._mode = mode
        self._among = among

    def stand(self, engine: Engine) -> None:
        """From now on."""
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)

    def _audited(self, statement: str) -> list[str]:
        found = [(name, self._among.tables.get(name)) for name in tables_written(statement)]
        return [name for name, table in found if table is not None and reason_of(table) is None]

    def _before(
        self, connection: Connection, _: Any, statement: str, __: Any, context: Any, ___: Any
    ) -> None:
        tables = self._audited(statement)
        if not tables:
            return
        capture: Capture | None = connection.info.get("capture")
        if capture is not None and capture.is_seeing:
            _note_link(capture, context)
        elif capture is not None and capture.unaudited is not None:
            for table in tables:
                capture.unaudited.note(table, statement)
        elif self._mode == "refuse":
            telemetry.audit.guard_refused()
            raise AuditRefused(f"a write to {', '.join(tables)} that the change log has not seen")
        elif self._mode == "warn":
            logger("server").warning("audit.unseen_write", tables=tables)

    def _after(self, connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        """How many rows a statement changed that goes by the log on purpose."""
        capture: Capture | None = connection.info.get("capture")
        if capture is not None and capture.unaudited is not None and not capture.is_seeing:
            for table in self._audited(statement):
                capture.unaudited.counts[table] += max(0, cursor.rowcount)


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
