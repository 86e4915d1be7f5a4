"""Contract 1 and 8: ALLOWED_HOSTS and CORS_ORIGINS."""

from typing import Any

import pytest

from tests.api import Api, assert_problem
from tests.backend import RunningApp
from tests.core.people import ask

ORIGIN = "https://app.example.com"


@pytest.mark.parametrize(
    "host", ["test", "TEST", "test:8000", "api.example.com", "a.svc.example.com", "a.b.svc.example.com"]
)
async def test_own_hosts_are_answered(probe_app: RunningApp, host: str) -> None:
    answer = await ask(probe_app, "GET", "/api/v1/system/ping", headers={"Host": host})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "testx", "xtest", "svc.example.com", "evilsvc.example.com", "api.example.com.evil.example",
     "api.example.com.", "a@test", "test/x", "test:x", "test:123456", "", " ", "te st", "[::1", "test\x00"],
)  # fmt: skip
async def test_foreign_hosts_are_400(probe_app: RunningApp, host: str) -> None:
    answer = await ask(probe_app, "GET", "/api/v1/system/ping", headers={"Host": host})
    problem = assert_problem(answer, 400, "bad_request")
    assert "host" in problem["detail"]


async def test_two_hosts_or_none_are_400(probe_app: RunningApp) -> None:
    for hosts in ([], [(b"host", b"test")] * 2):
        sent = await raw_status(probe_app, hosts)
        assert sent == 400
    assert await raw_status(probe_app, [(b"host", b"test")]) == 200


async def raw_status(app: RunningApp, headers: list[tuple[bytes, bytes]]) -> int:
    path = "/api/v1/system/ping"
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("test", 80),
    }  # fmt: skip
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app.app(scope, receive, send)
    return statuses[0]


async def test_health_is_answered_under_any_name(probe_app: RunningApp) -> None:
    answer = await ask(probe_app, "GET", "/health/live", headers={"Host": "10.0.0.7:8000"})
    assert answer.status_code == 200
    answer = await ask(probe_app, "GET", "/health/live", headers={"Host": "a@b"})
    assert_problem(answer, 400)


PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization"}


async def test_own_origin_may_call(probe_app: RunningApp) -> None:
    for path, status in (("/api/v1/system/ping", 200), ("/api/v1/users", 401), ("/api/v1/probe/broken", 500)):
        answer = await ask(probe_app, "GET", path, headers={"Origin": ORIGIN})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "origin" in answer.headers["vary"].lower()
        assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
    preflight = await ask(probe_app, "OPTIONS", "/api/v1/users", headers={"Origin": ORIGIN, **PREFLIGHT})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", "http://app.example.com", "https://app.example.com:444", "https://app.example.com.evil",
     "https://xapp.example.com", "HTTPS://APP.EXAMPLE.COM", "https://evil.example#https://app.example.com", "*"],
)  # fmt: skip
async def test_foreign_origin_gets_no_leave(probe_app: RunningApp, origin: str) -> None:
    answer = await ask(probe_app, "GET", "/api/v1/system/ping", headers={"Origin": origin})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    preflight = await ask(probe_app, "OPTIONS", "/api/v1/users", headers={"Origin": origin, **PREFLIGHT})
    assert_problem(preflight, 400, "bad_request")
    assert "access-control-allow-origin" not in preflight.headers
    assert origin == "*" or origin not in preflight.text


async def test_preflight_for_an_unlisted_method_is_refused(probe_app: RunningApp) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "TRACE"}
    assert_problem(await ask(probe_app, "OPTIONS", "/api/v1/users", headers=headers), 400, "bad_request")


async def test_no_origins_no_leave(api: Api) -> None:
    answer = await ask(api.app, "GET", "/api/v1/system/ping", headers={"Origin": ORIGIN})
    assert "access-control-allow-origin" not in answer.headers
    preflight = await ask(api.app, "OPTIONS", "/api/v1/users", headers={"Origin": ORIGIN, **PREFLIGHT})
    assert_problem(preflight, 405, "method_not_allowed")
