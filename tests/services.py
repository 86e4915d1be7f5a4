"""A real PostgreSQL and a real Redis for the tests, started by the tests themselves.

The controller of a run calls `start_services` once and so exports TEST_POSTGRES_URL and TEST_REDIS_URL; its
workers inherit the variables, and what they start is then that same server. A test that pauses, crashes or
configures a server asks for one that nobody else uses: `PostgresServer(own=True)`.
"""

import asyncio
import os
import shutil
import signal
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.server_binaries import ServerMissingError, find_postgres, find_redis, missing_servers, programs_for
from tests.server_process import ServerError, ServerProcess, unprivileged_user

POSTGRES_VARIABLE = "TEST_POSTGRES_URL"
REDIS_VARIABLE = "TEST_REDIS_URL"
# Set where the run started PostgreSQL itself: to drop hundreds of databases takes long, to remove a folder does not.
ENDS_WITH_RUN = "TEST_POSTGRES_ENDS_WITH_RUN"
# Fast and forgetful: a power cut would lose the data, and nobody would miss it.
# Hundreds of small databases that live for a test: nothing of them is worth tidying up.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


class Server(ABC):
    """What both servers have in common: a server that was given is used but never touched."""

    name = ""
    variable = ""

    def __init__(self, *, own: bool = False) -> None:
        self._given = None if own else os.environ.get(self.variable) or None
        self._process: ServerProcess | None = None

    @property
    def process(self) -> ServerProcess:
        """The process behind it. Raises ServerError when there is none of ours."""
        if self._given:
            raise ServerError(
                f"This {self.name} was given by {self.variable}, so its process is not ours. "
                f"Ask for one that is: {type(self).__name__}(own=True)."
            )
        if self._process is None:
            raise ServerError(f"{self.name} was not started.")
        return self._process

    def start(self) -> str:
        """Starts the server, or starts it again with its data at its old address; returns its URL.

        Raises ServerMissingError when it isn't installed, ServerError when it doesn't come up.
        """
        if self._given:
            return self.url()
        if self._process is not None:
            self._launch()
            return self.url()
        self._process = ServerProcess(self.name)
        try:
            self._prepare()
            self._launch()
        except BaseException:
            self.close()
            raise
        return self.url()

    @abstractmethod
    def url(self) -> str:
        """The URL at which programs reach the server."""

    @abstractmethod
    def _prepare(self) -> None:
        """What is done once, before the first start."""

    @abstractmethod
    def _launch(self) -> None:
        """Starts the process and waits until it answers."""

    def stop(self) -> None:
        """Ends the server in good order and keeps folder and port, so that `start` brings it back."""
        if self._process is not None:
            self._process.end(signal.SIGINT)

    def restart(self) -> None:
        """Stops and starts it; every connection is lost, what was committed is not."""
        self.process.end(signal.SIGINT)
        self.start()

    def pause(self) -> None:
        """Makes it hang: connections stay open, nothing answers."""
        self.process.pause()

    def resume(self) -> None:
        """Lets a paused server go on."""
        self.process.resume()

    def close(self) -> None:
        """Ends the server and removes its data. Does nothing to a given one."""
        if self._process is not None:
            self.stop()
            self._process.close()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


class PostgresServer(Server):
    """A PostgreSQL cluster of its own on 127.0.0.1, user `postgres`, no password."""

    name = "PostgreSQL"
    variable = POSTGRES_VARIABLE

    def __init__(
        self, *, own: bool = False, durable: bool = False, settings: Mapping[str, str] | None = None
    ) -> None:
        """`durable` keeps fsync on, as proofs about crashes need; `settings` are further `-c` settings.

        Either of them means `own`: a server that was given can't be configured.
        """
        super().__init__(own=own or durable or bool(settings))
        self._settings = {"max_connections": "200", **({} if durable else FORGETFUL), **(settings or {})}
        self._programs = Path()
        self._user = unprivileged_user()

    @property
    def outlives_the_run(self) -> bool:
        """Whether somebody has it afterwards who would rather not find our databases on it."""
        return bool(self._given) and ENDS_WITH_RUN not in os.environ

    def url(self, database: str | None = None) -> str:
        """The URL of a database on this server, for SQLAlchemy; by default of the one for administration."""
        if self._given:
            parts = urlsplit(self._given)
            path = f"/{database}" if database else parts.path or "/postgres"
            return urlunsplit(("postgresql+asyncpg", parts.netloc, path, parts.query, ""))
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.process.port}/{database or 'postgres'}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Makes an empty database, or a copy of `template` (which nobody may be connected to); its URL."""
        copied = f" TEMPLATE {_quoted(template)}" if template else ""
        self.query(f"CREATE DATABASE {_quoted(name)}{copied}")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Removes a database and throws out who is connected to it; does nothing when there is none."""
        self.query(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def query(self, statement: str, database: str | None = None) -> list[asyncpg.Record]:
        """Runs one statement on a connection of its own; its rows.

        Blocks, and works beside a running event loop too: it has a loop in a thread of its own.
        """
        address = self.url(database).replace("postgresql+asyncpg://", "postgresql://", 1)

        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(address, timeout=10)
            try:
                return list(await connection.fetch(statement))
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(fetch())).result()

    def crash(self) -> None:
        """Ends it at once, without a checkpoint; the next `start` recovers from the log."""
        self.process.end(signal.SIGQUIT)

    def _prepare(self) -> None:
        folder = self.process.folder
        if self._user:
            shutil.chown(folder, self._user)
        self._programs = programs_for(self._user, find_postgres(), folder)
        options = ("--no-sync", "-A", "trust", "-U", "postgres", "--encoding", "UTF8", "--locale", "C.UTF-8")
        command = [str(self._programs / "initdb"), "-D", str(folder / "data"), *options]
        self.process.run_to_end(command, self._user)

    def _launch(self) -> None:
        self.process.launch(self._command, self._is_ready, self._user)

    def _command(self, port: int) -> Sequence[str]:
        folder = self.process.folder
        settings = {
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(folder),
            **self._settings,
        }
        assigned = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(folder / "data"), *assigned]

    def _is_ready(self, _port: int) -> bool:
        """Whether the server says so in the file where `pg_ctl` looks, and it isn't a dead server's file."""
        try:
            lines = (self.process.folder / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        status_line = 7
        if len(lines) <= status_line or not self.process.is_running:
            return False
        return int(lines[0]) == self.process.pid and lines[status_line].strip() == "ready"


class RedisServer(Server):
    """A Redis of its own on 127.0.0.1 that writes nothing to disk: after `stop` and `start` it is empty."""

    name = "Redis"
    variable = REDIS_VARIABLE

    def __init__(self, *, own: bool = False) -> None:
        super().__init__(own=own)
        self._program = Path()

    def url(self) -> str:
        """The URL of database 0 of 64."""
        return self._given or f"redis://127.0.0.1:{self.process.port}/0"

    def _prepare(self) -> None:
        self._program = find_redis()

    def _launch(self) -> None:
        self.process.launch(self._command, self._is_ready, None)

    def _command(self, port: int) -> Sequence[str]:
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--databases", "64")
        return [str(self._program), "--port", str(port), *options, "--dir", str(self.process.folder)]

    def _is_ready(self, port: int) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG") and self.process.is_running
        except OSError:
            return False


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


@dataclass
class Services:
    """The servers of one test run; without services both are None."""

    postgres: PostgresServer | None = None
    redis: RedisServer | None = None
    _exported: list[str] = field(default_factory=list)

    def export(self, variable: str, value: str) -> None:
        """Lets child processes, the test workers, know; what is set already stays."""
        if not os.environ.get(variable):
            os.environ[variable] = value
            self._exported.append(variable)

    def stop(self) -> None:
        """Ends what was started and takes the variables back that were exported."""
        for server in (self.redis, self.postgres):
            if server is not None:
                server.close()
        while self._exported:
            os.environ.pop(self._exported.pop(), None)


def start_services(*, no_services: bool = False) -> Services:
    """Starts both servers and exports their URLs; for the controller's `pytest_configure`.

    In a worker, which has inherited the URLs, it starts nothing. Raises ServerMissingError when a server
    is neither given nor installed, naming the command that installs it: a missing server is never a skip.
    """
    if no_services:
        return Services()
    if lines := missing_servers():
        raise ServerMissingError("\n".join(lines))
    services = Services(PostgresServer(), RedisServer())
    try:
        if not os.environ.get(POSTGRES_VARIABLE):
            services.export(ENDS_WITH_RUN, "1")
        for server in (services.postgres, services.redis):
            if server is not None:
                services.export(server.variable, server.start())
    except BaseException:
        services.stop()
        raise
    return services
