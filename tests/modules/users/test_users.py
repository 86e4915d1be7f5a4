"""Contract 3: the calls below /users, as an administrator sees them."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api import PASSWORD, Api, Caller, assert_problem

SUMMARY = {"id", "email", "full_name", "is_blocked", "created_at"}
DETAIL = SUMMARY | {"roles", "created_by", "updated_by", "updated_at", "last_login_at", "version"}


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [user["id"] for user in answer.json()["items"]]


async def make(caller: Caller, **fields: Any) -> dict[str, Any]:
    body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD, **fields}
    answer = await caller.post("users", body)
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()
    return user


async def role_id(caller: Caller, name: str) -> str:
    roles = (await caller.get("roles?per_page=1000")).json()["items"]
    return str(next(role["id"] for role in roles if role["name"] == name))


async def test_create_gives_detail_and_location(api: Api) -> None:
    admin = await api.superuser()
    answer = await admin.post(
        "users", {"email": "  ADA@Example.COM ", "password": PASSWORD, "full_name": " Ada Lovelace "}
    )
    assert answer.status_code == 201
    user = answer.json()
    assert set(user) == DETAIL
    assert answer.headers["location"] == f"/api/v1/users/{user['id']}"
    assert (user["email"], user["full_name"]) == ("ada@example.com", "Ada Lovelace")
    assert user["created_by"] == user["updated_by"] == admin.id
    assert (user["is_blocked"], user["last_login_at"], user["version"]) == (False, None, 1)
    assert [role["name"] for role in user["roles"]] == ["regular"]
    assert all(set(role) == {"id", "name"} for role in user["roles"])
    assert (await admin.get(f"users/{user['id']}")).json() == user
    await api.login("ada@EXAMPLE.com")
    assert (await admin.get(f"users/{user['id']}")).json()["last_login_at"].endswith("Z")


async def test_address_in_use_is_409_in_every_spelling(api: Api) -> None:
    admin = await api.superuser()
    await make(admin, email="ada@example.com")
    other = await make(admin)
    for email in ("ada@example.com", " Ada@Example.Com", "ＡＤＡ@example.com"):
        for answer in (
            await admin.post("users", {"email": email, "password": PASSWORD}),
            await admin.patch(f"users/{other['id']}", {"email": email}),
        ):
            problem = assert_problem(answer, 409, "conflict")
            assert problem["detail"] == "A user with this e-mail address exists already."
            assert [(e["loc"], e["code"]) for e in problem["errors"]] == [(["body", "email"], "duplicate")]


async def test_create_with_roles(api: Api) -> None:
    admin = await api.superuser()
    auditor = await role_id(admin, "auditor")
    user = await make(admin, role_ids=[auditor, auditor])
    assert user["roles"] == [{"id": auditor, "name": "auditor"}]
    assert (await make(admin, role_ids=[]))["roles"] == []
    body = {"email": "x@example.com", "password": PASSWORD, "role_ids": [auditor, str(uuid4())]}
    problem = assert_problem(await admin.post("users", body), 422, "validation_error")
    assert problem["errors"][0]["loc"] == ["body", "role_ids", 1]
    assert ids(await admin.get("users?q=x@example.com")) == []  # nothing is left of it
    creator = await api.user("users:create")
    problem = assert_problem(await creator.post("users", {**body, "role_ids": [auditor]}), 403, "forbidden")
    assert problem["required"] == "users:assign_roles"
    await admin.put(f"roles/{await role_id(admin, 'regular')}/privileges", {"codes": ["users:read"]})
    assert (await make(creator))["roles"] == []  # what the creator lacks is not given


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": PASSWORD}, "email"),
        ({"email": "a@example.com"}, "password"),
        ({"email": "nonsense", "password": PASSWORD}, "email"),
        ({"email": "a@b@example.com", "password": PASSWORD}, "email"),
        ({"email": f"{'x' * 250}@example.com", "password": PASSWORD}, "email"),
        ({"email": ["a@example.com"], "password": PASSWORD}, "email"),
        ({"email": "a\x00@example.com", "password": PASSWORD}, "email"),
        ({"email": "a@example.com", "password": PASSWORD, "full_name": "x" * 201}, "full_name"),
        ({"email": "a@example.com", "password": PASSWORD, "full_name": ""}, "full_name"),
        ({"email": "a@example.com", "password": PASSWORD, "full_name": "\ufdfa" * 20}, "full_name"),
        ({"email": "a@example.com", "password": PASSWORD, "full_name": "a\u202eb"}, "full_name"),
        ({"email": "a@example.com", "password": PASSWORD, "role_ids": ["1"]}, "role_ids"),
        ({"email": "a@example.com", "password": PASSWORD, "role_ids": [1]}, "role_ids"),
        ({"email": "a@example.com", "password": PASSWORD, "is_superuser": True}, "is_superuser"),
        ({"email": "a@example.com", "password": PASSWORD, "is_blocked": False}, "is_blocked"),
        ({"email": "a@example.com", "password": PASSWORD, "password_hash": "x"}, "password_hash"),
        ({"email": "a@example.com", "password": PASSWORD, "auth_version": 1}, "auth_version"),
        ({"email": "a@example.com", "password": PASSWORD, "roles": []}, "roles"),
    ],
)
async def test_body_at_fault_is_422(api: Api, body: dict[str, Any], field: str) -> None:
    admin = await api.superuser()
    problem = assert_problem(await admin.post("users", body), 422, "validation_error")
    assert any(error["loc"][:2] == ["body", field] for error in problem["errors"]), problem
    assert (await admin.get("users")).json()["total"] == 1


async def test_longest_name_is_kept(api: Api) -> None:
    admin = await api.superuser()
    assert (await make(admin, full_name="ü" * 200))["full_name"] == "ü" * 200


async def test_weak_password_is_422(api: Api) -> None:
    admin = await api.superuser()
    answer = await admin.post("users", {"email": "a@example.com", "password": "x" * 14})
    assert_problem(answer, 422, "weak_password")
    assert "x" * 14 not in answer.text


async def test_patch_changes_what_is_sent(api: Api) -> None:
    admin, updater = await api.superuser(), await api.user("users:update")
    user = await make(admin, full_name="Ada")
    path = f"users/{user['id']}"
    changed = (await updater.patch(path, {"full_name": "Ada L."})).json()
    assert (changed["full_name"], changed["email"], changed["version"]) == ("Ada L.", user["email"], 2)
    assert (changed["created_by"], changed["updated_by"]) == (admin.id, updater.id)
    assert changed["updated_at"] > user["updated_at"]
    for nothing in ({}, {"full_name": "Ada L."}, {"email": user["email"].upper()}):
        same = await updater.patch(path, nothing)
        assert (same.status_code, same.json()) == (200, changed)
    assert (await updater.patch(path, {"full_name": None})).json()["full_name"] is None
    for bad in ({"email": None}, {"email": ""}, {"password": PASSWORD}, {"is_blocked": True}):
        assert_problem(await updater.patch(path, bad), 422, "validation_error")
    assert_problem(await updater.patch(f"users/{uuid4()}", {}), 404, "not_found")


async def test_new_address_ends_sessions(api: Api) -> None:
    admin, user = await api.superuser(), await api.user()
    assert (await admin.patch(f"users/{user.id}", {"full_name": "Still in"})).status_code == 200
    assert (await user.get("users/me")).status_code == 200
    assert (await admin.patch(f"users/{user.id}", {"email": "moved@example.com"})).status_code == 200
    assert_problem(await user.get("users/me"), 401, "token_revoked")
    assert_problem(await api.post("auth/refresh", {"refresh_token": user.refresh_token}), 401)
    assert_problem(await api.post("auth/login", {"email": user.email, "password": PASSWORD}), 401)
    await api.login("moved@example.com")


async def test_life_of_a_user(api: Api) -> None:
    admin, user = await api.superuser(), await api.user(role="regular")
    path = f"users/{user.id}"
    deleted = await admin.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert_problem(await user.get("users/me"), 401, "token_revoked")
    for answer in (await admin.get(path), await admin.patch(path, {}), await admin.delete(path)):
        assert_problem(answer, 404, "not_found")
    for answer in (await admin.post(f"{path}/block"), await admin.put(f"{path}/roles", {"role_ids": []})):
        assert_problem(answer, 404, "not_found")
    assert user.id not in ids(await admin.get("users"))
    assert ids(await admin.get(f"users?q={user.email}")) == []
    assert ids(await admin.get(f"users?role={await role_id(admin, 'regular')}")) == []
    assert ids(await admin.get("users?deleted=true")) == [user.id]
    assert_problem(await api.post("auth/login", {"email": user.email, "password": PASSWORD}), 401)
    restored = await admin.post(f"{path}/restore")
    assert restored.status_code == 200
    assert set(restored.json()) == DETAIL
    assert [role["name"] for role in restored.json()["roles"]] == ["regular"]
    assert_problem(await user.get("users/me"), 401, "token_revoked")  # old sessions stay dead
    await api.login(user.email)
    assert_problem(await admin.post(f"{path}/restore"), 404)
    assert_problem(await admin.post(f"users/{uuid4()}/restore"), 404)


async def test_deleted_address_is_free_and_restoring_it_is_409(api: Api) -> None:
    admin = await api.superuser()
    first = await make(admin, email="ada@example.com")
    await admin.delete(f"users/{first['id']}")
    second = await make(admin, email="ada@example.com")
    problem = assert_problem(await admin.post(f"users/{first['id']}/restore"), 409, "conflict")
    assert problem["detail"] == "A user with this e-mail address exists already."
    assert ids(await admin.get("users?deleted=true")) == [first["id"]]
    await admin.delete(f"users/{second['id']}?hard=true")
    assert (await admin.post(f"users/{first['id']}/restore")).status_code == 200


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_purge_alone_is_enough_for_hard(api: Api, *, is_deleted: bool) -> None:
    admin, purger, user = await api.superuser(), await api.user("users:purge"), await api.user(role="regular")
    if is_deleted:
        await admin.delete(f"users/{user.id}")
    assert_problem(await purger.delete(f"users/{user.id}"), 403, "forbidden")
    gone = await purger.delete(f"users/{user.id}?hard=true")
    assert (gone.status_code, gone.content) == (204, b"")
    assert_problem(await user.get("users/me"), 401, "token_revoked")
    assert ids(await admin.get("users?deleted=true")) == []
    assert_problem(await admin.post(f"users/{user.id}/restore"), 404)
    assert_problem(await purger.delete(f"users/{user.id}?hard=true"), 404)
    deleter = await api.user("users:delete")
    problem = assert_problem(await deleter.delete(f"users/{admin.id}?hard=true"), 403, "forbidden")
    assert problem["required"] == "users:purge"


async def test_deleted_list_needs_delete(api: Api) -> None:
    reader, deleter = await api.user("users:read"), await api.user("users:delete")
    problem = assert_problem(await reader.get("users?deleted=true"), 403, "forbidden")
    assert problem["required"] == "users:delete"
    assert (await reader.get("users?deleted=false")).status_code == 200
    assert (await deleter.get("users?deleted=true")).status_code == 200
    assert_problem(await deleter.get("users"), 403)


async def test_who_did_it_stays_when_they_are_gone(api: Api) -> None:
    admin = await api.superuser()
    boss = await api.user("users:create", "users:update")
    user = await make(boss)
    await boss.patch(f"users/{user['id']}", {"full_name": "X"})
    await admin.delete(f"users/{boss.id}?hard=true")
    read = (await admin.get(f"users/{user['id']}")).json()
    assert read["created_by"] == read["updated_by"] == boss.id


async def test_list_filters(api: Api) -> None:
    admin = await api.superuser()
    ada = await make(admin, email="ada@example.com", full_name="Ada Lovelace", role_ids=[])
    bob = await make(admin, email="bob@other.example", full_name="Bob Ézéchiel")
    await admin.post(f"users/{bob['id']}/block")
    listed = await admin.get("users")
    assert all(set(user) == SUMMARY for user in listed.json()["items"])
    assert ids(listed) == [bob["id"], ada["id"], admin.id]
    assert ids(await admin.get("users?q=love")) == [ada["id"]]
    assert ids(await admin.get("users?q=ADA example")) == [ada["id"]]
    assert ids(await admin.get("users?q=ézé bob")) == [bob["id"]]
    assert ids(await admin.get("users?q=ovelace")) == []
    assert ids(await admin.get("users?is_blocked=true")) == [bob["id"]]
    assert ids(await admin.get("users?is_blocked=false&sort=email")) == [ada["id"], admin.id]
    regular = await role_id(admin, "regular")
    assert ids(await admin.get(f"users?role={regular}")) == [bob["id"]]
    assert ids(await admin.get(f"users?role={regular}&is_blocked=false")) == []
    assert ids(await admin.get(f"users?role={uuid4()}")) == []
    for bad in ("is_blocked=1", "is_blocked=", "is_blocked=True", "role=regular", "role=1", "q=", "email=x"):
        assert_problem(await admin.get(f"users?{bad}"), 422, "validation_error")


async def test_missing_privileges_are_named(api: Api) -> None:
    nobody, id = await api.user(), str(uuid4())
    for method, path, required in (
        ("GET", "users", "users:read"),
        ("POST", "users", "users:create"),
        ("GET", f"users/{id}", "users:read"),
        ("PATCH", f"users/{id}", "users:update"),
        ("DELETE", f"users/{id}", "users:delete"),
        ("DELETE", f"users/{id}?hard=true", "users:purge"),
        ("POST", f"users/{id}/restore", "users:delete"),
        ("POST", f"users/{id}/block", "users:block"),
        ("POST", f"users/{id}/unblock", "users:block"),
        ("PUT", f"users/{id}/roles", "users:assign_roles"),
    ):
        problem = assert_problem(await nobody.call(method, path, json={}), 403, "forbidden")
        assert problem["required"] == required
