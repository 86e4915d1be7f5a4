"""Rotation: each refresh token is used once, a lost answer is forgiven, a stolen one ends the session."""

import asyncio
from datetime import timedelta

import pytest
import time_machine

from app.modules.auth import service_sessions
from tests.api import Api, Caller, assert_problem
from tests.backend import Backend, RunningApp, run_app
from tests.conftest import FULL, settings_for
from tests.modules.auth.support import (
    again,
    assert_alive,
    assert_dead,
    ending_of,
    refresh,
    refreshed,
    session_of,
    stored,
)

GRACE = timedelta(seconds=10)
MOMENT = timedelta(seconds=0.5)
ROUNDS, TABS = 30 if FULL else 8, 20


async def test_each_refresh_gives_a_new_pair_of_the_same_session(api: Api) -> None:
    first = await api.user()
    answer = await refresh(api, first.refresh_token)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    second = await refreshed(first)
    assert second.refresh_token != first.refresh_token
    assert second.access_token != first.access_token
    assert await session_of(second) == await session_of(first)
    await assert_alive(first)
    await assert_alive(await refreshed(second))


async def test_only_hashes_are_stored(api: Api, app: RunningApp) -> None:
    first = await api.user()
    second = await refreshed(first)
    rows = await stored(app, "SELECT token_hash, parent_hash FROM refresh_tokens")
    kept = {text for row in rows for text in row}
    assert len(rows) == 2
    assert not kept & {first.refresh_token, second.refresh_token}
    assert len(first.refresh_token) >= 43


async def test_retry_within_the_grace_gives_the_identical_successor(
    api: Api, app: RunningApp, clock: time_machine.Traveller
) -> None:
    first = await api.user()
    second = await refreshed(first)
    clock.shift(GRACE - MOMENT)
    retried = await refreshed(first)
    assert retried.refresh_token == second.refresh_token
    await assert_alive(retried)
    assert len(await stored(app, "SELECT 1 FROM refresh_tokens")) == 2
    await assert_alive(await refreshed(retried))


async def test_retry_after_the_grace_ends_the_session(
    api: Api, app: RunningApp, clock: time_machine.Traveller
) -> None:
    first = await api.user()
    session = await session_of(first)
    second = await refreshed(first)
    clock.shift(GRACE + MOMENT)
    assert_problem(await refresh(api, first.refresh_token), 401, "token_reused")
    assert await ending_of(app, session) == "refresh_reuse"
    await assert_dead(second)


async def test_retry_after_the_successor_was_used_ends_the_session(api: Api, app: RunningApp) -> None:
    first = await api.user()
    session, second = await session_of(first), await refreshed(first)
    third = await refreshed(second)
    assert await ending_of(app, session) is None
    answer = await refresh(api, first.refresh_token)
    assert_problem(answer, 401, "token_reused")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert await ending_of(app, session) == "refresh_reuse"
    await assert_dead(third)


async def test_reuse_ends_that_session_only(api: Api) -> None:
    first, stranger = await api.user(), await api.user()
    other = await again(first)
    third = await refreshed(await refreshed(first))
    assert_problem(await refresh(api, first.refresh_token), 401, "token_reused")
    assert_problem(await refresh(api, first.refresh_token), 401, "token_revoked")
    await assert_dead(third)
    for living in (other, stranger):
        await assert_alive(living)
        await assert_alive(await refreshed(living))


async def test_retries_within_the_grace_are_counted(api: Api, app: RunningApp) -> None:
    assert service_sessions.MAX_REPLAYS == 100
    first = await api.user()
    session, second = await session_of(first), await refreshed(first)
    for _ in range(service_sessions.MAX_REPLAYS):
        answer = await refresh(api, first.refresh_token)
        assert answer.status_code == 200
        assert answer.json()["refresh_token"] == second.refresh_token
    assert await ending_of(app, session) is None
    assert_problem(await refresh(api, first.refresh_token), 401, "token_reused")
    assert await ending_of(app, session) == "refresh_reuse"


async def test_parallel_refreshes_agree_on_one_successor(api: Api, app: RunningApp) -> None:
    caller = await api.user()
    session = await session_of(caller)
    for number in range(1, ROUNDS + 1):
        answers = await asyncio.gather(*(refresh(api, caller.refresh_token) for _ in range(TABS)))
        assert [answer.status_code for answer in answers] == [200] * TABS, number
        pairs = [answer.json() for answer in answers]
        assert len({pair["refresh_token"] for pair in pairs}) == 1, number
        caller = Caller(api, caller.email, caller.id, pairs[-1]["access_token"], pairs[-1]["refresh_token"])
        await assert_alive(caller)
    assert await ending_of(app, session) is None
    rows = await stored(app, "SELECT replays FROM refresh_tokens WHERE used_at IS NOT NULL")
    assert [row[0] for row in rows] == [TABS - 1] * ROUNDS


async def test_parallel_replays_of_a_grandparent_end_the_session_once(api: Api, app: RunningApp) -> None:
    first = await api.user()
    session = await session_of(first)
    third = await refreshed(await refreshed(first))
    answers = await asyncio.gather(*(refresh(api, first.refresh_token) for _ in range(5)))
    codes = sorted(answer.json()["code"] for answer in answers)
    assert codes == ["token_reused", *["token_revoked"] * 4]
    assert await ending_of(app, session) == "refresh_reuse"
    await assert_dead(third)


async def test_without_grace_every_second_use_ends_the_session(backend: Backend) -> None:
    settings = settings_for(backend.new_database(), "", refresh_grace_seconds=0)
    async with run_app(settings) as app:
        api = Api(app)
        first = await api.user()
        second = await refreshed(first)
        await assert_alive(await refreshed(second))
        assert_problem(await refresh(api, first.refresh_token), 401, "token_reused")

        strict = await api.user()
        answers = await asyncio.gather(*(refresh(api, strict.refresh_token) for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200, *[401] * 9]
        await assert_dead(strict)


async def test_without_grace_a_clock_that_is_behind_forgives_nothing(
    backend: Backend, clock: time_machine.Traveller
) -> None:
    settings = settings_for(backend.new_database(), "", refresh_grace_seconds=0)
    async with run_app(settings) as app:
        first = await Api(app).user()
        await refreshed(first)
        clock.shift(-MOMENT)
        assert_problem(await refresh(Api(app), first.refresh_token), 401, "token_reused")


async def test_new_key_within_the_grace_still_gives_the_same_successor(backend: Backend) -> None:
    url, old, new = (
        backend.new_database(),
        "a" * 12 + "bcdefghijklmnopqrstuv",
        "b" * 12 + "cdefghijklmnopqrstuvw",
    )
    async with run_app(settings_for(url, "", secret_key=old)) as app:
        first = await Api(app).user()
        second = await refreshed(first)
    async with run_app(settings_for(url, "", secret_key=new, secret_keys_old=(old,))) as app:
        api = Api(app)
        answer = await refresh(api, first.refresh_token)
        assert answer.status_code == 200
        assert answer.json()["refresh_token"] == second.refresh_token
        third = await refresh(api, second.refresh_token)
        assert third.status_code == 200
        retried = await refresh(api, second.refresh_token)
        assert retried.json()["refresh_token"] == third.json()["refresh_token"]


async def test_idle_session_ends(api: Api, clock: time_machine.Traveller) -> None:
    first = await api.user()
    clock.shift(timedelta(days=30) - MOMENT)
    second = await refreshed(first)
    clock.shift(timedelta(days=30) + MOMENT)
    assert_problem(await refresh(api, second.refresh_token), 401, "token_expired")


async def test_no_refresh_moves_the_absolute_end(api: Api, clock: time_machine.Traveller) -> None:
    caller, left = await api.user(), 0
    for _ in range(3):
        clock.shift(timedelta(days=29))
        caller = await refreshed(caller)
    answer = await refresh(api, caller.refresh_token)  # day 87 of 90
    left = answer.json()["refresh_expires_in"]
    assert 2 * 86_400 < left <= 3 * 86_400
    last = answer.json()
    clock.shift(timedelta(seconds=left) - timedelta(minutes=1))
    nearly = await refresh(api, last["refresh_token"])
    assert nearly.status_code == 200
    caller = Caller(
        api, caller.email, caller.id, nearly.json()["access_token"], nearly.json()["refresh_token"]
    )
    await assert_alive(caller)
    clock.shift(timedelta(minutes=2))
    await assert_dead(caller)


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": ""}, {"refresh_token": None}, {"refresh_token": "x" * 513}]
)
async def test_malformed_body_is_refused(api: Api, body: dict[str, object]) -> None:
    assert_problem(await api.post("auth/refresh", body), 422, "validation_error")


@pytest.mark.parametrize("token", ["x", "x" * 43, "'; DROP TABLE sessions; --", "é", "%00"])
async def test_unknown_token_is_refused(api: Api, token: str) -> None:
    assert_problem(await refresh(api, token), 401, "token_invalid")


async def test_token_is_read_from_the_body_only(api: Api) -> None:
    user = await api.user()
    query = {"refresh_token": user.refresh_token}
    assert_problem(await api.call("POST", "auth/refresh", params=query, json={}), 422)
    cookie = {"Cookie": f"refresh_token={user.refresh_token}"}
    assert_problem(await api.call("POST", "auth/refresh", headers=cookie, json={}), 422)
    bearer = {"Authorization": f"Bearer {user.refresh_token}"}
    assert_problem(await api.call("POST", "auth/refresh", headers=bearer, json={}), 422)
    assert_problem(await api.call("POST", "auth/refresh", params=query, json=query), 422)
    assert (await api.post("auth/refresh", query)).status_code == 200
