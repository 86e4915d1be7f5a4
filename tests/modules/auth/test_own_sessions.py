"""One's own sessions: what the list tells, ending one of them, and how many and how old they may become."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine

from app.modules.auth.service_sessions import MAX_SESSIONS
from tests.api import PASSWORD, Api, Caller, assert_problem
from tests.modules.auth.support import (
    again,
    assert_alive,
    assert_dead,
    ending_of,
    refresh,
    refreshed,
    session_of,
    stored,
    through,
    write,
)

FIELDS = {"id", "created_at", "last_used_at", "ip", "user_agent", "current"}
ENVELOPE = {"items", "page", "per_page", "total", "pages", "total_is_capped", "next_cursor"}
MOMENT = timedelta(seconds=5)
IDLE = timedelta(days=30)
Workers = tuple[Api, Api]


async def listed(caller: Caller, query: str = "") -> list[str]:
    """The ids in the list, in its order."""
    answer = await caller.get(f"auth/sessions{query}")
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_list_tells_where_and_when_and_nothing_secret(api: Api) -> None:
    user = await api.user()
    browser = {"email": user.email, "password": PASSWORD}
    agent = {"User-Agent": "Mozilla/5.0 (canary)"}
    before = datetime.now(UTC)
    assert (await api.post("auth/login", browser, headers=agent)).status_code == 200
    answer = await user.get("auth/sessions")
    page = answer.json()
    assert set(page) == ENVELOPE
    assert (page["page"], page["total"], page["pages"]) == (1, 2, 1)
    assert all(set(item) == FIELDS for item in page["items"])
    newest, own = page["items"]
    assert (newest["user_agent"], newest["ip"], newest["current"]) == (
        agent["User-Agent"],
        "127.0.0.1",
        False,
    )
    assert (own["id"], own["current"]) == (await session_of(user), True)
    for item in page["items"]:
        assert item["created_at"].endswith("Z")
        assert item["last_used_at"] == item["created_at"]
    assert before <= datetime.fromisoformat(newest["created_at"]) <= datetime.now(UTC)
    for secret in (user.access_token, user.refresh_token):
        assert secret not in answer.text
    assert answer.headers["cache-control"] == "private, no-cache"


async def _five(api: Api) -> tuple[Caller, list[str]]:
    """A user with five sessions; their ids, the newest first."""
    user = await api.user()
    others = [await session_of(await again(user)) for _ in range(4)]
    return user, [*reversed(others), await session_of(user)]


async def test_list_is_paged_and_sorted(api: Api) -> None:
    user, newest_first = await _five(api)
    assert await listed(user) == newest_first
    assert await listed(user, "?sort=created_at") == newest_first[::-1]
    first = await user.get("auth/sessions?per_page=2")
    assert 'rel="next"' in first.headers["link"]
    assert [id for page in (1, 2, 3) for id in await listed(user, f"?per_page=2&page={page}")] == newest_first
    for query in ("?per_page=0", "?sort=ip", "?user_agent=x", "?deleted=true"):
        assert_problem(await user.get(f"auth/sessions{query}"), 422, "validation_error")


async def test_list_is_walked_by_cursor(api: Api) -> None:
    """The clock goes on between two pages: it is no part of the question."""
    user, newest_first = await _five(api)
    answer, found = await user.get("auth/sessions?per_page=2"), []
    while True:
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        answer = await user.get("auth/sessions", params={"cursor": page["next_cursor"], "per_page": "2"})
    assert found == newest_first


async def test_refreshed_session_is_the_one_used_last(api: Api, clock: time_machine.Traveller) -> None:
    user = await api.user()
    other = await again(user)
    ids = [await session_of(user), await session_of(other)]
    assert await listed(user) == ids[::-1]
    clock.shift(timedelta(minutes=1))
    user = await refreshed(user)
    assert await listed(user) == ids
    item = (await user.get("auth/sessions")).json()["items"][0]
    used, created = (datetime.fromisoformat(item[name]) for name in ("last_used_at", "created_at"))
    assert used - created >= timedelta(minutes=1)


async def test_list_shows_only_living_ones_of_ones_own(api: Api, clock: time_machine.Traveller) -> None:
    user, stranger = await api.user(), await api.user()
    idle = await session_of(user)
    clock.shift(IDLE - timedelta(minutes=1))
    out, here = await again(user), await again(user)
    assert await listed(here) == [await session_of(here), await session_of(out), idle]
    assert (await out.post("auth/logout")).status_code == 204
    clock.shift(timedelta(minutes=2))
    assert await listed(here) == [await session_of(here)]
    assert_problem(await refresh(api, user.refresh_token), 401, "token_expired")
    seen = await listed(await again(stranger))
    assert idle not in seen
    assert len(seen) == 1


async def test_ending_one_session_ends_it_at_every_worker(workers: Workers) -> None:
    here, there = workers
    user = await here.user()
    lost = await again(user)
    for api in workers:
        await assert_alive(through(api, lost))
    lost_id = await session_of(lost)
    assert (await user.delete(f"auth/sessions/{lost_id}")).status_code == 204
    await assert_dead(through(there, lost))
    await assert_dead(lost)
    assert await ending_of(here.app, lost_id) == "ended"
    assert await listed(through(there, user)) == [await session_of(user)]
    await assert_alive(await refreshed(through(there, user)))


async def test_present_session_can_be_ended_too(workers: Workers) -> None:
    here, _ = workers
    user = await here.user()
    other = await again(user)
    assert (await user.delete(f"auth/sessions/{await session_of(user)}")).status_code == 204
    for api in workers:
        await assert_dead(through(api, user))
        await assert_alive(through(api, other))


async def test_foreign_unknown_and_dead_sessions_are_not_there(
    api: Api, clock: time_machine.Traveller
) -> None:
    user, stranger = await api.user(), await api.user()
    idle, foreign = await session_of(user), await session_of(stranger)
    clock.shift(IDLE + MOMENT)
    stranger, here, out = await again(stranger), await again(user), await again(user)
    ended, foreign_now = await session_of(out), await session_of(stranger)
    assert (await here.delete(f"auth/sessions/{ended}")).status_code == 204
    for id in (ended, idle, foreign, foreign_now, str(uuid4())):
        assert_problem(await here.delete(f"auth/sessions/{id}"), 404, "not_found")
    assert_problem(await here.delete("auth/sessions/1"), 422, "validation_error")
    await assert_alive(stranger)
    assert await ending_of(api.app, foreign_now) is None


async def test_session_past_its_absolute_end_is_not_there(api: Api, clock: time_machine.Traveller) -> None:
    user = await api.user()
    old = await session_of(user)
    for _ in range(4):
        clock.shift(timedelta(days=22))
        user = await refreshed(user)
    clock.shift(timedelta(days=2) + MOMENT)
    here = await again(user)
    assert await listed(here) == [await session_of(here)]
    assert_problem(await here.delete(f"auth/sessions/{old}"), 404, "not_found")


async def test_api_key_sees_and_ends_no_session(api: Api) -> None:
    user = await api.user()
    key = await user.with_key()
    assert_problem(await key.get("auth/sessions"), 403, "forbidden")
    assert_problem(await key.delete(f"auth/sessions/{await session_of(user)}"), 403, "forbidden")
    await assert_alive(user)


async def _filled_up(api: Api, clock: time_machine.Traveller, surplus: int) -> tuple[Caller, list[str]]:
    """A user with `MAX_SESSIONS - surplus` sessions, a second apart; their ids, the oldest first."""
    user = await api.user()
    ids = [await session_of(user)]
    for _ in range(MAX_SESSIONS - surplus - 1):
        clock.shift(timedelta(seconds=1))
        ids.append(await session_of(await again(user)))
    return user, ids


async def test_login_beyond_the_cap_ends_the_session_unused_for_longest(
    api: Api, clock: time_machine.Traveller
) -> None:
    assert MAX_SESSIONS == 50
    user, ids = await _filled_up(api, clock, surplus=0)
    clock.shift(timedelta(seconds=1))
    user = await refreshed(user)  # the oldest one, but used last
    newest = await again(user)
    assert await ending_of(api.app, ids[1]) == "too_many"
    living = set(await listed(newest, "?per_page=100"))
    assert living == {*ids, await session_of(newest)} - {ids[1]}
    await assert_alive(user)
    for id in (ids[0], ids[2]):
        assert await ending_of(api.app, id) is None


async def test_displaced_session_is_dead_at_the_other_worker(workers: Workers) -> None:
    here, there = workers
    first = await here.user()
    await assert_alive(through(there, first))
    for _ in range(MAX_SESSIONS - 1):
        last = await again(first)
    await assert_alive(through(there, first))
    await again(first)
    await assert_dead(through(there, first))
    await assert_alive(through(there, last))


async def test_parallel_logins_at_the_cap_hold_it(workers: Workers) -> None:
    here, there = workers
    user = await here.user()
    for _ in range(MAX_SESSIONS - 1):
        await again(user)
    callers = await asyncio.gather(
        *(through((here, there)[i % 2], user).api.login(user.email) for i in range(20))
    )
    rows = await stored(
        here.app,
        "SELECT count(*) FROM sessions JOIN users ON users.pk = sessions.user_pk"
        " WHERE users.email = :email AND revoked_at IS NULL",
        email=user.email,
    )
    assert rows[0][0] == MAX_SESSIONS
    for caller in callers:
        await assert_alive(caller)
    assert len(await listed(callers[0], "?per_page=100")) == MAX_SESSIONS


async def test_rotating_every_day_ends_at_the_absolute_limit(api: Api, clock: time_machine.Traveller) -> None:
    user = await api.user()
    for _ in range(89):
        clock.shift(timedelta(days=1))
        user = await refreshed(user)
    await assert_alive(user)
    clock.shift(timedelta(days=1))
    assert_problem(await refresh(api, user.refresh_token), 401)
    assert_problem(await user.get("auth/me"), 401)


@pytest.mark.parametrize("is_late", [False, True])
async def test_idle_limit_is_the_setting(api: Api, clock: time_machine.Traveller, is_late: bool) -> None:
    user = await api.user()
    assert api.app.settings.refresh_token_days == IDLE.days
    clock.shift(IDLE + (MOMENT if is_late else -MOMENT))
    assert (await refresh(api, user.refresh_token)).status_code == (401 if is_late else 200)


async def test_living_session_that_a_row_contradicts_is_dead(api: Api) -> None:
    """The list and the guard read the same columns: what one takes for dead, the other does."""
    user = await api.user()
    other = await again(user)
    await write(
        api.app, "UPDATE sessions SET expires_at = created_at WHERE pk = (SELECT max(pk) FROM sessions)"
    )
    assert await listed(user) == [await session_of(user)]
    assert_problem(await other.get("auth/me"), 401, "token_revoked")
