"""The access log of a real server under load: killed, and stopped as it should be."""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.backend import Backend
from tests.conftest import FULL, SECRET
from tests.program import Program, Served, copy_project

CLIENTS = 8
LOAD_SECONDS = 5.0 if FULL else 2.0
WINDOW_ROWS = 1000  # far more than a quarter of a second of this load


class Load:
    """Clients that ask one request after the other until the server is gone; notes whose answers came whole."""

    def __init__(self, served: Served, method: str) -> None:
        self.answered: list[str] = []
        self._served, self._method = served, method
        self._tasks = [asyncio.create_task(self._ask(number)) for number in range(CLIENTS)]

    async def _ask(self, client: int) -> None:
        async with httpx2.AsyncClient(base_url=self._served.url, timeout=10) as http:
            for number in range(1_000_000):
                request_id = f"load-{client}-{number}"
                try:
                    answer = await http.request(
                        self._method, "/api/v1/auth/logout", headers={"X-Request-ID": request_id}
                    )
                except httpx2.TransportError:
                    return
                assert answer.status_code in {401, 405}
                self.answered.append(request_id)

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)


async def stored(url: str, statement: str) -> Sequence[Any]:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        found = (await connection.execute(text(statement))).all()
    await engine.dispose()
    return found


async def hit(
    backend: Backend, tmp_path: Path, method: str, number: signal.Signals, **settings: str
) -> tuple[list[str], list[Any]]:
    """Ends a server in the middle of its work. What was answered, and the rows of its run in their order."""
    url = backend.new_database()
    given = {"ENVIRONMENT": "test", "DATABASE_URL": url, "SECRET_KEY": SECRET, **settings}
    program = Program(copy_project(tmp_path / "program"), given)
    with program.serving() as served:
        load = Load(served, method)
        await asyncio.sleep(LOAD_SECONDS)
        os.killpg(served.process.pid, number)
        await load.end()
        await asyncio.to_thread(served.process.wait, 20)
    rows = await stored(url, "SELECT seq, path, request_id, boot_id FROM audit_access ORDER BY id")
    assert len({row.boot_id for row in rows}) == 1
    assert len(load.answered) > CLIENTS
    return load.answered, list(rows)


async def test_killed_server_loses_no_more_than_the_window(backend: Backend, tmp_path: Path) -> None:
    """What is there is whole, and ends without the row that every stop leaves: so the loss is visible."""
    answered, rows = await hit(backend, tmp_path, "GET", signal.SIGKILL)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert rows[0].path == "audit.start"
    assert rows[-1].path != "audit.stop"
    missing = set(answered) - {row.request_id for row in rows}
    assert len(missing) <= WINDOW_ROWS
    assert missing < set(answered)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_killed_durable_server_loses_nothing(backend: Backend, tmp_path: Path, method: str) -> None:
    """Each answer that a client has seen has its row, where the setting covers it."""
    answered, rows = await hit(backend, tmp_path, method, signal.SIGKILL, AUDIT_ACCESS_DURABILITY="durable")
    assert not set(answered) - {row.request_id for row in rows}
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))


async def test_stopped_server_writes_everything(backend: Backend, tmp_path: Path) -> None:
    answered, rows = await hit(backend, tmp_path, "GET", signal.SIGTERM)
    assert not set(answered) - {row.request_id for row in rows}
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-1].path == "audit.stop"
