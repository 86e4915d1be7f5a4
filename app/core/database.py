"""The two doors of the database: a writing engine and a reading one. Every dialect difference is here.

Reads run on AUTOCOMMIT connections, straight on the driver; writes run in a session (`transaction.py`).
Before each pool stands a FIFO gate: SQLAlchemy's async pool lets late callers overtake those who wait.
"""

import asyncio
import os
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Engine, event, literal, select
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session

from app.core.errors import Unavailable
from app.core.faults import means_lost_connection, server_hung_up, translated
from app.core.keys import Signer
from app.core.query import Query, Row

GATE_SECONDS = 3.0
READ_SECONDS = 5.0
SQLITE_READERS = 4
_SQLITE_BUSY_MS = 5_000
# PostgreSQL ends what hangs by itself, also where the client is gone (security: no wait without a limit).
_POSTGRES_LIMITS = {
    "statement_timeout": "5000",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "10000",
    "timezone": "UTC",
    "application_name": "tessera",
    "jit": "off",
}


class Recorder(Protocol):
    """Keeps a log of what is written. The database only tells it when to look."""

    def watch(self, engine: Engine) -> None:
        """Looks at every statement of an engine from now on."""

    def begin(self, session: Session) -> None:
        """A transaction begins in this session."""


@dataclass(frozen=True, slots=True)
class ListRules:
    """What all lists share: who signs cursors, and up to which number of rows a total is exact."""

    signer: Signer
    count_limit: int


class Gate:
    """A FIFO queue before a pool. Waiting longer than `GATE_SECONDS` raises `Unavailable`.

    One timer watches the whole queue: a timeout for each waiter would cost as much as the rest of the gate.
    """

    def __init__(self, places: int) -> None:
        """`places`: how many may be inside at once."""
        self._free = places
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        place = loop.create_future()
        self._waiting.append((loop.time(), place))
        if self._timer is None:
            self._timer = loop.call_later(GATE_SECONDS, self._expire, loop)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._hand_on()  # the place was ours already
            raise

    async def __aexit__(self, *_exc: object) -> None:
        self._hand_on()

    def _hand_on(self) -> None:
        while self._waiting:
            _, place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """Turns away who waited too long, and looks again when the next one will have."""
        self._timer = None
        while self._waiting:
            since, place = self._waiting[0]
            left = since + GATE_SECONDS - loop.time()
            if left > 0 and not place.done():
                self._timer = loop.call_later(left, self._expire, loop)
                return
            self._waiting.popleft()
            if not place.done():
                place.set_exception(Unavailable("The server is overloaded.", retry_after_seconds=1))


class Database:
    """Engines and gates of one database URL. `fallback` tells that it stands in for another one."""

    def __init__(
        self,
        url: URL,
        lists: ListRules,
        *,
        pool_size: int = 10,
        durable: bool = True,
        fallback: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        """Opens no connection yet. `durable=False` trades fsync for speed, for tests only."""
        self.url = url
        self.lists = lists
        self.fallback = fallback
        self.is_sqlite = url.get_backend_name() == "sqlite"
        build = _sqlite_engines if self.is_sqlite else _postgres_engines
        self.writer, self.reader = build(url, pool_size, durable)
        self.write_gate = Gate(1 if self.is_sqlite else pool_size)
        self.read_gate = Gate(SQLITE_READERS if self.is_sqlite else pool_size)
        self.dialect = self.reader.dialect
        self._resting: list[Any] = []
        self.recorder = recorder
        if recorder is not None:
            recorder.watch(self.writer.sync_engine)
            recorder.watch(self.reader.sync_engine)

    async def fetch(self, query: Query, values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows of a compiled SELECT, on a read connection. Raises `AppError`s for faults of the database."""
        statement = query.on(self.dialect)
        arguments = statement.arguments(values)
        with translated:
            async with self.read_gate:
                try:
                    rows = await self._run(statement.sql, arguments)
                except Exception as error:
                    if not server_hung_up(error):
                        raise
                    rows = await self._run(statement.sql, arguments)  # a read may be repeated
        return statement.rows(rows)

    async def _run(self, sql: str, arguments: list[Any]) -> Sequence[Row]:
        """On a raw driver connection. SQLAlchemy does not heal these: what broke must be told to its pool."""
        raw = await self._rested()
        try:
            rows: Sequence[Row] = await _read(raw.driver_connection, sql, arguments, is_sqlite=self.is_sqlite)
        except BaseException as error:
            # What breaks off among its rows would hold a connection of SQLite's in the past.
            if self.is_sqlite or not isinstance(error, Exception) or means_lost_connection(error):
                if self.is_sqlite:
                    await raw.driver_connection.close()  # its thread has a last word for this loop
                _discard(raw)
            else:
                self._resting.append(raw)
            if isinstance(error, Exception) and server_hung_up(error):
                # Those that rest are dead too: each would fail a read of its own.
                while self._resting:
                    _discard(self._resting.pop())
            raise
        self._resting.append(raw)
        return rows

    async def _rested(self) -> Any:
        """A read connection. They stay checked out of SQLAlchemy's pool: checking one out costs half a query."""
        while self._resting:
            raw = self._resting.pop()
            if self.is_sqlite or not raw.driver_connection.is_closed():
                return raw
            _discard(raw)
        return await self.reader.raw_connection()

    async def ping(self) -> None:
        """One round trip through the read door. Raises `Unavailable`."""
        await self.fetch(_PING, {})

    def rest_none(self) -> None:
        """Gives back the read connections that nobody uses at the moment."""
        while self._resting:
            self._resting.pop().close()

    async def dispose(self) -> None:
        """Closes all connections. Must run before the event loop ends."""
        self.rest_none()
        await self.writer.dispose()
        await self.reader.dispose()


_PING = Query(select(literal(1).label("one")))


def _discard(raw: Any) -> None:
    """Closes the connection, and gives its place in the pool to a new one."""
    raw.invalidate()
    raw.close()


async def _read(driver: Any, sql: str, arguments: list[Any], *, is_sqlite: bool) -> Any:
    if not is_sqlite:
        return await driver.fetch(sql, *arguments, timeout=READ_SECONDS)
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await driver.execute_fetchall(sql, arguments)
    except (asyncio.CancelledError, TimeoutError):
        await driver.interrupt()  # else the abandoned query goes on in its thread
        raise


def _postgres_engines(url: URL, pool_size: int, _durable: bool) -> tuple[AsyncEngine, AsyncEngine]:
    options: dict[str, Any] = {
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": GATE_SECONDS,
        "connect_args": {"server_settings": _POSTGRES_LIMITS, "timeout": 5, "command_timeout": 10},
    }
    # One more than the gate lets in: the access log keeps it for itself, and waits for nobody who writes.
    writer = create_async_engine(url, **{**options, "pool_size": pool_size + 1}, pool_pre_ping=True)
    reader = create_async_engine(url, **options, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
    return writer, reader


def _sqlite_engines(url: URL, _pool_size: int, durable: bool) -> tuple[AsyncEngine, AsyncEngine]:
    private_file(Path(url.database or ""))
    writer = create_async_engine(url, pool_size=1, max_overflow=0)
    reader = create_async_engine(
        url,
        pool_size=SQLITE_READERS,
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
    )
    pragmas = {
        "journal_mode": "WAL",
        "synchronous": "FULL" if durable else "OFF",
        "busy_timeout": _SQLITE_BUSY_MS,
        "foreign_keys": "ON",
        "recursive_triggers": "ON",
    }

    @event.listens_for(writer.sync_engine, "connect")
    def _open_writer(connection: Any, _record: object) -> None:
        # The driver's own BEGIN comes too late: a savepoint before it would survive the outer rollback.
        connection.isolation_level = None
        _set_pragmas(connection, pragmas)

    @event.listens_for(writer.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        # A deferred transaction that reads and then writes fails at once when another one wrote meanwhile.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(reader.sync_engine, "connect")
    def _open_reader(connection: Any, _record: object) -> None:
        _set_pragmas(connection, {**pragmas, "query_only": "ON"})

    return writer, reader


def _set_pragmas(connection: Any, pragmas: Mapping[str, object]) -> None:
    cursor = connection.cursor()
    for name, value in pragmas.items():
        cursor.execute(f"PRAGMA {name}={value}")
    cursor.close()


def private_file(path: Path) -> None:
    """Makes the file readable by its owner only, whatever the umask is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
