"""The sweep for secrets finds each kind of leak, and only those."""

from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from app.core.cache import NAMESPACE, RedisCache
from app.core.logging import CHANNELS, configure, logger
from tests.api import PASSWORD, Api
from tests.backend import RunningApp
from tests.canaries import MOST, Canaries, Leak

SECRET = 'swordfish "and" half a kipper, é'
DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def canaries() -> Canaries:
    """A sweep of its own: what is planted here must not fail this test's own sweep."""
    return Canaries()


def answer_of(
    path: str, status: int = 200, headers: dict[str, str] | None = None, method: str = "POST", **body: Any
) -> httpx2.Response:
    request = httpx2.Request(method, f"http://test/api/v1/{path}")
    return httpx2.Response(status, json=body, headers=headers, request=request)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"json": {"password": SECRET}}, answer_of("auth/login", 422, input=SECRET)),
        ({"json": {"current_password": SECRET}}, answer_of("users/me/change-password", 403, detail=SECRET)),
        (
            {"data": {"password": SECRET, "username": "x"}},
            answer_of("auth/token", 400, error=f"no {SECRET}!"),
        ),
        (
            {"content": b'{"token": "aaaabbbbcccc"}'},
            answer_of("auth/password/reset", 400, x=["aaaabbbbcccc"]),
        ),
        ({"headers": {"Authorization": "Bearer aaa.bbb.ccc"}}, answer_of("users", token="aaa.bbb.ccc")),
        (
            {"headers": {"X-API-Key": "tessera_test_x_y"}},
            answer_of("x", headers={"Link": "<tessera_test_x_y>"}),
        ),
        ({}, answer_of("users", password_hash="$argon2id$v=19$m=64,t=1,p=1$abc$def")),
    ],
)
def test_leak_in_an_answer_is_found(
    canaries: Canaries, sent: dict[str, Any], answer: httpx2.Response
) -> None:
    with pytest.raises(Leak):
        canaries.see(answer, sent)


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("auth/login", "refresh_token"),
        ("auth/api-keys", "key"),
        ("users/x/reset-password", "temporary_password"),
    ],
)
def test_secret_is_handed_out_once_and_in_one_place(canaries: Canaries, path: str, member: str) -> None:
    given: dict[str, Any] = {member: DIGEST}
    canaries.see(answer_of(path, **given), {})
    canaries.see(answer_of(path, **given), {})  # a retry gets the same one
    with pytest.raises(Leak):
        canaries.see(answer_of(path, **given, again=DIGEST), {})
    with pytest.raises(Leak):
        canaries.see(answer_of("auth/sessions", method="GET", **given), {})


def test_what_is_said_in_the_open_is_no_secret(canaries: Canaries) -> None:
    both = {"json": {"email": "somebody@example.com", "password": "somebody@example.com"}}
    canaries.see(answer_of("auth/register", email="somebody@example.com"), both)
    public = {"json": {"key": "01890000-0000-7000-8000-000000000000"}}
    canaries.see(answer_of("x", id="01890000-0000-7000-8000-000000000000"), public)
    canaries.see(answer_of("x", password="short"), {"json": {"password": "short"}})
    assert not canaries.secrets


def test_newest_secrets_are_kept(canaries: Canaries) -> None:
    for number in range(MOST + 1):
        canaries.remember(f"password {number}")
    assert len(canaries.secrets) == MOST
    assert canaries.found_in(b"password 0\n") is None
    assert canaries.found_in(f"is password {MOST}?".encode())


@pytest.mark.parametrize("level", ["WARNING", "INFO"])
@pytest.mark.parametrize("how", ["event", "field", "exception", "request"])
async def test_leak_in_the_log_is_found(
    canaries: Canaries, capsys: pytest.CaptureFixture[str], how: str, level: str
) -> None:
    canaries.remember(SECRET)
    with canaries.watching_log():
        configure(level=level, json_console=True, folder=None)
        logger("activity").info("something else", request="harmless")
        canaries.check_log()
        _log_by(how)
    configure(level="WARNING", json_console=False, folder=None)
    with pytest.raises(Leak):
        canaries.check_log()
    assert ("harmless" in capsys.readouterr().err) == (level == "INFO")  # watching writes no more than before


def _log_by(how: str) -> None:
    if how == "event":
        logger("server").info(f"logged in with {SECRET}")
    elif how == "field":
        logger("activity").info("auth.login", note={"nested": [SECRET]})
    elif how == "request":
        CHANNELS["activity"].takes_requests = False
        CHANNELS["activity"].emit_request({"event": "request", "path": f"/x/{SECRET}"})
    else:
        try:
            raise ValueError(SECRET)  # noqa: TRY301  the log's traceback is what is looked at
        except ValueError:
            logger("server").exception("request.failed")


def test_masked_line_is_no_leak(canaries: Canaries) -> None:
    canaries.remember(SECRET)
    with canaries.watching_log():
        logger("activity").warning("auth.login", password=SECRET)
    assert canaries.lines
    canaries.check_log()


async def test_leak_in_a_column_is_found(api: Api, app: RunningApp, canaries: Canaries) -> None:
    user = await api.user()
    canaries.remember(PASSWORD)
    canaries.remember(user.access_token)
    canaries.remember(user.refresh_token)
    assert await canaries.left_behind(app.platform) == []
    for column, value in (("full_name", f"x {PASSWORD} x"), ("blocked_reason", user.refresh_token)):
        async with app.unseen() as connection:
            await connection.execute(text(f"UPDATE users SET {column} = :value"), {"value": value})  # noqa: S608
        (leak,) = await canaries.left_behind(app.platform)
        assert str(leak).startswith(f"users.{column} holds a secret")
        async with app.unseen() as connection:
            await connection.execute(text(f"UPDATE users SET {column} = NULL"))  # noqa: S608


async def test_digest_that_was_given_away_is_found(api: Api, app: RunningApp, canaries: Canaries) -> None:
    await api.user()
    async with app.platform.database.writer.connect() as connection:
        digest = (await connection.execute(text("SELECT token_hash FROM refresh_tokens"))).scalars().first()
    canaries.see(answer_of("x", etag=DIGEST), {})
    assert await canaries.left_behind(app.platform) == []
    canaries.see(answer_of("x", id=digest), {})
    (leak,) = await canaries.left_behind(app.platform)
    assert str(leak).startswith("refresh_tokens.token_hash")


async def test_leak_in_the_cache_is_found(app: RunningApp, canaries: Canaries) -> None:
    cache = app.platform.cache
    if not isinstance(cache, RedisCache):
        pytest.skip("this app keeps what it caches to itself")
    canaries.remember(SECRET)
    await cache.set("canary:harmless", {"a": 1}, 60)
    assert await canaries.left_behind(app.platform) == []
    await cache.set("canary:value", {"a": SECRET}, 60)
    (leak,) = await canaries.left_behind(app.platform)
    assert "canary:value" in str(leak)
    await cache.set(f"canary:{SECRET}", 1, 60)
    assert len(await canaries.left_behind(app.platform)) == 1
    redis: Redis = cache._redis
    await redis.delete(*(NAMESPACE + f"canary:{name}" for name in ("harmless", "value", SECRET)))
