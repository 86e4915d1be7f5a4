"""The unit of work: one for each request, one transaction at a time, committed by the outermost block."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import func, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.orm.session import Session

from app.core.database import Database
from app.core.faults import translated
from app.core.query import Query, Row


class TransactionSession(Session):
    """The inner session of the writing door. Hooks hang on this class: other sessions are not meant."""


class WriteSession(AsyncSession):
    """The session of the writing door."""

    sync_session_class: type[Session] = TransactionSession


# Holds a function and not the session: tasks copy the context, and one that outlives the transaction may
# open its own.
_open: ContextVar[Callable[[], AsyncSession | None]] = ContextVar("open_transaction", default=lambda: None)


class UnitOfWork:
    """Transactions and reads of one request."""

    def __init__(self, database: Database) -> None:
        """Touches the database at first use only."""
        self.database = database
        self._session: WriteSession | None = None
        self._doomed = False

    @property
    def session(self) -> WriteSession:
        """The session of the open transaction. Raises RuntimeError outside of one."""
        if self._session is None:
            raise RuntimeError("writing needs an open transaction")
        return self._session

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open."""
        return self._session is not None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[WriteSession]:
        """Opens a transaction or joins the open one. The outermost block commits, before its caller goes on.

        A joined block that fails dooms the whole, also if its caller swallows the error: what may fail goes
        into `savepoint()`. Raises `AppError`s for what the database refuses.
        """
        if self._session is not None:
            try:
                yield self._session
            except BaseException:
                self._doomed = True
                raise
            return
        if _open.get()() is not None:
            # On SQLite a second writer would wait for the first one for ever; on PostgreSQL for the pool.
            raise RuntimeError("this task has a transaction open in another unit of work")
        self._doomed = False
        with translated:
            async with (
                self.database.write_gate,
                WriteSession(self.database.writer, expire_on_commit=False) as session,
            ):
                if self.database.recorder is not None:
                    self.database.recorder.begin(session.sync_session)
                self._session = session
                token = _open.set(lambda: self._session)
                try:
                    yield session
                    if self._doomed:
                        raise RuntimeError("a nested transaction failed; the outer one can't commit")
                    await session.commit()
                finally:
                    self._session = None
                    _open.reset(token)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part of the transaction that may fail and be undone alone. Raises `AppError`s."""
        with translated:
            async with self.session.begin_nested():
                yield

    async def fetch(self, query: Query, values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows of a query: through the read door, or inside the open transaction, which sees its own writes."""
        if self._session is None:
            return await self.database.fetch(query, values)
        await self._session.flush()
        connection = await self._session.connection()
        rows: Sequence[Row] = (await connection.execute(query.statement, dict(values))).all()
        return rows

    async def lock(self, name: str) -> None:
        """Holds a named lock until the transaction ends. SQLite has one writer at a time anyway."""
        if not self.database.is_sqlite:
            connection = await self.session.connection()
            await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(name))))
