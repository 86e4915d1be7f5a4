"""Who must change the password: what every token answer says, what is open meanwhile, and for how long."""

from datetime import timedelta

import pytest
import time_machine

from app.auth.dependencies import Guard
from app.modules.users.service import TEMPORARY_LIFE
from tests.api import PASSWORD, Api, Caller, assert_problem
from tests.modules.auth.support import again, assert_alive, assert_dead, refresh, through
from tests.modules.users.admin_resets import CHANGE, GIVEN, NEW, change, login, reset
from tests.test_guard_matrix import GUARDED, Route

MOMENT = timedelta(seconds=5)


async def test_every_session_ends_at_every_worker(workers: tuple[Api, Api]) -> None:
    here, there = workers
    admin, user = await here.superuser(), await here.user()
    other = await again(user)
    for api in workers:
        await assert_alive(through(api, user))
    await reset(admin, user)
    for api in (there, here):
        for caller in (user, other):
            await assert_dead(through(api, caller))
    assert_problem(await there.post("auth/login", {"email": user.email, "password": PASSWORD}), 401)


async def test_every_kind_of_token_answer_says_that_it_must_be_changed(api: Api) -> None:
    admin = await api.superuser()
    user = await api.user()
    password = await reset(admin, user)
    grant = {"grant_type": "password", "username": user.email, "password": password}
    first = await api.post("auth/login", {"email": user.email, "password": password})
    second = await api.call("POST", "auth/token", data=grant)
    third = await refresh(api, first.json()["refresh_token"])
    again_grant = {"grant_type": "refresh_token", "refresh_token": second.json()["refresh_token"]}
    fourth = await api.call("POST", "auth/token", data=again_grant)
    for answer in (first, second, third, fourth):
        assert answer.status_code == 200, answer.text
        assert answer.json()["must_change_password"] is True


async def test_nobody_else_reads_that_word(api: Api) -> None:
    user = await api.user()
    grant = {"grant_type": "password", "username": user.email, "password": PASSWORD}
    answers = [
        await api.post("auth/login", {"email": user.email, "password": PASSWORD}),
        await api.call("POST", "auth/token", data=grant),
        await refresh(api, user.refresh_token),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert "must_change_password" not in answer.json()


def lets_in_during_change(route: Route) -> bool:
    return isinstance(route.guard, Guard) and route.guard.during_change


def test_one_route_lets_in_who_must_change_the_password() -> None:
    """Logout is public: it takes the tokens of anybody."""
    (route,) = [route for route in GUARDED if lets_in_during_change(route)]
    assert (route.method, route.template) == ("POST", f"/api/v1/{CHANGE}")
    assert len(GUARDED) > 40


@pytest.fixture(scope="module")
async def must_change(workers: tuple[Api, Api]) -> Caller:
    """Somebody with every right there is, once the password was changed."""
    here, _ = workers
    user = await here.user(role="superuser")
    password = await reset(await here.superuser(), user)
    return await login(here, user.email, password)


@pytest.mark.parametrize("route", GUARDED, ids=str)
async def test_nothing_but_the_change_is_open(must_change: Caller, route: Route) -> None:
    answer = await route.ask(must_change)
    if lets_in_during_change(route):
        assert_problem(answer, 422, "validation_error")
    else:
        assert_problem(answer, 403, "password_change_required")


async def test_logout_is_open_too(api: Api) -> None:
    admin = await api.superuser()
    user = await api.user()
    caller = await login(api, user.email, await reset(admin, user))
    assert (await caller.post("auth/logout")).status_code == 204
    await assert_dead(caller)


async def test_change_ends_it_and_this_session_goes_on(api: Api) -> None:
    admin = await api.superuser()
    user = await api.user()
    password = await reset(admin, user)
    caller, other = [await login(api, user.email, password) for _ in range(2)]
    assert await change(caller, password, NEW) == 204
    await assert_alive(caller)
    await assert_dead(other)
    answer = await refresh(api, caller.refresh_token)
    assert "must_change_password" not in answer.json()
    assert_problem(await api.post("auth/login", {"email": user.email, "password": password}), 401)
    await assert_alive(await api.login(user.email, NEW))


async def test_the_same_password_is_no_change(api: Api) -> None:
    admin = await api.superuser()
    user = await api.user()
    await reset(admin, user, f"{GIVEN} \ufb01n")
    caller = await login(api, user.email, f"{GIVEN} \ufb01n")
    for same in (f"{GIVEN} \ufb01n", f"{GIVEN} fin"):  # one form of Unicode, as it is hashed
        body = {"current_password": f"{GIVEN} fin", "new_password": same}
        problem = assert_problem(await caller.post(CHANGE, body), 422, "weak_password")
        assert problem["errors"][0]["loc"] == ["body", "new_password"]
    assert_problem(await caller.get("auth/me"), 403, "password_change_required")
    assert await change(caller, f"{GIVEN} fin", NEW) == 204


@pytest.mark.parametrize("is_late", [False, True])
async def test_temporary_password_opens_for_72_hours(
    api: Api, clock: time_machine.Traveller, is_late: bool
) -> None:
    admin = await api.superuser()
    assert timedelta(hours=72) == TEMPORARY_LIFE
    user = await api.user()
    body = {"email": user.email, "password": await reset(admin, user)}
    clock.shift(TEMPORARY_LIFE + (MOMENT if is_late else -MOMENT))
    answer = await api.post("auth/login", body)
    if not is_late:
        assert answer.status_code == 200
        return
    wrong = await api.post("auth/login", {**body, "password": "wrong"})
    assert_problem(answer, 401, "invalid_credentials")
    told = [
        {name: one.json()[name] for name in ("title", "status", "code", "detail")} for one in (answer, wrong)
    ]
    assert told[0] == told[1]
    grant = {"grant_type": "password", "username": user.email, "password": body["password"]}
    assert (await api.call("POST", "auth/token", data=grant)).json()["error"] == "invalid_grant"
    fresh = await reset(await api.superuser(), user)
    await login(api, user.email, fresh)


async def test_password_that_was_chosen_does_not_run_out(api: Api, clock: time_machine.Traveller) -> None:
    admin = await api.superuser()
    user = await api.user()
    password = await reset(admin, user)
    assert await change(await login(api, user.email, password), password, NEW) == 204
    clock.shift(TEMPORARY_LIFE + MOMENT)
    await assert_alive(await api.login(user.email, NEW))
