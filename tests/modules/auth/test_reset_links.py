"""A mailed link: what it opens, once; what ends it; and that nothing else opens the same door."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
import time_machine

from app.modules.auth.service_resets import LINK_LIFE
from tests.api import PASSWORD, Caller, assert_problem
from tests.backend import Backend
from tests.modules.auth.post_office import NEW_PASSWORD, Office, office_at, open_office
from tests.modules.auth.support import (
    again,
    assert_alive,
    assert_dead,
    ending_of,
    refresh,
    session_of,
    stored,
    through,
)

MOMENT = timedelta(seconds=5)
THIRD = "otter plays eleven slow waltzes"
Act = Callable[[Office, Caller], Awaitable[int]]


async def test_link_sets_the_password_once_and_ends_every_session(office: Office) -> None:
    user = await office.api.user()
    other, session = await again(user), await session_of(user)
    token = await office.link_for(user)
    await assert_alive(user)
    answer = await office.reset(token)
    assert (answer.status_code, answer.content) == (204, b"")
    for caller in (user, other):
        await assert_dead(caller)
    assert await ending_of(office.app, session) == "password_reset"
    body = {"email": user.email, "password": PASSWORD}
    assert_problem(await office.api.post("auth/login", body), 401, "invalid_credentials")
    here = await office.api.login(user.email, NEW_PASSWORD)
    assert_problem(await office.reset(token, THIRD), 400, "bad_request")
    await assert_alive(here)
    await assert_alive(await office.api.login(user.email, NEW_PASSWORD))


async def test_other_worker_knows_at_once(office: Office) -> None:
    async with office_at(office.app.settings.database_url, office.box) as there:
        user = await office.api.user()
        await assert_alive(through(there.api, user))
        token = await office.link_for(user)
        await there.assert_good(token)
        for api in (office.api, there.api):
            await assert_dead(through(api, user))
        await office.assert_dead(token)


@pytest.mark.parametrize("is_late", [False, True])
async def test_link_lives_for_thirty_minutes(
    office: Office, clock: time_machine.Traveller, is_late: bool
) -> None:
    assert timedelta(minutes=30) == LINK_LIFE
    token = await office.link_for(await office.api.user())
    clock.shift(LINK_LIFE + (MOMENT if is_late else -MOMENT))
    await (office.assert_dead(token) if is_late else office.assert_good(token))


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "weak_password"),
        ("password1234567", "compromised_password"),
        ("PASSWORD1234567", "compromised_password"),
        ("x" * 129, "weak_password"),
        ("", "validation_error"),
    ],
)
async def test_refused_password_does_not_spend_the_link(office: Office, password: str, code: str) -> None:
    user = await office.api.user()
    token = await office.link_for(user)
    problem = assert_problem(await office.reset(token, password), 422, code)
    assert problem["errors"][0]["loc"] == ["body", "new_password"]
    assert not password or password not in str(problem["errors"][0]["message"])
    await assert_alive(user)
    await office.assert_good(token)


async def test_own_address_is_no_password(office: Office, unique: str) -> None:
    user = await office.api.user(email=f"walter.{unique}@example.com")
    token = await office.link_for(user)
    assert_problem(await office.reset(token, f"walter{unique}!"), 422, "weak_password")
    await office.assert_good(token)


async def test_link_is_kept_as_a_hash(office: Office) -> None:
    token = await office.link_for(await office.api.user())
    ((kept,),) = await stored(office.app, "SELECT token_hash FROM password_resets")
    assert len(kept) == 64
    assert kept != token
    await office.assert_dead(str(kept))
    await office.assert_good(token)


async def test_no_credential_stands_in_for_another(office: Office) -> None:
    user = await office.api.user("users:read")
    key = await user.with_key()
    token = await office.link_for(user)
    for header in ({"Authorization": f"Bearer {token}"}, {"X-API-Key": token}):
        assert_problem(await office.api.call("GET", "auth/me", headers=header), 401)
    assert_problem(await refresh(office.api, token), 401, "token_invalid")
    assert_problem(await office.api.post("auth/logout", {"refresh_token": token}), 401)
    login = {"email": user.email, "password": token}
    assert_problem(await office.api.post("auth/login", login), 401, "invalid_credentials")
    for credential in (user.access_token, user.refresh_token, key.key, PASSWORD):
        await office.assert_dead(credential)
    await office.assert_good(token)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"token": "x"},
        {"new_password": NEW_PASSWORD},
        {"token": "", "new_password": NEW_PASSWORD},
        {"token": "x" * 513, "new_password": NEW_PASSWORD},
        {"token": "x\x00", "new_password": NEW_PASSWORD},
        {"token": "x", "new_password": NEW_PASSWORD, "email": "a@example.com"},
    ],
)
async def test_malformed_body_is_refused(office: Office, body: dict[str, str]) -> None:
    assert_problem(await office.api.post("auth/password/reset", body), 422, "validation_error")


async def test_token_is_read_from_the_body_only(office: Office) -> None:
    token = await office.link_for(await office.api.user())
    query = {"token": token}
    body = {"new_password": NEW_PASSWORD}
    answer = await office.api.call("POST", "auth/password/reset", params=query, json=body)
    assert_problem(answer, 422, "validation_error")
    await office.assert_good(token)


async def _change(office: Office, user: Caller) -> int:
    body = {"current_password": PASSWORD, "new_password": THIRD}
    return (await user.post("users/me/change-password", body)).status_code


async def _admin(office: Office, user: Caller, method: str, path: str, body: object = None) -> int:
    admin = await office.api.superuser()
    return (await admin.call(method, f"users/{user.id}{path}", json=body)).status_code


async def _admin_reset(office: Office, user: Caller) -> int:
    return await _admin(office, user, "POST", "/reset-password")


async def _move(office: Office, user: Caller) -> int:
    return await _admin(office, user, "PATCH", "", {"email": f"moved-{user.email}"})


async def _block(office: Office, user: Caller) -> int:
    return await _admin(office, user, "POST", "/block")


async def _block_and_unblock(office: Office, user: Caller) -> int:
    return max(await _block(office, user), await _admin(office, user, "POST", "/unblock"))


async def _delete(office: Office, user: Caller) -> int:
    return await _admin(office, user, "DELETE", "")


async def _delete_and_restore(office: Office, user: Caller) -> int:
    return max(await _delete(office, user), await _admin(office, user, "POST", "/restore"))


async def _purge(office: Office, user: Caller) -> int:
    return await _admin(office, user, "DELETE", "?hard=true")


async def _delete_own(office: Office, user: Caller) -> int:
    return (await user.delete("users/me", json={"password": PASSWORD})).status_code


async def _ask_again(office: Office, user: Caller) -> int:
    return 204 if await office.link_for(user) else 500


async def _use_a_newer_one(office: Office, user: Caller) -> int:
    return (await office.reset(await office.link_for(user), THIRD)).status_code


ENDS: dict[str, Act] = {
    "password change": _change,
    "admin's reset": _admin_reset,
    "new address": _move,
    "block": _block,
    "block undone": _block_and_unblock,
    "soft delete": _delete,
    "soft delete undone": _delete_and_restore,
    "hard delete": _purge,
    "own delete": _delete_own,
    "newer request": _ask_again,
    "newer link, used": _use_a_newer_one,
}


@pytest.mark.parametrize("name", ENDS)
async def test_link_dies_with_what_it_was_for(office: Office, name: str) -> None:
    user, stranger = await office.api.user(), await office.api.user()
    token, others = await office.link_for(user), await office.link_for(stranger)
    assert await ENDS[name](office, user) in {200, 204}
    await office.assert_dead(token)
    await office.assert_good(others)


async def test_login_and_logout_leave_the_link_alone(office: Office) -> None:
    user = await office.api.user()
    token = await office.link_for(user)
    assert (await (await again(user)).post("auth/logout")).status_code == 204
    await office.assert_good(token)


async def test_used_twice_at_once_it_works_once(office: Office) -> None:
    async with office_at(office.app.settings.database_url, office.box) as there:
        for _ in range(5):
            user = await office.api.user()
            token = await office.link_for(user)
            choices = {office: NEW_PASSWORD, there: THIRD}
            answers = await asyncio.gather(*(one.reset(token, word) for one, word in choices.items()))
            assert sorted(answer.status_code for answer in answers) == [204, 400]
            won = NEW_PASSWORD if answers[0].status_code == 204 else THIRD
            await assert_alive(await there.api.login(user.email, won))


async def test_reset_ends_what_an_administrator_demanded(office: Office) -> None:
    user = await office.api.user()
    assert await _admin_reset(office, user) == 200
    await office.assert_good(await office.link_for(user))
    answer = await office.api.post("auth/login", {"email": user.email, "password": NEW_PASSWORD})
    assert "must_change_password" not in answer.json()
    await assert_alive(await office.api.login(user.email, NEW_PASSWORD))


async def test_guessed_tokens_are_counted_and_a_good_one_waits_too(backend: Backend) -> None:
    async with open_office(backend, login_max_failures_per_address=3) as office:
        token = await office.link_for(await office.api.user())
        for number in range(3):
            await office.assert_dead(f"guess-{number}")
        for tried in ("guess-4", token):
            answer = await office.reset(tried)
            assert_problem(answer, 429, "rate_limited")
            assert int(answer.headers["retry-after"]) > 0


async def test_owner_who_reset_the_password_comes_in_at_once(backend: Backend) -> None:
    """Failures up to then were of somebody who knew the old password as little; the mailbox has spoken."""
    async with open_office(backend, login_max_failures=3) as office:
        user = await office.api.user()
        wrong = {"email": user.email, "password": "wrong"}
        for _ in range(5):
            await office.api.post("auth/login", wrong)
        right = {"email": user.email, "password": PASSWORD}
        assert_problem(await office.api.post("auth/login", right), 429, "rate_limited")
        await office.assert_good(await office.link_for(user))
        await assert_alive(await office.api.login(user.email, NEW_PASSWORD))
