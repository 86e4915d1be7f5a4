"""What a run needs: a PostgreSQL with a filled database, and programs, each on its processors, ended afterwards."""

import asyncio
import http.client
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncpg

from bench_tool.bare_app import DATABASE, OWNER_PK, POOL_SIZE
from bench_tool.operations import ADMIN_EMAIL, ADMIN_PASSWORD, BARE, OURS, Load, Subject
from bench_tool.plan import Cores, started_on
from bench_tool.population import populate
from dev_tool.processes import ROOT, DevError
from tests.server_process import ServerProcess, server_environment
from tests.services import PostgresServer

COMMAND_SECONDS = 120
T = TypeVar("T")
# As shipped but for these; what is committed is on disk.
SETTINGS = {
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "30min",
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class Ground:
    """What programs are started on: a migrated, seeded and filled database, and their settings."""

    cores: Cores
    postgres: PostgresServer
    variables: Mapping[str, str]
    subject: Subject

    @property
    def driver_url(self) -> str:
        """Of the database, for asyncpg."""
        return driver_url(self.variables["DATABASE_URL"])

    def query(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """The rows of one statement, on a connection of its own."""

        async def fetch(connection: asyncpg.Connection) -> list[asyncpg.Record]:
            return list(await connection.fetch(statement, *values))

        return self.work(fetch)

    def work(self, what: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """What comes of something that is done on a connection of its own."""

        async def connected() -> T:
            connection = await asyncpg.connect(self.driver_url, timeout=10)
            try:
                return await what(connection)
            finally:
                await connection.close()

        return asyncio.run(connected())


@dataclass(frozen=True, slots=True)
class Stage:
    """The running servers. The token is good for each of them that asks for one."""

    programs: Mapping[str, ServerProcess]
    postgres: PostgresServer
    subject: Subject
    token: str


@contextmanager
def prepared(cores: Cores, settings: Mapping[str, str] | None = None) -> Iterator[Ground]:
    """On a PostgreSQL with further settings, ended however this is left.

    Raises DevError, ServerError, ServerMissingError.
    """
    postgres = PostgresServer(own=True, durable=True, settings={**SETTINGS, **(settings or {})})
    with ExitStack() as stack:
        with started_on(cores.others):
            stack.enter_context(postgres)
        variables = settings_for(postgres.create_database("bench"))
        for command in ("init-db", "seed"):
            run_command(command, variables)
        yield Ground(cores, postgres, variables, populate(driver_url(variables["DATABASE_URL"])))


@contextmanager
def running(ground: Ground, workers: int) -> Iterator[Stage]:
    """The program and the bare app. Raises DevError, ServerError."""
    with ExitStack() as stack:
        program = stack.enter_context(served(ground, OURS, lambda port: _serve(port, workers)))
        bare = ServerProcess(BARE)
        stack.callback(_end, bare)
        subject = ground.subject
        variables = {DATABASE: ground.driver_url, OWNER_PK: str(subject.user_pk)}
        with started_on(ground.cores.programs):
            _launch(bare, variables, lambda port: _serve_bare(port, workers), f"/users/{subject.user_id}")
        yield Stage({BARE: bare, OURS: program}, ground.postgres, subject, log_in(program.port))


@contextmanager
def served(
    ground: Ground, name: str, module: Callable[[int], Sequence[str]] | None = None
) -> Iterator[ServerProcess]:
    """The program, or a variant of it that another module of Python serves. Raises ServerError."""
    with started(name, ground.variables, ground.cores, module) as process:
        yield process


@contextmanager
def started(
    name: str,
    variables: Mapping[str, str],
    cores: Cores,
    module: Callable[[int], Sequence[str]] | None = None,
) -> Iterator[ServerProcess]:
    """The same with these settings, on whatever database and of whatever project they name."""
    process = ServerProcess(name)
    try:
        given = {**variables, "LOG_DIR": str(process.folder / "logs")}
        with started_on(cores.programs):
            _launch(process, given, module or (lambda port: _serve(port, 1)), "/health/ready")
        yield process
    finally:
        _end(process)


def driver_url(url: str) -> str:
    """What asyncpg takes for what SQLAlchemy takes."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


def version_of(postgres: PostgresServer) -> str:
    """As PostgreSQL tells it, without the distribution's addition."""
    return str(postgres.query("SHOW server_version")[0][0]).split()[0]


def settings_for(url: str, root: Path = ROOT) -> dict[str, str]:
    """Production, so that what is measured is what people run. `.env` has no say in what is named here."""
    return {
        "PYTHONPATH": str(root),
        "LC_ALL": "C.UTF-8",
        "ENVIRONMENT": "production",
        "DATABASE_URL": url,
        "DATABASE_POOL_SIZE": str(POOL_SIZE),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ADMIN_EMAIL": ADMIN_EMAIL,
        "ADMIN_PASSWORD": ADMIN_PASSWORD,
        "ALLOWED_HOSTS": "127.0.0.1",
        "ACCESS_TOKEN_MINUTES": "1440",
        "METRICS_ENABLED": "false",
        "LOG_LEVEL": "INFO",
    }


def run_command(name: str, variables: Mapping[str, str], root: Path = ROOT) -> None:
    """One command of the program in this folder. Raises DevError."""
    done = subprocess.run(
        [sys.executable, "-m", "app", name],
        cwd=root,
        env={**server_environment(), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    if done.returncode != 0:
        raise DevError(f"`python -m app {name}` ended with {done.returncode}: {done.stderr.strip()[-500:]}")


def _serve(port: int, workers: int) -> list[str]:
    return ["app", "serve", "--port", str(port), "--workers", str(workers)]


def _serve_bare(port: int, workers: int) -> list[str]:
    return [
        "uvicorn", "bench_tool.bare_app:app", "--app-dir", str(ROOT / "scripts"), "--port", str(port),
        "--workers", str(workers), "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip


def _launch(
    process: ServerProcess,
    variables: Mapping[str, str],
    module: Callable[[int], Sequence[str]],
    ready: str,
) -> None:
    """Starts a module of Python as a server; `env` hands it the variables and turns into it."""
    assignments = [f"{name}={value}" for name, value in variables.items()]

    def command(port: int) -> list[str]:
        return ["env", *assignments, sys.executable, "-m", *module(port)]

    process.launch(command, lambda port: _is_ready(port, ready), None)


def _is_ready(port: int, path: str) -> bool:
    try:
        status, _ = ask(port, Load("GET", (path,), {}))
    except (OSError, http.client.HTTPException):
        return False
    return status == http.HTTPStatus.OK


def _end(process: ServerProcess) -> None:
    process.end(signal.SIGTERM)
    process.close()


def ask(port: int, load: Load) -> tuple[int, bytes]:
    """Status and body of the load's first request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(load.method, load.paths[0], load.body, load.headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def log_in(port: int, email: str = ADMIN_EMAIL, password: str = ADMIN_PASSWORD) -> str:
    """An access token. Raises DevError."""
    body = json.dumps({"email": email, "password": password})
    load = Load("POST", ("/api/v1/auth/login",), {"Content-Type": "application/json"}, body)
    status, answer = ask(port, load)
    if status != http.HTTPStatus.OK:
        raise DevError(f"logging in was answered with {status}: {answer[:300].decode(errors='replace')}")
    return str(json.loads(answer)["access_token"])
