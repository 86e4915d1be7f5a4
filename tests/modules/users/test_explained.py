"""Contract 4: what a user may, and where each privilege comes from."""

from typing import Any
from uuid import uuid4

from tests.api import ADMIN, Api, Caller, assert_problem
from tests.modules.auth.support import through
from tests.modules.roles.test_roles import by_name, make


async def told(caller: Caller, path: str = "users/me/privileges") -> dict[str, list[tuple[str, str]]]:
    """Codes with the name of each role that gives them, and how."""
    answer = await caller.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert set(found) == {"is_superuser", "privileges"}
    assert all(set(entry) == {"code", "sources"} for entry in found["privileges"])
    return {
        entry["code"]: [(source["role"]["name"], source["via"]) for source in entry["sources"]]
        for entry in found["privileges"]
    }


async def give(boss: Caller, user: Caller, *roles: dict[str, Any]) -> None:
    answer = await boss.put(f"users/{user.id}/roles", {"role_ids": [role["id"] for role in roles]})
    assert answer.status_code == 200, answer.text


async def test_each_privilege_names_its_sources(api: Api) -> None:
    boss, user = await api.superuser(), await api.user()
    assert await told(user) == {}
    one = await make(boss, name="one", privileges=["users:read", "roles:update"], modules=["roles"])
    two = await make(boss, name="two", privileges=["users:read"], modules=["users"])
    await give(boss, user, two, one)
    sources = {
        "roles:read": [("one", "module")],
        "roles:update": [("one", "privilege")],
        "users:read": [("one", "privilege"), ("two", "privilege"), ("two", "module")],
    }
    assert await told(user) == sources
    assert await told(boss, f"users/{user.id}/privileges") == sources
    assert list(sources) == (await user.get("auth/me")).json()["privileges"]
    answer = (await user.get("users/me/privileges")).json()
    assert answer["is_superuser"] is False
    assert answer["privileges"][0]["sources"][0]["role"] == {"id": one["id"], "name": "one"}


async def test_superuser_holds_everything_by_being_one(api: Api) -> None:
    boss = await api.superuser()
    extra = await make(boss, name="extra", privileges=["users:read"])
    await boss.put(
        f"users/{boss.id}/roles", {"role_ids": [extra["id"], (await by_name(boss, "superuser"))["id"]]}
    )
    await boss.post("privileges", {"code": "team:task"})
    found, me = await told(boss), (await boss.get("auth/me")).json()
    assert list(found) == me["privileges"]
    assert (await boss.get("users/me/privileges")).json()["is_superuser"] is me["is_superuser"] is True
    assert found["users:read"] == [("extra", "privilege"), ("superuser", "superuser")]
    assert found["team:task"] == [("superuser", "superuser")]


async def test_what_is_gone_gives_nothing(api: Api) -> None:
    boss, user = await api.superuser(), await api.user()
    await boss.post("privileges", {"code": "team:task"})
    role = await make(boss, privileges=["team:task", "users:read"], modules=["roles"])
    await give(boss, user, role)
    assert list(await told(user)) == ["roles:read", "team:task", "users:read"]
    await boss.put(f"roles/{role['id']}/modules", {"modules": []})
    assert list(await told(user)) == ["team:task", "users:read"]
    await boss.delete("privileges/team:task")
    assert list(await told(user)) == ["users:read"]
    await boss.post("privileges/team:task/restore")
    assert list(await told(user)) == (await user.get("auth/me")).json()["privileges"] == ["users:read"]
    await give(boss, user)
    await boss.delete(f"roles/{role['id']}")
    await boss.post(f"roles/{role['id']}/restore")
    assert await told(user) == {}


async def test_others_are_explained_to_those_who_may_see_them(api: Api) -> None:
    user, reader = await api.user(), await api.user("users:read")
    path = f"users/{user.id}/privileges"
    assert_problem(await user.get(path), 403, "forbidden")
    assert_problem(await api.get(path), 401, "unauthenticated")
    assert_problem(await api.get("users/me/privileges"), 401, "unauthenticated")
    assert await told(reader, path) == {}
    assert_problem(await reader.get(f"users/{uuid4()}/privileges"), 404, "not_found")
    assert_problem(await reader.get("users/x/privileges"), 422, "validation_error")
    boss = await api.superuser()
    await boss.delete(f"users/{user.id}")
    assert_problem(await boss.get(path), 404, "not_found")


async def test_narrowed_key_is_told_of_the_account(api: Api) -> None:
    """The account's rights and not the key's, as the page of the call says; `auth/me` tells of the key."""
    user = await api.user("users:read", "roles:read")
    key = await user.with_key(privileges=["users:read"])
    assert await told(key) == await told(user)
    assert (await key.get("auth/me")).json()["privileges"] == ["users:read"]
    narrow = await user.with_key(privileges=["roles:read"])
    assert_problem(await narrow.get(f"users/{user.id}/privileges"), 403, "forbidden")
    page = (await api.get("/openapi.json")).json()
    described = page["paths"]["/api/v1/users/me/privileges"]["get"]["description"]
    assert "narrowed API key may less" in described


async def test_new_name_of_a_role_shows_on_the_other_worker(workers: tuple[Api, Api]) -> None:
    """Cached rights hold the names of roles."""
    here, there = workers
    boss, user = await here.login(*ADMIN), await here.user()
    name = f"role {uuid4().hex[:8]}"
    role = await make(boss, name=name, privileges=["users:read"])
    await give(boss, user, role)
    for number in range(5):
        for seen in (await user.get("auth/me"), await through(there, user).get("auth/me")):
            assert (seen.json()["roles"], seen.json()["user"]["roles"][0]["name"]) == ([name], name)
        name = f"{name[:13]} {number}"
        assert (await boss.patch(f"roles/{role['id']}", {"name": name})).status_code == 200
    assert (await through(there, user).get("auth/me")).json()["roles"] == [name]
    assert [source[0][0] for source in (await told(through(there, user))).values()] == [name]
