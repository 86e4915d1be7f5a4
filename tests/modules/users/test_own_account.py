"""Contract 3: what users do with their own account."""

import pytest

from tests.api import ADMIN, PASSWORD, Api, assert_problem
from tests.modules.users.test_users import DETAIL

NEW = "another battery staple horse"


async def test_read_and_change_oneself(api: Api) -> None:
    user = await api.user()
    me = (await user.get("users/me")).json()
    assert set(me) == DETAIL
    assert (me["id"], me["email"]) == (user.id, user.email)
    changed = await user.patch("users/me", {"full_name": "Ada"})
    assert changed.status_code == 200
    assert (changed.json()["full_name"], changed.json()["version"]) == ("Ada", me["version"] + 1)
    assert changed.json()["updated_by"] == user.id
    for nothing in ({}, {"full_name": "Ada"}):
        assert (await user.patch("users/me", nothing)).json() == changed.json()


@pytest.mark.parametrize(
    "body",
    [
        {"email": "other@example.com"},
        {"password": PASSWORD},
        {"is_superuser": True},
        {"roles": []},
        {"full_name": 5},
        {"full_name": "a\x00b"},
        {"full_name": " "},
        [],
    ],
)
async def test_profile_takes_the_name_only(api: Api, body: object) -> None:
    user = await api.user()
    before = (await user.get("users/me")).json()
    assert_problem(await user.patch("users/me", body), 422, "validation_error")
    assert (await user.get("users/me")).json() == before


async def test_own_calls_need_a_caller(api: Api) -> None:
    for method, path in (
        ("GET", "users/me"),
        ("PATCH", "users/me"),
        ("DELETE", "users/me"),
        ("POST", "users/me/change-password"),
    ):
        answer = await api.call(method, path, json={})
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_delete_oneself(api: Api) -> None:
    user, admin = await api.user(), await api.superuser()
    second = await api.login(user.email)
    wrong = await user.delete("users/me", json={"password": "wrong"})
    problem = assert_problem(wrong, 403, "forbidden")
    assert problem["errors"][0]["loc"] == ["body", "password"]
    for body in ({}, {"password": ""}, {"password": None}, {"password": PASSWORD, "hard": True}):
        assert_problem(await user.delete("users/me", json=body), 422, "validation_error")
    assert_problem(await user.delete("users/me"), 422, "validation_error")
    assert (await second.get("users/me")).status_code == 200
    gone = await user.delete("users/me", json={"password": PASSWORD})
    assert (gone.status_code, gone.content) == (204, b"")
    for caller in (user, second):
        assert_problem(await caller.get("users/me"), 401, "token_revoked")
        assert_problem(await api.post("auth/refresh", {"refresh_token": caller.refresh_token}), 401)
    assert_problem(await api.post("auth/login", {"email": user.email, "password": PASSWORD}), 401)
    assert (await admin.post(f"users/{user.id}/restore")).status_code == 200


async def test_last_superuser_stays(api: Api) -> None:
    admin = await api.superuser()
    problem = await admin.delete("users/me", json={"password": ADMIN[1]})
    assert_problem(problem, 409, "last_superuser")
    assert (await admin.get("users/me")).status_code == 200


async def test_change_password(api: Api) -> None:
    user = await api.user()
    other = await api.login(user.email)
    path = "users/me/change-password"
    wrong = await user.post(path, {"current_password": "wrong", "new_password": NEW})
    assert_problem(wrong, 403, "forbidden")
    weak = await user.post(path, {"current_password": PASSWORD, "new_password": "short"})
    assert_problem(weak, 422, "weak_password")
    for body in (
        {},
        {"new_password": NEW},
        {"current_password": PASSWORD},
        {"current_password": PASSWORD, "new_password": None},
    ):
        assert_problem(await user.post(path, body), 422, "validation_error")
    assert (await other.get("users/me")).status_code == 200
    done = await user.post(path, {"current_password": PASSWORD, "new_password": NEW})
    assert (done.status_code, done.content) == (204, b"")
    assert (await user.get("users/me")).status_code == 200  # this session stays
    assert (await api.post("auth/refresh", {"refresh_token": user.refresh_token})).status_code == 200
    assert_problem(await other.get("users/me"), 401, "token_revoked")
    assert_problem(await api.post("auth/refresh", {"refresh_token": other.refresh_token}), 401)
    assert_problem(await api.post("auth/login", {"email": user.email, "password": PASSWORD}), 401)
    await api.login(user.email, NEW)


async def test_new_password_is_not_made_of_ones_own_name(api: Api) -> None:
    user = await api.user()
    assert (await user.patch("users/me", {"full_name": "Bartholomew Featherstone"})).status_code == 200
    body = {"current_password": PASSWORD, "new_password": "bartholomew featherstone"}
    problem = assert_problem(await user.post("users/me/change-password", body), 422, "weak_password")
    assert [fault["loc"] for fault in problem["errors"]] == [["body", "new_password"]]
    assert (await api.login(user.email)).access_token
