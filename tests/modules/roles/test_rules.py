"""Contract 4: roles in use, system roles, and who may grant what."""

import asyncio

import pytest

from tests.api import Api, assert_problem
from tests.modules.roles.test_roles import by_name, make


async def test_role_in_use_is_kept(api: Api) -> None:
    admin, user = await api.superuser(), await api.user()
    role = await make(admin)
    path = f"roles/{role['id']}"
    await admin.put(f"users/{user.id}/roles", {"role_ids": [role["id"]]})
    assert (await admin.get(path)).json()["user_count"] == 1
    for target in (path, f"{path}?hard=true"):
        assert_problem(await admin.delete(target), 409, "in_use")
    await admin.post(f"users/{user.id}/block")
    assert_problem(await admin.delete(path), 409, "in_use")
    await admin.put(f"users/{user.id}/roles", {"role_ids": []})
    assert (await admin.delete(path)).status_code == 204


@pytest.mark.parametrize("hard", ["", "?hard=true"])
async def test_deleted_users_hold_nothing(api: Api, hard: str) -> None:
    """A soft-deleted user is in no count and keeps no role alive; restored, they lack what is gone."""
    admin, user = await api.superuser(), await api.user()
    role = await make(admin, privileges=["users:read"])
    path = f"roles/{role['id']}"
    await admin.put(f"users/{user.id}/roles", {"role_ids": [role["id"]]})
    await admin.delete(f"users/{user.id}")
    assert (await admin.get(path)).json()["user_count"] == 0
    assert (await admin.delete(f"{path}{hard}")).status_code == 204
    assert (await admin.post(f"users/{user.id}/restore")).json()["roles"] == []
    if not hard:
        assert (await admin.post(f"{path}/restore")).json()["user_count"] == 0
        assert (await admin.get(f"users/{user.id}")).json()["roles"] == []


async def test_restored_role_is_nobodys_after_a_race(api: Api) -> None:
    """Deleting a role while it is given: either it is in use, or nobody has it."""
    admin = await api.superuser()
    for _ in range(4):
        role, user = await make(admin, privileges=["users:read"]), await api.user()
        given, deleted = await asyncio.gather(
            admin.put(f"users/{user.id}/roles", {"role_ids": [role["id"]]}),
            admin.delete(f"roles/{role['id']}"),
        )
        outcome = (given.status_code, deleted.status_code)
        assert outcome in {(200, 409), (422, 204)}, (given.text, deleted.text)
        if deleted.status_code == 204:
            await admin.post(f"roles/{role['id']}/restore")
            assert (await admin.get(f"roles/{role['id']}")).json()["user_count"] == 0
            assert_problem(await user.get("users"), 403)


async def test_system_roles_keep_name_and_place(api: Api) -> None:
    admin = await api.superuser()
    for name in ("superuser", "admin", "auditor", "regular"):
        role = await by_name(admin, name)
        assert role["is_system"] is True
        path = f"roles/{role['id']}"
        assert_problem(await admin.patch(path, {"name": "Other"}), 409, "conflict")
        assert_problem(await admin.delete(path), 409, "conflict")
        assert_problem(await admin.delete(f"{path}?hard=true"), 409, "conflict")
        described = await admin.patch(path, {"name": name, "description": "Ours"})
        assert (described.status_code, described.json()["description"]) == (200, "Ours")


async def test_superuser_role_is_for_superusers(api: Api) -> None:
    clerk = await api.user(*(f"roles:{action}" for action in ("read", "update", "delete", "purge", "create")))
    admin = await api.superuser()
    role = await by_name(admin, "superuser")
    assert role["is_superuser"] is True
    path = f"roles/{role['id']}"
    for method, target, body in (
        ("PATCH", path, {"description": "x"}),
        ("DELETE", path, None),
        ("DELETE", f"{path}?hard=true", None),
        ("PUT", f"{path}/privileges", {"codes": []}),
        ("PUT", f"{path}/modules", {"modules": []}),
    ):
        assert_problem(await clerk.call(method, target, json=body), 403, "forbidden")
    assert (await admin.get(path)).json() == role
    assert (await admin.put(f"{path}/privileges", {"codes": ["users:read"]})).status_code == 200
    assert [r["is_superuser"] for r in (await admin.get("roles")).json()["items"]].count(True) == 1


async def test_nobody_grants_what_they_lack(api: Api) -> None:
    admin = await api.superuser()
    clerk = await api.user("roles:create", "roles:update", "users:read")
    role = await make(clerk, privileges=["users:read"], modules=["users"])
    path = f"roles/{role['id']}"
    for answer, lacking in (
        (
            await clerk.post("roles", {"name": "x", "privileges": ["users:read", "users:block"]}),
            "users:block",
        ),
        (await clerk.post("roles", {"name": "x", "modules": ["privileges"]}), "privileges:read"),
        (await clerk.put(f"{path}/privileges", {"codes": ["users:purge"]}), "users:purge"),
        (await clerk.put(f"{path}/modules", {"modules": ["users", "roles"]}), "roles:read"),
    ):
        problem = assert_problem(answer, 403, "forbidden")
        assert problem["required"] == lacking
    assert (await admin.get(path)).json() == role
    await admin.put(f"{path}/privileges", {"codes": ["users:read", "users:purge"]})
    kept = await clerk.put(f"{path}/privileges", {"codes": ["users:purge"]})  # it was there already
    assert (kept.status_code, kept.json()["privileges"]) == (200, ["users:purge"])
    assert (await clerk.put(f"{path}/privileges", {"codes": []})).json()["privileges"] == []


async def test_change_counts_from_the_next_request(api: Api) -> None:
    admin, user = await api.superuser(), await api.user()
    role = await make(admin, privileges=["users:read"])
    path = f"roles/{role['id']}"
    await admin.put(f"users/{user.id}/roles", {"role_ids": [role["id"]]})
    assert (await user.get("users")).status_code == 200
    await admin.put(f"{path}/privileges", {"codes": []})
    assert_problem(await user.get("users"), 403)
    changed = (await admin.put(f"{path}/modules", {"modules": ["users", "users"]})).json()
    assert (changed["modules"], changed["effective"], changed["user_count"]) == (["users"], ["users:read"], 1)
    assert (await user.get("users")).status_code == 200
    await admin.put(f"{path}/modules", {"modules": []})
    assert_problem(await user.get("users"), 403)
