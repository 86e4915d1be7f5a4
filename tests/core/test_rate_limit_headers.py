"""What answers say of the general limit."""

import time
from collections import Counter
from types import SimpleNamespace

import httpx2
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core import rate_limit as rate_limit_module
from app.core.errors import NotFound, RateLimited
from app.core.handlers import problem_response
from app.core.middleware.head import HeadMiddleware
from app.core.middleware.rate_limit import RateLimitMiddleware
from app.core.rate_limit import RateLimiter

ANN = "user:0198c0de-0000-7000-8000-000000000000"


def guarded(*limiters: RateLimiter) -> ASGIApp:
    """A small app: counts the caller as guards do, and answers 404 to everything."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        problem: NotFound | RateLimited = NotFound()
        try:
            for limiter in limiters:
                scope["rate_allowance"] = await limiter.admit(ANN)
        except RateLimited as refused:
            problem = refused
        await problem_response(problem, scope["path"])(scope, receive, send)

    return app


async def answers(app: ASGIApp, times: int, method: str = "GET") -> list[httpx2.Response]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        return [await client.request(method, "/") for _ in range(times)]


def limits_of(answer: httpx2.Response) -> dict[str, str]:
    """The headers of the limit, each of which must be there once."""
    names = [name.decode() for name, _ in answer.headers.raw]
    found = {name: value for name, value in answer.headers.items() if name.startswith("ratelimit-")}
    assert all(count == 1 for name, count in Counter(names).items() if name.lower() in found)
    return found


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_counted_answers_carry_the_headers_errors_too(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    limiter = RateLimiter("2/minute", "")
    moment = time.time() + limiter._window(ANN)[1] - 12.5
    monkeypatch.setattr(rate_limit_module, "time", SimpleNamespace(time=lambda: moment))
    app = HeadMiddleware(RateLimitMiddleware(guarded(limiter)))
    first, second, third = await answers(app, 3, method)
    expected = {"ratelimit-limit": "2", "ratelimit-remaining": "1", "ratelimit-reset": "13"}
    assert (first.status_code, limits_of(first)) == (404, expected)
    assert limits_of(second) == {**expected, "ratelimit-remaining": "0"}
    assert (third.status_code, limits_of(third)) == (429, {**expected, "ratelimit-remaining": "0"})
    assert third.headers["retry-after"] == "13"


async def test_answers_that_nobody_counted_carry_none() -> None:
    (answer,) = await answers(RateLimitMiddleware(guarded()), 1)
    assert answer.status_code == 404
    assert limits_of(answer) == {}


async def test_refusal_after_an_admission_speaks_for_itself() -> None:
    wide, narrow = RateLimiter("5/day", ""), RateLimiter("1/day", "")
    first, second = await answers(RateLimitMiddleware(guarded(wide, narrow)), 2)
    assert (first.status_code, limits_of(first)["ratelimit-limit"]) == (404, "1")
    assert (second.status_code, limits_of(second)["ratelimit-remaining"]) == (429, "0")
    assert limits_of(second)["ratelimit-limit"] == "1"
