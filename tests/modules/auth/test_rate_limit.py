"""The general limit, seen through the app: who shares a budget, what counts, and what the answers say."""

from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

import httpx2
import pytest
import time_machine

from tests.api import Api, Caller, assert_problem
from tests.backend import Backend
from tests.modules.auth.strangers import WRONG, Client, Workers, two_workers
from tests.modules.auth.support import again, through
from tests.services import RedisServer

Clock = time_machine.Traveller
RATE = 20
HEADERS = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
_minutes = count(1)


@pytest.fixture(scope="module")
async def workers(backend: Backend) -> AsyncIterator[Workers]:
    """With a Redis of their own: in a shared one, tests that run beside these would spend their budgets."""
    with RedisServer(own=True) if backend.name == "postgres" else nullcontext() as redis:
        cache_url = redis.url() if redis else ""
        async with two_workers(backend, rate_limit=f"{RATE}/minute", cache_url=cache_url) as made:
            yield made


@pytest.fixture
def limited(workers: Workers) -> Api:
    return workers[0]


@pytest.fixture(autouse=True)
def still(clock: Clock) -> Clock:
    """A clock that only tests move. Each test has a minute of its own, and so budgets of its own."""
    clock.move_to(datetime.now(UTC), tick=False)
    clock.shift(60 * next(_minutes))
    return clock


def remaining(answer: httpx2.Response) -> int:
    """What the answer says is left. Asserts that it says all, and nothing that can't be."""
    limit, left, reset = (int(answer.headers[name]) for name in HEADERS)
    assert limit == RATE
    assert 0 <= left < RATE
    assert 0 < reset <= 60
    return left


def is_counted(answer: httpx2.Response) -> bool:
    """Asserts that it is all headers or none."""
    found = [name for name in HEADERS if name in answer.headers]
    assert len(found) in {0, len(HEADERS)}
    return bool(found)


def wait_told(answer: httpx2.Response) -> int:
    """Asserts that it is the limit's refusal, which says the same thing twice."""
    assert_problem(answer, 429, "rate_limited")
    assert remaining(answer) == 0
    assert answer.headers["retry-after"] == answer.headers["ratelimit-reset"]
    return int(answer.headers["retry-after"])


async def head(api: Api, path: str, headers: dict[str, str]) -> httpx2.Response:
    """Past the client's look at bodies, for there is none."""
    answer = await api._client.head(path, headers=headers)
    assert not answer.content
    return answer


async def used_up(caller: Caller) -> int:
    """Calls until the caller is refused; how many were let in."""
    for number in range(2 * RATE):
        answer = await caller.get("auth/me")
        if answer.status_code == 429:
            wait_told(answer)
            return number
        assert answer.status_code == 200
    raise AssertionError("never refused")


async def test_every_counted_answer_tells_what_is_left(limited: Api) -> None:
    caller = await limited.user("users:read")
    before = remaining(await caller.get("auth/me"))
    answers = [
        await caller.get(f"users/{caller.id}"),
        await caller.post("users", {}),
        await caller.get(f"users/{uuid4()}"),
        await caller.get("users", params={"page": "x"}),
        await caller.post("users/me/change-password", {"current_password": WRONG, "new_password": WRONG * 2}),
        await head(limited, "/api/v1/auth/me", caller.headers),
        await head(limited, f"/api/v1/users/{uuid4()}", caller.headers),
    ]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200, 403, 404, 422, 403, 200, 404]
    assert [remaining(answer) for answer in answers] == [before - 1 - number for number in range(7)]


async def test_refusal_says_when_to_come_again_and_that_is_true(limited: Api, still: Clock) -> None:
    caller = await limited.user()
    assert await used_up(caller) == RATE - 1, "the login's look at itself was one"
    told = wait_told(await caller.get("users"))
    still.shift(told - 1)
    answer = await head(limited, "/api/v1/auth/me", caller.headers)
    assert (answer.status_code, answer.headers["retry-after"], remaining(answer)) == (429, "1", 0)
    assert wait_told(await caller.post("users/me/change-password", {})) == 1
    still.shift(1)
    answer = await caller.get("auth/me")
    assert (answer.status_code, remaining(answer)) == (200, RATE - 1)


async def test_sessions_and_keys_of_a_user_share_one_budget(limited: Api) -> None:
    user, other = await limited.user(), await limited.user()
    second = await again(user)
    key = await second.with_key()
    left = remaining(await user.get("auth/me"))
    for number, caller in enumerate((second, key, user, key, second), 1):
        assert remaining(await caller.get("auth/me")) == left - number
    await used_up(key)
    for caller in (user, second, key):
        wait_told(await caller.get("auth/me"))
    assert remaining(await other.get("auth/me")) == RATE - 2


async def test_public_calls_are_counted_for_the_network(limited: Api) -> None:
    user = await limited.user()
    network = f"2001:db8:7:{next(_minutes)}"
    here = [Client(limited, f"{network}::{host}") for host in (1, 2)]
    there = Client(limited)
    for number in range(RATE):
        answer = await here[number % 2].login(f"{uuid4().hex}@example.com", WRONG)
        assert_problem(answer, 401, "invalid_credentials")
        assert remaining(answer) == RATE - 1 - number
    for client in here:
        wait_told(await client.login(user.email))
        wait_told(await client.token(user.email))
        wait_told(await client.post("auth/register", {}))
    assert remaining(await there.login(user.email)) == RATE - 1
    answer = await user.get("auth/me", headers={"X-Forwarded-For": here[0].address})
    assert answer.status_code == 200, "who has a credential is counted for themselves"


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics"])
async def test_probes_are_never_turned_away(limited: Api, path: str) -> None:
    for _ in range(RATE):
        await limited.post("auth/login", {})
    wait_told(await limited.post("auth/login", {}))
    for _ in range(RATE + 1):
        for answer in (await limited.get(path), await head(limited, path, {})):
            assert (answer.status_code, is_counted(answer)) == (200, False)


async def test_bad_credentials_are_counted_for_nobody(limited: Api) -> None:
    user = await limited.user()
    ended = await again(user)
    assert (await ended.post("auth/logout")).status_code == 204
    user_left = remaining(await user.get("auth/me"))
    network_left = remaining(await limited.post("auth/login", {}))
    dead = [
        {},
        ended.headers,
        {"Authorization": "Bearer garbage"},
        {"X-API-Key": "garbage"},
        {"Authorization": user.headers["Authorization"] + "x"},
    ]
    for _ in range(RATE):
        for headers in dead:
            answer = await limited.get("auth/me", headers=headers)
            assert_problem(answer, 401)
            assert not is_counted(answer)
    assert remaining(await user.get("auth/me")) == user_left - 1
    assert remaining(await limited.post("auth/login", {})) == network_left - 1


async def test_what_no_guard_saw_is_not_counted(limited: Api) -> None:
    """Paths that lead nowhere, pages, and bodies that can't be read as JSON at all."""
    user = await limited.user()
    left = remaining(await user.get("auth/me"))
    json = {"Content-Type": "application/json"}
    unreadable = await user.delete("users/me", content=b"{", headers=json)
    assert (unreadable.status_code, is_counted(unreadable)) == (400, False)
    for method, path, status in (("GET", "nothing-here", 404), ("PUT", "auth/me", 405), ("GET", "/", 200)):
        answer = await user.call(method, path, headers={"Accept": "text/html"})
        assert (answer.status_code, is_counted(answer)) == (status, False)
    assert remaining(await user.get("auth/me")) == left - 1


async def test_two_workers_share_through_redis(workers: Workers, backend: Backend) -> None:
    """Without Redis each process counts for itself."""
    user = await workers[0].user()
    callers = [through(worker, user) for worker in workers]
    let_in = [0, 0]
    for number in range(4 * RATE):
        let_in[number % 2] += (await callers[number % 2].get("auth/me")).status_code == 200
    has_redis = bool(workers[0].app.settings.cache_url)
    assert has_redis is (backend.name == "postgres")
    assert sum(let_in) == (RATE if has_redis else 2 * RATE) - 1
    for caller in callers:
        wait_told(await caller.get("auth/me"))


async def test_pause_after_guessing_is_told_besides(limited: Api) -> None:
    """The refusal of who guesses is a counted answer: it has the limit's headers, and its own `Retry-After`."""
    client, email = Client(limited), f"{uuid4().hex}@example.com"
    for _ in range(10):
        await client.login(email, WRONG)
    paused = await client.login(email, WRONG)
    assert_problem(paused, 429, "rate_limited")
    assert (paused.headers["retry-after"], remaining(paused)) == ("5", RATE - 11)


async def test_without_a_rate_no_answer_speaks_of_one(api: Api) -> None:
    user = await api.user()
    answers = [await user.get("auth/me") for _ in range(2 * RATE)]
    answers.append(await api.post("auth/login", {}))
    assert not any(is_counted(answer) for answer in answers)
    assert {answer.status_code for answer in answers} == {200, 422}
