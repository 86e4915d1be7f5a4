"""The guards: one credential, from one place, and a challenge that says what is missing."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest
from starlette.requests import Request

from app.auth.dependencies import PermissionChecker, credential_of
from app.auth.principal import Credential, HeldRole, Principal, Rights
from app.core.errors import BadRequest, Forbidden
from tests.api import Api, Caller, assert_problem

Headers = list[tuple[str, str]]


async def ask(api: Api, headers: Headers, **options: Any) -> httpx2.Response:
    return await api.call("GET", "auth/me", headers=headers, **options)


async def assert_good(user: Caller) -> None:
    answer = await user.get("auth/me")
    assert answer.status_code == 200
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_scheme_is_read_without_case(api: Api, scheme: str) -> None:
    user = await api.user()
    for space in (" ", "   "):
        answer = await ask(api, [("Authorization", f"{scheme}{space}{user.access_token}")])
        assert answer.status_code == 200
    assert_problem(
        await ask(api, [("Authorization", f"{scheme}{user.access_token}")]), 401, "unauthenticated"
    )


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Basic {token}", "Token {token}", "{token}", "Bearer\t{token}", "JWT {token}"],
)
async def test_what_is_no_bearer_credential_is_none(api: Api, value: str) -> None:
    user = await api.user()
    answer = await ask(api, [("Authorization", value.format(token=user.access_token))])
    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'
    await assert_good(user)


async def test_challenges_are_those_of_the_rfc(api: Api) -> None:
    user = await api.user()
    none = await ask(api, [])
    assert none.headers["www-authenticate"] == 'Bearer realm="api"'
    bad = await ask(api, [("Authorization", "Bearer nonsense")])
    assert_problem(bad, 401, "token_invalid")
    assert 'error="invalid_token"' in bad.headers["www-authenticate"]
    lacking = await user.get("users")
    assert assert_problem(lacking, 403, "forbidden")["required"] == "users:read"
    challenge = lacking.headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="users:read"' in challenge
    await assert_good(user)


async def test_two_credentials_are_refused(api: Api) -> None:
    user, other = await api.user(), await api.user()
    mine, theirs = (("Authorization", f"Bearer {caller.access_token}") for caller in (user, other))
    for headers in (
        [mine, mine],
        [mine, theirs],
        [mine, ("Authorization", "Basic Og==")],
        [("Authorization", "Basic Og=="), mine],
        [mine, ("X-API-Key", "anything")],
        [("X-API-Key", "anything"), mine],
    ):
        problem = assert_problem(await ask(api, headers), 400, "bad_request")
        assert user.access_token not in str(problem)
    await assert_good(user)


@pytest.mark.parametrize("name", ["access_token", "token", "authorization", "bearer", "api_key"])
async def test_credentials_from_elsewhere_are_ignored(api: Api, name: str) -> None:
    user = await api.user()
    query, value = {name: user.access_token}, f"Bearer {user.access_token}"
    assert_problem(await ask(api, [], params=query), 401, "unauthenticated")
    assert_problem(await ask(api, [("Cookie", f"{name}={user.access_token}")]), 401, "unauthenticated")
    assert_problem(await ask(api, [("Cookie", f'{name}="{value}"')]), 401, "unauthenticated")
    assert_problem(await api.post("auth/logout-all", query), 401, "unauthenticated")
    assert_problem(await api.call("POST", "auth/logout-all", data=query), 401, "unauthenticated")
    assert_problem(await ask(api, [("Proxy-Authorization", value), ("X-Authorization", value)]), 401)
    await assert_good(user)


def request_with(*headers: tuple[bytes, bytes], query: str = "") -> Request:
    return Request({"type": "http", "headers": list(headers), "query_string": query.encode()})


def test_token_is_taken_as_it_came() -> None:
    assert credential_of(request_with()) is None
    assert credential_of(request_with((b"authorization", b"Basic YTpi"))) is None
    assert credential_of(request_with((b"authorization", b"Bearer a.b.c"))) == Credential(
        "a.b.c", is_key=False
    )
    assert credential_of(request_with((b"authorization", b"bearer  \xe9"))) == Credential(
        "\xe9", is_key=False
    )
    assert credential_of(request_with((b"authorization", b"Bearer tessera_x"))) == Credential(
        "tessera_x", is_key=True
    )
    assert credential_of(request_with((b"x-api-key", b"a.b.c"))) == Credential("a.b.c", is_key=True)
    for second in ((b"authorization", b"Bearer a"), (b"x-api-key", b"a")):
        with pytest.raises(BadRequest):
            credential_of(request_with((b"authorization", b"Bearer a"), second))


def principal(*privileges: str, is_superuser: bool = False) -> Principal:
    rights = Rights((HeldRole(uuid4(), "role"),), is_superuser=is_superuser, privileges=frozenset(privileges))
    return Principal(uuid4(), 1, uuid4(), rights)


@pytest.mark.parametrize(
    "held",
    [
        "users:readx",
        "Users:Read",
        "users",
        "user:read",
        "users:",
        "users:*",
        "*",
        " users:read",
        "users:read:all",
    ],
)
def test_privilege_is_matched_exactly(held: str) -> None:
    with pytest.raises(Forbidden) as caught:
        principal(held).require("users:read")
    assert caught.value.extensions["required"] == "users:read"
    principal("users:read").require("users:read")
    assert not principal(held).can("users:read")
    assert principal("users:read").can("users:read")


def test_superuser_may_everything_and_others_what_they_hold() -> None:
    root, plain = principal(is_superuser=True), principal("a:b", "c:d")
    assert root.can("anything:at-all")
    assert root.holds_all(frozenset({"x:y"}))
    assert plain.holds_all(frozenset({"a:b"}))
    assert not plain.holds_all(frozenset({"a:b", "x:y"}))


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", "read"),
        ("hard=", "read"),
        ("hard=false", "read"),
        ("other=true", "read"),
        ("hard=true", "purge"),
        ("hard=1", "purge"),
        ("hard=True", "purge"),
        ("hard=no", "purge"),
        ("hard=%00", "purge"),
        ("hard=false&hard=true", "purge"),
        ("hard=true&hard=false", "purge"),
    ],
)
def test_flag_that_is_not_plainly_false_asks_for_more(query: str, asked: str) -> None:
    assert PermissionChecker("read", hard="purge").required(request_with(query=query)) == asked
