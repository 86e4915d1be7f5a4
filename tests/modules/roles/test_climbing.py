"""Contract 3 and 4: every known way to get more than one was given is refused, with nothing changed by it."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.api import PASSWORD, Api, assert_problem
from tests.backend import RunningApp
from tests.modules.roles.attempts import ATTEMPTS, CLERK, MORE, USER, Stage, made_with, on, own_role, roles_of
from tests.modules.roles.test_roles import by_name, make
from tests.rbac_seen import Seen, look


@pytest.fixture
async def stage(api: Api) -> Stage:
    """A superuser, somebody ambitious, and everybody they could climb on."""
    boss, clerk = await api.superuser(), await api.user(*CLERK)
    lowly, purger = await api.user(), await api.user(MORE)
    fallen, barred = await api.user(role="superuser"), await api.user(role="superuser")
    assert (await boss.delete(f"users/{fallen.id}")).status_code == 204
    assert (await boss.post(f"users/{barred.id}/block")).status_code == 200
    roles = {name: await by_name(boss, name) for name in ("superuser", "admin", "regular")}
    roles["big"] = await make(boss, name="big", privileges=[MORE])
    roles["mine"] = await make(boss, name="mine", privileges=["users:read"], modules=["roles"])
    held = (await boss.get(f"users/{clerk.id}")).json()["roles"]
    (roles["base"],) = held
    role_ids = [roles["base"]["id"], roles["mine"]["id"]]
    assert (await boss.put(f"users/{clerk.id}/roles", {"role_ids": role_ids})).status_code == 200
    key, narrow = await clerk.with_key(), await clerk.with_key(privileges=["users:read"])
    return Stage(api, boss, clerk, key, narrow, lowly, purger, fallen.id, barred.id, roles)


@pytest.fixture
async def engine(app: RunningApp) -> AsyncIterator[AsyncEngine]:
    """A connection that the program knows nothing of."""
    made = create_async_engine(app.platform.database.url, isolation_level="AUTOCOMMIT", pool_size=1)
    yield made
    await made.dispose()


async def test_attempts_are_refused_and_change_nothing(stage: Stage, engine: AsyncEngine) -> None:
    """All on one stage: whatever one of them changed would show, under its name."""
    before, climbed = await look(engine), {}
    for name, (attempt, status) in ATTEMPTS.items():
        answer, after = await attempt(stage), await look(engine)
        if answer.status_code != status or after != before:
            climbed[name] = (
                f"{answer.status_code} instead of {status}: {answer.text}, changed: {after != before}"
            )
        before = after
    assert climbed == {}


async def test_looking_again_sees_a_change(stage: Stage, engine: AsyncEngine) -> None:
    """Nothing changed is a finding only where a change would have been one."""
    seen: list[Seen] = [await look(engine)]
    for attempt in (
        roles_of(lambda s: s.lowly.id, "mine"),
        made_with(privileges=["users:read"]),
        own_role("PATCH", "", {"description": "ours"}),
        own_role("PUT", "/modules", {"modules": []}),
        on("lowly", "POST", "users/{}/block"),
        on("purger", "PATCH", USER, {"full_name": "Mine"}),
    ):
        answer = await attempt(stage)
        assert answer.is_success, answer.text
        seen.append(await look(engine))
        assert seen[-1] != seen[-2]


async def test_key_falls_with_its_owner(stage: Stage) -> None:
    s = stage
    assert (await s.key.get("users")).status_code == 200
    assert (await s.boss.put(f"users/{s.clerk.id}/roles", {"role_ids": []})).status_code == 200
    for key in (s.key, s.narrow):
        assert_problem(await key.get("users"), 403, "forbidden")
        assert (await key.get("auth/me")).json()["privileges"] == []


async def test_key_of_a_fallen_superuser_is_a_plain_one(api: Api) -> None:
    boss, other = await api.superuser(), await api.user(role="superuser")
    wide, narrow = await other.with_key(), await other.with_key(privileges=["users:block"])
    assert_problem(await narrow.post(f"users/{boss.id}/block"), 403, "forbidden")  # narrowed: no superuser
    assert (await wide.get("auth/me")).json()["is_superuser"] is True
    assert (await boss.put(f"users/{other.id}/roles", {"role_ids": []})).status_code == 200
    for key in (wide, narrow):
        me = (await key.get("auth/me")).json()
        assert (me["is_superuser"], me["privileges"]) == (False, [])
        assert_problem(await key.get("users"), 403, "forbidden")


@pytest.mark.parametrize("hard", ["", "?hard=true"])
async def test_privilege_that_comes_back_is_nobodys(stage: Stage, hard: str) -> None:
    """Deleted and brought back, or made anew with the same code."""
    s = stage
    assert (await s.boss.post("privileges", {"code": "team:task"})).status_code == 201
    await s.boss.put(f"roles/{s.role('mine')}/privileges", {"codes": ["users:read", "team:task"]})
    key = await s.clerk.with_key(privileges=["team:task"])
    assert (await key.get("auth/me")).json()["privileges"] == ["team:task"]
    assert (await s.boss.delete(f"privileges/team:task{hard}")).status_code == 204
    again = await (
        s.clerk.post("privileges", {"code": "team:task"})
        if hard
        else s.clerk.post("privileges/team:task/restore")
    )
    assert again.is_success
    for caller in (s.clerk, key):
        assert "team:task" not in (await caller.get("auth/me")).json()["privileges"]
    assert_problem(await own_role("PUT", "/privileges", {"codes": ["team:task"]})(s), 403, "forbidden")


async def test_role_that_comes_back_is_nobodys(stage: Stage) -> None:
    """Its holder was deleted when it was; both come back, and are strangers."""
    s = stage
    role = s.role("big")
    assert (await s.boss.put(f"users/{s.lowly.id}/roles", {"role_ids": [role]})).status_code == 200
    assert (await s.boss.delete(f"users/{s.lowly.id}")).status_code == 204
    assert (await s.clerk.delete(f"roles/{role}")).status_code == 204
    assert (await s.clerk.post(f"roles/{role}/restore")).status_code == 200
    assert (await s.clerk.post(f"users/{s.lowly.id}/restore")).json()["roles"] == []
    assert_problem(await roles_of(lambda t: t.lowly.id, "big")(s), 403, "forbidden")


async def test_address_of_a_deleted_superuser_makes_no_superuser(stage: Stage) -> None:
    s = stage
    email = "gone@example.com"
    gone = await s.api.user(role="superuser", email=email)
    assert (await s.boss.delete(f"users/{gone.id}")).status_code == 204
    assert (await s.api.post("auth/register", {"email": email, "password": PASSWORD})).status_code == 201
    me = (await (await s.api.login(email)).get("auth/me")).json()
    assert (me["is_superuser"], me["roles"]) == (False, ["regular"])
    assert_problem(await s.boss.post(f"users/{gone.id}/restore"), 409, "conflict")
