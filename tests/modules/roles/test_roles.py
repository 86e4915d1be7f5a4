"""Contract 4: the calls below /roles."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api, Caller, assert_problem

SUMMARY = {"id", "name", "description", "is_superuser", "is_system"}
DETAIL = SUMMARY | {"privileges", "modules", "effective", "user_count", "version"}
STAMPS = {"created_at", "updated_at", "created_by", "updated_by"}


async def make(caller: Caller, **fields: Any) -> dict[str, Any]:
    answer = await caller.post("roles", {"name": f"role {uuid4().hex[:8]}", **fields})
    assert answer.status_code == 201, answer.text
    role: dict[str, Any] = answer.json()
    return role


async def by_name(caller: Caller, name: str) -> dict[str, Any]:
    roles = (await caller.get("roles?per_page=1000")).json()["items"]
    id = next(role["id"] for role in roles if role["name"] == name)
    found: dict[str, Any] = (await caller.get(f"roles/{id}")).json()
    return found


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [role["name"] for role in answer.json()["items"]]


async def test_create_gives_detail_and_location(api: Api) -> None:
    admin = await api.superuser()
    body = {
        "name": " Clerks ",
        "description": "d",
        "privileges": ["users:update"],
        "modules": ["roles", "users"],
    }
    answer = await admin.post("roles", body)
    assert answer.status_code == 201
    role = answer.json()
    assert set(role) == DETAIL | STAMPS
    assert answer.headers["location"] == f"/api/v1/roles/{role['id']}"
    assert (role["name"], role["description"]) == ("Clerks", "d")
    assert (role["is_superuser"], role["is_system"], role["user_count"], role["version"]) == (
        False,
        False,
        0,
        1,
    )
    assert (role["privileges"], role["modules"]) == (["users:update"], ["roles", "users"])
    assert role["effective"] == ["roles:read", "users:read", "users:update"]
    assert role["created_by"] == admin.id
    assert (await admin.get(f"roles/{role['id']}")).json() == role
    listed = (await admin.get("roles")).json()["items"]
    assert all(set(item) == SUMMARY for item in listed)


async def test_single_privilege_implies_nothing(api: Api) -> None:
    admin = await api.superuser()
    assert (await make(admin, privileges=["users:update"]))["effective"] == ["users:update"]
    user = await api.user("users:update")
    assert_problem(await user.get("users"), 403, "forbidden")
    reader = await api.user(modules=["users"])
    assert (await reader.get("users")).status_code == 200
    for method, path in (("POST", "users"), ("PATCH", f"users/{user.id}"), ("DELETE", f"users/{user.id}")):
        assert_problem(await reader.call(method, path, json={}), 403, "forbidden")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "\ufdfa" * 10}, "name"),
        ({"name": 5}, "name"),
        *(
            ({"name": f"ad{char}min"}, "name")
            for char in "\x00\x1f\x7f\u0085\u00ad\u034f\u200b\u200d\u200e\u2028\u202e\u2066\u2069\ufeff\u3164\ufe0f"
        ),
        *(({"name": f"{char}x"}, "name") for char in "\u061c\u115f\u180e\u2060\uffa0\U000e0041"),
        ({"name": "x", "description": "y" * 501}, "description"),
        ({"name": "x", "description": "\x00"}, "description"),
        ({"name": "x", "description": None}, "description"),
        ({"name": "x", "privileges": "users:read"}, "privileges"),
        ({"name": "x", "privileges": [1]}, "privileges"),
        ({"name": "x", "privileges": ["users:read", "users:nonsense"]}, "privileges"),
        ({"name": "x", "privileges": ["Users:Read"]}, "privileges"),
        ({"name": "x", "privileges": ["users:readx"]}, "privileges"),
        ({"name": "x", "privileges": ["users"]}, "privileges"),
        ({"name": "x", "modules": ["nonsense"]}, "modules"),
        ({"name": "x", "modules": ["user"]}, "modules"),
        ({"name": "x", "modules": ["auth"]}, "modules"),
        ({"name": "x", "is_superuser": True}, "is_superuser"),
        ({"name": "x", "is_system": True}, "is_system"),
    ],
)
async def test_body_at_fault_is_422(api: Api, body: dict[str, Any], field: str) -> None:
    admin = await api.superuser()
    before = (await admin.get("roles")).json()["total"]
    answer = await admin.post("roles", body)
    problem = assert_problem(answer, 422, "validation_error")
    assert any(error["loc"][:2] == ["body", field] for error in problem["errors"]), problem
    assert "nonsense" not in answer.text
    assert (await admin.get("roles")).json()["total"] == before


async def test_unknown_entries_are_told_by_place(api: Api) -> None:
    admin = await api.superuser()
    role = await make(admin)
    for path, body, places in (
        (
            f"roles/{role['id']}/privileges",
            {"codes": ["users:read", "x:y", "x:z"]},
            [["codes", 1], ["codes", 2]],
        ),
        (f"roles/{role['id']}/modules", {"modules": ["x", "users"]}, [["modules", 0]]),
    ):
        problem = assert_problem(await admin.put(path, body), 422, "validation_error")
        assert [error["loc"][1:] for error in problem["errors"]] == places
    assert (await admin.get(f"roles/{role['id']}")).json() == role


async def test_names_are_normalised_and_unique(api: Api) -> None:
    admin = await api.superuser()
    await make(admin, name="Clerks")
    other = await make(admin)
    assert (await make(admin, name="x" * 100))["name"] == "x" * 100
    for name in ("Clerks", " Clerks", "Ｃｌｅｒｋｓ", "\u3000Clerks"):
        for answer in (
            await admin.post("roles", {"name": name}),
            await admin.patch(f"roles/{other['id']}", {"name": name}),
        ):
            problem = assert_problem(answer, 409, "conflict")
            assert problem["detail"] == "A role with this name exists already."
            assert [(e["loc"], e["code"]) for e in problem["errors"]] == [(["body", "name"], "duplicate")]


async def test_race_of_creates_makes_one(api: Api) -> None:
    admin = await api.superuser()
    answers = await asyncio.gather(*(admin.post("roles", {"name": "Same"}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    problems = [answer.json() for answer in answers if answer.status_code == 409]
    assert len({(p["code"], p["detail"], str(p["errors"])) for p in problems}) == 1
    assert names(await admin.get("roles")).count("Same") == 1


async def test_patch_changes_what_is_sent(api: Api) -> None:
    admin, updater = await api.superuser(), await api.user("roles:update", "users:read")
    role = await make(admin, description="d", privileges=["users:read"])
    path = f"roles/{role['id']}"
    changed = (await updater.patch(path, {"name": "New"})).json()
    assert (changed["name"], changed["description"], changed["version"]) == ("New", "d", 2)
    assert (changed["privileges"], changed["updated_by"]) == (["users:read"], updater.id)
    for nothing in ({}, {"name": "New"}, {"description": "d", "name": " New "}):
        same = await updater.patch(path, nothing)
        assert (same.status_code, same.json()) == (200, changed)
    refused: list[Any] = [
        {"name": None},
        {"name": ""},
        {"description": None},
        {"privileges": []},
        {"is_system": True},
    ]
    for bad in refused:
        assert_problem(await updater.patch(path, bad), 422, "validation_error")
    assert_problem(await updater.patch(f"roles/{uuid4()}", {}), 404, "not_found")


async def test_life_of_a_role(api: Api) -> None:
    admin = await api.superuser()
    role = await make(admin, name="Clerks", privileges=["users:read"], modules=["roles"])
    path = f"roles/{role['id']}"
    deleted = await admin.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for answer in (
        await admin.get(path),
        await admin.patch(path, {}),
        await admin.delete(path),
        await admin.put(f"{path}/privileges", {"codes": []}),
        await admin.put(f"{path}/modules", {"modules": []}),
    ):
        assert_problem(answer, 404, "not_found")
    assert "Clerks" not in names(await admin.get("roles"))
    assert names(await admin.get("roles?deleted=true")) == ["Clerks"]
    user = await api.user()
    assert_problem(await admin.put(f"users/{user.id}/roles", {"role_ids": [role["id"]]}), 422)
    second = await make(admin, name="Clerks")
    assert_problem(await admin.post(f"{path}/restore"), 409, "conflict")
    await admin.delete(f"roles/{second['id']}")
    restored = await admin.post(f"{path}/restore")
    assert restored.status_code == 200
    kept = {"privileges": ["users:read"], "modules": ["roles"], "user_count": 0, "name": "Clerks"}
    assert restored.json() | kept == restored.json()
    assert_problem(await admin.post(f"{path}/restore"), 404)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_purge_alone_is_enough_for_hard(api: Api, *, is_deleted: bool) -> None:
    admin, purger = await api.superuser(), await api.user("roles:purge")
    role = await make(admin, privileges=["users:read"], modules=["users"])
    path = f"roles/{role['id']}"
    if is_deleted:
        await admin.delete(path)
    assert_problem(await purger.delete(path), 403, "forbidden")
    deleter = await api.user("roles:delete")
    problem = assert_problem(await deleter.delete(f"{path}?hard=true"), 403, "forbidden")
    assert problem["required"] == "roles:purge"
    assert (await purger.delete(f"{path}?hard=true")).status_code == 204
    assert_problem(await admin.post(f"{path}/restore"), 404)
    assert_problem(await purger.delete(f"{path}?hard=true"), 404)


async def test_deleted_list_needs_delete(api: Api) -> None:
    reader, deleter = await api.user("roles:read"), await api.user("roles:delete")
    problem = assert_problem(await reader.get("roles?deleted=true"), 403, "forbidden")
    assert problem["required"] == "roles:delete"
    assert (await deleter.get("roles?deleted=true")).status_code == 200


async def test_list_sorts_by_name_or_time(api: Api) -> None:
    admin = await api.superuser()
    await make(admin, name="zz")
    await make(admin, name="aa")
    assert names(await admin.get("roles")) == ["aa", "admin", "auditor", "regular", "superuser", "zz"]
    assert names(await admin.get("roles?sort=-created_at"))[:2] == ["aa", "zz"]
    for bad in ("sort=description", "name=x", "q=x", "sort=is_system"):
        assert_problem(await admin.get(f"roles?{bad}"), 422, "validation_error")


async def test_missing_privileges_are_named(api: Api) -> None:
    nobody, id = await api.user(), str(uuid4())
    for method, path, required in (
        ("GET", "roles", "roles:read"),
        ("POST", "roles", "roles:create"),
        ("GET", f"roles/{id}", "roles:read"),
        ("PATCH", f"roles/{id}", "roles:update"),
        ("DELETE", f"roles/{id}", "roles:delete"),
        ("POST", f"roles/{id}/restore", "roles:delete"),
        ("PUT", f"roles/{id}/privileges", "roles:update"),
        ("PUT", f"roles/{id}/modules", "roles:update"),
    ):
        problem = assert_problem(await nobody.call(method, path, json={}), 403, "forbidden")
        assert problem["required"] == required
