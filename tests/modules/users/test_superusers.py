"""Contract 3: only superusers touch superusers, and the last active one stays."""

import asyncio
from typing import Any

from tests.api import ADMIN, PASSWORD, Api, Caller, assert_problem


async def superuser_role(caller: Caller) -> str:
    roles = (await caller.get("roles")).json()["items"]
    (found,) = [role["id"] for role in roles if role["is_superuser"]]
    return str(found)


async def test_only_superusers_touch_superusers(api: Api) -> None:
    boss = await api.user(role="superuser")
    clerk = await api.user(
        *(f"users:{a}" for a in ("read", "update", "delete", "purge", "block", "assign_roles"))
    )
    path = f"users/{boss.id}"
    assert (await clerk.get(path)).status_code == 200
    attempts: list[tuple[str, str, Any]] = [
        ("PATCH", path, {"full_name": "X"}),
        ("PATCH", path, {"email": "x@example.com"}),
        ("DELETE", path, None),
        ("DELETE", f"{path}?hard=true", None),
        ("POST", f"{path}/block", None),
        ("POST", f"{path}/unblock", None),
        ("PUT", f"{path}/roles", {"role_ids": []}),
    ]
    before = (await clerk.get(path)).json()
    for method, target, body in attempts:
        assert_problem(await clerk.call(method, target, json=body), 403, "forbidden")
    assert (await clerk.get(path)).json() == before
    admin = await api.superuser()
    await admin.delete(path)
    assert_problem(await clerk.post(f"{path}/restore"), 403, "forbidden")
    assert (await admin.post(f"{path}/restore")).status_code == 200
    assert (await admin.patch(path, {"full_name": "X"})).status_code == 200


async def test_nobody_removes_themselves_here(api: Api) -> None:
    for caller in (await api.user(role="superuser"), await api.user(role="admin")):
        path = f"users/{caller.id}"
        assert_problem(await caller.delete(path), 409, "conflict")
        assert_problem(await caller.post(f"{path}/block"), 409, "conflict")
        assert_problem(await caller.put(f"{path}/roles", {"role_ids": []}), 409, "conflict")
        assert (await caller.patch(path, {"full_name": "Me"})).status_code == 200
        assert (await caller.get("users/me")).status_code == 200
    boss = await api.user(role="superuser")
    assert_problem(await boss.delete(f"users/{boss.id}?hard=true"), 409, "conflict")


async def test_last_superuser_is_kept_from_everyone(api: Api) -> None:
    admin = await api.superuser()
    path = f"users/{admin.id}"
    attempts: list[tuple[str, str, Any]] = [
        ("DELETE", path, None),
        ("DELETE", f"{path}?hard=true", None),
        ("POST", f"{path}/block", None),
        ("PUT", f"{path}/roles", {"role_ids": []}),
        ("DELETE", "users/me", {"password": ADMIN[1]}),
    ]
    for method, target, body in attempts:
        assert_problem(await admin.call(method, target, json=body), 409, "last_superuser")
    kept = [await superuser_role(admin)]
    assert (await admin.put(f"{path}/roles", {"role_ids": kept})).status_code == 200


async def test_blocked_superuser_does_not_count(api: Api) -> None:
    admin, other = await api.superuser(), await api.user(role="superuser")
    assert (await admin.post(f"users/{other.id}/block")).status_code == 200
    assert_problem(await admin.delete("users/me", json={"password": ADMIN[1]}), 409, "last_superuser")
    assert (await admin.delete(f"users/{other.id}")).status_code == 204  # no active one is lost
    assert_problem(await admin.delete("users/me", json={"password": ADMIN[1]}), 409, "last_superuser")


async def test_superuser_may_go_while_another_stays(api: Api) -> None:
    other = await api.user(role="superuser")
    assert (await other.delete("users/me", json={"password": PASSWORD})).status_code == 204


async def test_two_superusers_removing_each_other_leave_one(api: Api) -> None:
    admin = await api.superuser()
    role = await superuser_role(admin)
    for round_number in range(4):
        one, two = await api.user(role="superuser"), await api.user(role="superuser")
        # The seeded one steps aside: the two are alone.
        assert (await two.post(f"users/{admin.id}/block")).status_code == 200
        ways: list[tuple[str, str, Any]] = [
            ("DELETE", "users/{}", None),
            ("POST", "users/{}/block", None),
            ("PUT", "users/{}/roles", {"role_ids": []}),
            ("DELETE", "users/{}?hard=true", None),
        ]
        method, path, body = ways[round_number]
        answers = await asyncio.gather(
            one.call(method, path.format(two.id), json=body),
            two.call(method, path.format(one.id), json=body),
            one.delete("users/me", json={"password": PASSWORD}),
            two.delete("users/me", json={"password": PASSWORD}),
        )
        assert {answer.status_code for answer in answers} <= {200, 204, 401, 403, 404, 409}
        left = [caller for caller in (one, two) if await is_superuser(caller)]
        assert len(left) == 1, [answer.text for answer in answers]
        assert (await left[0].post(f"users/{admin.id}/unblock")).status_code == 200
        admin = await api.superuser()
        holders = (await admin.get(f"users?role={role}")).json()["items"]
        for holder in holders:
            if holder["id"] != admin.id:
                assert (await admin.delete(f"users/{holder['id']}?hard=true")).status_code == 204


async def is_superuser(caller: Caller) -> bool:
    answer = await caller.get("auth/me")
    return answer.status_code == 200 and bool(answer.json()["is_superuser"])
