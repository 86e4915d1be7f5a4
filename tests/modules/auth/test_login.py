"""Coming in: who is let in, and that nobody learns more than they may."""

from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher as Argon2

from tests.api import PASSWORD, Api, Caller, assert_problem
from tests.backend import RunningApp
from tests.modules.auth.support import assert_alive, stored, write

WRONG = "wrong horse battery staple"


async def login(api: Api, email: str, password: str = PASSWORD) -> httpx2.Response:
    return await api.post("auth/login", {"email": email, "password": password})


async def version_of(app: RunningApp, email: str) -> Any:
    rows = await stored(
        app, "SELECT version, updated_at, last_login_at FROM users WHERE email = :email", email=email
    )
    return rows[0]


async def test_right_password_gives_a_pair_that_works(api: Api) -> None:
    user = await api.user()
    answer = await login(api, user.email)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in", "refresh_expires_in"}
    assert tokens["token_type"] == "bearer"
    assert (tokens["expires_in"], tokens["refresh_expires_in"]) == (15 * 60, 30 * 86_400)
    await assert_alive(Caller(api, user.email, user.id, tokens["access_token"], tokens["refresh_token"]))


def _telling(answer: httpx2.Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    """All that a stranger can see, but for the request's id."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    body = {name: value for name, value in answer.json().items() if name != "request_id"}
    return answer.status_code, headers, body


async def test_failures_look_all_the_same(api: Api) -> None:
    admin = await api.superuser()
    plain, blocked, deleted = await api.user(), await api.user(), await api.user()
    assert (await admin.post(f"users/{blocked.id}/block")).status_code == 200
    assert (await admin.delete(f"users/{deleted.id}")).status_code == 204

    wrong = await login(api, plain.email, WRONG)
    assert_problem(wrong, 401, "invalid_credentials")
    assert wrong.headers["www-authenticate"].startswith("Bearer")
    others = {
        "unknown": await login(api, "nobody@example.com", WRONG),
        "blocked": await login(api, blocked.email, WRONG),
        "deleted, right password": await login(api, deleted.email),
        "over-long": await login(api, plain.email, "x" * 129),
    }
    for name, answer in others.items():
        assert _telling(answer) == _telling(wrong), name
    assert (await login(api, plain.email)).status_code == 200


async def test_blocked_is_told_to_the_right_password_only(api: Api) -> None:
    admin, user = await api.superuser(), await api.user()
    await admin.post(f"users/{user.id}/block")
    assert_problem(await login(api, user.email), 403, "account_blocked")
    assert_problem(await login(api, user.email, WRONG), 401, "invalid_credentials")
    await admin.post(f"users/{user.id}/unblock")
    assert (await login(api, user.email)).status_code == 200


@pytest.mark.parametrize(
    "spelling",
    [
        "ADA.{0}@EXAMPLE.COM",
        "  ada.{0}@example.com\t",
        "ａｄａ.{0}@ｅｘａｍｐｌｅ.com",
        "\u3000Ada.{0}@Example.com",
    ],
)
async def test_address_in_another_spelling_is_the_same_account(api: Api, unique: str, spelling: str) -> None:
    await api.user(email=f"ada.{unique}@example.com")
    assert (await login(api, spelling.format(unique))).status_code == 200
    assert_problem(await login(api, spelling.format(f"{unique}x")), 401, "invalid_credentials")


async def test_address_whose_lower_case_is_unusual_is_found_again(api: Api, unique: str) -> None:
    """Unicode folds these letters to capitals, and PostgreSQL's lower() doesn't leave them so."""
    email = f"\uab70\uab71{unique}@example.com"
    body = {"email": email, "password": PASSWORD}
    assert (await api.post("auth/register", body)).status_code == 201
    assert (await login(api, email)).status_code == 200
    assert_problem(await api.post("auth/register", body), 409, "conflict")


@pytest.mark.parametrize(
    ("set_as", "typed_as"),
    [
        ("caf\u00e9 cr\u00e8me br\u00fbl\u00e9e", "cafe\u0301 cre\u0300me bru\u0302le\u0301e"),
        ("cafe\u0301 cre\u0300me bru\u0302le\u0301e", "caf\u00e9 cr\u00e8me br\u00fbl\u00e9e"),
        ("fifteen \ufb01gures and more", "fifteen figures and more"),
        ("\u00e9" * 128, "e\u0301" * 128),  # 128 code points once composed, 256 as typed
    ],
)
async def test_password_in_another_unicode_form_is_the_same(
    api: Api, unique: str, set_as: str, typed_as: str
) -> None:
    email = f"{unique}@example.com"
    answer = await api.post("auth/register", {"email": email, "password": set_as})
    assert answer.status_code == 201, answer.text
    assert (await login(api, email, typed_as)).status_code == 200
    assert (await login(api, email, set_as)).status_code == 200
    assert_problem(await login(api, email, typed_as.replace("e", "a").replace("\u00e9", "a")), 401)


@pytest.mark.parametrize("other", [PASSWORD + " ", " " + PASSWORD, PASSWORD.upper(), PASSWORD[:-1]])
async def test_every_character_counts(api: Api, other: str) -> None:
    user = await api.user()
    assert_problem(await login(api, user.email, other), 401, "invalid_credentials")
    assert (await login(api, user.email)).status_code == 200


async def test_longest_password_is_not_cut(api: Api, unique: str) -> None:
    email, longest = f"{unique}@example.com", "0123456789abcdef" * 8
    assert (await api.post("auth/register", {"email": email, "password": longest})).status_code == 201
    assert (await login(api, email, longest)).status_code == 200
    assert_problem(await login(api, email, longest[:-1] + "x"), 401, "invalid_credentials")
    assert_problem(await login(api, email, longest + "x"), 401, "invalid_credentials")


async def test_login_is_noted_without_a_new_version(api: Api, app: RunningApp) -> None:
    user = await api.user()
    before = await version_of(app, user.email)
    assert (await login(api, user.email, WRONG)).status_code == 401
    assert await version_of(app, user.email) == before
    assert (await login(api, user.email)).status_code == 200
    after = await version_of(app, user.email)
    assert after[2] > before[2]
    assert after[:2] == before[:2]


async def hash_of(app: RunningApp, email: str) -> str:
    rows = await stored(app, "SELECT password_hash FROM users WHERE email = :email", email=email)
    return str(rows[0][0])


async def plant(app: RunningApp, email: str, password_hash: str) -> None:
    await write(
        app, "UPDATE users SET password_hash = :hash WHERE email = :email", hash=password_hash, email=email
    )


async def test_weaker_hash_is_replaced_by_the_right_password_only(api: Api, app: RunningApp) -> None:
    user = await api.user()
    weak = Argon2(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD)
    await plant(app, user.email, weak)
    assert_problem(await login(api, user.email, WRONG), 401)
    assert await hash_of(app, user.email) == weak
    assert (await login(api, user.email)).status_code == 200
    upgraded = await hash_of(app, user.email)
    assert upgraded != weak
    assert "$m=64,t=1,p=1$" in upgraded
    assert (await login(api, user.email)).status_code == 200
    assert await hash_of(app, user.email) == upgraded


async def test_stronger_hash_stays(api: Api, app: RunningApp) -> None:
    user = await api.user()
    strong = Argon2(time_cost=2, memory_cost=128, parallelism=1).hash(PASSWORD)
    await plant(app, user.email, strong)
    assert (await login(api, user.email)).status_code == 200
    assert await hash_of(app, user.email) == strong


@pytest.mark.parametrize(
    "planted",
    [
        "",
        "!",
        "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHRzb21l$c29tZXNhbHRzb21lc29tZXNhbHRzb21l",
        "$argon2i$v=19$m=4194304,t=1,p=1$c29tZXNhbHRzb21l$c29tZXNhbHRzb21lc29tZXNhbHRzb21l",
        "$argon2id$v=19$m=64,t=1,p=1$damaged",
        "$2b$12$abcdefghijklmnopqrstuv",
    ],
)
async def test_unusable_hash_is_as_a_wrong_password(api: Api, app: RunningApp, planted: str) -> None:
    user = await api.user()
    usable = await hash_of(app, user.email)
    await plant(app, user.email, planted)
    assert_problem(await login(api, user.email), 401, "invalid_credentials")
    await plant(app, user.email, usable)
    assert (await login(api, user.email)).status_code == 200


async def test_credentials_are_not_read_from_the_url(api: Api) -> None:
    user = await api.user()
    query = {"email": user.email, "password": PASSWORD}
    assert_problem(await api.call("POST", "auth/login", params=query), 422, "validation_error")
    problem = assert_problem(await api.call("POST", "auth/login", params=query, json=query), 422)
    assert PASSWORD not in str(problem)
    assert (await api.post("auth/login", query)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "ada@example.com"},
        {"email": "ada@example.com", "password": ""},
        {"email": "ada@example.com", "password": "x" * 1025},
        {"email": "ada@example.com", "password": "nul\x00nul"},
        {"email": "a\x00da@example.com", "password": PASSWORD},
        {"email": "no address", "password": PASSWORD},
        {"email": "a" * 400 + "@example.com", "password": PASSWORD},
        {"email": ["ada@example.com"], "password": PASSWORD},
        {"email": "ada@example.com", "password": 15},
        {"email": "ada@example.com", "password": None},
        {"email": "ada@example.com", "password": PASSWORD, "remember_me": True},
    ],
)
async def test_malformed_body_is_refused_without_an_echo(api: Api, body: dict[str, Any]) -> None:
    answer = await api.post("auth/login", body)
    assert_problem(answer, 422, "validation_error")
    assert answer.json()["errors"]
    assert PASSWORD not in answer.text
    assert "nul\\u0000" not in answer.text


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"email": "a@example.com", "password": "\\ud800"}', "application/json", 400),
        (b'{"email": "a@example.com", "password": NaN}', "application/json", 400),
        (b"email=a%40example.com&password=x", "application/x-www-form-urlencoded", 415),
        (b"<login/>", "text/xml", 415),
    ],
)
async def test_body_that_is_no_json_is_refused(api: Api, content: bytes, kind: str, status: int) -> None:
    assert_problem(
        await api.call("POST", "auth/login", content=content, headers={"Content-Type": kind}), status
    )
    user = await api.user()
    assert (await login(api, user.email)).status_code == 200
