"""Clients at addresses of their own, in front of two workers on one database."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import httpx2

from tests.api import PASSWORD, Api, assert_problem
from tests.backend import Backend, run_app
from tests.conftest import settings_for
from tests.services import REDIS_VARIABLE

WRONG = "wrong horse battery staple"
LIMIT, ADDRESS_LIMIT, WINDOW_SECONDS = 10, 100, 15 * 60
PAUSES = [5, 10, 20, 40, 80, 160, 320, 640, 900]
Workers = tuple[Api, Api]
_numbers = count(1)


def new_address() -> str:
    """One that nobody has called from."""
    number = next(_numbers)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@asynccontextmanager
async def two_workers(backend: Backend, **changes: Any) -> AsyncIterator[Workers]:
    """Two apps that share a database, and on PostgreSQL a Redis, behind a proxy that tells clients' addresses."""
    cache_url = os.environ.get(REDIS_VARIABLE, "") if backend.name == "postgres" else ""
    given = {"trusted_proxies": ("127.0.0.1",), **changes}
    settings = settings_for(backend.new_database(), given.pop("cache_url", cache_url), **given)
    async with run_app(settings) as first, run_app(settings) as second:
        yield Api(first), Api(second)


@dataclass(frozen=True)
class Client:
    """Whoever calls from an address, without a credential."""

    api: Api
    address: str = field(default_factory=new_address)

    def through(self, api: Api) -> "Client":
        """The same client at another worker."""
        return replace(self, api=api)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx2.Response:
        headers = {"X-Forwarded-For": self.address, **options.pop("headers", {})}
        return await self.api.post(path, json, headers=headers, **options)

    async def login(self, email: str, password: str = PASSWORD) -> httpx2.Response:
        return await self.post("auth/login", {"email": email, "password": password})

    async def token(self, email: str, password: str = PASSWORD) -> httpx2.Response:
        form = {"grant_type": "password", "username": email, "password": password}
        return await self.post("auth/token", data=form)

    async def guess(self, email: str, times: int = LIMIT) -> None:
        """Wrong passwords. Asserts that each is let in and refused."""
        for _ in range(times):
            answer = await self.login(email, WRONG)
            assert_problem(answer, 401, "invalid_credentials")
            assert "retry-after" not in answer.headers


def told_to_wait(answer: httpx2.Response) -> int:
    """What `Retry-After` says. Asserts that this is the refusal of who tries too often."""
    assert_problem(answer, 429, "rate_limited")
    return int(answer.headers["retry-after"])


def telling(answer: httpx2.Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    """All that a stranger can see, but for the request's id."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    body = {name: value for name, value in answer.json().items() if name != "request_id"}
    return answer.status_code, headers, body
