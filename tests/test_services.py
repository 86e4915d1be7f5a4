"""The launcher of the real servers: they start, keep their address, crash, hang, and never outlive us."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from tests import server_binaries, server_process, services
from tests.server_process import ServerError, ServerProcess
from tests.services import PostgresServer, RedisServer, start_services

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer(own=True) as server:
        yield server


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer(own=True) as server:
        yield server


@contextlib.contextmanager
def client_of(server: RedisServer) -> Iterator[Redis]:
    """A client that neither waits nor tries again."""
    client = Redis.from_url(
        server.url(), socket_timeout=0.3, socket_connect_timeout=0.3, retry=Retry(NoBackoff(), 0)
    )
    with contextlib.closing(client):
        yield client


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def exists(process: int) -> bool:
    """Whether the process is there and has not ended (one that nobody has waited for counts as ended)."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_postgres_started_answers_with_its_settings(postgres: PostgresServer) -> None:
    rows = postgres.query("SELECT current_setting('fsync'), current_setting('max_connections'), current_user")
    assert tuple(rows[0]) == ("off", "200", "postgres")
    assert postgres.url() == f"postgresql+asyncpg://postgres@127.0.0.1:{postgres.process.port}/postgres"


def test_postgres_listens_on_loopback_only(postgres: PostgresServer) -> None:
    assert postgres.query("SHOW listen_addresses")[0][0] == "127.0.0.1"
    assert postgres.query("SHOW unix_socket_directories")[0][0] == str(postgres.process.folder)


def test_postgres_started_twice_is_the_same_server(postgres: PostgresServer) -> None:
    before = postgres.process.pid
    postgres.start()
    assert postgres.process.pid == before


def test_database_from_template_has_its_rows(postgres: PostgresServer) -> None:
    postgres.create_database("template_test")
    postgres.query("CREATE TABLE t AS SELECT generate_series(1, 3) AS n", "template_test")
    url = postgres.create_database('copy"_test', template="template_test")
    assert url.endswith('/copy"_test')
    postgres.query("DELETE FROM t WHERE n = 1", 'copy"_test')
    assert postgres.query("SELECT count(*) FROM t", 'copy"_test')[0][0] == 2
    assert postgres.query("SELECT count(*) FROM t", "template_test")[0][0] == 3
    postgres.drop_database('copy"_test')
    postgres.drop_database('copy"_test')  # once more does no harm
    names = [row["datname"] for row in postgres.query("SELECT datname FROM pg_database")]
    assert "template_test" in names
    assert 'copy"_test' not in names


async def test_query_beside_a_running_loop_works(postgres: PostgresServer) -> None:
    assert postgres.query("SELECT 1 + 1")[0][0] == 2


def test_postgres_stopped_started_and_restarted_keeps_rows_and_address(postgres: PostgresServer) -> None:
    postgres.query("CREATE TABLE kept AS SELECT 1 AS n")
    url = postgres.url()
    postgres.stop()
    assert not postgres.process.is_running
    with pytest.raises(OSError, match="Connect call failed"):
        postgres.query("SELECT 1")
    assert postgres.start() == url
    before = postgres.process.pid
    postgres.restart()
    assert postgres.process.pid != before
    assert postgres.query("SELECT n FROM kept")[0][0] == 1


def test_durable_postgres_keeps_what_was_committed_before_a_crash() -> None:
    with PostgresServer(durable=True, settings={"work_mem": "7MB"}) as server:
        assert server.query("SHOW fsync")[0][0] == "on"
        assert server.query("SHOW work_mem")[0][0] == "7MB"
        server.query("CREATE TABLE kept AS SELECT 1 AS n")
        server.crash()
        assert "immediate shutdown" in (server.process.folder / "server.log").read_text()
        server.start()
        assert server.query("SELECT n FROM kept")[0][0] == 1
        assert "automatic recovery in progress" in (server.process.folder / "server.log").read_text()


async def test_paused_postgres_hangs_and_resumed_goes_on(postgres: PostgresServer) -> None:
    address = postgres.url().replace("+asyncpg", "")
    connection = await asyncpg.connect(address)
    postgres.pause()
    try:
        with pytest.raises(TimeoutError):
            await connection.fetchval("SELECT 1", timeout=0.3)
        with pytest.raises(TimeoutError):
            await asyncpg.connect(address, timeout=0.3)
    finally:
        postgres.resume()
    await connection.close()
    assert postgres.query("SELECT 1")[0][0] == 1


def test_paused_postgres_is_closed_all_the_same() -> None:
    server = PostgresServer(own=True)
    server.start()
    folder = server.process.folder
    server.pause()
    server.close()
    assert not folder.exists()


def test_bad_setting_is_told_from_the_log_and_leaves_nothing() -> None:
    server = PostgresServer(settings={"no_such_setting": "1"})
    with pytest.raises(ServerError, match="unrecognized configuration parameter"):
        server.start()
    with pytest.raises(ServerError, match="PostgreSQL was not started"):
        server.process.is_running  # noqa: B018 - the property raises


def test_taken_port_is_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as occupied, RedisServer(own=True) as other:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        ports = iter([occupied.getsockname()[1], other.process.port, server_process.free_port()])
        monkeypatch.setattr(server_process, "free_port", lambda: next(ports))
        with PostgresServer(own=True) as server:
            assert server.query("SELECT 1")[0][0] == 1
        assert next(ports, None) is None


def test_redis_answers_and_is_empty_after_a_stop(redis_server: RedisServer) -> None:
    with client_of(redis_server) as client:
        assert client.set("key", "value")
        assert client.config_get("save") == {"save": ""}
        url = redis_server.url()
        redis_server.stop()
        with pytest.raises(RedisConnectionError):
            client.get("key")
        assert redis_server.start() == url
        assert client.get("key") is None


def test_paused_redis_hangs_and_resumed_goes_on(redis_server: RedisServer) -> None:
    with client_of(redis_server) as client:
        assert client.set("key", "value")
        redis_server.pause()
        with pytest.raises(RedisTimeoutError):
            client.get("key")
        redis_server.resume()
        assert client.get("key") == b"value"


def test_programs_of_the_wheel_serve_too(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = server_binaries.wheel_postgres()
    assert wheel is not None, "requirements-dev.txt brings it"
    monkeypatch.setattr(services, "find_postgres", lambda: wheel)
    with PostgresServer(own=True) as server:
        assert server.query("SHOW server_version")[0][0].startswith("18.")


def test_killed_starter_takes_servers_and_folders_along() -> None:
    """Also a paused PostgreSQL with a connection, whose processes can't end by themselves."""
    program = """
import asyncio, asyncpg
from tests.server_watchdog import child_processes
from tests.services import PostgresServer, RedisServer
postgres, redis = PostgresServer(own=True), RedisServer(own=True)
postgres.start(), redis.start()
children = child_processes(postgres.process.pid)
postgres.pause()
print(postgres.process.pid, redis.process.pid, *children, flush=True)
print(postgres.process.folder, redis.process.folder, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        processes = [int(word) for word in starter.stdout.readline().split()]
        folders = [Path(word) for word in starter.stdout.readline().split()]
        assert len(processes) > 4
        assert all(exists(process) for process in processes)
        assert all(folder.is_dir() for folder in folders)
        starter.kill()
    wait_until(lambda: not any(exists(process) for process in processes))
    wait_until(lambda: not any(folder.exists() for folder in folders))


def test_given_servers_are_used_and_left_alone(
    postgres: PostgresServer, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = postgres.url().replace("postgresql+asyncpg", "postgres")
    monkeypatch.setenv("TEST_POSTGRES_URL", given)
    monkeypatch.setenv("TEST_REDIS_URL", redis_server.url())
    monkeypatch.delenv("TEST_POSTGRES_ENDS_WITH_RUN", raising=False)
    with PostgresServer() as borrowed, RedisServer() as borrowed_redis:
        assert borrowed.url() == postgres.url()
        assert borrowed.url("other") == postgres.url("other")
        assert borrowed_redis.url() == redis_server.url()
        for touch in (borrowed.crash, borrowed.pause, borrowed.restart, borrowed_redis.pause):
            with pytest.raises(ServerError, match=r"given by TEST_\w+_URL, so its process is not ours"):
                touch()
        assert borrowed.outlives_the_run
        assert not postgres.outlives_the_run
    assert postgres.process.is_running
    assert redis_server.process.is_running


def test_special_wishes_never_borrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_POSTGRES_URL", "postgresql://127.0.0.1:1/given")
    for special in (
        PostgresServer(own=True),
        PostgresServer(durable=True),
        PostgresServer(settings={"a": "b"}),
    ):
        with pytest.raises(ServerError, match="not started"):
            special.process.is_running  # noqa: B018 - the property raises


def test_start_services_exports_for_workers_and_takes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_POSTGRES_URL", raising=False)
    monkeypatch.delenv("TEST_REDIS_URL", raising=False)
    monkeypatch.delenv("TEST_POSTGRES_ENDS_WITH_RUN", raising=False)
    controller = start_services()
    assert controller.postgres is not None
    assert controller.redis is not None
    assert os.environ["TEST_POSTGRES_URL"] == controller.postgres.url()
    worker = start_services()
    assert worker.postgres is not None
    assert worker.postgres.url() == controller.postgres.url()
    assert not worker.postgres.outlives_the_run
    worker.stop()
    assert controller.postgres.process.is_running
    assert os.environ["TEST_REDIS_URL"] == controller.redis.url()
    controller.stop()
    assert "TEST_POSTGRES_URL" not in os.environ
    assert "TEST_REDIS_URL" not in os.environ
    assert "TEST_POSTGRES_ENDS_WITH_RUN" not in os.environ


def test_no_services_starts_nothing() -> None:
    without = start_services(no_services=True)
    assert (without.postgres, without.redis) == (None, None)
    without.stop()


def test_failing_preparation_tells_the_end_of_the_log() -> None:
    process = ServerProcess("Probe")
    try:
        with pytest.raises(ServerError, match=r"ended with 3\. The end of its log:\nno space"):
            process.run_to_end([sys.executable, "-c", "print('no space'); raise SystemExit(3)"], None)
        with pytest.raises(ServerError, match="Probe is not running"):
            process.pause()
        process.end(signal.SIGTERM)  # nothing to end
    finally:
        process.close()
    assert not process.folder.exists()
