"""Passwords that administrators set: made up or given, shown once or not at all, kept by the rules."""

import pytest

from tests.api import Api, assert_problem
from tests.modules.auth.support import again, assert_alive, stored
from tests.modules.users.admin_resets import GIVEN, login, reset


@pytest.mark.parametrize("body", [None, {}, {"new_password": None}])
async def test_password_that_was_made_up_is_shown_once(api: Api, body: object) -> None:
    admin = await api.superuser()
    user = await api.user()
    answer = await admin.post(f"users/{user.id}/reset-password", body)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    (made_up,) = answer.json().values()
    assert answer.json() == {"temporary_password": made_up}
    assert len(made_up) >= 20
    assert not set(made_up) & set("0O1lIi")
    detail = await admin.get(f"users/{user.id}")
    assert made_up not in detail.text
    rows = await stored(api.app, "SELECT * FROM users")
    assert made_up not in repr(rows)
    await login(api, user.email, made_up)


async def test_two_of_them_differ(api: Api) -> None:
    admin = await api.superuser()
    user = await api.user()
    assert await reset(admin, user) != await reset(admin, user)


async def test_given_password_is_not_shown(api: Api) -> None:
    admin = await api.superuser()
    user = await api.user()
    answer = await admin.post(f"users/{user.id}/reset-password", {"new_password": GIVEN})
    assert (answer.status_code, answer.json()) == (200, {})
    await login(api, user.email, GIVEN)


@pytest.mark.parametrize(
    ("password", "code"),
    [("short", "weak_password"), ("password1234567", "compromised_password"), ("", "validation_error")],
)
async def test_given_password_keeps_the_rules(api: Api, password: str, code: str) -> None:
    admin = await api.superuser()
    user = await api.user()
    answer = await admin.post(f"users/{user.id}/reset-password", {"new_password": password})
    problem = assert_problem(answer, 422, code)
    assert problem["errors"][0]["loc"] == ["body", "new_password"]
    await assert_alive(user)
    await assert_alive(await again(user))


async def test_unknown_and_deleted_users_are_not_there(api: Api) -> None:
    admin = await api.superuser()
    user = await api.user()
    assert (await admin.delete(f"users/{user.id}")).status_code == 204
    for id in (user.id, user.id[::-1].replace("-", "0")[:8] + user.id[8:]):
        answer = await admin.post(f"users/{id}/reset-password")
        assert answer.status_code in {404, 422}, answer.text
    assert_problem(await admin.post(f"users/{user.id}/reset-password"), 404, "not_found")


async def test_blocked_user_stays_blocked(api: Api) -> None:
    admin = await api.superuser()
    user = await api.user()
    assert (await admin.post(f"users/{user.id}/block")).status_code == 200
    body = {"email": user.email, "password": await reset(admin, user)}
    assert_problem(await api.post("auth/login", body), 403, "account_blocked")
