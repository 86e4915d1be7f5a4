"""Which end is a key's end too: its own, its owner's; and which isn't."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.api import PASSWORD, Api, Caller, KeyCaller, assert_problem
from tests.modules.auth.support import again
from tests.modules.auth.test_api_keys import works

Workers = tuple[Api, Api]
Act = Callable[[Caller, Caller], Awaitable[int]]
NEW_PASSWORD = "another horse another battery"


async def held(key: Caller) -> list[str]:
    """What the key may, by its own account."""
    answer = await key.get("auth/me")
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json()["privileges"]
    return found


def at(key: KeyCaller, api: Api) -> KeyCaller:
    """The same key, presented to another worker."""
    return replace(key, api=api)


async def _block(admin: Caller, user: Caller) -> int:
    return (await admin.post(f"users/{user.id}/block")).status_code


async def _unblock(admin: Caller, user: Caller) -> int:
    return (await admin.post(f"users/{user.id}/unblock")).status_code


async def _delete(admin: Caller, user: Caller) -> int:
    return (await admin.delete(f"users/{user.id}")).status_code


async def _delete_own(_: Caller, user: Caller) -> int:
    return (await user.delete("users/me", json={"password": PASSWORD})).status_code


async def _restore(admin: Caller, user: Caller) -> int:
    return (await admin.post(f"users/{user.id}/restore")).status_code


@pytest.mark.parametrize(("end", "undo"), [(_block, _unblock), (_delete, _restore), (_delete_own, _restore)])
async def test_key_sleeps_with_its_owner(workers: Workers, end: Act, undo: Act) -> None:
    here, _ = workers
    admin, user = await here.superuser(), await here.user()
    key, revoked = await user.with_key(), await user.with_key()
    await user.post(f"auth/api-keys/{revoked.key_id}/revoke")
    assert [await works(at(key, api)) for api in workers] == [True, True]
    for turn in (end, undo):
        assert await turn(admin, user) in {200, 204}
        assert [await works(at(key, api)) for api in reversed(workers)] == [turn is undo] * 2
        assert [await works(at(revoked, api)) for api in workers] == [False, False]


async def test_key_is_gone_with_an_owner_who_is_gone_for_good(workers: Workers) -> None:
    here, there = workers
    admin, user = await here.superuser(), await here.user()
    key = await user.with_key()
    assert await works(at(key, there))
    assert (await admin.delete(f"users/{user.id}?hard=true")).status_code == 204
    assert [await works(at(key, api)) for api in workers] == [False, False]


async def _change_password(_: Caller, user: Caller) -> int:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return (await user.post("users/me/change-password", body)).status_code


async def _log_out_everywhere(_: Caller, user: Caller) -> int:
    return (await user.post("auth/logout-all")).status_code


async def _log_out(_: Caller, user: Caller) -> int:
    return (await user.post("auth/logout")).status_code


async def _move(admin: Caller, user: Caller) -> int:
    return (await admin.patch(f"users/{user.id}", {"email": f"moved-{user.email}"})).status_code


async def _reset(admin: Caller, user: Caller) -> int:
    body = {"new_password": NEW_PASSWORD}
    return (await admin.post(f"users/{user.id}/reset-password", body)).status_code


@pytest.mark.parametrize("act", [_change_password, _log_out_everywhere, _log_out, _move, _reset])
async def test_key_outlives_sessions(workers: Workers, act: Act) -> None:
    here, _ = workers
    admin, user = await here.superuser(), await here.user("users:read")
    key = await user.with_key()
    assert [await works(at(key, api)) for api in workers] == [True, True]
    other = await again(user)
    assert await act(admin, user) in {200, 204}
    assert [await held(at(key, api)) for api in reversed(workers)] == [["users:read"]] * 2
    assert (await other.get("users/me")).status_code == (200 if act is _log_out else 401)


async def test_password_of_an_administrator_makes_no_key(api: Api) -> None:
    """Else whoever reads it on its way could keep the door open for good."""
    admin, user = await api.superuser(), await api.user()
    key = await user.with_key()
    assert await _reset(admin, user) == 200
    answer = await api.post("auth/login", {"email": user.email, "password": NEW_PASSWORD})
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    made = await api.post("auth/api-keys", {"name": "x"}, headers=headers)
    assert_problem(made, 403, "password_change_required")
    assert await works(key)


@pytest.mark.parametrize("how", ["id", "key", "delete"])
async def test_key_ends_at_every_worker(workers: Workers, how: str) -> None:
    here, there = workers
    user = await here.user()
    key, other = await user.with_key(), await user.with_key()
    assert [await works(at(key, api)) for api in (there, here, there)] == [True] * 3
    answer = await (
        user.delete(f"auth/api-keys/{key.key_id}")
        if how == "delete"
        else user.post("auth/api-keys/revoke", {"key": key.key})
        if how == "key"
        else user.post(f"auth/api-keys/{key.key_id}/revoke")
    )
    assert answer.status_code == 204
    assert [await works(at(key, api)) for api in (there, here)] == [False, False]
    assert [await works(at(other, api)) for api in (there, here)] == [True, True]
