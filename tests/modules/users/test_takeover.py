"""Who sets somebody's password or address can act as them: so nobody does that to who may more than they do."""

import pytest

from tests.api import PASSWORD, Api, Caller, assert_problem
from tests.modules.auth.support import assert_alive, stored

RESET = "users:reset_password"
UPDATE = "users:update"
NEW = "walrus drinks seven cold teas"


async def reset(actor: Caller, user: Caller) -> int:
    return (await actor.post(f"users/{user.id}/reset-password")).status_code


async def move(actor: Caller, user: Caller) -> int:
    return (await actor.patch(f"users/{user.id}", {"email": f"moved-{user.email}"})).status_code


TAKE = {"reset": (RESET, reset), "move": (UPDATE, move)}


async def assert_untouched(api: Api, user: Caller) -> None:
    """Neither password nor address nor session has changed."""
    await assert_alive(user)
    await assert_alive(await api.login(user.email))


async def test_privilege_is_asked_for_and_named(api: Api) -> None:
    actor, user = await api.user("users:read", UPDATE, "users:block"), await api.user()
    problem = assert_problem(await actor.post(f"users/{user.id}/reset-password"), 403, "forbidden")
    assert problem["required"] == RESET
    await assert_untouched(api, user)


async def test_nobody_resets_themselves(api: Api) -> None:
    actor, admin = await api.user(RESET), await api.superuser()
    for caller in (actor, admin):
        answer = await caller.post(f"users/{caller.id}/reset-password", {"new_password": NEW})
        assert_problem(answer, 409, "conflict")
        await assert_alive(caller)
    await assert_alive(await api.login(actor.email))


@pytest.mark.parametrize("how", TAKE)
async def test_only_superusers_touch_superusers(api: Api, how: str) -> None:
    privilege, take = TAKE[how]
    others = [code for code in (await _all_privileges(api)) if code != privilege]
    actor, user = await api.user(privilege, *others), await api.user(role="superuser")
    assert await take(actor, user) == 403
    await assert_untouched(api, user)
    assert await take(await api.superuser(), user) == 200


async def _all_privileges(api: Api) -> list[str]:
    return [row[0] for row in await stored(api.app, "SELECT code FROM privileges WHERE deleted_at IS NULL")]


@pytest.mark.parametrize("how", TAKE)
async def test_nobody_takes_over_who_may_more(api: Api, how: str) -> None:
    privilege, take = TAKE[how]
    actor, user = await api.user(privilege), await api.user("roles:read")
    assert await take(actor, user) == 403
    await assert_untouched(api, user)
    equal = await api.user(privilege, "roles:read")
    assert await take(equal, user) == 200


@pytest.mark.parametrize("how", TAKE)
async def test_module_counts_with_what_it_grants(api: Api, how: str) -> None:
    privilege, take = TAKE[how]
    actor, user = await api.user(privilege), await api.user(modules=["roles"])
    assert await take(actor, user) == 403
    await assert_untouched(api, user)


@pytest.mark.parametrize("how", TAKE)
async def test_what_everybody_gets_is_no_more(api: Api, how: str) -> None:
    """Else who looks after accounts would need every right of whoever registers."""
    privilege, take = TAKE[how]
    actor, user = await api.user(privilege), await api.user(role="regular")
    assert await take(actor, user) == 200


async def test_name_of_somebody_mightier_may_be_changed(api: Api) -> None:
    actor, user = await api.user(UPDATE), await api.user("roles:read")
    same = {"full_name": "Ada", "email": user.email.upper()}
    answer = await actor.patch(f"users/{user.id}", same)
    assert answer.status_code == 200
    assert answer.json()["email"] == user.email
    await assert_untouched(api, user)


@pytest.mark.parametrize("how", TAKE)
async def test_api_key_takes_nobody_over(api: Api, how: str) -> None:
    privilege, take = TAKE[how]
    actor, user = await api.user(privilege), await api.user()
    key = await actor.with_key()
    assert await take(key, user) == 403
    await assert_untouched(api, user)
    assert (await key.patch(f"users/{user.id}", {"full_name": "Ada"})).status_code == (
        200 if privilege == UPDATE else 403
    )


async def test_keys_of_who_must_change_go_on_working_and_open_no_more(api: Api) -> None:
    """Programs don't stop because a person forgot a password; a key changes no password either."""
    user, admin = await api.user("users:read"), await api.superuser()
    key = await user.with_key()
    assert await reset(admin, user) == 200
    assert (await key.get("users")).status_code == 200
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert_problem(await key.post("users/me/change-password", body), 403, "forbidden")


async def test_nobody_changes_their_own_address_here(api: Api) -> None:
    boss = await api.superuser()
    problem = assert_problem(
        await boss.patch(f"users/{boss.id}", {"email": "new@example.com"}), 409, "conflict"
    )
    assert "themselves" in problem["detail"]
    assert (await boss.patch(f"users/{boss.id}", {"full_name": "Root"})).status_code == 200
    assert (await boss.get("users/me")).json()["email"] == boss.email
