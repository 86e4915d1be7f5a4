from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api, Caller, assert_problem

DETAIL = {"id", "title", "description", "owner", "owner_id", "created_at", "updated_at", "version"}
SUMMARY = {"id", "title", "owner_id", "created_at"}


async def make(owner: Caller, title: str = "A lamp", description: str | None = None) -> dict[str, Any]:
    answer = await owner.post("items", {"title": title, "description": description})
    assert answer.status_code == 201, answer.text
    item: dict[str, Any] = answer.json()
    return item


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_create_and_read_one(api: Api) -> None:
    owner = await api.user(role="regular")
    made = await owner.post("items", {"title": "A lamp", "description": "Brass"})
    assert made.status_code == 201
    item = made.json()
    assert made.headers["location"] == f"/api/v1/items/{item['id']}"
    assert set(item) == DETAIL
    assert set(item["owner"]) == {"id", "full_name"}
    assert item["owner"]["id"] == item["owner_id"] == owner.id
    assert (item["title"], item["description"], item["version"]) == ("A lamp", "Brass", 1)
    assert item["created_at"].endswith("Z")
    read = await owner.get(f"items/{item['id']}")
    assert read.status_code == 200
    assert read.json() == item


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({"title": None}, "title"),
        ({"title": ""}, "title"),
        ({"title": "   "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": 5}, "title"),
        ({"title": "ok", "description": "x" * 5001}, "description"),
        ({"title": "ok", "owner_id": "0198c0de-0000-7000-8000-000000000000"}, "owner_id"),
        ({"title": "ok", "id": "0198c0de-0000-7000-8000-000000000000"}, "id"),
        ({"title": "ok", "created_at": "2026-01-01T00:00:00Z"}, "created_at"),
        ({"title": "ok", "deleted_at": None}, "deleted_at"),
        ({"title": "ok", "search_text": "x"}, "search_text"),
        ({"title": "ok", "version": 7}, "version"),
    ],
)
async def test_body_at_fault_is_422(api: Api, body: dict[str, Any], field: str) -> None:
    owner = await api.user(role="regular")
    problem = assert_problem(await owner.post("items", body), 422, "validation_error")
    assert ["body", field] in [error["loc"] for error in problem["errors"]]
    assert (await owner.get("items/my")).json()["total"] == 0


async def test_longest_texts_are_kept(api: Api) -> None:
    owner = await api.user(role="regular")
    item = await make(owner, "é" * 200, "ß" * 5000)
    read = (await owner.get(f"items/{item['id']}")).json()
    assert (read["title"], read["description"]) == ("é" * 200, "ß" * 5000)


async def test_patch_changes_what_is_sent(api: Api) -> None:
    owner = await api.user(role="regular")
    item = await make(owner, description="Brass")
    changed = (await owner.patch(f"items/{item['id']}", {"title": "A lantern"})).json()
    assert (changed["title"], changed["description"], changed["version"]) == ("A lantern", "Brass", 2)
    assert changed["updated_at"] > item["updated_at"]
    emptied = (await owner.patch(f"items/{item['id']}", {"description": None})).json()
    assert (emptied["title"], emptied["description"], emptied["version"]) == ("A lantern", None, 3)


@pytest.mark.parametrize("body", [{}, {"title": "A lamp"}, {"title": " A lamp ", "description": None}])
async def test_patch_that_changes_nothing_leaves_version(api: Api, body: dict[str, Any]) -> None:
    owner = await api.user(role="regular")
    item = await make(owner)
    answer = await owner.patch(f"items/{item['id']}", body)
    assert answer.status_code == 200
    assert answer.json() == item


async def test_life_of_an_item(api: Api) -> None:
    owner, admin = await api.user(role="regular"), await api.user(role="admin")
    item = await make(owner, "Disappearing lamp")
    path = f"items/{item['id']}"
    deleted = await owner.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for caller in (owner, admin):
        assert_problem(await caller.get(path), 404, "not_found")
        assert_problem(await caller.patch(path, {"title": "x"}), 404)
        assert_problem(await caller.delete(path), 404)
        assert item["id"] not in ids(await caller.get("items"))
        assert ids(await caller.get("items/search?q=disappearing")) == []
    assert ids(await owner.get("items/my")) == []
    assert ids(await admin.get("items?deleted=true")) == [item["id"]]
    assert_problem(await (await api.user("items:read")).get("items?deleted=true"), 403, "forbidden")
    restored = await owner.post(f"{path}/restore")
    assert restored.status_code == 200
    assert set(restored.json()) == DETAIL
    assert restored.json()["title"] == "Disappearing lamp"
    assert ids(await owner.get("items/my")) == [item["id"]]
    assert ids(await admin.get("items?deleted=true")) == []
    assert_problem(await owner.post(f"{path}/restore"), 404)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_purge_alone_is_enough_for_hard(api: Api, *, is_deleted: bool) -> None:
    owner, purger = await api.user(role="regular"), await api.user("items:purge")
    item = await make(owner)
    if is_deleted:
        await owner.delete(f"items/{item['id']}")
    assert_problem(await purger.delete(f"items/{item['id']}"), 404)
    gone = await purger.delete(f"items/{item['id']}?hard=true")
    assert (gone.status_code, gone.content) == (204, b"")
    admin = await api.superuser()
    assert_problem(await admin.get(f"items/{item['id']}"), 404)
    assert_problem(await admin.post(f"items/{item['id']}/restore"), 404)
    assert_problem(await purger.delete(f"items/{item['id']}?hard=true"), 404)


def request_of(operation: str, id: str) -> tuple[str, str, Any]:
    match operation:
        case "read":
            return "GET", f"items/{id}", None
        case "update":
            return "PATCH", f"items/{id}", {"title": "Changed"}
        case "delete":
            return "DELETE", f"items/{id}", None
        case "restore":
            return "POST", f"items/{id}/restore", None
        case _:
            return "DELETE", f"items/{id}?hard=true", None


# What a stranger with these privileges gets: read, update, delete, restore, hard.
MATRIX = {
    (): (404, 404, 404, 404, 404),
    ("items:create",): (404, 404, 404, 404, 404),
    ("items:read",): (200, 403, 403, 403, 403),
    ("items:read", "items:update"): (200, 200, 403, 403, 403),
    ("items:read", "items:delete"): (200, 403, 204, 200, 403),
    ("items:read", "items:purge"): (200, 403, 403, 403, 204),
    ("items:purge",): (404, 404, 404, 404, 204),
}
NEEDED = {
    "update": "items:update",
    "delete": "items:delete",
    "restore": "items:delete",
    "hard": "items:purge",
}


@pytest.mark.parametrize("privileges", MATRIX, ids=lambda p: "+".join(p) or "nothing")
async def test_strangers_need_privileges(api: Api, privileges: tuple[str, ...]) -> None:
    owner, stranger = await api.user(role="regular"), await api.user(*privileges)
    for operation, status in zip(
        ("read", "update", "delete", "restore", "hard"), MATRIX[privileges], strict=True
    ):
        item = await make(owner)
        if operation == "restore":
            await owner.delete(f"items/{item['id']}")
        method, path, body = request_of(operation, item["id"])
        answer = await stranger.call(method, path, json=body)
        assert answer.status_code == status, (operation, answer.text)
        if status == 403:
            assert answer.json()["required"] == NEEDED[operation]
        if status >= 400 and operation != "restore":
            assert (await owner.get(f"items/{item['id']}")).json() == item


async def test_foreign_and_missing_look_alike(api: Api) -> None:
    owner, stranger = await api.user(role="regular"), await api.user("items:create")
    item = await make(owner)
    for operation in ("read", "update", "delete", "restore", "hard"):
        answers = []
        for id in (item["id"], str(uuid4())):
            method, path, body = request_of(operation, id)
            problem = assert_problem(await stranger.call(method, path, json=body), 404, "not_found")
            answers.append({k: v for k, v in problem.items() if k not in {"instance", "request_id"}})
        assert answers[0] == answers[1]


async def test_owner_without_privilege(api: Api) -> None:
    """Owners read, change, delete and restore; only removing for good needs the privilege."""
    owner = await api.user("items:create")
    item = await make(owner)
    path = f"items/{item['id']}"
    assert (await owner.get(path)).status_code == 200
    assert (await owner.patch(path, {"title": "New"})).status_code == 200
    problem = assert_problem(await owner.delete(f"{path}?hard=true"), 403, "forbidden")
    assert problem["required"] == "items:purge"
    assert (await owner.delete(path)).status_code == 204
    assert (await owner.post(f"{path}/restore")).status_code == 200
    assert_problem(await owner.get("items"), 403)
    assert_problem(await owner.get("items/search?q=new"), 403)
    assert ids(await owner.get("items/my")) == [item["id"]]
    assert_problem(await (await api.user()).post("items", {"title": "x"}), 403)


async def test_lists_filter_and_sort(api: Api) -> None:
    ada, bob = await api.user(role="regular"), await api.user(role="regular")
    made = [await make(ada, title) for title in ("bee", "ant", "cat")]
    foreign = await make(bob, "dog")
    first, second, third = (item["id"] for item in made)
    listed = await ada.get("items")
    assert ids(listed) == [foreign["id"], third, second, first]
    assert all(set(item) == SUMMARY for item in listed.json()["items"])
    assert ids(await ada.get("items/my")) == [third, second, first]
    assert ids(await ada.get("items/my?sort=title")) == [second, first, third]
    assert ids(await ada.get(f"items?owner_id={ada.id}&sort=-title")) == [third, first, second]
    assert ids(await ada.get(f"items?owner_id={uuid4()}")) == []
    await ada.patch(f"items/{first}", {"description": "touched"})
    assert ids(await ada.get("items/my?sort=-updated_at"))[0] == first
    for bad in ("sort=description", "sort=owner_pk", "sort=", "owner_id=1", "owner_id=", "title=x"):
        assert_problem(await ada.get(f"items?{bad}"), 422, "validation_error")
    assert_problem(await ada.get(f"items/my?owner_id={ada.id}"), 422)


async def test_items_of_a_removed_user_are_gone(api: Api) -> None:
    owner, admin = await api.user(role="regular"), await api.superuser()
    item = await make(owner)
    assert (await admin.delete(f"users/{owner.id}?hard=true")).status_code == 204
    assert_problem(await admin.get(f"items/{item['id']}"), 404)


async def test_items_of_a_deleted_user_stay_for_those_who_may_read(api: Api) -> None:
    owner, admin, stranger = await api.user(role="regular"), await api.superuser(), await api.user()
    item = await make(owner)
    assert (await admin.delete(f"users/{owner.id}")).status_code == 204
    assert (await admin.get(f"items/{item['id']}")).status_code == 200
    assert_problem(await stranger.get(f"items/{item['id']}"), 404)


async def test_regular_may_make_and_read(api: Api) -> None:
    rights = (await (await api.user(role="regular")).get("auth/me")).json()
    own = sorted(code for code in rights["privileges"] if code.startswith("items:"))
    assert own == ["items:create", "items:read"]
