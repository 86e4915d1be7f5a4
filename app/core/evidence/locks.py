"""One archiver at a time: locks that die with whoever holds them, so that none is ever left behind."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import func, select

from app.core.database import Database
from app.core.evidence.destinations import Destination, Folder, StorageFault

WAIT_SECONDS = 2.0
_STEP_SECONDS = 0.1
_KEY = 7_305_441_102_559_841_901  # any number that is ours
_NAME = ".archive.lock"


class Busy(Exception):
    """Another run is active."""


@asynccontextmanager
async def only_run(database: Database, destination: Destination) -> AsyncIterator[None]:
    """Holds the database's lock, and the folder's where the archive is one. Raises Busy after two seconds."""
    async with _of_database(database):
        if not isinstance(destination, Folder):
            yield
            return
        with await _patiently(lambda: _file_lock(destination.path / _NAME)):
            yield


@asynccontextmanager
async def _of_database(database: Database) -> AsyncIterator[None]:
    if database.is_sqlite:
        path = Path(f"{database.url.database}{_NAME}")
        with await _patiently(lambda: _file_lock(path)):
            yield
        return
    await database.ping()  # raises in the words of the program where there is no database
    async with database.reader.connect() as connection:  # a session's lock: held as long as it is open
        for _ in range(round(WAIT_SECONDS / _STEP_SECONDS) + 1):
            if await connection.scalar(select(func.pg_try_advisory_lock(_KEY))):
                break
            await asyncio.sleep(_STEP_SECONDS)
        else:
            raise Busy
        try:
            yield
        finally:
            await connection.scalar(select(func.pg_advisory_unlock(_KEY)))


async def _patiently(take: Callable[[], AbstractContextManager[None] | None]) -> AbstractContextManager[None]:
    for _ in range(round(WAIT_SECONDS / _STEP_SECONDS) + 1):
        if (held := take()) is not None:
            return held
        await asyncio.sleep(_STEP_SECONDS)
    raise Busy


def _file_lock(path: Path) -> AbstractContextManager[None] | None:
    """The lock on a file, taken; None where somebody else has it. Raises StorageFault."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageFault(f"{path}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return _held(descriptor)


@contextmanager
def _held(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)
