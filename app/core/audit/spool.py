"""Files that keep rows of the access log while the database can't: one for each process, one JSON line a row.

The owner holds a lock on its file as long as it lives; what can be locked is left over from a process that ended, and
whoever gets the lock brings its rows home. The name says which database they belong to.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

import orjson

from app.core.audit.access_store import ROW_COLUMNS, Row

LIMIT_BYTES = 64 * 1024 * 1024
_MODE = 0o600


class SpoolFull(OSError):
    """The file has reached `LIMIT_BYTES`."""


class Spool:
    """One file, made at the first row and removed when its last row is stored. Its methods may run in threads."""

    def __init__(self, path: Path) -> None:
        """Touches nothing yet."""
        self.path = path
        self._descriptor: int | None = None
        self._size = 0
        self._done = 0
        self._lock = Lock()

    @property
    def has_rows(self) -> bool:
        """Whether rows wait here for the database."""
        return self._size > self._done

    def append(self, rows: Sequence[Row]) -> None:
        """Adds rows, on disk when this returns. All or none: raises OSError, of which SpoolFull is one."""
        data = b"".join(map(_line, rows))
        with self._lock:
            if self._size + len(data) > LIMIT_BYTES:
                raise SpoolFull(f"{self.path} has reached {LIMIT_BYTES} bytes")
            descriptor = self._open()
            try:
                written = os.pwrite(descriptor, data, self._size)
                os.fsync(descriptor)
            except OSError:
                written = 0
            if written != len(data):
                os.ftruncate(descriptor, self._size)
                raise OSError(f"{self.path} can't be written")
            self._size += len(data)

    def adopt(self) -> bool:
        """Takes over a file that was left behind; False where its owner lives, or somebody else was faster."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except OSError:
            return False
        if not _locked(descriptor):
            os.close(descriptor)
            return False
        self._descriptor, self._size = descriptor, os.fstat(descriptor).st_size
        return True

    def read(self, at_most: int) -> tuple[list[Row], int]:
        """The oldest rows, and the place behind them for `forget`. A line that was torn by a crash is left out."""
        with self._lock:
            if self._descriptor is None:
                return [], 0
            rows: list[Row] = []
            with os.fdopen(os.dup(self._descriptor), "rb") as file:
                file.seek(self._done)
                while len(rows) < at_most and file.tell() < self._size:
                    rows += _parsed(file.readline())
                return rows, file.tell()

    def forget(self, place: int) -> None:
        """What stands before `place` is stored. Removes the file when that is all of it."""
        with self._lock:
            self._done = place
            if self._done >= self._size:
                self.path.unlink(missing_ok=True)
                self._close()

    def set_aside(self, row: Row) -> None:
        """Keeps a row that the database refuses beside the others, for a person to look at."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path.with_suffix(".refused"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)
        try:
            os.write(descriptor, _line(row))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Lets go of the file; rows that still wait in it are for the next process."""
        with self._lock:
            self._close()

    def _open(self) -> int:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, _MODE)
            if not _locked(descriptor):  # somebody takes it for left behind: the next try makes another
                os.close(descriptor)
                raise OSError(f"{self.path} is being looked at by another process")
            self._descriptor = descriptor
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._size, self._done = None, 0, 0


def left_behind(folder: Path, database: str) -> Iterator[Spool]:
    """The files of ended processes that wrote to this database, oldest first, taken over."""
    for path in sorted(folder.glob(f"access-{database}-*.jsonl"), key=_age):
        spool = Spool(path)
        if spool.adopt():
            yield spool


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _locked(descriptor: int) -> bool:
    """Whether the file is ours now, and still there: it may have been removed between open and lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _line(row: Row) -> bytes:
    return orjson.dumps(dict(zip(ROW_COLUMNS, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE)


def _parsed(line: bytes) -> list[Row]:
    try:
        values: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        return []
    values["occurred_at"] = datetime.fromisoformat(values["occurred_at"])
    for name in ("session_id", "api_key_id"):
        values[name] = None if values[name] is None else UUID(values[name])
    return [tuple(values.get(name) for name in ROW_COLUMNS)]
