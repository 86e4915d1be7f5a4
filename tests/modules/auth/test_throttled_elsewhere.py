"""Guessing where nobody logs in: at one's own password, at refresh and reset tokens; and asking too often."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Any

import httpx2
import pytest
import time_machine

from app.core.config import Environment
from tests.api import PASSWORD, Api, Caller, assert_problem
from tests.backend import Backend
from tests.conftest import settings_for
from tests.modules.auth.strangers import (
    ADDRESS_LIMIT,
    LIMIT,
    PAUSES,
    WRONG,
    Client,
    Workers,
    told_to_wait,
    two_workers,
)
from tests.modules.auth.support import again, assert_alive, refreshed, stored

NEW = "another horse another battery"
Clock = time_machine.Traveller


@pytest.fixture(scope="module")
async def workers(backend: Backend) -> AsyncIterator[Workers]:
    async with two_workers(backend, register_limit="20/minute") as made:
        yield made


@pytest.fixture
def api(workers: Workers) -> Api:
    return workers[0]


@pytest.fixture
def still(clock: Clock) -> Clock:
    """A clock that only tests move, so that seconds can be told exactly."""
    clock.move_to(datetime.now(UTC), tick=False)
    return clock


# One's own password


async def change(caller: Caller, current: str) -> httpx2.Response:
    body = {"current_password": current, "new_password": NEW}
    return await caller.post("users/me/change-password", body)


async def remove(caller: Caller, password: str) -> httpx2.Response:
    return await caller.delete("users/me", json={"password": password})


async def test_wrong_current_password_is_refused_ten_times_then_paused(api: Api, still: Clock) -> None:
    user = await api.user()
    for number in range(LIMIT):
        assert_problem(await (change, remove)[number % 2](user, WRONG), 403, "forbidden")
    for pause in PAUSES[:4]:
        for call in (change, remove):
            for password in (WRONG, PASSWORD):
                assert told_to_wait(await call(user, password)) == pause
        still.shift(pause)
        assert_problem(await remove(user, WRONG), 403, "forbidden")
    still.shift(PAUSES[4])
    assert (await change(user, PASSWORD)).status_code == 204
    for _ in range(LIMIT - 1):
        assert_problem(await change(user, PASSWORD), 403, "forbidden")
    assert (await remove(user, NEW)).status_code == 204


async def test_two_workers_count_wrong_current_passwords_together(workers: Workers, still: Clock) -> None:
    user = await workers[0].user()
    callers = [Caller(worker, user.email, user.id, user.access_token, "") for worker in workers]
    for number in range(LIMIT):
        assert_problem(await change(callers[number % 2], WRONG), 403, "forbidden")
    assert [told_to_wait(await change(caller, PASSWORD)) for caller in callers] == [5, 5]


async def test_parallel_wrong_current_passwords_are_judged_one_after_another(api: Api, still: Clock) -> None:
    user = await api.user()
    answers = await asyncio.gather(*(change(user, WRONG) for _ in range(40)))
    assert Counter(answer.status_code for answer in answers) == {403: LIMIT, 429: 30}


async def test_guesses_with_a_stolen_token_and_at_the_login_do_not_mix(api: Api, still: Clock) -> None:
    victim, other = await api.user(), await api.user()
    for _ in range(LIMIT):
        assert_problem(await change(victim, WRONG), 403, "forbidden")
    assert told_to_wait(await change(victim, PASSWORD)) == 5
    victim = await again(victim)
    assert (await Client(api).login(victim.email)).status_code == 200

    await Client(api).guess(other.email)
    assert told_to_wait(await Client(api).login(other.email)) == 5
    assert (await change(other, PASSWORD)).status_code == 204


async def test_somebody_elses_guesses_count_for_them_alone(api: Api, still: Clock) -> None:
    guesser, user = await api.user(), await api.user()
    for _ in range(LIMIT):
        assert_problem(await change(guesser, WRONG), 403, "forbidden")
    assert told_to_wait(await change(guesser, WRONG)) == 5
    assert (await change(user, PASSWORD)).status_code == 204


# Tokens


async def refresh(client: Client, token: str) -> httpx2.Response:
    return await client.post("auth/refresh", {"refresh_token": token})


async def test_garbage_refresh_tokens_pause_their_address_and_nobody_elses(
    workers: Workers, still: Clock
) -> None:
    one, other = await workers[0].user(), await workers[0].user()
    guesser = Client(workers[0])
    for number in range(ADDRESS_LIMIT):
        at, text = guesser.through(workers[number % 2]), token_urlsafe(32)
        if number % 4:
            assert_problem(await refresh(at, text), 401, "token_invalid")
        else:
            form = {"grant_type": "refresh_token", "refresh_token": text}
            answer = await at.post("auth/token", data=form)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    for worker in workers:
        for text in (token_urlsafe(32), one.refresh_token):
            assert told_to_wait(await refresh(guesser.through(worker), text)) == 5
            form = {"grant_type": "refresh_token", "refresh_token": text}
            assert told_to_wait(await guesser.through(worker).post("auth/token", data=form)) == 5
    await assert_alive(await refreshed(other))
    assert (await guesser.login(one.email)).status_code == 200, "the login has a count of its own"
    still.shift(5)
    assert (await refresh(guesser, one.refresh_token)).status_code == 200


async def test_refresh_that_works_costs_nothing(api: Api) -> None:
    user = await api.user()
    for _ in range(ADDRESS_LIMIT + 1):
        user = await refreshed(user)
    await assert_alive(user)


async def test_garbage_reset_tokens_pause_their_address(workers: Workers, still: Clock) -> None:
    guesser = Client(workers[0])

    async def reset(client: Client) -> httpx2.Response:
        body = {"token": token_urlsafe(32), "new_password": NEW}
        return await client.post("auth/password/reset", body)

    for number in range(ADDRESS_LIMIT):
        assert_problem(await reset(guesser.through(workers[number % 2])), 400, "bad_request")
    for worker in workers:
        assert told_to_wait(await reset(guesser.through(worker))) == 5
        assert_problem(await reset(Client(worker)), 400, "bad_request")
    assert_problem(await refresh(guesser, token_urlsafe(32)), 401, "token_invalid")
    still.shift(5)
    assert_problem(await reset(guesser), 400, "bad_request")
    assert told_to_wait(await reset(guesser)) == 10


# Registrations and requests for a forgotten password


async def register(client: Client, unique: str, number: int) -> httpx2.Response:
    body = {"email": f"{unique}-{number}@example.com", "password": PASSWORD}
    return await client.post("auth/register", body)


async def forget(client: Client, unique: str) -> httpx2.Response:
    return await client.post("auth/password/forgot", {"email": f"{unique}@example.com"})


async def test_registrations_of_an_address_are_bounded_over_both_workers(
    workers: Workers, still: Clock, unique: str
) -> None:
    client = Client(workers[0])
    for number in range(20):
        answer = await register(client.through(workers[number % 2]), unique, number)
        assert answer.status_code == 201
        still.shift(1)
    for worker in workers:
        assert told_to_wait(await register(client.through(worker), unique, 20)) == 40
        assert (await forget(client.through(worker), unique)).status_code == 202
        assert (await register(Client(worker), f"{unique}-{worker is workers[0]}", 0)).status_code == 201
    still.shift(39.5)
    assert told_to_wait(await register(client, unique, 20)) == 1
    still.shift(0.5)
    assert (await register(client, unique, 20)).status_code == 201


async def test_requests_for_forgotten_passwords_are_bounded_over_both_workers(
    workers: Workers, still: Clock, unique: str
) -> None:
    client = Client(workers[0])
    for number in range(20):
        assert (await forget(client.through(workers[number % 2]), f"{unique}-{number}")).status_code == 202
    for worker in workers:
        assert told_to_wait(await forget(client.through(worker), unique)) == 60
        assert (await forget(Client(worker), unique)).status_code == 202
    assert (await register(client, unique, 0)).status_code == 201
    still.shift(60)
    assert (await forget(client, unique)).status_code == 202


async def test_registrations_at_the_same_time_are_all_counted(workers: Workers) -> None:
    """Bodies that are refused count too: 429 comes before the body is looked at."""
    for _ in range(5):
        clients = [Client(workers[0])] * 30
        clients += [client.through(workers[1]) for client in clients]
        answers = await asyncio.gather(*(client.post("auth/register", {}) for client in clients))
        found = Counter(answer.status_code for answer in answers)
        assert found.keys() <= {422, 429, 503}, "who waited too long for the database was not counted"
        assert found[422] == 20


async def test_clock_that_is_set_back_ends_the_wait(api: Api, still: Clock) -> None:
    client = Client(api)
    for _ in range(20):
        await client.post("auth/register", {})
    assert told_to_wait(await client.post("auth/register", {})) == 60
    still.shift(-3600)
    assert_problem(await client.post("auth/register", {}), 422)


@pytest.mark.parametrize(
    ("environment", "given", "rate"),
    [
        (Environment.TEST, None, None),
        (Environment.DEVELOPMENT, None, None),
        (Environment.PRODUCTION, None, (20, 60)),
        (Environment.PRODUCTION, "", None),
        (Environment.PRODUCTION, "3/hour", (3, 3600)),
        (Environment.TEST, "3/hour", (3, 3600)),
    ],
)
def test_bound_is_set_by_default_in_production_only(
    environment: Environment, given: str | None, rate: tuple[int, int] | None
) -> None:
    settings = settings_for("sqlite+aiosqlite://", "", environment=environment, register_limit=given)
    assert settings.registration_rate == rate


async def test_without_a_bound_nobody_is_counted(app: Any, unique: str) -> None:
    client = Client(Api(app))
    answers = [await client.post("auth/register", {}) for _ in range(50)]
    assert {answer.status_code for answer in answers} == {422}
    assert not await stored(app, "SELECT * FROM throttle_tallies")
