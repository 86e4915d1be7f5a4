"""Logging in costs memory and processor time on purpose: both stay bounded, and nobody else waits for it."""

import asyncio
import math
import re
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.auth import passwords
from app.auth.passwords import PasswordHasher
from tests.api import PASSWORD, Api, assert_problem
from tests.backend import Backend, run_app
from tests.conftest import BACKENDS, FULL, SECRET, settings_for
from tests.modules.auth.strangers import WRONG, new_address
from tests.modules.auth.support import write
from tests.modules.auth.test_timing import REAL
from tests.program import Program, Served, copy_project

NEW = "another horse another battery"
LOGINS = 60
PROBES = 200
P99_SECONDS = 0.25
CHANCES = 4
MIB = 1024  # in KiB, as the kernel tells
MEMORY_OF_HASH = 19 * MIB
SMALL = 50 * MIB


def peak_kib(pid: int | str) -> int:
    """The most memory that a process ever held."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


class Rig:
    """A real server process with real hashes, and users who may log in."""

    def __init__(self, served: Served, database_url: str, emails: list[str]) -> None:
        self.served = served
        self.database_url = database_url
        self.emails = emails

    @property
    def peak_kib(self) -> int:
        return peak_kib(self.served.process.pid)

    async def at_once(
        self, path: str, bodies: Iterable[dict[str, str]], *, address: Callable[[], str]
    ) -> Counter[int]:
        """Posts all at the same time. Asserts that what is too much is refused in good form."""
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=self.served.url, limits=limits, timeout=60) as client:

            async def post(body: dict[str, str]) -> int:
                headers = {"X-Forwarded-For": address()}
                answer = await client.post(f"/api/v1/auth/{path}", json=body, headers=headers)
                if answer.status_code in {429, 503}:
                    assert_problem(answer, answer.status_code)
                    assert int(answer.headers["retry-after"]) >= 1
                return answer.status_code

            return Counter(await asyncio.gather(*(post(body) for body in bodies)))

    async def login(
        self, emails: Iterable[str], password: str = PASSWORD, address: Callable[[], str] = new_address
    ) -> Counter[int]:
        bodies = [{"email": email, "password": password} for email in emails]
        return await self.at_once("login", bodies, address=address)

    async def tallies(self) -> int:
        """How many counts there are, of whatever."""
        engine = create_async_engine(self.database_url, poolclass=NullPool)
        async with engine.connect() as connection:
            found = (await connection.execute(text("SELECT count(*) FROM throttle_tallies"))).scalar_one()
        await engine.dispose()
        return int(found)


# What a load of hashes takes is not the database's, and seconds of all processors.
in_earnest = pytest.mark.parametrize("backend", BACKENDS if FULL else BACKENDS[-1:], indirect=True)


@pytest.fixture(scope="module")
async def rig(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    root, url = copy_project(tmp_path_factory.mktemp("loaded") / "tessera"), backend.new_database()
    settings = {"ENVIRONMENT": "test", "SECRET_KEY": SECRET, "DATABASE_URL": url, "LOG_LEVEL": "WARNING"}
    program = Program(root, {**settings, "TRUSTED_PROXIES": "127.0.0.1"})
    emails = [f"user-{number}@example.com" for number in range(LOGINS)]
    await add_users(url, emails)
    with program.serving(path="/health/ready") as served:
        yield Rig(served, url, emails)


async def add_users(url: str, emails: Iterable[str]) -> None:
    """With one hash in earnest for all of them: to make it costs as much as to verify it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in REAL.items():
            patch.setattr(passwords, name, value)
        hasher = PasswordHasher()
        real = await hasher.hash(PASSWORD)
        hasher.close()
    async with run_app(settings_for(url, "")) as app:
        for email in emails:
            await Api(app).user(email=email)
        await write(app, "UPDATE users SET password_hash = :real WHERE email LIKE 'user-%'", real=real)


class Prober:
    """Asks for `/health/live` again and again, in a thread that shares no loop with those who log in."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = threading.Event()
        self.seconds: list[float] = []

    def _ask(self) -> None:
        with httpx2.Client(base_url=self._url, timeout=30) as client:
            while not self._ended.is_set():
                begin = time.perf_counter()
                assert client.get("/health/live").status_code == 200
                self.seconds.append(time.perf_counter() - begin)

    async def during(self, load: Callable[[], Awaitable[object]]) -> float:
        """The 99th percentile of the answers while `load` runs, as often as it takes to ask often enough."""
        thread = asyncio.create_task(asyncio.to_thread(self._ask))
        try:
            while len(self.seconds) < PROBES and not thread.done():
                await load()
        finally:
            self._ended.set()
            await thread
        assert len(self.seconds) >= PROBES
        return sorted(self.seconds)[math.ceil(len(self.seconds) * 0.99) - 1]


async def assert_nobody_waits_for(rig: Rig, load: Callable[[], Awaitable[object]]) -> None:
    """In earnest, so that a busy machine gets more chances than one."""
    measured = [await Prober(rig.served.url).during(load)]
    while measured[-1] >= P99_SECONDS and len(measured) < CHANCES:
        measured.append(await Prober(rig.served.url).during(load))
    assert min(measured) < P99_SECONDS, measured


@in_earnest
async def test_others_are_answered_while_sixty_log_in(rig: Rig) -> None:
    async def load() -> None:
        found = await rig.login(rig.emails)
        assert found.keys() <= {200, 429, 503}
        assert found[200] > 0

    await assert_nobody_waits_for(rig, load)


@in_earnest
async def test_others_are_answered_while_fifty_send_a_megabyte(rig: Rig) -> None:
    async def load() -> None:
        assert await rig.login(rig.emails[:50], "x" * 1_000_000) == {422: 50}

    await assert_nobody_waits_for(rig, load)


@in_earnest
async def test_sixty_of_one_address_come_in_too(rig: Rig) -> None:
    address = new_address()
    found = await rig.login(rig.emails, address=lambda: address)
    assert found.keys() <= {200, 503}
    assert found[200] > 0


@in_earnest
async def test_one_account_sixty_times_counts_no_failure(rig: Rig) -> None:
    before = await rig.tallies()
    found = await rig.login([rig.emails[0]] * LOGINS)
    assert found.keys() <= {200, 503}
    assert found[200] > 0
    assert await rig.tallies() == before


@in_earnest
async def test_what_is_too_much_is_refused_and_memory_stays_bounded(rig: Rig) -> None:
    """More at once than may wait: the rest is told to come again, and the process stays small."""
    unknown = [f"nobody-{number}@example.com" for number in range(4 * LOGINS)]
    before = rig.peak_kib  # what the megabytes of other tests took is not this one's
    found = await rig.login(unknown, WRONG)
    assert found.keys() <= {401, 429, 503}
    assert found[503] > 0, "nothing was too much: this proves nothing"
    assert (await rig.login(rig.emails[:4])) == {200: 4}
    assert rig.peak_kib - before < (passwords._WORKERS + 1) * MEMORY_OF_HASH + SMALL


# Work that nobody may cause


async def test_megabyte_of_password_is_refused_before_anything_is_hashed(
    api: Api, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, email, hashed = await api.user(), f"{unique}@example.com", []

    async def watched(_self: PasswordHasher, text: str, *_rest: Any) -> None:
        hashed.append(len(text))
        raise AssertionError

    monkeypatch.setattr(PasswordHasher, "verify", watched)
    monkeypatch.setattr(PasswordHasher, "hash", watched)
    for length, status in ((1025, 422), (1_000_000, 422), (1_100_000, 413)):
        huge = "x" * length
        for path, body in (
            ("auth/login", {"email": email, "password": huge}),
            ("auth/register", {"email": email, "password": huge}),
            ("auth/password/reset", {"token": "x", "new_password": huge}),
            ("users/me/change-password", {"current_password": huge, "new_password": NEW}),
            ("users/me/change-password", {"current_password": PASSWORD, "new_password": huge}),
        ):
            problem = assert_problem(await user.post(path, body), status)
            assert "xxxx" not in str(problem)
    assert hashed == []


@pytest.mark.parametrize("parameters", ["m=4194304,t=2,p=1", "m=65536,t=4000000,p=1", "m=65536,t=2,p=250"])
async def test_planted_hash_is_never_worked_through(api: Api, parameters: str) -> None:
    """The same answer as to a wrong password, after the stand-in's work only: 4 GiB would end the process."""
    user = await api.user()
    statement = "UPDATE users SET password_hash = :hash WHERE email = :email"
    planted = f"$argon2id$v=19${parameters}$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
    await write(api.app, statement, hash=planted, email=user.email)
    before = peak_kib("self")
    for password in (WRONG, PASSWORD):
        answer = await api.post("auth/login", {"email": user.email, "password": password})
        assert_problem(answer, 401, "invalid_credentials")
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert_problem(await user.post("users/me/change-password", body), 403, "forbidden")
    assert peak_kib("self") - before < SMALL
