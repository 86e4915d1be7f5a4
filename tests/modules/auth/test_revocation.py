"""What was taken away is gone with the next request: on every worker, with warm caches.

One app acts, another one is asked; both have seen the credential before.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from tests.api import PASSWORD, Api, Caller, assert_problem
from tests.modules.auth.support import again, assert_alive, assert_dead, refresh, refreshed, through

NEW_PASSWORD = "another horse another battery"
Workers = tuple[Api, Api]


@dataclass
class Scene:
    """A user with two sessions, an administrator, and a bystander; all at the first worker."""

    admin: Caller
    user: Caller
    other: Caller
    stranger: Caller

    async def is_warm_at(self, *apis: Api) -> None:
        """Every caller has been seen by these workers."""
        for api in apis:
            for caller in (self.user, self.other, self.stranger):
                await assert_alive(through(api, caller))


Act = Callable[[Scene], Awaitable[int]]


async def scene_at(api: Api) -> Scene:
    user = await api.user("users:read")
    return Scene(await api.superuser(), user, await again(user), await api.user("users:read"))


async def _block(scene: Scene) -> int:
    return (await scene.admin.post(f"users/{scene.user.id}/block", {"reason": "test"})).status_code


async def _delete(scene: Scene) -> int:
    return (await scene.admin.delete(f"users/{scene.user.id}")).status_code


async def _purge(scene: Scene) -> int:
    return (await scene.admin.delete(f"users/{scene.user.id}?hard=true")).status_code


async def _delete_own(scene: Scene) -> int:
    return (await scene.user.delete("users/me", json={"password": PASSWORD})).status_code


async def _move(scene: Scene) -> int:
    body = {"email": f"moved-{scene.user.email}"}
    return (await scene.admin.patch(f"users/{scene.user.id}", body)).status_code


async def _logout_all(scene: Scene) -> int:
    return (await scene.other.post("auth/logout-all")).status_code


async def _logout(scene: Scene) -> int:
    return (await scene.user.post("auth/logout")).status_code


async def _change_password(scene: Scene) -> int:
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return (await scene.other.post("users/me/change-password", body)).status_code


ENDS_ALL: dict[str, Act] = {
    "block": _block,
    "soft delete": _delete,
    "hard delete": _purge,
    "own delete": _delete_own,
    "new address": _move,
    "logout-all": _logout_all,
}
ENDS_ONE: dict[str, Act] = {"logout": _logout, "new password": _change_password}


@pytest.mark.parametrize("name", ENDS_ALL)
async def test_every_session_ends_at_every_worker(workers: Workers, name: str) -> None:
    here, there = workers
    scene = await scene_at(here)
    await scene.is_warm_at(here, there)
    assert await ENDS_ALL[name](scene) in {200, 204}
    for api in (there, here):
        for caller in (scene.user, scene.other):
            await assert_dead(through(api, caller))
        await assert_alive(through(api, scene.stranger))
    await assert_alive(await refreshed(through(there, scene.stranger)))


@pytest.mark.parametrize("name", ENDS_ONE)
async def test_one_session_ends_and_the_other_stays(workers: Workers, name: str) -> None:
    here, there = workers
    scene = await scene_at(here)
    await scene.is_warm_at(here, there)
    assert await ENDS_ONE[name](scene) == 204
    for api in (there, here):
        await assert_dead(through(api, scene.user))
        await assert_alive(through(api, scene.other))
    await assert_alive(await refreshed(through(there, scene.other)))


async def test_reuse_at_one_worker_ends_the_session_at_the_other(workers: Workers) -> None:
    here, there = workers
    scene = await scene_at(here)
    await scene.is_warm_at(here, there)
    third = await refreshed(through(there, await refreshed(scene.user)))
    await assert_alive(third)
    assert_problem(await refresh(here, scene.user.refresh_token), 401, "token_reused")
    await assert_dead(third)
    await assert_alive(through(there, scene.other))


@pytest.mark.parametrize(("name", "undo"), [("block", "unblock"), ("soft delete", "restore")])
async def test_undoing_revives_the_account_but_no_session(workers: Workers, name: str, undo: str) -> None:
    here, there = workers
    scene = await scene_at(here)
    await scene.is_warm_at(here, there)
    await ENDS_ALL[name](scene)
    assert (await there.post("auth/login", _credentials(scene.user))).status_code in {401, 403}
    assert (await scene.admin.post(f"users/{scene.user.id}/{undo}")).status_code == 200
    for api in (there, here):
        await assert_dead(through(api, scene.user))
        await assert_dead(through(api, scene.other))
    await assert_alive(await there.login(scene.user.email))


async def test_new_password_counts_at_every_worker(workers: Workers) -> None:
    here, there = workers
    scene = await scene_at(here)
    assert await _change_password(scene) == 204
    assert_problem(await there.post("auth/login", _credentials(scene.user)), 401, "invalid_credentials")
    await assert_alive(await there.login(scene.user.email, NEW_PASSWORD))


def _credentials(user: Caller) -> dict[str, str]:
    return {"email": user.email, "password": PASSWORD}


async def role_of(scene: Scene) -> str:
    """The one role of the scene's user."""
    detail = (await scene.admin.get(f"users/{scene.user.id}")).json()
    (role,) = detail["roles"]
    return str(role["id"])


async def _strip(scene: Scene) -> int:
    return (await scene.admin.put(f"users/{scene.user.id}/roles", {"role_ids": []})).status_code


async def _take_privilege(scene: Scene) -> int:
    path = f"roles/{await role_of(scene)}/privileges"
    return (await scene.admin.put(path, {"codes": ["roles:read"]})).status_code


async def _take_module(scene: Scene) -> int:
    return (await scene.admin.put(f"roles/{await role_of(scene)}/modules", {"modules": []})).status_code


@pytest.mark.parametrize(
    ("take", "privileges", "modules"),
    [
        pytest.param(_strip, ["users:read"], [], id="role taken from the user"),
        pytest.param(_take_privilege, ["users:read"], [], id="privilege taken from the role"),
        pytest.param(_take_module, [], ["users"], id="module taken from the role"),
    ],
)
async def test_right_that_was_taken_is_refused_at_every_worker(
    workers: Workers, take: Act, privileges: list[str], modules: list[str]
) -> None:
    here, there = workers
    user = await here.user(*privileges, modules=modules)
    scene = Scene(await here.superuser(), user, await again(user), await here.user("users:read"))
    await scene.is_warm_at(here, there)
    for api in workers:
        assert (await through(api, user).get("users")).status_code == 200
    assert await take(scene) == 200
    for api in (there, here):
        for caller in (scene.user, scene.other):
            problem = assert_problem(await through(api, caller).get("users"), 403, "forbidden")
            assert problem["required"] == "users:read"
            await assert_alive(through(api, caller))
        assert (await through(api, scene.stranger).get("users")).status_code == 200


async def test_deleted_privilege_is_gone_from_everybody_at_every_worker(
    workers: Workers, unique: str
) -> None:
    here, there = workers
    admin, code = await here.superuser(), f"probe{unique}:use"
    assert (await admin.post("privileges", {"code": code})).status_code == 201
    user = await here.user(code, "users:read")
    for api in workers:
        assert (await through(api, user).get("auth/me")).json()["privileges"] == [code, "users:read"]
    assert (await admin.delete(f"privileges/{code}")).status_code == 204
    for api in (there, here):
        assert (await through(api, user).get("auth/me")).json()["privileges"] == ["users:read"]


async def test_right_that_was_given_counts_at_every_worker(workers: Workers) -> None:
    here, there = workers
    user = await here.user("roles:read")
    scene = Scene(await here.superuser(), user, await again(user), user)
    for api in workers:
        assert_problem(await through(api, user).get("users"), 403, "forbidden")
    path = f"roles/{await role_of(scene)}/privileges"
    assert (await scene.admin.put(path, {"codes": ["users:read"]})).status_code == 200
    for api in (there, here):
        assert (await through(api, user).get("users")).status_code == 200
