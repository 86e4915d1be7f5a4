from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api, Caller, assert_problem
from tests.modules.messenger.support import NOBODY, begin, person, post, texts

THREAD = {"id", "subject", "creator_id", "created_at", "active_at", "last_number", "unread_count"}


async def rows(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    answer = await caller.get("messenger/threads", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_thread_is_begun_and_read(api: Api) -> None:
    ann, bob = await person(api), await person(api)

    made = await ann.post("messenger/threads", {"subject": " Lunch ", "member_ids": [bob.id, bob.id]})

    assert made.status_code == 201
    thread = made.json()
    assert made.headers["location"] == f"/api/v1/messenger/threads/{thread['id']}"
    assert set(thread) == THREAD | {"members"}
    assert (thread["subject"], thread["creator_id"], thread["last_number"]) == ("Lunch", ann.id, 0)
    assert {member["id"] for member in thread["members"]} == {ann.id, bob.id}
    assert set(thread["members"][0]) == {"id", "full_name", "joined_at", "read_number"}
    assert (await bob.get(f"messenger/threads/{thread['id']}")).json() == thread


async def test_list_has_own_threads_with_the_newest_message_first(api: Api) -> None:
    ann, bob, eve = await person(api), await person(api), await person(api)
    first, second = await begin(ann, bob, subject="One"), await begin(ann, bob, subject="Two")
    await begin(ann, eve, subject="Three")
    assert [row["subject"] for row in await rows(bob)] == ["Two", "One"]

    await post(ann, first)
    await post(ann, first)
    await post(ann, second)
    await post(bob, first)

    found = await rows(bob)
    assert [(row["subject"], row["unread_count"], row["last_number"]) for row in found] == [
        ("One", 0, 3),
        ("Two", 1, 1),
    ]
    assert set(found[0]) == THREAD
    assert {row["subject"]: row["unread_count"] for row in await rows(ann)} == {
        "Three": 0,
        "One": 1,
        "Two": 0,
    }
    assert [row["subject"] for row in await rows(bob, sort="subject")] == ["One", "Two"]
    page = (await bob.get("messenger/threads", params={"per_page": 1})).json()
    assert (page["total"], page["pages"]) == (2, 2)
    rest = (await bob.get("messenger/threads", params={"per_page": 1, "cursor": page["next_cursor"]})).json()
    assert [row["subject"] for row in rest["items"]] == ["Two"]


async def test_mark_moves_forward_only(api: Api) -> None:
    ann, bob = await person(api), await person(api)
    thread = await begin(ann, bob)
    for _ in range(3):
        await post(ann, thread)

    async def mark(number: object) -> Any:
        return await bob.post(f"messenger/threads/{thread}/read", {"number": number})

    assert (await mark(2)).json()["unread_count"] == 1
    assert (await mark(1)).json()["unread_count"] == 1
    assert (await mark(3)).json()["unread_count"] == 0
    seen = {member["id"]: member["read_number"] for member in (await mark(3)).json()["members"]}
    assert seen == {ann.id: 3, bob.id: 3}
    for wrong in (4, -1, "1", 2**40, None, True):
        assert_problem(await mark(wrong), 422, "validation_error")


async def test_any_member_lets_people_in_who_see_everything(api: Api) -> None:
    ann, bob, eve = await person(api), await person(api), await person(api)
    thread = await begin(ann, bob)
    await post(ann, thread, "before")
    assert_problem(await eve.get(f"messenger/threads/{thread}"), 404, "not_found")

    added = await bob.post(f"messenger/threads/{thread}/members", {"user_ids": [eve.id, ann.id]})

    assert added.status_code == 200
    assert [member["id"] for member in added.json()["members"]][-1] == eve.id
    assert len(added.json()["members"]) == 3
    assert await texts(eve, thread) == ["before"]
    assert (await rows(eve))[0]["unread_count"] == 0


async def test_creator_takes_out_and_everybody_leaves(api: Api) -> None:
    ann, bob, eve = await person(api), await person(api), await person(api)
    thread = await begin(ann, bob, eve)
    path = f"messenger/threads/{thread}"
    assert_problem(await bob.delete(f"{path}/members/{eve.id}"), 403, "forbidden")
    assert_problem(await ann.delete(f"{path}/members/{NOBODY}"), 404, "not_found")
    assert_problem(await ann.delete(f"{path}/members/x"), 422)

    assert (await ann.delete(f"{path}/members/{eve.id}")).status_code == 204
    assert_problem(await eve.get(path), 404)
    assert await rows(eve) == []
    assert_problem(await ann.delete(f"{path}/members/{eve.id}"), 404)

    assert (await bob.delete(f"{path}/members/{bob.id}")).status_code == 204
    assert_problem(await bob.post(f"{path}/leave"), 404)
    assert (await ann.post(f"{path}/leave")).status_code == 204
    assert_problem(await ann.get(path), 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "subject"),
        ({"subject": "  "}, "subject"),
        ({"subject": "x" * 201}, "subject"),
        ({"subject": "a\x00b"}, "subject"),
        ({"subject": "ok", "member_ids": ["x"]}, "member_ids"),
        ({"subject": "ok", "member_ids": None}, "member_ids"),
        ({"subject": "ok", "member_ids": [NOBODY]}, "member_ids"),
        ({"subject": "ok", "member_ids": [NOBODY] * 101}, "member_ids"),
        ({"subject": "ok", "creator_id": NOBODY}, "creator_id"),
        ({"subject": "ok", "last_number": 7}, "last_number"),
    ],
)
async def test_body_at_fault_is_422(api: Api, body: dict[str, Any], field: str) -> None:
    problem = assert_problem(
        await (await person(api)).post("messenger/threads", body), 422, "validation_error"
    )
    assert problem["errors"][0]["loc"][1] == field


async def test_blocked_and_deleted_users_are_unknown(api: Api) -> None:
    ann, root = await person(api), await api.superuser()
    blocked, deleted = await person(api), await person(api)
    await root.post(f"users/{blocked.id}/block")
    await root.delete(f"users/{deleted.id}")
    thread = await begin(ann)
    for user in (blocked, deleted):
        for path, field in (("threads", "member_ids"), (f"threads/{thread}/members", "user_ids")):
            body: dict[str, Any] = {field: [ann.id, user.id]}
            body |= {"subject": "x"} if path == "threads" else {}
            problem = assert_problem(await ann.post(f"messenger/{path}", body), 422, "validation_error")
            assert problem["errors"][0]["loc"] == ["body", field, 1]


async def test_thread_is_full_at_a_hundred(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.modules.messenger.service.MAX_MEMBERS", 2)
    ann, bob, eve = await person(api), await person(api), await person(api)
    thread = await begin(ann, bob)
    refused = await ann.post(f"messenger/threads/{thread}/members", {"user_ids": [eve.id]})
    assert_problem(refused, 409, "conflict")
    body = {"subject": "x", "member_ids": [bob.id, eve.id]}
    assert_problem(await ann.post("messenger/threads", body), 409, "conflict")


async def test_purged_account_leaves_its_messages(api: Api) -> None:
    ann, bob, root = await person(api), await person(api), await api.superuser()
    thread = await begin(bob, ann)
    await post(bob, thread, "Remember me")
    assert (await root.delete(f"users/{bob.id}", params={"hard": "true"})).status_code == 204

    (row,) = (await ann.get(f"messenger/threads/{thread}/messages")).json()["items"]
    assert (row["text"], row["author_id"]) == ("Remember me", None)
    read = (await ann.get(f"messenger/threads/{thread}/messages/{row['id']}")).json()
    assert read["author"] is None
    detail = (await ann.get(f"messenger/threads/{thread}")).json()
    assert (detail["creator_id"], [member["id"] for member in detail["members"]]) == (None, [ann.id])


async def test_unknown_thread_is_404_in_every_call(api: Api) -> None:
    ann = await person(api)
    for method, path, body in calls(str(uuid4()), str(uuid4()), ann.id):
        assert_problem(await ann.call(method, path, json=body), 404, "not_found")


async def test_strangers_find_nothing_in_any_call(api: Api) -> None:
    """Not even a superuser: membership decides."""
    ann, bob, eve = await person(api), await person(api), await person(api)
    thread = await begin(ann, bob)
    message = await post(ann, thread)
    gone = await begin(ann, eve)
    left = await post(ann, gone)
    assert (await eve.post(f"messenger/threads/{gone}/leave")).status_code == 204
    for stranger in (eve, await api.superuser()):
        for found, said in ((thread, message), (gone, left)):
            for method, path, body in calls(found, said["id"], bob.id):
                assert_problem(await stranger.call(method, path, json=body), 404, "not_found")
        assert await rows(stranger) == []
    assert await texts(ann, thread) == ["Soup?"]
    own = await begin(eve)
    answer = await eve.get(f"messenger/threads/{own}/messages/{message['id']}")
    assert_problem(answer, 404, "not_found")


async def test_privileges_are_asked_for_before_anything_else(api: Api) -> None:
    nobody, reader = await api.user(), await api.user(modules=["messenger"])
    for method, path, body in [*calls(str(uuid4()), str(uuid4()), nobody.id), *LISTS]:
        assert_problem(await api.call(method, f"{path}", json=body), 401, "unauthenticated")
        refused = assert_problem(await nobody.call(method, path, json=body), 403, "forbidden")
        assert refused["required"] in {"messenger:read", "messenger:write"}
        answer = await reader.call(method, path, json=body)
        assert answer.status_code == (403 if refused["required"] == "messenger:write" else 404) or (
            (method, path) == ("GET", "messenger/threads") and answer.status_code == 200
        )


LISTS: list[tuple[str, str, Any]] = [
    ("GET", "messenger/threads", None),
    ("POST", "messenger/threads", {"subject": "x"}),
]


def calls(thread: str, message: str, user: str) -> list[tuple[str, str, Any]]:
    """Every call that names a thread."""
    path = f"messenger/threads/{thread}"
    one = f"{path}/messages/{message}"
    return [
        ("GET", path, None),
        ("POST", f"{path}/members", {"user_ids": [user]}),
        ("DELETE", f"{path}/members/{user}", None),
        ("POST", f"{path}/leave", None),
        ("POST", f"{path}/read", {"number": 0}),
        ("GET", f"{path}/messages", None),
        ("POST", f"{path}/messages", {"text": "hello"}),
        ("GET", one, None),
        ("PATCH", one, {"text": "hello"}),
        ("DELETE", one, None),
        ("POST", f"{one}/restore", None),
    ]
