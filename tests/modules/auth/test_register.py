"""An account of one's own: for whom, with which password, and with which rights."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.api import PASSWORD, Api, assert_problem
from tests.backend import Backend, RunningApp, run_app
from tests.conftest import settings_for
from tests.modules.auth.support import stored


async def register(api: Api, email: str, password: str = PASSWORD, **more: Any) -> httpx2.Response:
    return await api.post("auth/register", {"email": email, "password": password, **more})


async def count_of(app: RunningApp, email: str) -> int:
    rows = await stored(app, "SELECT 1 FROM users WHERE lower(email) = :email", email=email)
    return len(rows)


async def test_account_is_made_with_the_default_role(api: Api, unique: str) -> None:
    answer = await register(api, f" Ada.{unique}@Example.com ", full_name="Ada Lovelace")
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/api/v1/users/{made['id']}"
    assert (made["email"], made["full_name"]) == (f"ada.{unique}@example.com", "Ada Lovelace")
    assert [role["name"] for role in made["roles"]] == ["regular"]
    assert (made["is_blocked"], made["version"], made["last_login_at"]) == (False, 1, None)
    assert not any("password" in name or name == "pk" for name in made)
    ada = await api.login(made["email"])
    me = (await ada.get("auth/me")).json()
    assert (me["roles"], me["is_superuser"], me["user"]["id"]) == (["regular"], False, made["id"])
    assert (await ada.get(answer.headers["location"])).status_code == 403
    admin = await api.superuser()
    assert (await admin.get(answer.headers["location"])).status_code == 200


async def test_address_in_use_is_refused_in_any_spelling(api: Api, app: RunningApp, unique: str) -> None:
    email = f"ada.{unique}@example.com"
    assert (await register(api, email)).status_code == 201
    for spelling in (email, email.upper(), f"\t{email} ", email.replace("a", "ａ", 1)):
        problem = assert_problem(await register(api, spelling), 409, "conflict")
        assert problem["errors"][0]["loc"] == ["body", "email"]
        assert problem["errors"][0]["code"] == "duplicate"
    assert await count_of(app, email) == 1


async def test_address_of_a_deleted_account_is_free(api: Api) -> None:
    user, admin = await api.user(), await api.superuser()
    assert_problem(await register(api, user.email), 409)
    await admin.delete(f"users/{user.id}")
    answer = await register(api, user.email)
    assert answer.status_code == 201
    assert answer.json()["id"] != user.id


async def test_parallel_registrations_make_one_account(api: Api, app: RunningApp, unique: str) -> None:
    email = f"ada.{unique}@example.com"
    spellings = [email, email.upper(), email.title()] * 3
    answers = await asyncio.gather(*(register(api, spelling) for spelling in spellings))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 8]
    assert await count_of(app, email) == 1


async def test_closed_registration_lets_nobody_in(backend: Backend, unique: str) -> None:
    settings = settings_for(backend.new_database(), "", registration="closed")
    async with run_app(settings) as app:
        api = Api(app)
        answer = await register(api, f"{unique}@example.com")
        assert_problem(answer, 403, "registration_closed")
        assert_problem(await register(api, "no address", "short"), 403, "registration_closed")
        assert await count_of(app, f"{unique}@example.com") == 0
        admin = await api.superuser()
        body = {"email": f"{unique}@example.com", "password": PASSWORD}
        assert (await admin.post("users", body)).status_code == 201


@pytest.mark.parametrize(
    "password",
    [
        "vuxkqhzrowmtbne",
        "               ",
        "\N{GRINNING FACE}" * 15,
        "\u00e9" * 15,
        "e\u0301" * 128,
        "x" * 128,
        "739105264812530",
        "tessera is a house of stone",
    ],
)
async def test_any_password_of_allowed_length_is_taken(api: Api, unique: str, password: str) -> None:
    email = f"{unique}@example.com"
    assert (await register(api, email, password)).status_code == 201
    assert (await api.post("auth/login", {"email": email, "password": password})).status_code == 200


@pytest.mark.parametrize(
    "password",
    [
        "abcdefghijklmn",
        "\N{GRINNING FACE}" * 14,
        "e\u0301" * 14,  # 28 code points as sent, 14 once composed
        "x" * 129,
        "\ufdfa" * 8,  # 8 as sent, 144 once expanded
        "tesseratesseratessera",
        "TESSERA-tessera-1!",
        "{email}",
        "{email}{email}",
        "Grace Hopper Grace!",
    ],
)
async def test_weak_password_is_refused(api: Api, app: RunningApp, unique: str, password: str) -> None:
    email = f"{unique}@navy.example"
    answer = await register(api, email, password.format(email=email.upper()), full_name="Grace Hopper")
    problem = assert_problem(answer, 422, "weak_password")
    assert [error["loc"] for error in problem["errors"]] == [["body", "password"]]
    assert password not in answer.text
    assert await count_of(app, email) == 0
    assert (await register(api, email)).status_code == 201


async def test_weak_new_password_is_told_at_its_own_field(api: Api) -> None:
    user = await api.user()
    body = {"current_password": PASSWORD, "new_password": "short"}
    problem = assert_problem(await user.post("users/me/change-password", body), 422, "weak_password")
    assert [error["loc"] for error in problem["errors"]] == [["body", "new_password"]]


async def test_shorter_minimum_can_be_set(backend: Backend, unique: str) -> None:
    settings = settings_for(backend.new_database(), "", password_min_length=8)
    async with run_app(settings) as app:
        api = Api(app)
        assert_problem(await register(api, f"{unique}@example.com", "abcdefg"), 422, "weak_password")
        assert (await register(api, f"{unique}@example.com", "wqzkvtmp")).status_code == 201


@pytest.mark.parametrize(
    "field",
    [
        "id", "pk", "role_ids", "roles", "is_superuser", "is_blocked", "is_active", "password_hash",
        "auth_version", "created_at", "deleted_at", "version", "username", "Email",
    ],
)  # fmt: skip
async def test_other_fields_are_refused(api: Api, app: RunningApp, unique: str, field: str) -> None:
    email = f"{unique}@example.com"
    problem = assert_problem(await register(api, email, **{field: "1"}), 422, "validation_error")
    assert problem["errors"][0]["loc"] == ["body", field]
    assert await count_of(app, email) == 0
    assert (await register(api, email)).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"email": "no address"},
        {"email": "a@b@example.com"},
        {"email": f"{'a' * 250}@example.com"},
        {"email": None},
        {"email": "nul\x00@example.com"},
        {"password": None},
        {"password": "nul\x00 and more of it"},
        {"password": "x" * 1025},
        {"full_name": ""},
        {"full_name": "x" * 201},
        {"full_name": "nul\x00"},
        {"full_name": 5},
    ],
)
async def test_malformed_fields_are_refused(api: Api, unique: str, change: dict[str, Any]) -> None:
    body = {"email": f"{unique}@example.com", "password": PASSWORD, "full_name": "Ada"}
    problem = assert_problem(await api.post("auth/register", body | change), 422, "validation_error")
    assert problem["errors"][0]["loc"] == ["body", *change]
    assert (await api.post("auth/register", body)).status_code == 201
