"""Writes the access log: rows wait in a queue and go to the database in batches, or to a file while it is away.

Nothing is dropped. A full queue makes requests wait; a process that is killed loses what is in the queue (a quarter
of a second), and the numbers of its rows end without the row that says it stopped.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from app.core.audit.access import Fields, own_fields
from app.core.audit.access_store import AccessStore, Row
from app.core.audit.spool import Spool, left_behind
from app.core.database import Database
from app.core.errors import Invalid
from app.core.faults import translate
from app.core.identifiers import uuid7_hex
from app.core.logging import logger
from app.core.telemetry import audit

QUEUE_ROWS = 10_000
FLUSH_ROWS, FLUSH_SECONDS = 200, 0.25
HELD_SECONDS = 2.0
_BATCH = 1000
_RETRY_SECONDS = 1.0
_DRAIN_SECONDS = 10.0
_log = logger("server")


class AccessWriter:
    """The writer of one process. Rows may come before `start` and wait."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where files are kept that stand in for the database."""
        self._folder = folder
        self.boot_id = ""
        self.seq = 0
        self._queue: deque[tuple[int, Fields]] = deque()
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        self._spool: Spool | None = None
        self._left: list[Spool] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopping = False
        self.is_blocked = False

    @property
    def is_spooling(self) -> bool:
        """Whether rows go to a file, or to nothing at all (`is_blocked`)."""
        return self.is_blocked or (self._spool is not None and self._spool.has_rows)

    async def start(self, database: Database, settings: Mapping[str, Any]) -> None:
        """Begins a new run of numbers, with a row that tells the settings. Looks for files of ended processes."""
        key = sha256(database.url.render_as_string(hide_password=True).encode()).hexdigest()[:12]
        self.boot_id, self.seq, self._settings = uuid7_hex(), 0, dict(settings)
        self._is_stopping, self.is_blocked = False, False
        self._store = AccessStore(database)
        self._spool = Spool(self._folder / f"access-{key}-{self.boot_id}.jsonl")
        self._left = list(left_behind(self._folder, key))
        early, self._queue = self._queue, deque()
        self.add(own_fields("audit.start", {**self._settings, "last_seq": self.seq}))
        for _, fields in early:
            self.add(fields)
        self._tasks = [
            asyncio.create_task(self._write_forever()),
            asyncio.create_task(self._replay_forever()),
        ]

    async def stop(self) -> None:
        """Writes what is left and, as the last row, that it stopped. Rows that no database takes stay in their file."""
        if self._spool is None:
            return
        writing, replaying = self._tasks
        replaying.cancel()
        await asyncio.gather(replaying, return_exceptions=True)
        with suppress(Exception):  # the file keeps what is not brought home now
            await self._replay()
        self.add(own_fields("audit.stop", {**self._settings, "last_seq": self.seq + 1}))
        self._is_stopping = True
        self._wake.set()
        done, _ = await asyncio.wait([writing], timeout=_DRAIN_SECONDS)
        if not done:
            _log.critical("audit.rows_lost", rows=len(self._queue), boot_id=self.boot_id)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        self._forget_timer()
        self._store.close()
        for spool in (*self._left, self._spool):
            spool.close()

    def add(self, fields: Fields) -> None:
        """Takes a row. It is in the database within a second."""
        self.seq += 1
        self._queue.append((self.seq, fields))
        size = len(self._queue)
        if size == 1:
            self._wake_later()
        elif size >= FLUSH_ROWS:
            self._wake.set()

    def _wake_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._wake.set)

    def _forget_timer(self) -> None:
        """One that is left from before would cut the next batch short."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def record(self, fields: Fields) -> None:
        """Takes a row when there is room for it. Never loses it, also where the request is cancelled meanwhile."""
        try:
            while len(self._queue) >= QUEUE_ROWS:
                self._room.clear()
                await self._room.wait()
        finally:
            self.add(fields)

    async def record_durably(self, fields: Fields) -> None:
        """Takes a row and returns when it is on disk, together with those that came meanwhile; or after two seconds."""
        await self.record(fields)
        self._wake.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._written(self.seq), HELD_SECONDS)

    async def settle(self) -> None:
        """Returns when every row so far is in the database, or in the file that stands in for it."""
        if self._queue:
            self._wake.set()
            await self._written(self.seq)

    def _written(self, seq: int) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self._waiters.append((seq, future))
        return future

    async def _write_forever(self) -> None:
        while not (self._is_stopping and not self._queue):
            await self._wake.wait()
            self._wake.clear()
            self._forget_timer()
            while self._queue:
                await self._write_batch()
                if len(self._queue) < FLUSH_ROWS and not self._waiters and not self._is_stopping:
                    if self._queue:
                        self._wake_later()
                    break

    async def _write_batch(self) -> None:
        rows: list[Row] = [(self.boot_id, seq, *fields) for seq, fields in islice(self._queue, _BATCH)]
        try:
            await self._keep(rows)
        except OSError as error:
            if not self.is_blocked:
                _log.critical("audit.blocked", reason=type(error).__name__)
            self.is_blocked = True
            await asyncio.sleep(_RETRY_SECONDS)
            return
        self.is_blocked = False
        for _ in rows:
            self._queue.popleft()
        self._room.set()
        audit.waiting(len(self._queue))
        while self._waiters and self._waiters[0][0] <= rows[-1][1]:
            future = self._waiters.popleft()[1]
            if not future.done():
                future.set_result(None)

    async def _keep(self, rows: Sequence[Row]) -> None:
        """Into the database; into the file, if that fails or older rows are still there. Raises OSError."""
        spool = self._own
        if not spool.has_rows:
            try:
                await self._insert(rows)
            except Exception as error:  # noqa: BLE001  whatever it is, the rows must not be lost
                _log.warning("audit.spooling", reason=type(error).__name__, rows=len(rows))
            else:
                return
        await asyncio.to_thread(spool.append, rows)
        audit.spooled(len(rows))

    async def _insert(self, rows: Sequence[Row]) -> None:
        """Raises what the database raises. A row that it refuses for what is in it holds up no other one."""
        started = time.perf_counter()
        try:
            await self._store.add(rows)
        except Exception as error:
            if not isinstance(translate(error), Invalid):
                raise
            if len(rows) == 1:
                _log.critical("audit.row_refused", boot_id=rows[0][0], seq=rows[0][1])
                await asyncio.to_thread(self._own.set_aside, rows[0])
                return
            middle = len(rows) // 2
            await self._insert(rows[:middle])
            await self._insert(rows[middle:])
            return
        audit.written("access", len(rows), time.perf_counter() - started)

    async def _replay_forever(self) -> None:
        """Brings home what is in files, as soon as the database is back."""
        while True:
            with suppress(Exception):
                await self._replay()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _replay(self) -> None:
        """Files of ended processes first: theirs are the older rows. Raises what the database raises."""
        while self._left:
            await self._replay_file(self._left[0])
            self._left.pop(0)
        if self._own.has_rows:
            await self._replay_file(self._own)
            _log.info("audit.spool_replayed")

    async def _replay_file(self, spool: Spool) -> None:
        while True:
            rows, place = await asyncio.to_thread(spool.read, _BATCH)
            if rows:
                await self._insert(rows)
            await asyncio.to_thread(spool.forget, place)
            if not spool.has_rows:
                return

    @property
    def _own(self) -> Spool:
        if self._spool is None:
            raise RuntimeError("the writer was not started")
        return self._spool
