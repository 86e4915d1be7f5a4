"""What revisions do to rows: of each revision and table that it wrote to, the change log gets a summary.

Row by row would be the better log, but a data migration may touch every row there is, in tables and columns that no
model describes any more.
"""

import re
from collections import OrderedDict
from typing import Any

from alembic.runtime.migration import MigrationInfo
from sqlalchemy import Connection, event, inspect
from sqlalchemy.engine.interfaces import DBAPICursor

from app.core.audit.capture import Capture, Unaudited
from app.core.audit.guard import tables_written
from app.core.audit.models import AuditChange
from app.core.audit.policy import reason_of
from app.core.context import acting_as
from app.core.entity import metadata

_SCHEMA_CHANGE = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:CREATE|ALTER|DROP|COMMENT)\b", re.IGNORECASE | re.DOTALL
)
_MACHINERY = ("alembic_version", "sqlite_", "_alembic_tmp_")  # rows that batch mode copies are the same rows
_MAX_REASON = 256


class RevisionLog:
    """Of one run of Alembic, on its connection. Told at the end of the run, when the log's own table is up to date."""

    def __init__(self, connection: Connection) -> None:
        """Looks at every statement from now on."""
        self._connection = connection
        self._under_way = Unaudited("")
        self._done: list[tuple[str, Unaudited]] = []
        event.listen(connection, "after_cursor_execute", self._note)

    def applied(self, *, step: MigrationInfo, **_: object) -> None:
        """Alembic's `on_version_apply`: what was noted so far is this revision's."""
        noted, self._under_way = self._under_way, Unaudited("")
        if noted.counts:
            way, revision = "upgrade" if step.is_upgrade else "downgrade", step.up_revision
            noted.reason = f"{way}: {getattr(revision, 'doc', '')}"[:_MAX_REASON]
            self._drop_unknown(noted)
            self._done.append((str(step.up_revision_id), noted))

    def write(self) -> None:
        """Adds the rows, in the transaction that changed the tables; none where there is no log (yet, any more)."""
        log = str(AuditChange.__tablename__)
        if not self._done or not inspect(self._connection).has_table(log):
            return
        capture = Capture(OrderedDict(), max_rows=0, require_actor=True)
        for revision, noted in self._done:
            with acting_as("system", origin="migration", actor_name=f"migration:{revision}"):
                capture.write_rows(self._connection, list(noted.rows()))
        self._done.clear()

    def _note(
        self, _: Connection, cursor: DBAPICursor, statement: str, parameters: Any, __: object, is_many: bool
    ) -> None:
        if _SCHEMA_CHANGE.match(statement):
            return
        for name in tables_written(statement):
            table = metadata.tables.get(name)
            if not name.startswith(_MACHINERY) and (table is None or reason_of(table) is None):
                self._under_way.note(name, statement)
                # Of many at once PostgreSQL's driver can't tell: then it is at least so many executions.
                told = len(parameters) if is_many and cursor.rowcount < 0 else cursor.rowcount
                self._under_way.counts[name] += max(0, told)

    def _drop_unknown(self, noted: Unaudited) -> None:
        """Words that only looked like names of tables. Tables that the models don't know (any more) are told."""
        unknown = noted.counts.keys() - metadata.tables.keys()
        if unknown:
            for name in unknown - set(inspect(self._connection).get_table_names()):
                del noted.counts[name], noted.digests[name]
