"""A client for tests: callers with chosen privileges, requests in this process, answers checked for form."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx2

from app.core.context import acting_as
from app.core.transaction import UnitOfWork
from app.modules.roles.models import Role
from app.modules.roles.service import RoleService
from app.modules.users.models import User
from app.modules.users.service_accounts import AccountService
from tests.backend import RunningApp
from tests.canaries import CANARIES

PASSWORD = "correct horse battery staple"
ADMIN = ("admin@example.com", "ChangeMe123!")


@dataclass
class Caller:
    """Somebody who is logged in."""

    api: "Api"
    email: str
    id: str
    access_token: str
    refresh_token: str
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {"Authorization": f"Bearer {self.access_token}"}

    async def with_key(self, **body: Any) -> "KeyCaller":
        """The same user by a new API key; `body` is what it is made with. Asserts that it works."""
        answer = await self.post("auth/api-keys", {"name": f"key-{uuid4().hex[:12]}", **body})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return KeyCaller(self.api, self.email, self.id, "", "", key=made["key"], key_id=made["id"])

    async def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """A request with the caller's credential."""
        headers = {**self.headers, **options.pop("headers", {})}
        return await self.api.call(method, path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.call("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx2.Response:
        return await self.call("POST", path, json=json, **options)

    async def put(self, path: str, json: Any, **options: Any) -> httpx2.Response:
        return await self.call("PUT", path, json=json, **options)

    async def patch(self, path: str, json: Any, **options: Any) -> httpx2.Response:
        return await self.call("PATCH", path, json=json, **options)

    async def delete(self, path: str, **options: Any) -> httpx2.Response:
        return await self.call("DELETE", path, **options)


@dataclass
class KeyCaller(Caller):
    """Somebody who comes with an API key."""

    key: str = ""
    key_id: str = ""

    def __post_init__(self) -> None:
        self.headers = {"X-API-Key": self.key}


class Api:
    """Anonymous requests, and ways to become somebody. Paths without a leading `/` are below `/api/v1`."""

    def __init__(self, app: RunningApp) -> None:
        self.app = app
        # Starlette re-raises what became a 500: the answer is what is looked at here.
        transport = httpx2.ASGITransport(app=app.app, raise_app_exceptions=False, client=("127.0.0.1", 50000))
        self._client = httpx2.AsyncClient(transport=transport, base_url="http://test")

    async def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """A request; asserts that every error is a problem document, but for those of the token endpoint."""
        target = path if path.startswith("/") else f"/api/v1/{path}"
        answer = await self._client.request(method, target, **options)
        assert answer.status_code != 500, answer.text
        CANARIES.see(answer, options)
        assert answer.headers["x-request-id"]
        if answer.status_code in {204, 304}:
            assert not answer.content
            assert "content-type" not in answer.headers
        if answer.is_success and answer.headers.get("content-type") == "application/json":
            assert not integer_keys(answer.json()), answer.text
        if answer.status_code >= 400 and not target.startswith(("/api/v1/auth/token", "/health")):
            assert_problem(answer, answer.status_code)
        return answer

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.call("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx2.Response:
        return await self.call("POST", path, json=json, **options)

    async def login(self, email: str, password: str = PASSWORD) -> Caller:
        """Logs in. Asserts that it works."""
        answer = await self.post("auth/login", {"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        caller = Caller(self, email, "", tokens["access_token"], tokens["refresh_token"])
        caller.id = (await caller.get("auth/me")).json()["user"]["id"]
        return caller

    async def superuser(self) -> Caller:
        """The seeded superuser, logged in."""
        return await self.login(*ADMIN)

    async def user(
        self, *privileges: str, modules: Iterable[str] = (), email: str | None = None, role: str | None = None
    ) -> Caller:
        """A new user with a role of exactly these privileges and modules (none for neither), logged in.

        `role` adds a seeded role by name.
        """
        email = email or f"user-{uuid4().hex[:12]}@example.com"
        uow = UnitOfWork(self.app.platform.database)
        roles = RoleService(uow, self.app.platform.catalog)
        accounts = AccountService(uow, roles, self.app.kernel)
        row: User = await accounts.draft(email, PASSWORD, None)
        with acting_as("test", origin="job"):
            async with uow.transaction():
                await accounts.users.add(row)
                given: list[UUID] = []
                if privileges or modules:
                    made = await roles.roles.add(Role(name=f"role-{uuid4().hex[:12]}"))
                    assert made.pk is not None
                    keys = await roles.privileges.keys_of(privileges)
                    await roles.roles.set_privileges(made.pk, keys.values())
                    await roles.roles.set_modules(made.pk, modules)
                    given.append(made.id)
                if role is not None and (seeded := await roles.find_by_name(role)) is not None:
                    given.append(seeded)
                assert row.pk is not None
                await roles.assign(row.pk, given, actor=None)
        return await self.login(email)


# Places in the logs, which are numbered by the order that they prove.
LOG_NUMBERS = {"horizon_id", "last_change_id", "previous_id", "next_id", "first_id", "last_id"}


def integer_keys(value: Any) -> list[str]:
    """Names of members that give away an integer key: ids are texts, and `pk` stays inside."""
    found: list[str] = []
    # Rows of the logs, and their seals, bear the logs' own numbers.
    is_logged = isinstance(value, dict) and not {"occurred_at", "sealed_at"}.isdisjoint(value)
    for name, inner in value.items() if isinstance(value, dict) else ():
        is_id = (name == "id" and not is_logged) or (name.endswith("_id") and name not in LOG_NUMBERS)
        if name == "pk" or name.endswith("_pk") or (is_id and isinstance(inner, int)):
            found.append(name)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return found + [name for part in parts for name in integer_keys(part)]


def assert_problem(answer: httpx2.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """Asserts that the answer is a problem document of this status (and code); returns it."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "code", "detail", "instance", "request_id"} <= problem.keys()
    assert problem["status"] == status
    assert problem["type"] == f"/docs/errors#{problem['code']}"
    assert problem["request_id"] == answer.headers["x-request-id"]
    if code is not None:
        assert problem["code"] == code, problem
    return problem
