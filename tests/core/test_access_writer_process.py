"""Both logs of a real server under load: killed, and stopped as it should be."""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.core.audit.models import AuditChange
from app.core.audit.writer import FLUSH_ROWS
from app.core.entity import table_of
from app.modules.roles.models import Role
from tests.api import ADMIN
from tests.backend import Backend, run_app
from tests.conftest import FULL, SECRET, settings_for
from tests.core.access_logs import stored
from tests.program import Program, Served, copy_project

CLIENTS = 8
ANSWERS = 3000 if FULL else 300
# What waits, and as much again that came while a batch was being written. At this load a quarter of a second is less.
WINDOW_ROWS = 2 * FLUSH_ROWS
PLAIN = "GET /api/v1/system/ping"
CALLS = {
    "POST /api/v1/roles": 201,
    PLAIN: 200,
    "GET /api/v1/auth/me": 200,
    "GET /api/v1/nothing": 404,
    "PUT /api/v1/users": 405,
}


@dataclass
class Load:
    """Clients that ask one request after the other until the server is gone; notes whose answers came whole.

    One of them sends the server the signal that ends it, while the others go on.
    """

    served: Served
    signal: signal.Signals
    answered: dict[str, str] = field(default_factory=dict)  # request id -> call

    async def run(self) -> None:
        """As the superuser. Ends with the server."""
        async with httpx2.AsyncClient(base_url=self.served.url, timeout=10) as http:
            login = await http.post(
                "/api/v1/auth/login", json=dict(zip(("email", "password"), ADMIN, strict=True))
            )
            http.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
            await asyncio.gather(*(self._ask(http, number) for number in range(CLIENTS)))

    async def _ask(self, http: httpx2.AsyncClient, client: int) -> None:
        for number in range(1_000_000):
            call = list(CALLS)[(client + number) % len(CALLS)]
            method, path = call.split()
            request_id = f"load-{client}-{number}"
            body = {"name": request_id} if method == "POST" else None
            try:
                answer = await http.request(method, path, headers={"X-Request-ID": request_id}, json=body)
            except httpx2.TransportError:
                return
            assert answer.status_code == CALLS[call], answer.text
            self.answered[request_id] = call
            if len(self.answered) == ANSWERS:
                os.killpg(self.served.process.pid, self.signal)

    def of(self, *calls: str) -> set[str]:
        """The ids of what was answered to these."""
        return {request_id for request_id, call in self.answered.items() if call in calls}


@dataclass
class Left:
    """What a run has left: who was answered, its rows of the access log in their order, roles, and their inserts."""

    load: Load
    rows: Sequence[Any]
    roles: set[str]
    inserts: list[tuple[str | None, str]]

    @property
    def missing(self) -> set[str]:
        """Answered requests without a row."""
        return set(self.load.answered) - {row.request_id for row in self.rows}

    def check_changes(self) -> None:
        """Every write that was answered is there, every row of a table has its change row, and the other way round."""
        written = self.load.of("POST /api/v1/roles")
        assert len(written) > CLIENTS
        assert written <= self.roles
        assert {name for _, name in self.inserts} == self.roles
        assert all(request_id == name for request_id, name in self.inserts)
        assert len(self.inserts) == len(self.roles) <= len(written) + CLIENTS

    def check_numbers(self) -> None:
        """They run from 1 without a hole: whatever is lost is lost at the end."""
        assert [row.seq for row in self.rows] == list(range(1, len(self.rows) + 1))
        assert self.rows[0].path == "audit.start"


async def roles_and_inserts(url: str) -> tuple[set[str], list[tuple[str | None, str]]]:
    """Names of the load's roles; request ids and names of the inserts. Both of one moment."""
    role, change = table_of(Role), table_of(AuditChange)
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="SERIALIZABLE")
    async with engine.begin() as connection:
        names = await connection.execute(select(role.c.name).where(role.c.name.like("load-%")))
        inserts = await connection.execute(
            select(change.c.request_id, change.c.new).where(
                change.c.entity == "roles", change.c.action == "INSERT"
            )
        )
        found = set(names.scalars()), [(request_id, new["name"]) for request_id, new in inserts]
    await engine.dispose()
    return found[0], [one for one in found[1] if one[1].startswith("load-")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("killed") / "program")


async def hit(backend: Backend, project: Path, number: signal.Signals, **settings: str) -> Left:
    """Ends a server in the middle of its work. Asserts that it was one run that did it."""
    url = backend.new_database()
    async with run_app(settings_for(url, "")):
        pass  # seeded
    given = {"ENVIRONMENT": "test", "DATABASE_URL": url, "SECRET_KEY": SECRET, **settings}
    with Program(project, given).serving(path="/health/ready") as served:
        load = Load(served, number)
        await load.run()
        await asyncio.to_thread(served.process.wait, 20)
    every = await stored(url, "SELECT seq, path, request_id, boot_id FROM audit_access ORDER BY id")
    (boot_id,) = {row.boot_id for row in every if row.request_id.startswith("load-")}
    return Left(load, [row for row in every if row.boot_id == boot_id], *await roles_and_inserts(url))


async def test_killed_server_loses_no_change_and_no_more_requests_than_the_window(
    backend: Backend, project: Path
) -> None:
    """What is there is whole, and ends without the row that every stop leaves: so the loss is visible."""
    left = await hit(backend, project, signal.SIGKILL)
    left.check_changes()
    left.check_numbers()
    assert left.rows[-1].path != "audit.stop"
    assert len(left.missing) <= WINDOW_ROWS
    assert left.missing < set(left.load.answered)


async def test_killed_durable_server_loses_nothing_but_plain_reads(backend: Backend, project: Path) -> None:
    """Each answer that a client has seen has its row, where the setting covers it."""
    left = await hit(backend, project, signal.SIGKILL, AUDIT_ACCESS_DURABILITY="durable")
    left.check_changes()
    left.check_numbers()
    assert left.rows[-1].path != "audit.stop"
    assert left.missing <= left.load.of(PLAIN)
    assert len(left.load.of(*CALLS.keys() - {PLAIN})) > CLIENTS


async def test_stopped_server_writes_everything(backend: Backend, project: Path) -> None:
    left = await hit(backend, project, signal.SIGTERM)
    left.check_changes()
    left.check_numbers()
    assert left.missing == set()
    assert left.rows[-1].path == "audit.stop"
