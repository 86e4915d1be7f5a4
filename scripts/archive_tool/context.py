"""What the commands work with: settings, options, screen; the database and the place of the files."""

import asyncio
import signal
import time
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import app
from app.composition import open_database, seal_rules
from app.core.clock import now
from app.core.config import Settings
from app.core.database import Database
from app.core.errors import Invalid
from app.core.evidence.archive import Archive, Scope
from app.core.evidence.canonical import STREAMS, Stream
from app.core.evidence.destinations import Destination
from app.core.evidence.places import open_destination
from app.core.evidence.runs import Run
from app.core.keys import Keyring
from archive_tool.screen import Screen

TOOL = f"tessera {app.__version__}"


@dataclass(frozen=True, slots=True)
class Context:
    """Of one command."""

    settings: Settings
    options: Namespace
    screen: Screen

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The logs that are asked for."""
        return tuple(stream for stream in STREAMS if self.options.stream in (stream, "all"))

    @property
    def destination(self) -> Destination:
        """Where the files are. Raises StorageFault, Invalid."""
        try:
            return open_destination(self.options.dest)
        except ValueError as error:
            raise Invalid(str(error)) from None

    @property
    def scope(self) -> Scope:
        """What is old enough; for commands that take no age, everything."""
        options = self.options
        before = getattr(options, "before", None) or now() - getattr(options, "older_than", timedelta())
        return Scope(before, self.streams, getattr(options, "segment_rows", 1))

    @property
    def is_offline(self) -> bool:
        """Whether there is no database to ask: so it is said, or SQLite's file isn't there."""
        url = self.settings.database
        is_missing = url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()
        return bool(getattr(self.options, "offline", False)) or is_missing

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """The database of the settings. Raises Invalid where SQLite's file isn't there: asking would make it."""
        if self.is_offline:
            raise Invalid(f"There is no database at {self.settings.database.database}.")
        database = open_database(self.settings, Keyring(["no list is served here"]))
        try:
            yield database
        finally:
            await database.dispose()

    def archive(self, database: Database) -> Archive:
        """The work on the place that is asked for."""
        return Archive(database, self.destination, self._run(), seal_rules(self.settings))

    def _run(self) -> Run:
        """Ends at Ctrl-C, SIGTERM or `--max-minutes`, after the batch that is under way."""
        options = self.options
        minutes = getattr(options, "max_minutes", None)
        ends_at = time.monotonic() + minutes * 60 if minutes is not None else float("inf")
        asked: list[int] = []
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, asked.append, number)
        return Run(
            tool=TOOL,
            key=seal_rules(self.settings).key,
            batch=getattr(options, "batch", 1),
            pause_seconds=getattr(options, "pause_ms", 0) / 1000,
            anonymise=getattr(options, "anonymise_ip", False),
            parquet=getattr(options, "parquet", False),
            rows=self.screen.rows,
            is_over=lambda: bool(asked) or time.monotonic() >= ends_at,
        )
