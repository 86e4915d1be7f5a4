"""Contract 3: giving roles, blocking and unblocking."""

from typing import Any
from uuid import uuid4

from tests.api import PASSWORD, Api, assert_problem
from tests.modules.users.test_users import DETAIL, role_id


async def test_roles_are_set_as_sent(api: Api) -> None:
    admin, user = await api.superuser(), await api.user()
    regular, auditor = await role_id(admin, "regular"), await role_id(admin, "auditor")
    path = f"users/{user.id}/roles"
    answer = await admin.put(path, {"role_ids": [regular, auditor]})
    assert answer.status_code == 200
    assert set(answer.json()) == DETAIL
    assert [role["name"] for role in answer.json()["roles"]] == ["auditor", "regular"]
    assert sorted((await user.get("auth/me")).json()["roles"]) == ["auditor", "regular"]
    assert (await admin.put(path, {"role_ids": []})).json()["roles"] == []
    assert (await user.get("auth/me")).json()["privileges"] == []
    problem = assert_problem(await admin.put(path, {"role_ids": [str(uuid4())]}), 422, "validation_error")
    assert problem["errors"] == [
        {"loc": ["body", "role_ids", 0], "code": "unknown", "message": "There is no such role."}
    ]
    for bad in (
        {},
        {"role_ids": None},
        {"role_ids": regular},
        {"role_ids": ["x"]},
        {"role_ids": [regular] * 101},
    ):
        assert_problem(await admin.put(path, bad), 422, "validation_error")
    assert_problem(await admin.put(f"users/{uuid4()}/roles", {"role_ids": []}), 404)


async def test_nobody_gives_more_than_they_hold(api: Api) -> None:
    admin, user = await api.superuser(), await api.user()
    clerk = await api.user("users:assign_roles", "roles:read")
    made = await admin.post("roles", {"name": "readers", "privileges": ["roles:read"]})
    small, big = made.json()["id"], await role_id(admin, "admin")
    path = f"users/{user.id}/roles"
    assert (await clerk.put(path, {"role_ids": [small]})).status_code == 200
    for id in (big, await role_id(admin, "superuser")):
        assert_problem(await clerk.put(path, {"role_ids": [small, id]}), 403, "forbidden")
    assert [role["id"] for role in (await admin.get(f"users/{user.id}")).json()["roles"]] == [small]
    await admin.put(path, {"role_ids": [big]})
    kept = await clerk.put(path, {"role_ids": [big, small]})  # what is held already is not given
    assert kept.status_code == 200
    assert (await clerk.put(path, {"role_ids": [small]})).status_code == 200


async def test_block_and_unblock(api: Api) -> None:
    admin, blocker, user = await api.superuser(), await api.user("users:block"), await api.user()
    blocked = await blocker.post(f"users/{user.id}/block", {"reason": "spam"})
    assert blocked.status_code == 200
    assert set(blocked.json()) == DETAIL
    assert blocked.json()["is_blocked"] is True
    assert_problem(await user.get("users/me"), 401, "token_revoked")
    assert_problem(await api.post("auth/refresh", {"refresh_token": user.refresh_token}), 401)
    right = await api.post("auth/login", {"email": user.email, "password": PASSWORD})
    assert_problem(right, 403, "account_blocked")
    wrong = await api.post("auth/login", {"email": user.email, "password": "wrong"})
    assert_problem(wrong, 401, "invalid_credentials")
    again = await blocker.post(f"users/{user.id}/block", {"reason": "spam"})
    assert again.json() == blocked.json()
    free = await blocker.post(f"users/{user.id}/unblock")
    assert (free.status_code, free.json()["is_blocked"]) == (200, False)
    assert_problem(await user.get("users/me"), 401, "token_revoked")
    await api.login(user.email)
    for body in (None, {}, {"reason": None}):
        assert (await blocker.post(f"users/{user.id}/block", body)).status_code == 200
    refused: list[Any] = [{"reason": 5}, {"reason": "x" * 501}, {"reason": "a\x00"}, {"why": "x"}, []]
    for bad in refused:
        assert_problem(await blocker.post(f"users/{user.id}/block", bad), 422, "validation_error")
    assert_problem(await admin.post(f"users/{uuid4()}/block"), 404)
