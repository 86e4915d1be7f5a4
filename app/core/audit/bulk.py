"""Statements that change many rows at once, sent through the session: seen by reading before and after them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Result, Table
from sqlalchemy.orm import ORMExecuteState
from sqlalchemy.sql.dml import Delete, Insert, Update

from app.core.audit.capture import AuditRefused, Capture
from app.core.audit.cascades import Cascades
from app.core.audit.images import Image, Key, fetch, read_rows
from app.core.audit.policy import TablePolicy, policy_of
from app.core.audit.record import Change

_ADVICE = "send it in parts, or inside of `unaudited(uow, reason)`"


def execute_captured(state: ORMExecuteState, capture: Capture) -> Result[Any] | None:
    """Runs the statement and takes down what it did; None for what needs no capture. Raises AuditRefused."""
    statement: Any = state.statement
    policy = policy_of(statement.table) if isinstance(statement.table, Table) else None
    if policy is None or capture.unaudited is not None:
        return None
    state.session.flush()  # what waits is part of "before"; the session's own flush comes after this event
    connection = state.session.connection()
    bulk = _Bulk(state, capture, policy, connection)
    if isinstance(statement, Insert):
        return bulk.insert(statement)
    return bulk.update(statement) if isinstance(statement, Update) else bulk.delete(statement)


class _Bulk:
    """One statement on its way."""

    def __init__(
        self, state: ORMExecuteState, capture: Capture, policy: TablePolicy, connection: Connection
    ) -> None:
        self.state = state
        self.capture = capture
        self.policy = policy
        self.connection = connection

    def update(self, statement: Update) -> Result[Any]:
        """UPDATE with a condition, or by a list of keys."""
        columns = self._columns_set(statement)
        if columns and columns <= self.policy.ignored:
            return self._run()  # bookkeeping: no event, so nothing to compare
        if columns & set(self.policy.keys):
            raise AuditRefused(
                f"an UPDATE of the key of {self.policy.table.name} can't be followed; {_ADVICE}"
            )
        before = self._rows_before(statement)
        result = self._run()
        with self.capture.seen():
            after = read_rows(self.connection, self.policy, list(before), lock=False)
        self._write([Change(self.policy, image, after[key]) for key, image in before.items() if key in after])
        return result

    def delete(self, statement: Delete) -> Result[Any]:
        """DELETE with a condition, and what the database deletes or empties along with it."""
        before = self._rows_before(statement)
        cascades = Cascades(self.connection)
        with self.capture.seen():
            cascades.from_deleted({self.policy: list(before.values())})
        result = self._run()
        with self.capture.seen():
            changes = cascades.changes()
        self._write([*(Change(self.policy, image, None) for image in before.values()), *changes])
        return result

    def insert(self, statement: Insert) -> Result[Any]:
        """INSERT of one row, of many, or out of a SELECT."""
        if statement._post_values_clause is not None:  # noqa: SLF001  no public way to ask
            raise AuditRefused(f"an upsert of {self.policy.table.name} may insert or update; {_ADVICE}")
        if statement._returning:  # noqa: SLF001
            raise AuditRefused(f"an INSERT that returns columns can't be followed; {_ADVICE}")
        keys = [self.policy.table.c[key] for key in self.policy.keys]
        with self.capture.seen():
            result = self.state.invoke_statement(statement.returning(*keys)).freeze()
            made: list[Key] = [tuple(row) for row in result().all()]
            after = read_rows(self.connection, self.policy, made, lock=False)
        self._limit(len(made))
        self._write([Change(self.policy, None, after[key]) for key in made if key in after])
        return result()

    def _rows_before(self, statement: Update | Delete) -> Mapping[Key, Image]:
        is_locking = self.connection.dialect.name == "postgresql"
        parameters = self.state.parameters
        with self.capture.seen():
            if isinstance(parameters, Sequence):
                keys = self._listed(statement, parameters)
                found = read_rows(self.connection, self.policy, keys, lock=is_locking)
            else:
                try:
                    found = fetch(
                        self.connection,
                        self.policy,
                        statement.whereclause,
                        lock=is_locking,
                        parameters=parameters,
                        limit=self.capture.max_rows + 1,
                    )
                except ValueError as error:
                    raise AuditRefused(
                        f"{error}: what it changes can't be told beforehand; {_ADVICE}"
                    ) from error
        self._limit(len(found))
        return found

    def _listed(self, statement: Update | Delete, parameters: Sequence[Mapping[str, Any]]) -> list[Key]:
        """The keys of a list of values (ORM bulk update by primary key)."""
        keys = self.policy.keys
        if statement.whereclause is not None or not all(key in row for row in parameters for key in keys):
            raise AuditRefused(f"a condition with a list of parameters can't be followed; {_ADVICE}")
        return [tuple(row[key] for key in keys) for row in parameters]

    def _columns_set(self, statement: Update) -> set[str]:
        """The keys of the columns that get values; empty where that can't be told."""
        parameters = self.state.parameters
        if isinstance(parameters, Sequence):
            return {name for row in parameters for name in row} - set(self.policy.keys)
        given = statement._values  # noqa: SLF001  no public way to ask
        return {getattr(column, "key", str(column)) for column in given or ()} if not parameters else set()

    def _limit(self, count: int) -> None:
        if count > self.capture.max_rows:
            raise AuditRefused(f"more than {self.capture.max_rows} rows in one statement; {_ADVICE}")

    def _run(self) -> Result[Any]:
        with self.capture.seen():
            return self.state.invoke_statement()

    def _write(self, changes: Sequence[Change]) -> None:
        self.capture.write(self.connection, changes)
