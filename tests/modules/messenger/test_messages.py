import asyncio
from typing import Any

import pytest

from tests.api import Api, assert_problem
from tests.modules.messenger.support import begin, person, post, texts

MESSAGE = {"id", "thread_id", "number", "author_id", "author", "text", "created_at", "updated_at", "version"}


async def test_message_is_said_and_read(api: Api) -> None:
    ann, bob = await person(api), await person(api)
    thread = await begin(ann, bob)

    made = await ann.post(f"messenger/threads/{thread}/messages", {"text": "  Soup?\n"})

    assert made.status_code == 201
    message = made.json()
    assert made.headers["location"] == f"/api/v1/messenger/threads/{thread}/messages/{message['id']}"
    assert set(message) == MESSAGE
    assert (message["text"], message["number"], message["version"]) == ("Soup?", 1, 1)
    assert message["author_id"] == message["author"]["id"] == ann.id
    assert (await bob.get(f"messenger/threads/{thread}/messages/{message['id']}")).json() == message


async def test_list_is_newest_first_and_after_catches_up(api: Api) -> None:
    ann = await person(api)
    thread = await begin(ann)
    for number in range(1, 6):
        await post(ann, thread, f"{number}")
    path = f"messenger/threads/{thread}/messages"

    assert await texts(ann, thread) == ["5", "4", "3", "2", "1"]
    assert await texts(ann, thread, after=2, sort="number") == ["3", "4", "5"]
    assert await texts(ann, thread, after=5) == []
    page = (await ann.get(path, params={"per_page": 2})).json()
    seen = [row["text"] for row in page["items"]]
    await post(ann, thread, "6")
    while page["next_cursor"]:
        page = (await ann.get(path, params={"per_page": 2, "cursor": page["next_cursor"]})).json()
        seen += [row["text"] for row in page["items"]]
    assert seen == ["5", "4", "3", "2", "1"]
    for wrong in ({"after": -1}, {"after": "x"}, {"after": 2**40}, {"sort": "text"}, {"deleted": "true"}):
        assert_problem(await ann.get(path, params=wrong), 422, "validation_error")


async def test_writers_of_one_thread_get_numbers_without_gaps(api: Api) -> None:
    people = [await person(api) for _ in range(4)]
    thread = await begin(people[0], *people[1:])
    said = await asyncio.gather(*(post(people[i % 4], thread, f"{i}") for i in range(12)))
    assert sorted(message["number"] for message in said) == list(range(1, 13))


async def test_author_changes_deletes_and_restores(api: Api) -> None:
    ann, bob = await person(api), await person(api)
    thread = await begin(ann, bob)
    message = await post(ann, thread)
    path = f"messenger/threads/{thread}/messages/{message['id']}"
    for refused in (await bob.patch(path, {"text": "Mine"}), await bob.delete(path)):
        assert_problem(refused, 403, "forbidden")

    changed = (await ann.patch(path, {"text": "Stew?"})).json()
    assert (changed["text"], changed["version"], changed["number"]) == ("Stew?", 2, 1)
    assert (await ann.patch(path, {"text": "Stew?"})).json() == changed

    assert (await ann.delete(path)).status_code == 204
    assert_problem(await bob.get(path), 404)
    assert_problem(await ann.delete(path), 404)
    assert await texts(bob, thread) == []
    assert_problem(await bob.post(f"{path}/restore"), 403)
    assert (await ann.post(f"{path}/restore")).json()["text"] == "Stew?"
    assert await texts(bob, thread) == ["Stew?"]
    assert (await post(bob, thread))["number"] == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": " \n "},
        {"text": "x" * 4001},
        {"text": "a\x00"},
        {"text": 5},
        {"text": "x", "number": 1},
    ],
)
async def test_body_at_fault_is_422(api: Api, body: dict[str, Any]) -> None:
    ann = await person(api)
    thread = await begin(ann)
    assert_problem(await ann.post(f"messenger/threads/{thread}/messages", body), 422, "validation_error")


async def test_key_reads_and_writes_as_its_owner(api: Api) -> None:
    ann = await person(api)
    thread = await begin(ann)
    key = await ann.with_key()
    narrow = await ann.with_key(privileges=["messenger:read"])
    await post(key, thread, "by key")
    assert await texts(narrow, thread) == ["by key"]
    assert_problem(await narrow.post(f"messenger/threads/{thread}/messages", {"text": "x"}), 403)


async def test_change_log_tells_who_said_what_and_who_came_and_went(api: Api) -> None:
    ann, bob, auditor = await person(api), await person(api), await api.user(role="auditor")
    thread = await begin(ann, bob)
    message = await post(ann, thread, "Soup?")
    path = f"messenger/threads/{thread}/messages/{message['id']}"
    await ann.patch(path, {"text": "Stew?"})
    await bob.post(f"messenger/threads/{thread}/read", {"number": 1})
    await ann.delete(path)
    await ann.delete(f"messenger/threads/{thread}/members/{bob.id}")

    async def told(entity: str, id: str) -> list[dict[str, Any]]:
        query = {"entity": entity, "entity_id": id, "order": "asc"}
        answer = await auditor.get("audit/changes", params=query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    said = await told("messenger_messages", message["id"])
    assert [(row["action"], row["cause"]) for row in said][0::2] == [
        ("INSERT", None),
        ("UPDATE", "soft_delete"),
    ]
    assert said[0]["new"]["text"] == "Soup?"
    assert (said[0]["new"]["author_id"], said[0]["new"]["thread_id"]) == (ann.id, thread)
    assert (said[1]["old"]["text"], said[1]["new"]["text"]) == ("Soup?", "Stew?")
    assert {row["actor"]["id"] for row in said} == {ann.id}
    (begun,) = await told("messenger_threads", thread)
    assert (begun["action"], begun["new"]["subject"], begun["new"]["creator_id"]) == (
        "INSERT",
        "Lunch",
        ann.id,
    )
    came = await told("messenger_members", f'["{thread}","{bob.id}"]')
    assert [row["action"] for row in came] == ["INSERT", "DELETE"]
    assert "read_number" not in came[0]["new"]
