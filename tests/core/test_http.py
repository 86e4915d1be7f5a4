"""Contract 1 and 6: what every answer has in common, whatever was asked."""

import asyncio
import re

import pytest

from tests.api import Api, assert_problem
from tests.core.conftest import SECRET_OF_THE_SERVER
from tests.core.people import ask

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}


# 404 and 405


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/api/v1", "/api/v1/", "/api/v1/users/", "/api/v1/users/me/", "//api/v1/users", "/api//v1/users",
     "/api/v1//users", "/API/v1/users", "/api/v1/Users", "/api/v1/usersx", "/api/v1/users;x",
     "/api/v2/users", "/api/v1/users%00", "/api/v1/%ED%A0%80", "/health/", "/api/v1/userses/me",
     "/openapi.json/", "/api/v1/users/me/change-password/"],
)  # fmt: skip
async def test_unknown_path_is_404(api: Api, path: str) -> None:
    """Also for who may everything, and never by way of a redirect: one resource, one path."""
    admin = await api.superuser()
    answer = await ask(api.app, "GET", path, headers=admin.headers)
    problem = assert_problem(answer, 404, "not_found")
    assert "location" not in answer.headers
    assert problem["detail"] == "There is nothing at this path."


ALLOWED = {
    "/api/v1/users": "GET, HEAD, POST",
    "/api/v1/users/0198c0de-0000-7000-8000-000000000000": "DELETE, GET, HEAD, PATCH",
    "/api/v1/users/me": "DELETE, GET, HEAD, PATCH",
    "/api/v1/users/me/change-password": "POST",
    "/api/v1/users/0198c0de-0000-7000-8000-000000000000/roles": "PUT",
    "/api/v1/roles": "GET, HEAD, POST",
    "/api/v1/privileges/users:read": "DELETE, GET, HEAD, PATCH",
    "/api/v1/auth/login": "POST",
    "/api/v1/system/ping": "GET, HEAD",
    "/health": "GET, HEAD",
    "/health/live": "GET, HEAD",
    "/metrics": "GET, HEAD",
}


@pytest.mark.parametrize("path", ALLOWED)
async def test_other_methods_are_405_with_allow(api: Api, path: str) -> None:
    every = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO")
    for method in every:
        if method in ALLOWED[path].split(", "):
            continue
        answer = await ask(api.app, method, path)
        assert answer.status_code == 405, method
        assert answer.headers["allow"] == ALLOWED[path], method
        assert method == "HEAD" or answer.json()["code"] == "method_not_allowed"


async def test_method_override_changes_nothing(api: Api) -> None:
    admin = await api.superuser()
    override = {"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Method-Override": "DELETE"}
    user = await api.user()
    assert (await admin.get(f"users/{user.id}", headers=override)).status_code == 200
    assert (await admin.get(f"users/{user.id}")).status_code == 200


async def test_head_is_get_without_body(api: Api) -> None:
    admin = await api.superuser()
    for path in ("users", "users/me", "roles", "/health", "system/ping", "users/none", "/nothing"):
        target = path if path.startswith("/") else f"/api/v1/{path}"
        get = await ask(api.app, "GET", target, headers=admin.headers)
        head = await ask(api.app, "HEAD", target, headers=admin.headers)
        assert (head.status_code, head.content) == (get.status_code, b"")
        own = {"x-request-id", "content-length"}
        assert {k: v for k, v in head.headers.items() if k not in own} == {
            k: v for k, v in get.headers.items() if k not in own
        }
        assert int(head.headers["content-length"]) > 0


# request id


@pytest.mark.parametrize("sent", ["a", "A-b_c.9", "0" * 64])
async def test_request_id_is_kept(api: Api, sent: str) -> None:
    for path in ("system/ping", "users", "nothing"):
        answer = await api.get(path, headers={"X-Request-ID": sent})
        assert answer.headers.get_list("x-request-id") == [sent]


@pytest.mark.parametrize("sent", ["", "a b", "a" * 65, "ä", 'a"b', "a;b", "a/b", "{}", "a\tb"])
async def test_request_id_is_replaced(api: Api, sent: str) -> None:
    answer = await api.get("users", headers={"X-Request-ID": sent.encode()})
    (made,) = answer.headers.get_list("x-request-id")
    assert made != sent
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", made)
    other = await api.get("users", headers={"X-Request-ID": sent.encode()})
    assert other.headers["x-request-id"] != made


# security headers


async def test_security_headers_are_on_every_answer(probe: Api) -> None:
    app = probe.app
    admin = await probe.superuser()
    bearer = admin.headers
    oversize = {"content": b"x" * (1024 * 1024 + 1)}
    answers = {
        200: await ask(app, "GET", "/api/v1/users", headers=bearer),
        201: await ask(app, "POST", "/api/v1/roles", headers=bearer, json={"name": "x"}),
        401: await ask(app, "GET", "/api/v1/users"),
        403: await ask(app, "GET", "/api/v1/users", headers=(await probe.user()).headers),
        404: await ask(app, "GET", "/nothing"),
        405: await ask(app, "FOO", "/api/v1/users"),
        413: await ask(app, "POST", "/api/v1/users", headers=bearer, **oversize),
        415: await ask(app, "POST", "/api/v1/users", headers=bearer, content=b"x"),
        422: await ask(app, "GET", "/api/v1/users?page=0", headers=bearer),
        500: await ask(app, "GET", "/api/v1/probe/broken"),
        503: await ask(app, "GET", "/api/v1/probe/broken-database"),
        400: await ask(app, "GET", "/api/v1/users", headers={"Host": "evil.example"}),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS
        assert answer.headers["x-request-id"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "private, no-cache"
        assert "authorization" in answer.headers["vary"].lower()
        assert "strict-transport-security" not in answer.headers
        assert not {"server", "x-powered-by"} & set(answer.headers)


async def test_credentials_are_not_stored(api: Api) -> None:
    user = await api.user()
    body = {"email": user.email, "password": "correct horse battery staple"}
    assert (await api.post("auth/login", body)).headers["cache-control"] == "no-store"
    refreshed = await api.post("auth/refresh", {"refresh_token": user.refresh_token})
    assert refreshed.headers["cache-control"] == "no-store"


async def test_hsts_over_https_only(api: Api) -> None:
    secure = await ask(api.app, "GET", "https://test/api/v1/system/ping")
    assert secure.headers["strict-transport-security"].startswith("max-age=31536000")
    plain = await ask(api.app, "GET", "/api/v1/system/ping", headers={"X-Forwarded-Proto": "https"})
    assert "strict-transport-security" not in plain.headers


# failures of the program


async def test_fault_of_the_program_tells_nothing(probe: Api, caplog: pytest.LogCaptureFixture) -> None:
    answer = await ask(probe.app, "GET", "/api/v1/probe/broken", headers={"X-Request-ID": "mine"})
    problem = assert_problem(answer, 500, "internal_error")
    assert (problem["instance"], problem["request_id"]) == ("/api/v1/probe/broken", "mine")
    for internal in (SECRET_OF_THE_SERVER, "RuntimeError", "Traceback", "/app/", "sqlalchemy"):
        assert internal not in answer.text


async def test_fault_of_the_database_is_503(probe: Api) -> None:
    answer = await ask(probe.app, "GET", "/api/v1/probe/broken-database")
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert SECRET_OF_THE_SERVER not in answer.text
    assert_problem(await ask(probe.app, "GET", "/api/v1/probe/refused"), 409, "conflict")


async def test_one_fault_does_not_touch_the_next(probe: Api) -> None:
    answers = await asyncio.gather(
        *(ask(probe.app, "GET", f"/api/v1/{path}") for path in ("probe/broken", "system/ping") * 10)
    )
    assert [answer.status_code for answer in answers] == [500, 200] * 10
    assert len({answer.headers["x-request-id"] for answer in answers}) == 20


# order of refusal


async def test_order_of_refusal(probe: Api) -> None:
    """413, unreadable JSON 400, 401, 403, 415, 422: each stands before all that come later."""
    path = "/api/v1/probe/guarded"
    nobody, reader = (await probe.user()).headers, (await probe.superuser()).headers
    json = {"Content-Type": "application/json"}
    big, broken, wrong, right = b"[" * (1024 * 1024 + 1), b"{", b'{"a": "x"}', b'{"a": 1}'
    encoded = {**json, "Content-Encoding": "gzip"}
    cases: list[tuple[bytes, dict[str, str], int]] = [
        (big, {**json}, 413),
        (big, {**encoded}, 413),
        (broken, {**json}, 400),
        (broken, {**json, **nobody}, 400),
        (broken, {**json, **reader}, 400),
        (wrong, {**json}, 401),
        (wrong, {"Content-Type": "text/plain"}, 401),
        (wrong, {**encoded}, 401),
        (wrong, {**json, **nobody}, 403),
        (wrong, {"Content-Type": "text/plain", **nobody}, 403),
        (wrong, {**encoded, **nobody}, 403),
        (wrong, {"Content-Type": "text/plain", **reader}, 415),
        (wrong, {**encoded, **reader}, 415),
        (wrong, {**json, **reader}, 422),
        (right, {**json, **reader}, 200),
    ]
    for query in ("", "?unknown=1"):
        for body, headers, status in cases:
            answer = await ask(probe.app, "POST", path + query, content=body, headers=headers)
            expected = 422 if status == 200 and query else status
            assert answer.status_code == expected, (body[:20], headers, query, answer.text)


async def test_two_credentials_are_400(api: Api) -> None:
    user = await api.user()
    token = f"Bearer {user.access_token}"
    answer = await api.get("users/me", headers=[("Authorization", token), ("Authorization", token)])
    assert_problem(answer, 400, "bad_request")
    for path in (f"users/me?access_token={user.access_token}", f"users/me?token={user.access_token}"):
        assert_problem(await api.get(path), 401, "unauthenticated")
    cookie = {"Cookie": f"access_token={user.access_token}; Authorization={token}"}
    assert_problem(await api.get("users/me", headers=cookie), 401, "unauthenticated")
