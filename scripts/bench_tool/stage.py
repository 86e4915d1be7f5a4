"""What a run needs: a PostgreSQL, the program and the bare app, each on its processors, ended afterwards."""

import http.client
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench_tool.bare_app import DATABASE, OWNER_PK, POOL_SIZE
from bench_tool.operations import ADMIN_EMAIL, ADMIN_PASSWORD, BARE, OURS, Load, Subject
from bench_tool.plan import Cores, started_on
from bench_tool.population import populate
from dev_tool.processes import ROOT, DevError
from tests.server_process import ServerProcess, server_environment
from tests.services import PostgresServer

COMMAND_SECONDS = 120
# As shipped but for these; what is committed is on disk.
SETTINGS = {
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "30min",
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """The running servers."""

    programs: Mapping[str, ServerProcess]
    postgres: PostgresServer
    subject: Subject
    token: str

    @property
    def postgres_version(self) -> str:
        """As PostgreSQL tells it, without the distribution's addition."""
        return str(self.postgres.query("SHOW server_version")[0][0]).split()[0]


@contextmanager
def running(cores: Cores, workers: int) -> Iterator[Stage]:
    """Starts everything, and ends it however this is left. Raises DevError, ServerError, ServerMissingError."""
    with ExitStack() as stack:
        postgres = PostgresServer(own=True, durable=True, settings=SETTINGS)
        with started_on(cores.others):
            stack.enter_context(postgres)
        url = postgres.create_database("bench")
        program = ServerProcess(OURS)
        stack.callback(_end, program)
        variables = _settings(url, program.folder)
        for command in ("init-db", "seed"):
            _run_command(command, variables)
        driver_url = url.replace("postgresql+asyncpg://", "postgresql://", 1)
        subject = populate(driver_url)
        bare = ServerProcess(BARE)
        stack.callback(_end, bare)
        bare_variables = {DATABASE: driver_url, OWNER_PK: str(subject.user_pk)}
        with started_on(cores.programs):
            _launch(program, variables, lambda port: _serve(port, workers), "/health/ready")
            _launch(
                bare, bare_variables, lambda port: _serve_bare(port, workers), f"/users/{subject.user_id}"
            )
        yield Stage({BARE: bare, OURS: program}, postgres, subject, _log_in(program.port))


def _settings(url: str, folder: Path) -> dict[str, str]:
    """Production, so that what is measured is what people run. `.env` has no say in what is named here."""
    return {
        "PYTHONPATH": str(ROOT),
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
        "LOG_DIR": str(folder / "logs"),
    }


def _run_command(name: str, variables: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", name],
        cwd=ROOT,
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


def _log_in(port: int) -> str:
    body = json.dumps({"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD})
    load = Load("POST", ("/api/v1/auth/login",), {"Content-Type": "application/json"}, body)
    status, answer = ask(port, load)
    if status != http.HTTPStatus.OK:
        raise DevError(f"logging in was answered with {status}: {answer[:300].decode(errors='replace')}")
    return str(json.loads(answer)["access_token"])
