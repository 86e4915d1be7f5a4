"""Guessing at several workers at once, with and without Redis: what counts is in the database."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import time_machine
from redis import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.core.transaction import UnitOfWork
from app.modules.auth.repository_throttle import TallyRepository
from app.modules.auth.service_throttle import ThrottleService
from tests.api import ADMIN, PASSWORD, Api, assert_problem
from tests.backend import Backend, run_app
from tests.conftest import NO_SERVICES, SECRET, settings_for
from tests.modules.auth.strangers import LIMIT, PAUSES, WRONG, Client, Workers, told_to_wait, two_workers
from tests.modules.auth.support import again
from tests.program import Program, copy_project
from tests.services import RedisServer

Clock = time_machine.Traveller
PARALLEL = 100
PROCESSES = 2


@pytest.fixture(scope="module")
async def workers(backend: Backend) -> AsyncIterator[Workers]:
    async with two_workers(backend) as made:
        yield made


@pytest.fixture
def still(clock: Clock) -> Clock:
    """A clock that only tests move, so that seconds can be told exactly."""
    clock.move_to(datetime.now(UTC), tick=False)
    return clock


async def test_two_workers_count_together(workers: Workers, still: Clock) -> None:
    user, client = await workers[0].user(), Client(workers[0])
    for number in range(LIMIT):
        await client.through(workers[number % 2]).guess(user.email, 1)
    for number, pause in enumerate(PAUSES[:5]):
        for worker in workers:
            for password in (WRONG, PASSWORD):
                assert told_to_wait(await client.through(worker).login(user.email, password)) == pause
        still.shift(pause)
        await client.through(workers[number % 2]).guess(user.email, 1)
    still.shift(PAUSES[5])
    assert (await client.through(workers[0]).login(user.email)).status_code == 200
    await client.through(workers[1]).guess(user.email, LIMIT - 1)
    assert (await client.through(workers[0]).login(user.email)).status_code == 200


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer(own=True) as server:
        yield server


@pytest.fixture
async def rig(backend: Backend, redis: RedisServer) -> AsyncIterator[Workers]:
    """Two workers with a Redis that nobody else uses."""
    async with two_workers(backend, cache_url=redis.url()) as made:
        yield made
    redis.start()


@pytest.mark.skipif(NO_SERVICES, reason="asked to do without servers")
async def test_count_outlives_redis(rig: Workers, redis: RedisServer, still: Clock) -> None:
    user, clients = await rig[0].user(), [Client(worker) for worker in rig]
    await clients[0].guess(user.email, 4)
    with Redis.from_url(redis.url()) as connection:
        connection.flushall()
    await clients[1].guess(user.email, 3)
    redis.stop()
    await clients[0].guess(user.email, 2)
    await clients[1].guess(user.email, 1)
    for client in clients:
        assert told_to_wait(await client.login(user.email)) == 5
    redis.start()
    for client in clients:
        assert told_to_wait(await client.login(user.email)) == 5
    still.shift(5)
    await clients[0].guess(user.email, 1)
    assert told_to_wait(await clients[1].login(user.email)) == 10


async def test_parallel_guesses_of_one_process_are_judged_one_after_another(
    workers: Workers, still: Clock
) -> None:
    user, client = await workers[0].user(), Client(workers[0])
    passwords = [WRONG] * 59 + [PASSWORD]
    answers = await asyncio.gather(*(client.login(user.email, password) for password in passwords))
    assert Counter(answer.status_code for answer in answers) == {401: LIMIT, 429: 50}


async def test_failure_beside_a_success_is_still_a_failure(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The success forgets the very row that the failure is about to write."""
    user, client = await workers[0].user(), Client(workers[0])
    await client.guess(user.email, 1)
    throttle = workers[0].app.kernel.attempts(UnitOfWork(workers[0].app.platform.database))
    assert isinstance(throttle, ThrottleService)
    counted, keep = throttle._key("login", user.email), TallyRepository.keep
    held, go_on = asyncio.Event(), asyncio.Event()

    async def late(self: TallyRepository, row: Any, key: str, tally: Any) -> None:
        if key == counted:
            held.set()
            await go_on.wait()
        await keep(self, row, key, tally)

    monkeypatch.setattr(TallyRepository, "keep", late)
    guess = asyncio.create_task(client.login(user.email, WRONG))
    await held.wait()
    login = asyncio.create_task(client.through(workers[1]).login(user.email))
    await asyncio.wait([login], timeout=0.5)  # as far as it gets: it may have to wait for the failure
    go_on.set()
    assert_problem(await guess, 401, "invalid_credentials")
    assert (await login).status_code == 200


async def test_dead_tokens_and_keys_are_never_throttled(workers: Workers) -> None:
    """Nobody guesses 256 bits; a client with an old token must learn that it is old."""
    api = workers[0]
    user = await api.user()
    other, keyed = await again(user), await user.with_key()
    assert (await other.post("auth/logout")).status_code == 204
    assert (await user.post(f"auth/api-keys/{keyed.key_id}/revoke")).status_code == 204
    client = Client(api)
    await client.guess(user.email)
    assert told_to_wait(await client.login(user.email)) > 0
    dead = [
        {"Authorization": f"Bearer {other.access_token}"},
        {"Authorization": f"Bearer {user.access_token[:-4]}AAAA"},
        {"Authorization": f"Bearer {keyed.key}"},
        {"X-API-Key": keyed.key},
        {"X-API-Key": "garbage"},
    ]
    for _ in range(200):
        for headers in dead:
            answer = await api.get("auth/me", headers={**headers, "X-Forwarded-For": client.address})
            assert_problem(answer, 401)
            assert "retry-after" not in answer.headers
    assert (await user.get("auth/me", headers={"X-Forwarded-For": client.address})).status_code == 200


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    root = copy_project(tmp_path_factory.mktemp("guessed") / "tessera")
    return Program(root, {"ENVIRONMENT": "test", "SECRET_KEY": SECRET, "LOG_LEVEL": "WARNING"})


async def statuses(urls: list[str], passwords: list[str]) -> Counter[int]:
    """Of logins to one account at once, spread evenly over servers. Asserts that refusals say how long to wait."""
    limits = httpx2.Limits(max_connections=PARALLEL)

    async with httpx2.AsyncClient(limits=limits, timeout=60) as client:

        async def login(number: int, password: str) -> int:
            url = f"{urls[number % len(urls)]}/api/v1/auth/login"
            answer = await client.post(url, json={"email": ADMIN[0], "password": password})
            if answer.status_code in {429, 503}:
                assert_problem(answer, answer.status_code)
                assert int(answer.headers["retry-after"]) >= 1
            return answer.status_code

        return Counter(
            await asyncio.gather(*(login(number, password) for number, password in enumerate(passwords)))
        )


async def lengthen_pauses(database_url: str) -> None:
    """As if the guessing had gone on for an hour."""
    engine = create_async_engine(database_url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE throttle_tallies SET count = count + 10"))
    await engine.dispose()


async def test_guessing_in_parallel_at_two_processes_gains_nothing(
    backend: Backend, program: Program, tmp_path: Path
) -> None:
    """Each process may have one try under way while the other one's failure is counted, and no more."""
    url = backend.new_database()
    async with run_app(settings_for(url, "")):
        pass  # seeded
    program = program.but(DATABASE_URL=url, LOG_DIR=str(tmp_path / "logs"))
    with program.serving(path="/health/ready") as one, program.serving(path="/health/ready") as other:
        urls, begin = [one.url, other.url], time.monotonic()
        found = await statuses(urls, [WRONG] * PARALLEL)
        pauses = int((time.monotonic() - begin) // PAUSES[0])  # none, but on a very slow machine
        assert found.keys() <= {401, 429, 503}
        assert LIMIT <= found[401] <= LIMIT + PROCESSES * (1 + pauses)
        # During a pause the right one among them is refused like all others.
        await lengthen_pauses(program.settings["DATABASE_URL"])
        assert await statuses(urls, [*[WRONG] * 10, ADMIN[1], *[WRONG] * 9]) == {429: 20}


async def test_right_passwords_in_parallel_are_never_refused(workers: Workers) -> None:
    user = await workers[0].user()
    clients = [Client(workers[number % 2]) for number in range(20)]
    answers = await asyncio.gather(*(client.login(user.email) for client in clients))
    assert Counter(answer.status_code for answer in answers) == {200: 20}
    await clients[0].guess(user.email, LIMIT - 1)


def test_the_two_workers_are_two_apps(workers: tuple[Api, Api]) -> None:
    first, second = (worker.app for worker in workers)
    assert first.platform.database is not second.platform.database
    assert first.settings.database_url == second.settings.database_url
