"""Contract 7, legal holds: placed and released, by whom and why; each step is a row of the change log."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api, Caller, assert_problem
from tests.backend import Backend, RunningApp, run_app
from tests.conftest import settings_for
from tests.modules.audit.support import Row

HOLD = {
    *("id", "created_at", "stream", "actor_id", "entity", "entity_id", "from", "to", "reason", "placed_by"),
    *("placed_by_label", "released_at", "released_by", "released_by_label", "release_reason"),
}
FROM, TO = "2026-03-01T12:00:00Z", "2026-04-01T12:00:00Z"
WHO = "0198c0de-0000-7000-8000-00000000abcd"
FITTING: list[dict[str, Any]] = [
    {"stream": "access"},
    {"stream": "changes", "entity": "users"},
    {"actor_id": WHO},
    {"entity": "users", "entity_id": WHO},
    {"from": FROM},
    {"to": TO},
    {"stream": None, "actor_id": WHO, "from": FROM, "to": TO},
    {"stream": "access", "actor_id": "cli", "to": TO},
]
UNFIT: list[dict[str, Any]] = [
    {},
    {"stream": None, "actor_id": None},
    {"stream": "others"},
    {"stream": "access", "entity": "users"},
    {"entity_id": WHO},
    {"stream": "changes", "entity_id": WHO},
    {"from": TO, "to": FROM},
    {"from": FROM, "to": FROM},
    {"from": "yesterday"},
    {"from": 1700000000},
    {"from_at": FROM},
    {"actor_id": ""},
    {"actor_id": "x" * 65},
    {"actor_id": "a\x00b"},
    {"entity": ""},
    {"entity": "x" * 65},
    {"entity": "users", "entity_id": "x" * 256},
    {"actor_id": WHO, "reason": ""},
    {"actor_id": WHO, "reason": "   "},
    {"actor_id": WHO, "reason": "x" * 257},
    {"actor_id": WHO, "reason": None},
    {"actor_id": WHO, "placed_by": WHO},
    {"actor_id": WHO, "released_at": FROM},
]


@pytest.fixture
async def holder(api: Api) -> Caller:
    return await api.user("audit:hold", "audit:read")


async def place(caller: Caller, **body: Any) -> Row:
    answer = await caller.post("audit/holds", {"reason": "case 4711", **body})
    assert answer.status_code == 201, answer.text
    found: Row = answer.json()
    assert found.keys() == HOLD
    return found


async def release(caller: Caller, hold: Row, reason: str = "case closed") -> Any:
    return await caller.post(f"audit/holds/{hold['id']}/release", {"reason": reason})


async def told(auditor: Caller, answer: Any) -> Row:
    """The one change of a request."""
    params = {"request_id": answer.headers["x-request-id"]}
    (change,) = (await auditor.get("audit/changes", params=params)).json()["items"]
    found: Row = change
    return found


@pytest.mark.parametrize("body", FITTING)
async def test_hold_is_placed(holder: Caller, auditor: Caller, body: dict[str, Any]) -> None:
    answer = await holder.post("audit/holds", {**body, "reason": " case 4711 "})
    assert answer.status_code == 201, answer.text
    hold = answer.json()
    assert hold.keys() == HOLD
    given = {name: hold[name] for name in ("stream", "actor_id", "entity", "entity_id", "from", "to")}
    assert given == {**dict.fromkeys(given), **body}
    assert (hold["reason"], hold["placed_by"], hold["placed_by_label"]) == (
        "case 4711",
        holder.id,
        holder.email,
    )
    assert {hold[f"released_{name}"] for name in ("at", "by", "by_label")} | {hold["release_reason"]} == {
        None
    }
    assert answer.headers["location"] == f"/api/v1/audit/holds/{hold['id']}"
    assert (await auditor.get(answer.headers["location"])).json() == hold


@pytest.mark.parametrize("body", UNFIT)
async def test_hold_that_makes_no_sense(holder: Caller, body: dict[str, Any]) -> None:
    answer = await holder.post("audit/holds", {"reason": "case 4711", **body})
    assert_problem(answer, 422, "validation_error")
    assert (await holder.get("audit/holds")).json()["total"] == 0


async def test_ids_have_one_spelling(holder: Caller) -> None:
    """As the log has them: a hold in capitals would keep nothing."""
    hold = await place(holder, entity="users", entity_id=WHO.upper(), actor_id=WHO.upper())
    assert (hold["entity_id"], hold["actor_id"]) == (WHO, WHO)


async def test_life_of_a_hold(api: Api, holder: Caller, auditor: Caller) -> None:
    other = await api.user("audit:hold")
    placed = await holder.post("audit/holds", {"entity": "users", "from": FROM, "reason": "case 4711"})
    hold = placed.json()
    change = await told(auditor, placed)
    assert (change["action"], change["entity"], change["entity_id"]) == ("INSERT", "audit_hold", hold["id"])
    assert (change["actor"]["id"], change["actor"]["label"]) == (holder.id, holder.email)
    assert change["new"]["entity"] == "users"
    assert change["new"]["reason"] == "case 4711"

    released = await release(other, hold, " case closed ")
    assert released.status_code == 200, released.text
    after = released.json()
    assert after == {
        **hold,
        "released_at": after["released_at"],
        "released_by": other.id,
        "released_by_label": other.email,
        "release_reason": "case closed",
    }
    assert after["released_at"] > hold["created_at"]
    change = await told(auditor, released)
    assert (change["action"], change["entity"], change["entity_id"]) == ("UPDATE", "audit_hold", hold["id"])
    assert sorted(change["changed"]) == ["release_reason", "released_at", "released_by"]
    assert (change["actor"]["id"], change["old"]["released_by"]) == (other.id, None)

    again = await release(holder, hold)
    assert_problem(again, 409, "conflict")
    assert (await auditor.get(f"audit/holds/{hold['id']}")).json() == after
    history = await auditor.get(f"audit/entities/audit_hold/{hold['id']}/history")
    assert [row["action"] for row in history.json()["items"]] == ["INSERT", "UPDATE"]


async def test_release_of_what_is_not_there_or_without_a_reason(holder: Caller) -> None:
    assert_problem(await release(holder, {"id": str(uuid4())}), 404, "not_found")
    assert_problem(await release(holder, {"id": "x"}), 422, "validation_error")
    assert_problem(await holder.get(f"audit/holds/{uuid4()}"), 404, "not_found")
    hold = await place(holder, actor_id=WHO)
    for body in ({}, {"reason": ""}, {"reason": " "}, {"reason": "x" * 257}, {"reason": "x", "to": TO}, None):
        answer = await holder.post(f"audit/holds/{hold['id']}/release", body)
        assert_problem(answer, 422, "validation_error")
    assert (await holder.get(f"audit/holds/{hold['id']}")).json()["released_at"] is None


async def test_who_may(api: Api, holder: Caller, auditor: Caller) -> None:
    """Auditors see holds; who places them need not see anything else."""
    hold, alone = await place(holder, actor_id=WHO), await api.user("audit:hold")
    for caller in (auditor, await api.user(*("audit:read", "audit:export", "audit:verify"))):
        for answer in (
            await caller.post("audit/holds", {"actor_id": WHO, "reason": "x"}),
            await release(caller, hold),
        ):
            assert assert_problem(answer, 403, "forbidden")["required"] == "audit:hold"
        assert (await caller.get("audit/holds")).status_code == 200
    assert assert_problem(await alone.get("audit/holds"), 403)["required"] == "audit:read"
    assert (await place(alone, actor_id=WHO))["placed_by_label"] == alone.email
    assert_problem(await api.get("audit/holds"), 401, "unauthenticated")
    assert_problem(await api.post("audit/holds", {}), 401, "unauthenticated")
    root = await api.superuser()
    for method in ("PUT", "PATCH", "DELETE"):
        for path in ("audit/holds", f"audit/holds/{hold['id']}"):
            assert_problem(await root.call(method, path), 405, "method_not_allowed")


async def test_one_person_is_enough_where_nobody_asked_for_two(holder: Caller) -> None:
    assert (await release(holder, await place(holder, actor_id=WHO))).status_code == 200


@pytest.fixture
async def strict(backend: Backend) -> AsyncIterator[Api]:
    """An app as in production: nobody releases the hold that they placed."""
    settings = settings_for(backend.new_database(), "", audit_hold_two_people=True)
    async with run_app(settings) as app:
        yield Api(app)


async def test_release_takes_a_second_person(strict: Api) -> None:
    root, other = await strict.superuser(), await strict.user("audit:hold")
    hold = await place(root, actor_id=WHO)
    problem = assert_problem(await release(root, hold), 409, "conflict")
    assert "second person" in problem["detail"]
    assert_problem(await release(await root.with_key(), hold), 409, "conflict")
    answer = await release(other, hold)
    assert (answer.status_code, answer.json()["released_by"]) == (200, other.id)


async def test_list_of_holds(app: RunningApp, api: Api, holder: Caller) -> None:
    other = await api.user("audit:hold")
    placed = [
        await place(holder, stream="access", actor_id=WHO),
        await place(holder, entity="users"),
        await place(other, entity="roles", entity_id=WHO, to=TO),
    ]
    assert (await release(holder, placed[1])).status_code == 200
    # A user who is gone for good is still called something.
    assert (await (await api.superuser()).delete(f"users/{other.id}?hard=true")).status_code == 204
    found = (await holder.get("audit/holds")).json()
    assert [one["id"] for one in found["items"]] == [one["id"] for one in placed[::-1]]
    assert all(one.keys() == HOLD for one in found["items"])
    assert found["items"][0] == placed[2]
    assert found["items"][0]["to"] == TO
    assert found["items"][1]["released_by_label"] == holder.email
    for query, expected in (
        ({"active": "true"}, [2, 0]),
        ({"active": "false"}, [1]),
        ({"stream": "access"}, [0]),
        ({"entity": "users"}, [1]),
        ({"entity_id": WHO.upper()}, [2]),
        ({"actor_id": WHO, "active": "true"}, [0]),
        ({"sort": "created_at", "per_page": 1}, [0]),
    ):
        listed = (await holder.get("audit/holds", params=query)).json()
        assert [one["id"] for one in listed["items"]] == [placed[index]["id"] for index in expected], query
    first = await holder.get("audit/holds", params={"per_page": 2})
    assert 'rel="next"' in first.headers["link"]
    rest = {"per_page": 2, "cursor": first.json()["next_cursor"]}
    assert [one["id"] for one in (await holder.get("audit/holds", params=rest)).json()["items"]] == [
        placed[0]["id"]
    ]
    for wrong in ({"active": "yes"}, {"sort": "reason"}, {"deleted": "true"}, {"stream": "x"}):
        assert_problem(await holder.get("audit/holds", params=wrong), 422, "validation_error")
