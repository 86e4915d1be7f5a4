"""Coming in while the door is being closed: whatever the order, nobody stays inside."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2
import pytest
from argon2 import PasswordHasher as Argon2

from app.auth.passwords import PasswordHasher, Verdict
from app.modules.users.service_accounts import AccountService
from tests.api import PASSWORD, Api, Caller, assert_problem
from tests.backend import RunningApp
from tests.modules.auth.support import again, assert_alive, assert_dead, refresh, session_of, stored, write

NEW_PASSWORD = "another horse another battery"
ROUNDS = 5

_LIVING = """
    SELECT sessions.id FROM sessions JOIN users ON users.pk = sessions.user_pk
    WHERE users.email = :email AND sessions.revoked_at IS NULL AND sessions.auth_version = users.auth_version
    AND NOT users.is_blocked
"""


async def living(app: RunningApp, email: str) -> list[str]:
    """The ids of the sessions that would be accepted, as they stand on disk."""
    return [str(row[0]).replace("-", "") for row in await stored(app, _LIVING, email=email)]


async def login(api: Api, user: Caller) -> httpx2.Response:
    return await api.post("auth/login", {"email": user.email, "password": PASSWORD})


@dataclass
class Halt:
    """Holds one login, once it is armed, between the right password and the new session."""

    is_armed: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
def halt(monkeypatch: pytest.MonkeyPatch) -> Halt:
    made, verify = Halt(), PasswordHasher.verify

    async def held(self: PasswordHasher, password: str, password_hash: str | None) -> Verdict:
        verdict = await verify(self, password, password_hash)
        if made.is_armed:
            made.is_armed = False
            made.reached.set()
            await made.released.wait()
        return verdict

    monkeypatch.setattr(PasswordHasher, "verify", held)
    return made


@asynccontextmanager
async def held_login(api: Api, user: Caller, halt: Halt) -> AsyncIterator["asyncio.Task[httpx2.Response]"]:
    """A login that has verified its password; it goes on when the block ends."""
    halt.is_armed = True
    task = asyncio.create_task(login(api, user))
    await halt.reached.wait()
    yield task
    halt.released.set()
    await task


async def test_login_across_nothing_succeeds(api: Api, halt: Halt) -> None:
    user = await api.user()
    async with held_login(api, user, halt) as late:
        await assert_alive(user)
    assert late.result().status_code == 200


async def test_login_across_a_password_change_fails(api: Api, app: RunningApp, halt: Halt) -> None:
    user = await api.user()
    session = await session_of(user)
    async with held_login(api, user, halt) as late:
        body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        assert (await user.post("users/me/change-password", body)).status_code == 204
    assert_problem(late.result(), 401, "invalid_credentials")
    assert await living(app, user.email) == [session.replace("-", "")]
    await assert_alive(await again(user, NEW_PASSWORD))


async def test_login_across_a_block_fails(api: Api, app: RunningApp, halt: Halt) -> None:
    user, admin = await api.user(), await api.superuser()
    async with held_login(api, user, halt) as late:
        assert (await admin.post(f"users/{user.id}/block")).status_code == 200
    assert_problem(late.result(), 403, "account_blocked")
    assert await living(app, user.email) == []


@pytest.mark.parametrize("query", ["", "?hard=true"])
async def test_login_across_a_deletion_fails(api: Api, app: RunningApp, halt: Halt, query: str) -> None:
    user, admin = await api.user(), await api.superuser()
    async with held_login(api, user, halt) as late:
        assert (await admin.delete(f"users/{user.id}{query}")).status_code == 204
    assert_problem(late.result(), 401, "invalid_credentials")
    assert await living(app, user.email) == []


async def test_login_across_a_logout_of_all_is_a_new_login(api: Api, halt: Halt) -> None:
    user = await api.user()
    async with held_login(api, user, halt) as late:
        assert (await user.post("auth/logout-all")).status_code == 204
    assert late.result().status_code == 200
    await assert_dead(user)


async def test_parallel_logins_may_all_upgrade_the_hash(api: Api, app: RunningApp) -> None:
    """The first one stores a stronger hash; the others are not wrong because of that."""
    user = await api.user()
    weak = Argon2(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD)
    await write(
        app, "UPDATE users SET password_hash = :weak WHERE email = :email", weak=weak, email=user.email
    )
    answers = await asyncio.gather(*(login(api, user) for _ in range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    rows = await stored(app, "SELECT password_hash FROM users WHERE email = :email", email=user.email)
    assert rows[0][0] != weak


async def test_login_to_an_account_that_never_stands_still_gives_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, seen = await api.user(), []

    async def changed(_: AccountService, account: object) -> bool:
        seen.append(account)
        return False

    with monkeypatch.context() as patch:
        patch.setattr(AccountService, "lock_unchanged", changed)
        answer = await login(api, user)
    assert_problem(answer, 503, "unavailable")
    assert 1 < len(seen) <= 5
    assert (await login(api, user)).status_code == 200


async def finish(how: str, user: Caller, admin: Caller) -> httpx2.Response:
    if how == "block":
        return await admin.post(f"users/{user.id}/block")
    if how == "delete":
        return await admin.delete(f"users/{user.id}")
    return await user.post(f"auth/{how}")


@pytest.mark.parametrize("how", ["block", "delete", "logout", "logout-all"])
async def test_whatever_comes_out_of_a_crowd_is_dead_afterwards(api: Api, app: RunningApp, how: str) -> None:
    """Logins and refreshes at the very moment of the end: each order is right, no order leaves a session."""
    admin = await api.superuser()
    for _ in range(ROUNDS):
        user = await api.user()
        session = (await session_of(user)).replace("-", "")
        *_, end = await asyncio.gather(
            login(api, user),
            refresh(api, user.refresh_token),
            refresh(api, user.refresh_token),
            finish(how, user, admin),
        )
        assert end.status_code in {200, 204}, end.text
        left = await living(app, user.email)
        assert session not in left
        if how in {"block", "delete"}:
            assert left == []
        await assert_dead(user)


async def test_password_change_in_a_crowd_leaves_one_session(api: Api, app: RunningApp) -> None:
    for _ in range(ROUNDS):
        user = await api.user()
        own, other = (await session_of(user)).replace("-", ""), await again(user)
        body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        changed, *_ = await asyncio.gather(
            user.post("users/me/change-password", body),
            refresh(api, other.refresh_token),
            refresh(api, other.refresh_token),
            login(api, user),
        )
        assert changed.status_code == 204, changed.text
        assert await living(app, user.email) == [own]
        await assert_dead(other)
