"""Two workers change rights at the same moment: whatever the order, the rules hold."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.api import PASSWORD, Api, Caller
from tests.backend import Backend, run_app
from tests.conftest import FULL, settings_for
from tests.modules.auth.support import stored, through
from tests.modules.roles.test_roles import by_name, make
from tests.services import REDIS_VARIABLE

ROUNDS = 48
ENOUGH = ROUNDS if FULL else 16  # each way against each way, once
OTHER_ROUNDS = 20 if FULL else 6
REFUSALS = {401, 403, 404, 409}
# Superusers, as they stand on disk: not blocked, not deleted.
ACTIVE = """
    SELECT users.email FROM users
    JOIN user_roles ON user_roles.user_pk = users.pk JOIN roles ON roles.pk = user_roles.role_pk
    WHERE roles.is_superuser AND roles.deleted_at IS NULL AND users.deleted_at IS NULL AND NOT users.is_blocked
"""
WAYS: dict[str, Callable[[Caller, str], Awaitable[httpx2.Response]]] = {
    "block": lambda caller, id: caller.post(f"users/{id}/block"),
    "delete": lambda caller, id: caller.delete(f"users/{id}"),
    "purge": lambda caller, id: caller.delete(f"users/{id}?hard=true"),
    "strip": lambda caller, id: caller.put(f"users/{id}/roles", {"role_ids": []}),
}


@pytest.fixture(scope="module")
async def workers(backend: Backend) -> AsyncIterator[tuple[Api, Api]]:
    """Two apps on a database of these tests' own: they leave no superuser that others could log in as."""
    cache_url = os.environ.get(REDIS_VARIABLE, "") if backend.name == "postgres" else ""
    settings = settings_for(backend.new_database(), cache_url)
    async with run_app(settings) as first, run_app(settings) as second:
        yield Api(first), Api(second)


async def after(seconds: float, call: Awaitable[httpx2.Response]) -> httpx2.Response:
    await asyncio.sleep(seconds)
    return await call


async def active(api: Api) -> list[str]:
    return sorted(row[0] for row in await stored(api.app, ACTIVE))


async def at_once(*calls: Any) -> list[int]:
    answers: Sequence[httpx2.Response] = await asyncio.gather(*calls)
    assert all(a.status_code in {200, 201, 204, *REFUSALS, 422} for a in answers), [a.text for a in answers]
    return [answer.status_code for answer in answers]


async def two_superusers(workers: tuple[Api, Api]) -> tuple[Caller, Caller]:
    """The only active ones, each on a worker of their own."""
    here, there = workers
    one, two = await here.user(role="superuser"), await here.user(role="superuser")
    for email in await active(here):
        if email not in {one.email, two.email}:
            (other,) = (await one.get(f"users?q={email}")).json()["items"]
            assert (await one.post(f"users/{other['id']}/block")).status_code == 200
    return one, through(there, two)


async def test_two_superusers_removing_each_other_leave_one(workers: tuple[Api, Api]) -> None:
    here, _ = workers
    names, outcomes = sorted(WAYS), set[bool]()
    # SQLite has one writer: who asks first is first.
    owed = set() if here.app.platform.database.is_sqlite else {True, False}
    for number in range(ROUNDS):
        one, two = await two_superusers(workers)
        assert await active(here) == sorted([one.email, two.email])
        first, second = WAYS[names[number % 4]], WAYS[names[(number // 4) % 4]]
        lead = (
            number % 4 / 500
        )  # who asks first has a little way to go: on a quiet machine it would always win
        statuses = await at_once(after(lead, first(one, two.id)), second(two, one.id))
        assert len(await active(here)) == 1, statuses
        assert sum(status < 300 for status in statuses) == 1, statuses
        assert {status for status in statuses if status >= 300} <= REFUSALS
        outcomes.add(statuses[0] < 300)
        if number + 1 >= ENOUGH and outcomes >= owed:
            break
    assert outcomes >= owed, "one worker always came first: nothing was at the same time"


async def test_superuser_leaving_while_being_removed_leaves_one(workers: tuple[Api, Api]) -> None:
    here, _ = workers
    names = sorted(WAYS)
    for number in range(OTHER_ROUNDS):
        one, two = await two_superusers(workers)
        statuses = await at_once(
            WAYS[names[number % 4]](one, two.id),
            one.delete("users/me", json={"password": PASSWORD}),
            two.delete("users/me", json={"password": PASSWORD}),
        )
        assert len(await active(here)) == 1, statuses
        assert {status for status in statuses if status >= 300} <= REFUSALS


async def boss_of(workers: tuple[Api, Api]) -> tuple[Caller, Caller]:
    """One superuser, seen by both workers."""
    boss = await workers[0].user(role="superuser")
    return boss, through(workers[1], boss)


async def test_role_given_while_it_is_deleted_is_nobodys(workers: tuple[Api, Api]) -> None:
    here, there = await boss_of(workers)
    for number in range(OTHER_ROUNDS):
        role, user = await make(here, privileges=["users:read"]), await workers[0].user()
        path, hard = f"roles/{role['id']}", number % 2 == 1
        given, deleted = await at_once(
            here.put(f"users/{user.id}/roles", {"role_ids": [role["id"]]}),
            there.delete(f"{path}?hard=true" if hard else path),
        )
        assert (given, deleted) in {(200, 409), (422, 204)}
        if deleted == 204 and not hard:
            assert (await here.post(f"{path}/restore")).json()["user_count"] == 0
        assert (await user.get("users")).status_code == (200 if given == 200 else 403)


async def test_privilege_granted_while_it_is_deleted_is_in_no_role(workers: tuple[Api, Api]) -> None:
    here, there = await boss_of(workers)
    for number in range(OTHER_ROUNDS):
        code, role = f"team:t{uuid4().hex[:12]}", await make(here)
        assert (await here.post("privileges", {"code": code})).status_code == 201
        calls = [
            here.put(f"roles/{role['id']}/privileges", {"codes": [code]}),
            there.delete(f"privileges/{code}"),
        ]
        if number % 2:
            calls.append(there.post("roles", {"name": f"role {uuid4().hex[:8]}", "privileges": [code]}))
        statuses = await at_once(*calls)
        assert statuses[1] == 204
        assert statuses[0] in {200, 422}
        assert (await here.post(f"privileges/{code}/restore")).status_code == 200
        held = "SELECT 1 FROM role_privileges JOIN privileges p ON p.pk = privilege_pk WHERE p.code = :code"
        assert await stored(workers[0].app, held, code=code) == []


async def test_privilege_taken_away_is_not_kept_by_who_lacks_it(workers: tuple[Api, Api]) -> None:
    """A clerk repeats what a role holds while a superuser takes it out: after both, it is out."""
    here, there = await boss_of(workers)
    clerk = await workers[0].user("roles:update")
    for _ in range(OTHER_ROUNDS):
        role = await make(here, privileges=["users:purge"], modules=["users"])
        path = f"roles/{role['id']}"
        kept, taken = await at_once(
            clerk.put(f"{path}/privileges", {"codes": ["users:purge"]}),
            there.put(f"{path}/privileges", {"codes": []}),
        )
        assert (kept, taken) in {(200, 200), (403, 200)}
        kept, taken = await at_once(
            clerk.put(f"{path}/modules", {"modules": ["users"]}),
            there.put(f"{path}/modules", {"modules": []}),
        )
        assert (kept, taken) in {(200, 200), (403, 200)}
        assert (await here.get(path)).json()["effective"] == []


@pytest.mark.parametrize("how", ["roles", "privileges"])
async def test_made_twice_at_once_is_made_once(workers: tuple[Api, Api], how: str) -> None:
    here, there = await boss_of(workers)
    for _ in range(OTHER_ROUNDS):
        word = f"t{uuid4().hex[:12]}"
        body = {"name": word} if how == "roles" else {"code": f"team:{word}"}
        statuses = await at_once(*(caller.post(how, body) for caller in (here, there, here)))
        assert sorted(statuses) == [201, 409, 409]


async def test_restored_twice_at_once_is_there_once(workers: tuple[Api, Api]) -> None:
    """Two deleted roles of one name, both brought back: there is room for one."""
    here, there = await boss_of(workers)
    for _ in range(OTHER_ROUNDS):
        name, ids = f"role {uuid4().hex[:8]}", []
        for _ in range(2):
            ids.append((await make(here, name=name))["id"])
            assert (await here.delete(f"roles/{ids[-1]}")).status_code == 204
        statuses = await at_once(
            *(c.post(f"roles/{id}/restore") for c, id in zip((here, there), ids, strict=True))
        )
        assert sorted(statuses) == [200, 409]


async def test_promotion_and_takeover_never_both_count(workers: tuple[Api, Api]) -> None:
    """A clerk resets the password of somebody who is made administrator meanwhile: it must not open that."""
    here, there = await boss_of(workers)
    clerk = await workers[0].user("users:reset_password")
    admin = await by_name(here, "admin")
    for _ in range(OTHER_ROUNDS):
        user = await workers[0].user()
        reset, promoted = await at_once(
            clerk.post(f"users/{user.id}/reset-password"),
            there.put(f"users/{user.id}/roles", {"role_ids": [admin["id"]]}),
        )
        assert promoted == 200
        assert reset in {200, 403}
