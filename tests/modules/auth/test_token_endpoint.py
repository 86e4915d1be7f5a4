"""The OAuth 2.0 form of login and refresh: RFC 6749 to the letter."""

import base64
from typing import Any

import httpx2
import pytest

from app.auth.passwords import PasswordHasher
from app.core.errors import Conflict, Unavailable
from app.modules.auth.service_sessions import SessionService
from tests.api import PASSWORD, Api, Caller, assert_problem
from tests.backend import Backend, run_app
from tests.conftest import settings_for
from tests.modules.auth.support import assert_alive, assert_dead

FORM = "application/x-www-form-urlencoded"


async def ask(api: Api, **fields: Any) -> httpx2.Response:
    return await api.call("POST", "auth/token", data=fields, headers={"Content-Type": FORM})


async def password_grant(api: Api, user: Caller, **more: Any) -> httpx2.Response:
    return await ask(api, grant_type="password", username=user.email, password=PASSWORD, **more)


def assert_refused(answer: httpx2.Response, error: str) -> None:
    """Asserts the one form that RFC 6749 5.2 has for errors."""
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == error
    # RFC 6749 5.2: %x20-21 / %x23-5B / %x5D-7E
    assert all(" " <= char <= "~" and char not in '"\\' for char in body["error_description"])


async def test_password_grant_gives_a_pair_that_works(api: Api) -> None:
    user = await api.user()
    answer = await password_grant(api, user)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    tokens = answer.json()
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in", "refresh_expires_in"}
    await assert_alive(Caller(api, user.email, user.id, tokens["access_token"], tokens["refresh_token"]))


async def test_refresh_grant_rotates_and_notices_reuse(api: Api) -> None:
    user = await api.user()
    second = (await ask(api, grant_type="refresh_token", refresh_token=user.refresh_token)).json()
    third = await ask(api, grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert third.status_code == 200
    answer = await ask(api, grant_type="refresh_token", refresh_token=user.refresh_token)
    assert_refused(answer, "invalid_grant")
    pair = third.json()
    await assert_dead(Caller(api, user.email, user.id, pair["access_token"], pair["refresh_token"]))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"username": "a@example.com", "password": PASSWORD}, "invalid_request"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "password", "username": "a@example.com"}, "invalid_request"),
        ({"grant_type": "password", "password": PASSWORD}, "invalid_request"),
        ({"grant_type": "password", "username": "", "password": PASSWORD}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": ""}, "invalid_request"),
        ({"grant_type": "password", "username": "a\x00@example.com", "password": "x"}, "invalid_request"),
        ({"grant_type": ["password", "password"], "username": "a@b.c", "password": "x"}, "invalid_request"),
        ({"grant_type": "password", "username": ["a@b.c", "d@e.f"], "password": "x"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "scope": ["a", "b"]}, "invalid_request"),
        ({f"field_{number}": "x" for number in range(33)}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, "unsupported_grant_type"),
        ({"grant_type": "Password", "username": "a@b.c", "password": "x"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "nobody@example.com", "password": PASSWORD}, "invalid_grant"),
        ({"grant_type": "password", "username": "no address", "password": PASSWORD}, "invalid_grant"),
        ({"grant_type": "password", "username": "a" * 5000, "password": PASSWORD}, "invalid_grant"),
        ({"grant_type": "password", "username": "a@example.com", "password": "x" * 5000}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "unknown"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "é" * 5000}, "invalid_grant"),
    ],
)
async def test_errors_are_those_of_the_rfc(api: Api, fields: dict[str, Any], error: str) -> None:
    assert_refused(await ask(api, **fields), error)


@pytest.mark.parametrize("content", [b"grant_type=%ff%fe", b"\xff\xfe", b"grant_type=%ED%A0%80"])
async def test_form_that_is_no_utf8_is_refused(api: Api, content: bytes) -> None:
    answer = await api.call("POST", "auth/token", content=content, headers={"Content-Type": FORM})
    assert_refused(answer, "invalid_request")


async def test_wrong_password_is_as_an_unknown_name(api: Api) -> None:
    user = await api.user()
    wrong = await ask(api, grant_type="password", username=user.email, password="wrong horse battery")
    unknown = await ask(api, grant_type="password", username="nobody@example.com", password=PASSWORD)
    assert_refused(wrong, "invalid_grant")
    assert wrong.content == unknown.content
    assert (await password_grant(api, user)).status_code == 200


async def test_blocked_account_gets_no_tokens(api: Api) -> None:
    user, admin = await api.user(), await api.superuser()
    assert (await password_grant(api, user)).status_code == 200
    await admin.post(f"users/{user.id}/block")
    assert_refused(await password_grant(api, user), "invalid_grant")
    refused = await ask(api, grant_type="refresh_token", refresh_token=user.refresh_token)
    assert_refused(refused, "invalid_grant")


async def test_what_clients_say_of_themselves_is_ignored(api: Api) -> None:
    user = await api.user()
    basic = "Basic " + base64.b64encode(b"client:secret").decode()
    answer = await api.call(
        "POST",
        "auth/token",
        headers={"Authorization": basic},
        data={
            "grant_type": "password",
            "username": f" {user.email.upper()} ",
            "password": PASSWORD,
            "scope": "everything",
            "client_id": "web",
            "client_secret": "hush",
        },
    )
    assert answer.status_code == 200, answer.text


async def test_form_of_swagger_works(api: Api) -> None:
    """Byte by byte what Swagger UI sends after "Authorize" is pressed."""
    user = await api.user()
    document = (await api.get("/openapi.json")).json()
    schemes = document["components"]["securitySchemes"].values()
    (flow,) = [scheme["flows"]["password"] for scheme in schemes if scheme["type"] == "oauth2"]
    name, password = user.email.replace("@", "%40"), PASSWORD.replace(" ", "%20")
    answer = await api.call(
        "POST",
        "/" + flow["tokenUrl"],
        content=f"grant_type=password&username={name}&password={password}",
        headers={
            "Content-Type": FORM,
            "Accept": "application/json, text/plain, */*",
            "Authorization": "Basic Og==",
            "X-Requested-With": "XMLHttpRequest",
        },
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "bearer"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_other_content_types_are_refused(api: Api, kind: str) -> None:
    user = await api.user()
    content = f"grant_type=password&username={user.email}&password={PASSWORD}".encode()
    answer = await api.call("POST", "auth/token", content=content, headers={"Content-Type": kind})
    assert_problem(answer, 415, "unsupported_media_type")
    charset = {"Content-Type": "Application/X-WWW-Form-URLEncoded; charset=UTF-8"}
    assert (await api.call("POST", "auth/token", content=content, headers=charset)).status_code == 200


async def test_credentials_in_the_url_are_refused(api: Api) -> None:
    user = await api.user()
    fields = {"grant_type": "password", "username": user.email, "password": PASSWORD}
    headers = {"Content-Type": FORM}
    answer = await api.call("POST", "auth/token", params=fields, headers=headers)
    problem = assert_problem(answer, 422, "validation_error")
    assert PASSWORD not in str(problem)
    assert (await api.call("POST", "auth/token", data=fields)).status_code == 200


async def test_oversized_body_stays_a_problem(api: Api) -> None:
    answer = await api.call("POST", "auth/token", data={"grant_type": "password", "password": "x" * 2**20})
    assert_problem(answer, 413, "payload_too_large")


async def test_overload_stays_a_problem(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await api.user()

    async def overloaded(*_: object) -> None:
        raise Unavailable("Too many.")

    with monkeypatch.context() as patch:
        patch.setattr(PasswordHasher, "verify", overloaded)
        answer = await password_grant(api, user)
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await password_grant(api, user)).status_code == 200


async def test_lost_race_does_not_make_the_client_throw_its_token_away(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await api.user()

    async def lost(*_: object) -> None:
        raise Conflict("Somebody else is changing the same thing.")

    with monkeypatch.context() as patch:
        patch.setattr(SessionService, "refresh", lost)
        answer = await ask(api, grant_type="refresh_token", refresh_token=user.refresh_token)
    assert_problem(answer, 503, "unavailable")
    answer = await ask(api, grant_type="refresh_token", refresh_token=user.refresh_token)
    assert answer.status_code == 200


async def test_tokens_live_as_long_as_configured(backend: Backend) -> None:
    settings = settings_for(backend.new_database(), "", access_token_minutes=2, refresh_token_days=3)
    async with run_app(settings) as app:
        admin = await Api(app).superuser()
        answer = await ask(admin.api, grant_type="refresh_token", refresh_token=admin.refresh_token)
    tokens = answer.json()
    assert (tokens["expires_in"], tokens["refresh_expires_in"]) == (120, 3 * 86_400)
