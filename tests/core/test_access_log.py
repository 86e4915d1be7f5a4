"""Contract 7: one row for every request, whatever came of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.api import ADMIN, Api, Caller
from tests.backend import Backend, RunningApp
from tests.core.access_logs import CHUNK, CHUNKS, Leaving, Rows, converse, row, rows, serving, stored_rows
from tests.core.people import ask

UNKNOWN_ID = "0198c0de-0000-7000-8000-000000000000"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
async def logged(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApp]:
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("spool")
    limits: dict[str, Any] = {
        "allowed_hosts": ("test",),
        "audit_access_exclude": ("/health/live",),
        "cors_origins": ("https://app.example.com",),
        "trusted_proxies": ("127.0.0.1",),
        "log_level": "INFO",
    }
    async with serving(backend.new_database(), folder, patch, **limits) as app:
        yield app
    patch.undo()


@pytest.fixture(scope="module")
async def admin(logged: RunningApp) -> Caller:
    return await Api(logged).superuser()


@pytest.fixture(scope="module")
async def nobody(logged: RunningApp) -> Caller:
    return await Api(logged).user()


ENDS: list[tuple[str, str, str, int, str | None, str, str | None]] = [
    # who, method, path, status, route, outcome, error class
    ("admin", "GET", "/api/v1/users", 200, "/api/v1/users", "ok", None),
    ("admin", "GET", f"/api/v1/users/{UNKNOWN_ID}", 404, "/api/v1/users/{user_id}", "client_error", "NotFound"),
    ("", "GET", "/api/v1/users", 401, "/api/v1/users", "denied", "Unauthenticated"),
    ("nobody", "GET", "/api/v1/users", 403, "/api/v1/users", "denied", "Forbidden"),
    ("admin", "GET", "/api/v1/nothing", 404, None, "client_error", "NotFound"),
    ("", "GET", "/nothing", 404, None, "client_error", "NotFound"),
    ("admin", "PUT", "/api/v1/users", 405, "/api/v1/users", "client_error", "MethodNotAllowed"),
    ("admin", "GET", "/api/v1/users?page=0", 422, "/api/v1/users", "client_error", "Invalid"),
    ("admin", "GET", "/api/v1/users?nope=0", 422, "/api/v1/users", "client_error", "Invalid"),
    ("", "GET", "/api/v1/ends/limited", 429, "/api/v1/ends/limited", "client_error", "RateLimited"),
    ("", "GET", "/api/v1/ends/crash", 500, "/api/v1/ends/crash", "server_error", "LookupError"),
    ("admin", "HEAD", "/api/v1/users", 200, "/api/v1/users", "ok", None),
    ("", "OPTIONS", "/api/v1/users", 405, "/api/v1/users", "client_error", "MethodNotAllowed"),
    ("", "FOO", "/health", 405, "/health", "client_error", "MethodNotAllowed"),
    ("", "GET", "/docs", 200, "/docs", "ok", None),
    ("", "GET", "/openapi.json", 200, "/openapi.json", "ok", None),
    ("", "GET", "/assets/tessera.css", 200, "/assets/{name}", "ok", None),
    ("", "GET", "/assets/nothing.css", 404, "/assets/{name}", "client_error", "NotFound"),
    ("", "GET", "/health", 200, "/health", "ok", None),
    ("", "GET", "/metrics", 200, "/metrics", "ok", None),
]  # fmt: skip


@pytest.mark.parametrize(("who", "method", "path", "status", "route", "outcome", "error"), ENDS)
async def test_every_request_has_one_row(
    logged: RunningApp, admin: Caller, nobody: Caller, who: str, method: str, path: str, status: int,
    route: str | None, outcome: str, error: str | None,
) -> None:  # fmt: skip
    caller = {"admin": admin, "nobody": nobody}.get(who)
    request_id = uuid4().hex
    headers = {**(caller.headers if caller else {}), "X-Request-ID": request_id}
    before = datetime.now(UTC)
    answer = await ask(logged, method, path, headers=headers)
    assert answer.status_code == status
    found = await row(logged, request_id)
    expected = (status, method, path.partition("?")[0], route, outcome, error)
    told = (
        found["status"],
        found["method"],
        found["path"],
        found["route"],
        found["outcome"],
        found["error_class"],
    )
    assert told == expected
    is_known = caller is not None and route is not None and status != 405  # else no guard has looked
    assert found["actor_type"] == ("user" if is_known else "anonymous")
    assert found["actor_id"] == (caller.id if caller and is_known else None)
    assert found["auth_method"] == ("jwt" if found["actor_id"] else None)
    assert found["client_ip"] == found["peer_ip"] == "127.0.0.1"
    assert found["response_bytes"] == len(answer.content)
    assert found["request_bytes"] == 0
    assert found["is_probe"] is path.startswith(("/health", "/metrics"))
    moment = found["occurred_at"].replace(tzinfo=UTC)
    assert before <= moment <= before + timedelta(seconds=5)
    assert 0 < found["duration_us"] < 5_000_000


async def test_row_of_a_write(logged: RunningApp, admin: Caller) -> None:
    """201, 409, 204: who, by what, with how much, on whose privilege."""
    name = f"role-{uuid4().hex[:8]}"
    made = await admin.post("roles", {"name": name})
    found = await row(logged, made.headers["x-request-id"])
    assert (found["status"], found["outcome"], found["method"]) == (201, "ok", "POST")
    assert (found["module"], found["operation"], found["privilege"]) == (
        "roles",
        "create_role",
        "roles:create",
    )
    assert str(found["session_id"]) == (await admin.get("auth/me")).json()["session_id"]
    assert found["api_key_id"] is None
    assert found["request_bytes"] == len(orjson.dumps({"name": name}))
    again = await admin.post("roles", {"name": name})
    conflict = await row(logged, again.headers["x-request-id"])
    assert (conflict["status"], conflict["outcome"], conflict["error_class"]) == (
        409,
        "client_error",
        "Conflict",
    )
    gone = await admin.delete(f"roles/{made.json()['id']}")
    deleted = await row(logged, gone.headers["x-request-id"])
    assert (deleted["status"], deleted["outcome"], deleted["response_bytes"]) == (204, "ok", 0)
    assert deleted["route"] == "/api/v1/roles/{role_id}"


async def test_row_of_a_key(logged: RunningApp, admin: Caller) -> None:
    key = await admin.with_key()
    found = await row(logged, (await key.get("users")).headers["x-request-id"])
    assert (found["actor_type"], found["actor_id"], found["auth_method"]) == ("api_key", admin.id, "api_key")
    assert str(found["api_key_id"]) == key.key_id
    assert found["session_id"] is None


async def test_privilege_that_was_asked_for_is_told_of_who_lacks_it(
    logged: RunningApp, nobody: Caller
) -> None:
    refused = await row(logged, (await nobody.get("users")).headers["x-request-id"])
    assert refused["privilege"] == "users:read"
    anonymous = await row(logged, (await Api(logged).get("users")).headers["x-request-id"])
    assert (anonymous["privilege"], anonymous["actor_id"]) == ("users:read", None)


async def test_refusals_before_the_program_have_rows(logged: RunningApp, admin: Caller) -> None:
    """413, a foreign host, a preflight: they never reach a route."""
    ids = [uuid4().hex for _ in range(3)]
    big = {**admin.headers, **JSON, "X-Request-ID": ids[0]}
    assert (await ask(logged, "POST", "/api/v1/roles", headers=big, content=b"x" * 2**21)).status_code == 413
    host = {"Host": "evil.example", "X-Request-ID": ids[1]}
    assert (await ask(logged, "GET", "/api/v1/users", headers=host)).status_code == 400
    origin = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
    preflight = await ask(logged, "OPTIONS", "/api/v1/users", headers={**origin, "X-Request-ID": ids[2]})
    assert preflight.status_code == 200
    found = [await row(logged, request_id) for request_id in ids]
    assert [one["status"] for one in found] == [413, 400, 200]
    assert [one["outcome"] for one in found] == ["client_error", "client_error", "ok"]
    assert [one["error_class"] for one in found] == ["PayloadTooLarge", "BadRequest", None]
    assert [one["route"] for one in found] == [None, None, None]


async def test_unchanged_page_is_304(logged: RunningApp) -> None:
    etag = (await ask(logged, "GET", "/assets/tessera.css")).headers["etag"]
    answer = await ask(logged, "GET", "/assets/tessera.css", headers={"If-None-Match": etag})
    found = await row(logged, answer.headers["x-request-id"])
    assert (found["status"], found["outcome"], found["response_bytes"]) == (304, "ok", 0)


async def test_excluded_path_has_none(logged: RunningApp) -> None:
    excluded = await ask(logged, "GET", "/health/live")
    other = await ask(logged, "GET", "/health/ready")
    assert len(await rows(logged, request_id=other.headers["x-request-id"])) == 1
    assert not await rows(logged, request_id=excluded.headers["x-request-id"])


# streams and clients that leave


async def test_stream_is_counted_to_its_end(logged: RunningApp) -> None:
    answer = await ask(logged, "GET", "/api/v1/ends/stream")
    found = await row(logged, answer.headers["x-request-id"])
    assert (found["status"], found["outcome"]) == (200, "ok")
    assert found["response_bytes"] == len(CHUNK) * CHUNKS == len(answer.content)


async def test_stream_that_breaks_off_is_aborted(logged: RunningApp) -> None:
    request_id = uuid4().hex
    await ask(logged, "GET", "/api/v1/ends/stream?fails=true", headers={"X-Request-ID": request_id})
    found = await row(logged, request_id)
    assert (found["status"], found["outcome"], found["error_class"]) == (200, "aborted", "ValueError")
    assert found["response_bytes"] == len(CHUNK) * 2


async def test_client_that_leaves_in_the_middle_is_aborted(logged: RunningApp) -> None:
    found = await row(logged, await Leaving(logged).call("GET", "/api/v1/ends/stream", chunks=2))
    assert (found["status"], found["outcome"]) == (200, "aborted")
    assert 0 < found["response_bytes"] < len(CHUNK) * CHUNKS


async def test_client_that_leaves_before_the_answer_is_aborted(logged: RunningApp) -> None:
    """What was done is done, and is in the log; that the answer arrived is not claimed."""
    body = orjson.dumps({"a": 1})
    json = [(b"content-type", b"application/json")]
    for found in (
        await row(logged, await Leaving(logged).call("GET", "/api/v1/system/ping")),
        await row(logged, await Leaving(logged).call("POST", "/api/v1/ends/change", body=body, headers=json)),
    ):
        assert (found["status"], found["outcome"]) == (200, "aborted")
    assert found["request_bytes"] == len(body)


async def test_client_that_stays_is_not_aborted(logged: RunningApp) -> None:
    body = orjson.dumps({"a": 1})
    json = [(b"content-type", b"application/json")]
    staying = await Leaving(logged).call("POST", "/api/v1/ends/change", body=body, headers=json, chunks=9)
    assert (await row(logged, staying))["outcome"] == "ok"


async def test_work_after_the_answer_does_not_count(logged: RunningApp) -> None:
    answer = await ask(logged, "GET", "/api/v1/ends/background")
    assert (await row(logged, answer.headers["x-request-id"]))["duration_us"] < 900_000


# websockets


async def test_websocket_has_one_row(logged: RunningApp) -> None:
    found = await row(logged, (await converse(logged, "/socket"))[0])
    assert (found["method"], found["status"], found["outcome"], found["route"]) == (
        "WS",
        101,
        "ok",
        "/socket",
    )
    assert (found["request_bytes"], found["response_bytes"], found["error_class"]) == (2, 5, None)
    refused = await row(logged, (await converse(logged, "/nothing"))[0])
    assert (refused["method"], refused["status"], refused["outcome"]) == ("WS", 403, "denied")


# what a row tells of a request


async def test_query_shows_what_the_route_declares_and_is_no_secret(logged: RunningApp) -> None:
    query = "q=chairs&access_token=s3cret&unknown=s3cret2&unknown=s3cret3&aaa.s3cret4-e5f60718293a4b5c6d7e8f9011223344"
    answer = await ask(logged, "GET", f"/api/v1/ends/found?{query}")
    found = await row(logged, answer.headers["x-request-id"])
    masked = "[redacted]"
    assert found["query"] == {"q": "chairs", "access_token": masked, "unknown": masked, masked: masked}
    assert found["path"] == "/api/v1/ends/found"


async def test_long_and_odd_input_fits(logged: RunningApp) -> None:
    """Nothing that a client sends makes a row that the database refuses."""
    names = "&".join(f"q={'y' * 300}%00{n}" for n in range(100))
    headers = {
        "X-Forwarded-For": "1.2.3.4, <script>\t" + "z" * 1000,
        "User-Agent": "ü" + "a" * 1000,
    }
    path = f"/api/v1/{'p' * 3000}%00%ED%A0%80?{names}"
    answer = await ask(logged, "GET", path, headers={k: v.encode("latin-1") for k, v in headers.items()})
    found = await row(logged, answer.headers["x-request-id"])
    assert (len(found["path"]), len(found["user_agent"]), len(found["forwarded_for"])) == (1024, 256, 256)
    assert "\t" not in found["forwarded_for"]
    assert found["client_ip"] == "127.0.0.1"
    assert len(orjson.dumps(found["query"])) <= 2048
    shown = await ask(logged, "GET", f"/api/v1/ends/found?{names}")
    query = (await row(logged, shown.headers["x-request-id"]))["query"]
    assert len(orjson.dumps(query)) <= 2048
    assert query["…"] is True
    through = await ask(logged, "GET", "/health", headers={"X-Forwarded-For": "6.6.6.6, 2001:db8::1"})
    proxied = await row(logged, through.headers["x-request-id"])
    assert (proxied["client_ip"], proxied["peer_ip"]) == ("2001:db8::1", "127.0.0.1")
    assert proxied["forwarded_for"] == "6.6.6.6, 2001:db8::1"


async def test_failed_login_is_anonymous(logged: RunningApp) -> None:
    answer = await Api(logged).post("auth/login", {"email": ADMIN[0], "password": "wrong-" + uuid4().hex})
    found = await row(logged, answer.headers["x-request-id"])
    assert (found["status"], found["outcome"], found["actor_type"], found["actor_id"]) == (
        401, "denied", "anonymous", None,
    )  # fmt: skip


async def test_secrets_are_in_no_column(logged: RunningApp, admin: Caller) -> None:
    """Passwords, tokens, keys and typed addresses, wherever they are sent."""
    marks = [f"{word}{uuid4().hex}" for word in ("pw", "mail", "forged", "query", "key", "cookie", "body")]
    password, mail, forged, query, key, cookie, body = marks
    api = Api(logged)
    await api.post("auth/login", {"email": f"{mail}@example.com", "password": password})
    await api.get("users", headers={"Authorization": f"Bearer {forged}"})
    await ask(logged, "GET", f"/api/v1/users?token={query}&api_key={query}", headers=admin.headers)
    await api.get("users", headers={"X-API-Key": key, "Cookie": f"session={cookie}"})
    await ask(logged, "POST", "/api/v1/ends/change", json={"a": body})
    await (await admin.with_key()).get("users")
    every = " ".join(str(value) for one in await rows(logged) for value in one.values())
    assert "/api/v1/ends/change" in every
    for secret in (*marks, admin.access_token, admin.refresh_token, ADMIN[0], ADMIN[1]):
        assert secret not in every


async def test_rows_come_by_themselves(logged: RunningApp) -> None:
    """Nobody asks for them here: contract 7 promises an access row within a second."""
    answer = await ask(logged, "GET", "/health")
    found: Rows = []
    while not found:
        await asyncio.sleep(0.05)
        found = await stored_rows(logged, request_id=answer.headers["x-request-id"])
    assert len(found) == 1
