"""The served program over time: logs of several workers, a database that is late, missing, or replaced."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import FULL, NO_SERVICES, SECRET, settings_for
from tests.program import Program, copy_project
from tests.services import PostgresServer

REQUESTS = 4000 if FULL else 80
DEAD = "postgresql+asyncpg://nobody:hunter2@127.0.0.1:9/none"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    root = copy_project(tmp_path_factory.mktemp("served") / "tessera")
    return Program(root, {"ENVIRONMENT": "test", "SECRET_KEY": SECRET})


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Every line, parsed. Asserts that each one is whole."""
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    return lines


async def load(url: str, requests: int) -> set[int]:
    """Failed logins, many at once; the statuses that came."""
    limits = httpx2.Limits(max_connections=32)
    async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=60) as client:

        async def one(number: int) -> int:
            headers = {"X-Request-ID": f"load-{number}", "User-Agent": "agent" * 40}
            body = {"email": f"nobody-{number}@example.com", "password": "x" * 200}
            answer = await client.post("/api/v1/auth/login", json=body, headers=headers)
            return int(answer.status_code)

        return set(await asyncio.gather(*(one(number) for number in range(requests))))


def test_two_workers_write_whole_lines(program: Program, tmp_path: Path) -> None:
    program = program.but(DATABASE_URL="sqlite+aiosqlite:///./data/logged.db", LOG_DIR=str(tmp_path / "logs"))
    program = program.but(LOGIN_MAX_FAILURES_PER_ADDRESS=str(REQUESTS + 1))
    program.must("init-db")
    serve = ("-m", "app", "serve", "--workers", "2", "--port", "{port}")
    with program.serving(*serve, path="/health/ready") as served:
        assert asyncio.run(load(served.url, REQUESTS)) == {401}
    activity = lines_of(tmp_path / "logs" / "activity.log")
    failed = [line for line in activity if line["event"] == "auth.login_failed"]
    assert {line["request_id"] for line in failed} == {f"load-{n}" for n in range(REQUESTS)}
    assert len(failed) == REQUESTS
    server = lines_of(tmp_path / "logs" / "server.log")
    assert [line["event"] for line in server].count("start") == 2
    assert [line["event"] for line in server].count("stop") == 2
    for path in (tmp_path / "logs").iterdir():
        assert path.stat().st_mode & 0o007 == 0, "logs are not for everybody"
        assert "x" * 200 not in path.read_text()


def test_fallback_serves_and_says_so(program: Program) -> None:
    program = program.but(ENVIRONMENT="development", DATABASE_URL=DEAD, DATABASE_FALLBACK="sqlite")
    with program.serving(path="/health/ready") as served:
        assert served.get("/api/v1/system/ping").headers["x-database-fallback"] == "sqlite"
        health = served.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert health.json()["checks"]["database"] == "degraded"
        tokens = httpx2.post(
            f"{served.url}/api/v1/auth/login",
            json={"email": "admin@example.com", "password": "ChangeMe123!"},
            timeout=20,
        )
        assert tokens.status_code == 200
        assert "hunter2" not in served.output
    assert (program.root / "data" / "fallback.db").exists()


def test_without_fallback_no_header_and_no_readiness(program: Program) -> None:
    program = program.but(ENVIRONMENT="development", DATABASE_URL=DEAD)
    with program.serving() as served:
        assert served.get("/health/ready").status_code == 503
        assert served.get("/health").json()["status"] == "unavailable"
        assert "x-database-fallback" not in served.get("/api/v1/system/ping").headers
        assert "hunter2" not in served.output


def test_fallback_is_for_development_only() -> None:
    for environment in ("production", "anything"):
        settings = settings_for(DEAD, "", environment=environment, database_fallback="sqlite")
        assert any(line.startswith("DATABASE_FALLBACK") for line in settings.violations())


def test_schema_that_comes_late_makes_the_server_ready(program: Program) -> None:
    program = program.but(DATABASE_URL="sqlite+aiosqlite:///./data/late.db")
    with program.serving() as served:
        assert served.get("/health/ready").status_code == 503
        program.must("init-db")
        served.wait_for("/health/ready", 200)


@pytest.mark.skipif(NO_SERVICES, reason="asks for a PostgreSQL of its own")
def test_postgres_that_comes_late_makes_the_server_ready(program: Program) -> None:
    with PostgresServer(own=True) as postgres:
        program = program.but(DATABASE_URL=postgres.create_database("tessera_test_late"))
        program.must("init-db")
        postgres.stop()
        with program.serving() as served:
            assert served.get("/health/ready").status_code == 503
            postgres.start()
            served.wait_for("/health/ready", 200)
            assert served.get("/health").json()["status"] == "ok"
