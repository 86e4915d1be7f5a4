"""Databases and apps for tests: migrated once, kept, and put back to their seeds after each test that wrote."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from app.auth.ports import Kernel
from app.core.audit.change_log import ChangeLog
from app.core.audit.models import APPEND_ONLY
from app.core.config import Settings
from app.core.entity import metadata
from app.core.platform import Platform
from app.main import create_app
from app.migrations import upgrade
from app.modules.auth.service_principals import PrincipalService
from app.startup import seed
from tests.canaries import CANARIES
from tests.services import PostgresServer


class Backend:
    """One kind of database. `new_database` copies a migrated template: use it for migrations, faults, workers."""

    def __init__(self, name: str, folder: Path, server: PostgresServer | None) -> None:
        """`server` is None for SQLite."""
        self.name = name
        self._folder = folder
        self._server = server
        self._made: list[str] = []

    async def open(self) -> None:
        """Makes the template."""
        self._template = self.empty_database()
        await upgrade(make_url(self._template))

    def empty_database(self) -> str:
        """The URL of a new database without any table."""
        name = f"tessera_test_{uuid4().hex[:12]}"
        if self._server is None:
            return f"sqlite+aiosqlite:///{self._folder / name}.db"
        self._made.append(name)
        return self._server.create_database(name)

    def new_database(self) -> str:
        """The URL of a new migrated database without any row."""
        name = f"tessera_test_{uuid4().hex[:12]}"
        if self._server is None:
            source = Path(make_url(self._template).database or "")
            target = self._folder / f"{name}.db"
            copyfile(source, target)
            return f"sqlite+aiosqlite:///{target}"
        self._made.append(name)
        return self._server.create_database(name, template=make_url(self._template).database)

    def close(self) -> None:
        """Drops what was made, where the server doesn't go with it."""
        if self._server is None:
            return
        if self._server.outlives_the_run:
            for name in reversed(self._made):
                self._server.drop_database(name)
        self._server.close()


@dataclass
class Snapshot:
    """The rows of every table, to put back."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass
class RunningApp:
    """A started app. `reset` puts its database back to what it was when it started."""

    app: FastAPI
    settings: Settings
    snapshot: Snapshot = field(default_factory=Snapshot)
    has_written: bool = False

    @property
    def platform(self) -> Platform:
        found: Platform = self.app.state.platform
        return found

    @property
    def kernel(self) -> Kernel:
        found: Kernel = self.app.state.kernel
        return found

    async def remember(self) -> None:
        """Takes the snapshot, and watches for writes from now on."""
        async with self.platform.database.writer.connect() as connection:
            for table in metadata.sorted_tables:
                rows = await connection.execute(table.select())
                self.snapshot.rows[table.name] = [dict(row._mapping) for row in rows]

        @event.listens_for(self.platform.database.writer.sync_engine, "commit")
        def _wrote(_connection: object) -> None:
            self.has_written = True

        self.has_written = False

    @asynccontextmanager
    async def unseen(self) -> AsyncIterator[AsyncConnection]:
        """A transaction behind the program's back: the guard lets it through, and no row of the log tells of it."""
        database = self.platform.database
        assert isinstance(database.recorder, ChangeLog)
        capture = database.recorder.new_capture()
        async with database.writer.begin() as connection:
            connection.info["capture"] = capture
            try:
                with capture.seen():
                    yield connection
            finally:
                del connection.info["capture"]

    async def reset(self) -> None:
        """Deletes every row and puts the remembered ones back; nothing where nothing was written.

        But for the logs: they only grow, whoever asks. Looks for secrets before that. Raises Leak, but only when all
        is back.
        """
        if not self.has_written:
            return
        leaks = await CANARIES.left_behind(self.platform)
        tables = [table for table in metadata.sorted_tables if table.name not in APPEND_ONLY]
        async with self.unseen() as connection:
            for table in reversed(tables):
                await connection.execute(table.delete())
            for table in tables:
                if rows := self.snapshot.rows[table.name]:
                    await connection.execute(table.insert(), rows)
        self.has_written = False
        authenticator = self.kernel.authenticator
        assert isinstance(authenticator, PrincipalService)
        authenticator.forget()
        self.kernel.profiles.forget()
        if leaks:
            raise leaks[0]


@asynccontextmanager
async def run_app(settings: Settings) -> AsyncIterator[RunningApp]:
    """Seeds the settings' database and starts the app on it, in this process."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        running = RunningApp(app, settings)
        platform, kernel = running.platform, running.kernel
        await seed(platform.database, platform.catalog, kernel.hasher, settings)
        platform.ready = True
        await running.remember()
        yield running
        if running.has_written and (leaks := await CANARIES.left_behind(platform)):
            raise leaks[0]
