"""Leaving: with whatever token is left, as often as one likes, and never for somebody else."""

from datetime import timedelta

import httpx2
import pytest
import time_machine

from tests.api import Api, Caller, assert_problem
from tests.backend import RunningApp
from tests.modules.auth.support import (
    again,
    assert_alive,
    assert_dead,
    ending_of,
    refresh,
    refreshed,
    session_of,
)


async def leave(api: Api, *, access: str | None = None, refresh_token: str | None = None) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {access}"} if access is not None else {}
    body = {"refresh_token": refresh_token} if refresh_token is not None else None
    return await api.call("POST", "auth/logout", headers=headers, json=body)


async def test_access_token_ends_its_session_only(api: Api, app: RunningApp) -> None:
    user = await api.user()
    other, session = await again(user), await session_of(user)
    answer = await leave(api, access=user.access_token)
    assert (answer.status_code, answer.content) == (204, b"")
    assert await ending_of(app, session) == "logout"
    await assert_dead(user)
    await assert_alive(other)
    await assert_alive(await refreshed(other))


async def test_expired_access_token_is_enough(
    api: Api, app: RunningApp, clock: time_machine.Traveller
) -> None:
    user = await api.user()
    session = await session_of(user)
    clock.shift(timedelta(hours=1))
    assert_problem(await user.get("auth/me"), 401, "token_expired")
    assert await ending_of(app, session) is None
    assert (await leave(api, access=user.access_token)).status_code == 204
    assert await ending_of(app, session) == "logout"
    assert_problem(await refresh(api, user.refresh_token), 401, "token_revoked")


async def test_logout_may_be_repeated(api: Api, app: RunningApp) -> None:
    user, admin = await api.user(), await api.superuser()
    session = await session_of(user)
    await admin.post(f"users/{user.id}/block")
    assert await ending_of(app, session) == "blocked"
    for _ in range(2):
        assert (await leave(api, access=user.access_token)).status_code == 204
        assert (await leave(api, refresh_token=user.refresh_token)).status_code == 204
        both = await leave(api, access=user.access_token, refresh_token=user.refresh_token)
        assert both.status_code == 204
    assert await ending_of(app, session) == "blocked"


async def test_access_token_of_a_removed_account_is_enough(api: Api) -> None:
    user, admin = await api.user(), await api.superuser()
    await admin.delete(f"users/{user.id}?hard=true")
    assert (await leave(api, access=user.access_token)).status_code == 204
    assert_problem(await leave(api, refresh_token=user.refresh_token), 401)


@pytest.mark.parametrize("spent", [False, True])
async def test_refresh_token_alone_is_enough(api: Api, app: RunningApp, *, spent: bool) -> None:
    user = await api.user()
    session, latest = await session_of(user), await refreshed(user) if spent else user
    assert (await leave(api, refresh_token=user.refresh_token)).status_code == 204
    assert await ending_of(app, session) == "logout"
    await assert_dead(latest)


@pytest.mark.parametrize("broken", ["", "nonsense", "a.b.c"])
async def test_broken_access_token_does_not_spoil_a_good_refresh_token(
    api: Api, app: RunningApp, broken: str
) -> None:
    user = await api.user()
    session = await session_of(user)
    assert_problem(await leave(api, access=broken), 401)
    assert await ending_of(app, session) is None
    assert (await leave(api, access=broken, refresh_token=user.refresh_token)).status_code == 204
    assert await ending_of(app, session) == "logout"


async def test_neither_token_is_refused(api: Api) -> None:
    for answer in (
        await leave(api),
        await api.post("auth/logout", {}),
        await api.post("auth/logout", {"refresh_token": None}),
    ):
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert_problem(await leave(api, refresh_token="unknown"), 401)
    assert_problem(await api.post("auth/logout", {"token": "x"}), 422)
    user = await api.user()
    query = {"refresh_token": user.refresh_token}
    assert_problem(await api.call("POST", "auth/logout", params=query), 422)
    await assert_alive(user)


@pytest.mark.parametrize("expired", [False, True])
async def test_somebody_elses_refresh_token_is_refused(
    api: Api, app: RunningApp, clock: time_machine.Traveller, *, expired: bool
) -> None:
    victim, attacker = await api.user(), await api.user()
    session, own = await session_of(victim), await session_of(attacker)
    if expired:
        clock.shift(timedelta(minutes=20))
    answer = await leave(api, access=attacker.access_token, refresh_token=victim.refresh_token)
    assert_problem(answer, 403, "forbidden")
    assert await ending_of(app, session) is None
    assert await ending_of(app, own) is None
    await assert_alive(await refreshed(victim))
    assert (await leave(api, access=attacker.access_token)).status_code == 204


async def test_ones_own_other_session_may_be_named(api: Api) -> None:
    user = await api.user()
    other, third = await again(user), await again(user)
    answer = await leave(api, access=user.access_token, refresh_token=other.refresh_token)
    assert answer.status_code == 204
    await assert_dead(user)
    await assert_dead(other)
    await assert_alive(third)


async def test_logout_all_ends_every_session(api: Api, app: RunningApp) -> None:
    user, stranger = await api.user(), await api.user()
    sessions = [user, *[await again(user) for _ in range(4)]]
    ids = [await session_of(caller) for caller in sessions]
    answer = await user.post("auth/logout-all")
    assert (answer.status_code, answer.content) == (204, b"")
    for caller in sessions:
        await assert_dead(caller)
    assert [await ending_of(app, id) for id in ids] == ["logout_all"] * 5
    await assert_alive(stranger)
    await assert_alive(await again(user))


async def test_logout_all_needs_a_living_caller(api: Api) -> None:
    user = await api.user()
    assert_problem(await api.post("auth/logout-all"), 401, "unauthenticated")
    assert_problem(await api.post("auth/logout-all", {"refresh_token": user.refresh_token}), 401)
    assert (await user.post("auth/logout-all")).status_code == 204
    assert_problem(await user.post("auth/logout-all"), 401, "token_revoked")


async def test_two_credentials_are_refused(api: Api) -> None:
    user = await api.user()
    twice = [("Authorization", f"Bearer {user.access_token}")] * 2
    assert_problem(await api.call("POST", "auth/logout", headers=twice), 400, "bad_request")
    await assert_alive(user)
    assert (await leave(api, access=user.access_token)).status_code == 204


async def test_session_ended_by_logout_is_not_revived_by_a_retry(api: Api) -> None:
    """Inside the grace period, too: the first refresh's answer was lost, then somebody logged out."""
    first: Caller = await api.user()
    second = await refreshed(first)
    assert (await refresh(api, first.refresh_token)).status_code == 200
    assert (await leave(api, access=second.access_token)).status_code == 204
    assert_problem(await refresh(api, first.refresh_token), 401, "token_revoked")
    assert_problem(await refresh(api, second.refresh_token), 401, "token_revoked")
