"""Every route of the app against every kind of caller; what is expected is what the route's guard declares."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from fastapi.routing import iter_route_contexts

from app.auth.dependencies import AnyGuard, Guard, OwnerOr, PermissionChecker, Public
from app.commands import route_matrix
from app.registry import API_PREFIX, discover, guards_at
from tests.api import Api, Caller, KeyCaller
from tests.backend import RunningApp
from tests.conftest import settings_for

# Its credential may be dead or in the body: the route is public, and answers 401 where there is none at all.
LOGOUT = f"{API_PREFIX}/auth/logout"
# What an API key never does: it manages no credential and no rights.
IN_PERSON = {
    f"{method} {API_PREFIX}{path}"
    for path, methods in {
        "/auth/api-keys": "GET POST",
        "/auth/api-keys/revoke": "POST",
        "/auth/api-keys/{key_id}": "GET DELETE",
        "/auth/api-keys/{key_id}/revoke": "POST",
        "/auth/sessions": "GET",
        "/auth/sessions/{session_id}": "DELETE",
        "/auth/logout-all": "POST",
        "/users/me": "PATCH DELETE",
        "/users/me/change-password": "POST",
        "/users/{user_id}/reset-password": "POST",
        "/users/{user_id}/roles": "PUT",
        "/roles": "POST",
        "/roles/{role_id}": "PATCH DELETE",
        "/roles/{role_id}/restore": "POST",
        "/roles/{role_id}/privileges": "PUT",
        "/roles/{role_id}/modules": "PUT",
        "/privileges": "POST",
        "/privileges/{code}": "PATCH DELETE",
        "/privileges/{code}/restore": "POST",
    }.items()
    for method in methods.split()
}
SET = ("true", "1", "0", "yes", "True", "nonsense")
NOT_SET = ("false", "")


@dataclass(frozen=True)
class Route:
    """One method of one path, with its guard."""

    method: str
    template: str
    guard: AnyGuard

    @property
    def path(self) -> str:
        """With ids that nothing has."""
        return re.sub(r"{\w+}", str(uuid4()), self.template)

    async def ask(self, caller: Api | Caller, **query: str) -> Any:
        return await caller.call(self.method, self.path, params=query)

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


def all_routes() -> list[Route]:
    found = []
    for module in discover().modules:
        for router in module.routers:
            prefix = API_PREFIX if router is module.router else ""
            for context in iter_route_contexts(router.routes):
                (guard,) = guards_at(context)
                found += [
                    Route(method, f"{prefix}{context.path_format}", guard) for method in context.methods or ()
                ]
    return sorted(found, key=str)


ROUTES = all_routes()
PUBLIC = [route for route in ROUTES if isinstance(route.guard, Public)]
GUARDED = [route for route in ROUTES if not isinstance(route.guard, Public)]
CHECKED = [(route, route.guard) for route in ROUTES if isinstance(route.guard, PermissionChecker)]
FLAGS = [(route, guard, flag, asked) for route, guard in CHECKED for flag, asked in guard.instead.items()]
OTHERS = [route for route in GUARDED if not isinstance(route.guard, PermissionChecker)]


def every_privilege_but(*codes: str) -> set[str]:
    return set(discover().privileges) - set(codes)


@pytest.mark.parametrize("route", GUARDED, ids=str)
async def test_without_credential_is_401(api: Api, route: Route) -> None:
    answer = await route.ask(api)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("route", PUBLIC, ids=str)
async def test_public_route_asks_for_no_credential(api: Api, route: Route) -> None:
    answer = await route.ask(api)
    assert (answer.status_code == 401) is (route.template == LOGOUT)


@pytest.mark.parametrize(("route", "guard"), CHECKED, ids=[str(route) for route, _ in CHECKED])
async def test_privilege_is_asked_for(api: Api, route: Route, guard: PermissionChecker) -> None:
    without, wrong, right = (
        await api.user(),
        await api.user(*every_privilege_but(guard.privilege)),
        await api.user(guard.privilege),
    )
    for caller in (without, wrong):
        answer = await route.ask(caller)
        assert answer.status_code == 403
        assert answer.json()["required"] == guard.privilege
    assert (await route.ask(right)).status_code not in {401, 403, 405}


@pytest.mark.parametrize(("route", "guard", "flag", "asked"), FLAGS, ids=[f"{f[0]}?{f[2]}" for f in FLAGS])
async def test_flag_asks_for_its_own_privilege(
    api: Api, route: Route, guard: PermissionChecker, flag: str, asked: str
) -> None:
    wrong, right = await api.user(*every_privilege_but(asked)), await api.user(asked)
    for value in SET:
        answer = await route.ask(wrong, **{flag: value})
        assert answer.status_code == 403, value
        assert answer.json()["required"] == asked
        assert (await route.ask(right, **{flag: value})).status_code not in {401, 403}, value
    for value in NOT_SET:
        assert (await route.ask(wrong, **{flag: value})).status_code != 403, value
        answer = await route.ask(right, **{flag: value})
        assert (answer.status_code, answer.json()["required"]) == (403, guard.privilege), value


@pytest.mark.parametrize(("route", "guard", "flag", "asked"), FLAGS, ids=[f"{f[0]}?{f[2]}" for f in FLAGS])
async def test_flag_that_is_sent_twice_counts_as_set(
    api: Api, route: Route, guard: PermissionChecker, flag: str, asked: str
) -> None:
    caller = await api.user(guard.privilege)
    answer = await caller.call(route.method, f"{route.path}?{flag}=false&{flag}=true")
    assert (answer.status_code, answer.json()["required"]) == (403, asked)


@pytest.mark.parametrize("route", OTHERS, ids=str)
async def test_any_caller_passes_where_the_service_decides(api: Api, route: Route) -> None:
    """404 and not 403: a caller without privileges must not learn what exists."""
    answer = await route.ask(await api.user())
    assert answer.status_code not in {401, 403, 405}
    if isinstance(route.guard, OwnerOr):
        assert answer.status_code in {404, 422}


@pytest.mark.parametrize("route", GUARDED, ids=str)
async def test_forged_credential_is_401(api: Api, route: Route) -> None:
    answer = await api.call(route.method, route.path, headers={"Authorization": "Bearer not.a.token"})
    assert answer.status_code == 401


def test_routes_without_keys_are_those_that_manage_credentials_and_rights() -> None:
    assert {str(route) for route in GUARDED if refuses_keys(route)} == IN_PERSON


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_key_of_a_superuser_is_refused_where_a_person_is_asked_for(api: Api, route: Route) -> None:
    key = await (await api.superuser()).with_key()
    answer = await route.ask(key)
    if str(route) in IN_PERSON or route.template == LOGOUT:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "required" not in answer.json()
    else:
        assert answer.status_code not in {401, 403, 405}


async def test_key_is_the_same_credential_in_either_header(api: Api) -> None:
    """Of somebody who may everything, of somebody who may nothing, and of somebody whose key has ended."""
    owners = await api.superuser(), await api.user(), await api.user()
    keys = [await owner.with_key() for owner in owners]
    assert (await owners[2].delete(f"auth/api-keys/{keys[2].key_id}")).status_code == 204
    seen = set()
    for route in ROUTES:
        for key in keys:
            first, second = [await decision(caller, route) for caller in (key, as_bearer(key))]
            assert first == second, route
            seen.add(first[0])
    assert {200, 401, 403, 404, 422} <= seen


def refuses_keys(route: Route) -> bool:
    return isinstance(route.guard, Guard) and route.guard.in_person


def as_bearer(key: KeyCaller) -> Caller:
    """The same key in the other header."""
    return Caller(key.api, key.email, key.id, access_token=key.key, refresh_token="")


async def decision(caller: Caller, route: Route) -> tuple[int, str | None, str | None]:
    """How the call ended, and why if it was refused."""
    answer = await route.ask(caller)
    why = answer.json() if answer.headers.get("content-type") == "application/problem+json" else {}
    return answer.status_code, why.get("code"), why.get("required")


def test_every_route_of_the_app_is_in_the_matrix() -> None:
    """The app is asked, not the modules: what was added elsewhere would be missing here."""
    from app.main import create_app  # noqa: PLC0415  only here

    app = create_app(settings_for("sqlite+aiosqlite:///./never-opened.db", ""))
    served = {
        (method, context.path_format)
        for context in iter_route_contexts(app.routes)
        if guards_at(context)
        for method in context.methods or ()
    }
    assert served == {(route.method, route.template) for route in ROUTES}
    assert len(served) == len(ROUTES) == len([row for row in route_matrix() if row.method != "WS"]) > 40
    assert len(PUBLIC) + len(CHECKED) + len(OTHERS) == len(ROUTES)
    assert {flag for _, _, flag, _ in FLAGS} == {"hard", "deleted"}


def test_route_that_knows_a_flag_has_a_guard_that_does() -> None:
    """Else the weaker privilege would be enough; where any caller comes in, the service decides about their own."""
    for module in discover().modules:
        for router in module.routers:
            for context in iter_route_contexts(router.routes):
                names = getattr(context.original_route, "query_names", {})
                (guard,) = guards_at(context)
                for flag in {"hard", "deleted"} & set(names):
                    assert not isinstance(guard, Public), (context.path, flag)
                    assert not isinstance(guard, PermissionChecker) or flag in guard.instead, (
                        context.path,
                        flag,
                    )


def test_matrix_of_the_command_line_says_what_the_guards_do() -> None:
    rows = {(row.method, row.path): row for row in route_matrix()}
    for route in ROUTES:
        row = rows[route.method, route.template]
        assert (row.access == "public") is isinstance(route.guard, Public)
        if isinstance(route.guard, Public):
            assert row.note == route.guard.reason
        else:
            assert row.note == ("no API key" if refuses_keys(route) else "")
        for code in route.guard.privileges:
            assert code in row.access


async def test_document_names_the_credentials_that_each_guard_takes(app: RunningApp) -> None:
    document = app.app.openapi()
    for route in ROUTES:
        operation = document["paths"].get(route.template, {}).get(route.method.lower())
        assert operation is not None, route
        login: dict[str, list[str]] = {"login": []}
        either = [login, {"api_key": []}]
        public = [login, {}] if route.template == LOGOUT else None
        guarded = either if not refuses_keys(route) else [login]
        expected = public if isinstance(route.guard, Public) else guarded
        assert operation.get("security") == expected, route
    schemes = document["components"]["securitySchemes"]
    assert set(schemes) == {"login", "api_key"}
    assert schemes["login"]["type"] == "oauth2"
    told = {name: schemes["api_key"][name] for name in ("type", "in", "name")}
    assert told == {"type": "apiKey", "in": "header", "name": "X-API-Key"}


async def test_document_tells_of_refusals_that_every_call_shares(app: RunningApp) -> None:
    paths = app.app.openapi()["paths"]
    for route in ROUTES:
        responses = paths[route.template][route.method.lower()]["responses"]
        assert ("429" in responses) is route.template.startswith(API_PREFIX), route
        assert {"401", "403"} <= responses.keys() or isinstance(route.guard, Public), route
        for status in ("422", "429", "503"):
            told = responses.get(status, {"content": {"application/problem+json": {}}})
            assert list(told["content"]) == ["application/problem+json"] or route.template == "/health", route
    forgot = paths[f"{API_PREFIX}/auth/password/forgot"]["post"]["responses"]
    assert {"202", "422", "429", "503"} <= forgot.keys()
    assert "200" not in forgot
    assert "content" not in forgot["202"]
