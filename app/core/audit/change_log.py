"""The change log as the database knows it: what watches its engines and begins with each transaction."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, MetaData
from sqlalchemy.orm import Session

from app.core.audit import hooks as _hooks  # noqa: F401  importing it makes the sessions look
from app.core.audit.capture import AuditRefused, Capture, Unaudited
from app.core.audit.guard import Guard, Mode
from app.core.audit.public_ids import Known
from app.core.entity import metadata
from app.core.transaction import UnitOfWork


@dataclass(frozen=True, slots=True)
class AuditRules:
    """What is done with unseen statements, with large ones, and with writes by nobody."""

    guard: Mode = "refuse"
    max_rows: int = 50_000
    require_actor: bool = False


class ChangeLog:
    """Implements the database's port `Recorder`. One for each database."""

    def __init__(self, rules: AuditRules, among: MetaData = metadata) -> None:
        """`among`: the tables that it looks after."""
        self._rules = rules
        self._guard = Guard(rules.guard, among)
        self._known: Known = OrderedDict()

    def watch(self, engine: Engine) -> None:
        """Refuses what would leave no trace."""
        self._guard.stand(engine)

    def begin(self, session: Session) -> None:
        """Takes down what this transaction changes."""
        session.info["capture"] = self.new_capture()

    def new_capture(self) -> Capture:
        """For one transaction."""
        return Capture(self._known, max_rows=self._rules.max_rows, require_actor=self._rules.require_actor)


@asynccontextmanager
async def unaudited(uow: UnitOfWork, reason: str) -> AsyncIterator[None]:
    """Statements that are too large or too odd for the change log: of each table it gets one summary.

    For operators' one-off work inside of an open transaction, never for use cases: nobody will be able to tell
    what they changed. Raises AuditRefused where nothing is recorded.
    """
    session = uow.session
    await session.flush()
    capture: Capture | None = session.info.get("capture")
    if capture is None:
        raise AuditRefused("this database has no change log")
    capture.unaudited = summary = Unaudited(reason)
    try:
        yield
        await session.flush()
    finally:
        capture.unaudited = None
    connection = await session.connection()
    await connection.run_sync(lambda inner: capture.write_rows(inner, list(summary.rows())))
