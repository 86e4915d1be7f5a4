"""Contract 4: the calls below /privileges."""

from typing import Any

import pytest

from tests.api import Api, Caller, assert_problem

SUMMARY = {"code", "module", "action", "description", "is_system"}


def codes(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [privilege["code"] for privilege in answer.json()["items"]]


async def role_with(admin: Caller, *privileges: str) -> str:
    answer = await admin.post("roles", {"name": "Holders", "privileges": list(privileges)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_own_privilege_lives_a_full_life(api: Api) -> None:
    admin = await api.superuser()
    made = await admin.post("privileges", {"code": "crm:export", "description": "Exports."})
    assert made.status_code == 201
    privilege = made.json()
    assert made.headers["location"] == "/api/v1/privileges/crm:export"
    assert SUMMARY | {"version"} <= set(privilege)
    assert (privilege["module"], privilege["action"]) == ("crm", "export")
    assert (privilege["description"], privilege["is_system"], privilege["version"]) == ("Exports.", False, 1)
    path = "privileges/crm:export"
    assert (await admin.get(path)).json() == privilege
    assert codes(await admin.get("privileges?module=crm")) == ["crm:export"]
    changed = (await admin.patch(path, {"description": "Sends."})).json()
    assert (changed["description"], changed["version"]) == ("Sends.", 2)
    for nothing in ({}, {"description": "Sends."}):
        assert (await admin.patch(path, nothing)).json() == changed
    deleted = await admin.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for answer in (await admin.get(path), await admin.patch(path, {}), await admin.delete(path)):
        assert_problem(answer, 404, "not_found")
    assert codes(await admin.get("privileges?module=crm")) == []
    assert codes(await admin.get("privileges?module=crm&deleted=true")) == ["crm:export"]
    again = await admin.post("privileges", {"code": "crm:export"})
    assert again.status_code == 201  # the place is free
    assert_problem(await admin.post(f"{path}/restore"), 409, "conflict")
    assert (await admin.delete(f"{path}?hard=true")).status_code == 204  # the live one goes first
    restored = await admin.post(f"{path}/restore")
    assert (restored.status_code, restored.json()["description"]) == (200, "Sends.")
    assert_problem(await admin.post(f"{path}/restore"), 404)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_purge_alone_is_enough_for_hard(api: Api, *, is_deleted: bool) -> None:
    admin, purger = await api.superuser(), await api.user("privileges:purge")
    await admin.post("privileges", {"code": "crm:export"})
    if is_deleted:
        await admin.delete("privileges/crm:export")
    assert_problem(await purger.delete("privileges/crm:export"), 403, "forbidden")
    assert (await purger.delete("privileges/crm:export?hard=true")).status_code == 204
    assert_problem(await admin.post("privileges/crm:export/restore"), 404)
    assert codes(await admin.get("privileges?deleted=true")) == []


async def test_privileges_of_modules_follow_the_code(api: Api) -> None:
    admin = await api.superuser()
    path = "privileges/users:read"
    before = (await admin.get(path)).json()
    assert before["is_system"] is True
    for answer in (
        await admin.patch(path, {"description": "Mine"}),
        await admin.delete(path),
        await admin.delete(f"{path}?hard=true"),
        await admin.post("privileges", {"code": "users:read"}),
    ):
        assert_problem(answer, 409, "conflict")
    assert (await admin.get(path)).json() == before


async def test_code_in_use_is_409_with_its_field(api: Api) -> None:
    admin = await api.superuser()
    problem = assert_problem(await admin.post("privileges", {"code": "users:read"}), 409, "conflict")
    assert [(e["loc"], e["code"]) for e in problem["errors"]] == [(["body", "code"], "duplicate")]


async def test_deleting_ends_it_everywhere_at_once(api: Api) -> None:
    admin, user = await api.superuser(), await api.user()
    await admin.post("privileges", {"code": "crm:export"})
    role = await role_with(admin, "crm:export", "users:read")
    await admin.put(f"users/{user.id}/roles", {"role_ids": [role]})
    assert "crm:export" in (await user.get("auth/me")).json()["privileges"]
    await admin.delete("privileges/crm:export")
    assert (await user.get("auth/me")).json()["privileges"] == ["users:read"]
    assert (await admin.get(f"roles/{role}")).json()["effective"] == ["users:read"]
    problem = await admin.put(f"roles/{role}/privileges", {"codes": ["crm:export"]})
    assert_problem(problem, 422, "validation_error")
    assert (await admin.post("privileges/crm:export/restore")).status_code == 200
    assert (await user.get("auth/me")).json()["privileges"] == ["users:read"]
    assert (await admin.get(f"roles/{role}")).json()["privileges"] == ["users:read"]
    await admin.put(f"roles/{role}/privileges", {"codes": ["crm:export"]})
    await admin.delete("privileges/crm:export?hard=true")
    assert (await user.get("auth/me")).json()["privileges"] == []


@pytest.mark.parametrize(
    "code",
    [None, 5, "", "crm", "crm:", ":x", "Crm:export", "crm:Export", "crm:ex port", "crm:a:b", "crm:é", "1crm:x",
     "crm:export\n", "crm:ex\u200bport", "crm:ex\u202eport", "crm:ex\x00", f"crm:{'x' * 64}", f"{'x' * 64}:y", "*:*"],
)  # fmt: skip
async def test_bad_code_is_422(api: Api, code: object) -> None:
    admin = await api.superuser()
    problem = assert_problem(await admin.post("privileges", {"code": code}), 422, "validation_error")
    assert problem["errors"][0]["loc"] == ["body", "code"]


async def test_longest_code_is_kept(api: Api) -> None:
    admin = await api.superuser()
    code = f"{'m' * 63}:{'a' * 63}"
    assert (await admin.post("privileges", {"code": code})).json()["code"] == code
    assert codes(await admin.get(f"privileges?module={'m' * 63}")) == [code]


async def test_other_fields_at_fault_are_422(api: Api) -> None:
    admin = await api.superuser()
    for more in ({"is_system": True}, {"module": "x"}, {"description": None}, {"description": "x" * 501}):
        assert_problem(await admin.post("privileges", {"code": "crm:x", **more}), 422, "validation_error")
    await admin.post("privileges", {"code": "crm:x"})
    for bad in ({"code": "crm:y"}, {"description": None}, {"description": "\x00"}):
        assert_problem(await admin.patch("privileges/crm:x", bad), 422, "validation_error")
    for path in ("privileges/x", "privileges/users:read%00", "privileges/%20", "privileges/USERS:READ"):
        assert_problem(await admin.get(path), 422, "validation_error")
    assert_problem(await admin.get("privileges/crm:unknown"), 404, "not_found")


async def test_list(api: Api) -> None:
    admin = await api.superuser()
    answer = await admin.get("privileges?per_page=1000")
    assert all(set(item) == SUMMARY for item in answer.json()["items"])
    assert codes(answer) == sorted(codes(answer))
    own = codes(await admin.get("privileges?module=privileges"))
    assert own == sorted(f"privileges:{a}" for a in ("create", "delete", "purge", "read", "update"))
    assert codes(await admin.get("privileges?module=unknown")) == []
    assert codes(await admin.get("privileges?module=privileges&sort=-code")) == own[::-1]
    for bad in ("module=", "module=X", "module=a%00", "sort=description", "action=read", "code=users:read"):
        assert_problem(await admin.get(f"privileges?{bad}"), 422, "validation_error")
    reader = await api.user("privileges:read")
    assert_problem(await reader.get("privileges?deleted=true"), 403, "forbidden")
    assert codes(await (await api.user("privileges:delete")).get("privileges?deleted=true")) == []


async def test_missing_privileges_are_named(api: Api) -> None:
    nobody = await api.user()
    for method, path, required in (
        ("GET", "privileges", "privileges:read"),
        ("POST", "privileges", "privileges:create"),
        ("GET", "privileges/users:read", "privileges:read"),
        ("PATCH", "privileges/users:read", "privileges:update"),
        ("DELETE", "privileges/users:read", "privileges:delete"),
        ("DELETE", "privileges/users:read?hard=true", "privileges:purge"),
        ("POST", "privileges/users:read/restore", "privileges:delete"),
    ):
        problem = assert_problem(await nobody.call(method, path, json={}), 403, "forbidden")
        assert problem["required"] == required
