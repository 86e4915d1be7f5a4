"""Contract 7, one record through time; the oracle is what the API said of it at the time."""

import json
import random
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from app.core.clock import now
from app.modules.audit.timeline import Chain, Rewind, same
from tests.api import Api, Caller, assert_problem
from tests.backend import RunningApp
from tests.modules.audit.support import START, Row, add_changes, ids, walk
from tests.modules.auth.support import write

ODD_IDS = ("a/b%c 'd\"", "100%", "history", "x/history/history", "ä ö", 'q"?#&', "[1,2]")


def path_of(entity: str, id: str, what: str) -> str:
    return f"audit/entities/{entity}/{quote(id, safe='')}/{what}"


async def read(caller: Caller, entity: str, id: str, what: str, **params: Any) -> Row:
    answer = await caller.get(path_of(entity, id, what), params=params)
    assert answer.status_code == 200, answer.text
    found: Row = answer.json()
    return found


async def edit(root: Caller, path: str, chance: random.Random) -> None:
    """A random step of an account's life; those that make no sense now are refused."""
    step = chance.randrange(5)
    if step == 0:
        await root.patch(path, {"full_name": f"Name {chance.random()}"})
    elif step == 1:
        await root.patch(path, {"email": f"u{chance.getrandbits(40)}@example.com", "full_name": None})
    elif step == 2:
        await root.post(f"{path}/{chance.choice(['block', 'unblock'])}", {})
    elif step == 3:
        await root.delete(path)
    else:
        await root.post(f"{path}/restore")


async def test_as_of_is_what_was_told_then(api: Api, auditor: Caller) -> None:
    """At any instant from what an edit left until the next one began."""
    chance, root = random.Random(11), await api.superuser()
    users = [(await api.user()).id for _ in range(3)]
    seen: list[tuple[str, datetime, datetime, Row | None]] = []
    for _ in range(60):
        user, began = chance.choice(users), now()
        await edit(root, f"users/{user}", chance)
        since, answer = now(), await root.get(f"users/{user}")
        seen.append((user, began, since, answer.json() if answer.status_code == 200 else None))
    lives: list[tuple[str, datetime, datetime, Row | None]] = []
    ends: dict[str, datetime] = dict.fromkeys(users, now())
    for user, began, since, state in reversed(seen):
        lives.append((user, since, ends[user], state))
        ends[user] = began
    compared, instants_asked = 0, set()
    for _ in range(500):
        user, since, until, state = chance.choice(lives)
        at = since + (until - since) * chance.random()
        instants_asked.add(at)
        found = await read(auditor, "users", user, "as-of", at=at.isoformat())
        assert (found["exists"], found["complete"], found["unknown_fields"]) == (True, True, [])
        assert found["redacted_fields"] == ["password_hash"]
        assert found["state"]["password_hash"] == "[redacted]"
        assert (found["state"]["deleted_at"] is None) is (state is not None)
        if state is not None:
            shared = state.keys() & found["state"].keys()
            assert {"id", "email", "full_name", "is_blocked", "version", "updated_at"} <= shared
            assert {name: instants(state[name]) for name in shared} == {
                name: instants(found["state"][name]) for name in shared
            }
            compared += 1
    assert len(instants_asked) > 490
    assert compared > 150
    for user in users:
        assert (await read(auditor, "users", user, "drift"))["ok"] is True
        before = await read(auditor, "users", user, "as-of", at=(seen[0][1] - timedelta(days=1)).isoformat())
        assert (before["exists"], before["state"], before["complete"], before["last_change_id"]) == (
            False,
            None,
            True,
            None,
        )


def instants(value: Any) -> Any:
    """Without a difference of spelling."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value


async def life_of_a_role(root: Caller, name: str) -> tuple[str, list[datetime]]:
    """Made, changed, deleted, restored, removed; with an instant after each."""
    id = (await root.post("roles", {"name": name, "description": "first"})).json()["id"]
    moments = [now()]
    for call in (
        root.patch(f"roles/{id}", {"description": "second"}),
        root.delete(f"roles/{id}"),
        root.post(f"roles/{id}/restore"),
        root.delete(f"roles/{id}?hard=true"),
    ):
        assert (await call).is_success
        moments.append(now())
    return id, moments


async def test_history_goes_through_deletion(api: Api, auditor: Caller, unique: str) -> None:
    root = await api.superuser()
    id, moments = await life_of_a_role(root, unique)
    history = await walk(auditor, path_of("roles", id, "history"), limit=2)
    assert [(row["action"], row["cause"]) for row in history] == [
        ("INSERT", None),
        ("UPDATE", None),
        ("UPDATE", "soft_delete"),
        ("UPDATE", "restore"),
        ("DELETE", None),
    ]
    assert ids(await walk(auditor, path_of("roles", id, "history"), order="desc")) == ids(history)[::-1]
    states = [await read(auditor, "roles", id, "as-of", at=moment.isoformat()) for moment in moments]
    assert [state["last_change_id"] for state in states] == ids(history)
    assert [state["exists"] for state in states] == [True] * 4 + [False]
    assert [state["state"]["description"] for state in states[:-1]] == ["first", *["second"] * 3]
    assert [state["state"]["deleted_at"] is None for state in states[:-1]] == [True, True, False, True]
    assert all(state["complete"] for state in states)
    assert await read(auditor, "roles", id, "drift") == {"ok": True, "checked_changes": 5, "breaks": []}

    both = await read(
        auditor, "roles", id, "diff", **{"from": moments[0].isoformat(), "to": moments[1].isoformat()}
    )
    assert both.keys() == {"from", "to", "changed", "change_ids"}
    assert both["change_ids"] == [history[1]["id"]]
    changed = {one["field"]: (one["old"], one["new"]) for one in both["changed"]}
    assert changed["description"] == ("first", "second")
    assert changed.keys() == set(history[1]["changed"])
    gone = await read(
        auditor, "roles", id, "diff", **{"from": moments[0].isoformat(), "to": moments[4].isoformat()}
    )
    assert (gone["from"]["exists"], gone["to"]["exists"]) == (True, False)
    assert gone["change_ids"] == ids(history)[1:]
    wrong = {"from": moments[1].isoformat(), "to": moments[0].isoformat()}
    assert_problem(await auditor.get(path_of("roles", id, "diff"), params=wrong), 422, "validation_error")


async def test_secret_is_told_as_changed_and_no_more(api: Api, auditor: Caller) -> None:
    root, user = await api.superuser(), await api.user()
    since = now()
    answer = await root.post(f"users/{user.id}/reset-password", {"new_password": "another fine password 7"})
    assert answer.is_success, answer.text
    both = await auditor.get(
        path_of("users", user.id, "diff"), params={"from": since.isoformat(), "to": now().isoformat()}
    )
    (secret,) = [one for one in both.json()["changed"] if one["field"] == "password_hash"]
    assert (secret["old"], secret["new"]) == ("[redacted]", "[redacted]")
    assert "argon2" not in both.text


async def test_links_have_ids_too(api: Api, auditor: Caller, unique: str) -> None:
    root, user = await api.superuser(), await api.user()
    role = (await root.post("roles", {"name": unique})).json()["id"]
    moments = []
    for roles in ([role], [], [role]):
        assert (await root.put(f"users/{user.id}/roles", {"role_ids": roles})).status_code == 200
        moments.append(now())
    id = json.dumps([user.id, role], separators=(",", ":"))
    history = await walk(auditor, path_of("user_roles", id, "history"))
    assert [row["action"] for row in history] == ["INSERT", "DELETE", "INSERT"]
    assert {row["entity_id"] for row in history} == {id}
    found = [await read(auditor, "user_roles", id, "as-of", at=moment.isoformat()) for moment in moments]
    assert [one["exists"] for one in found] == [True, False, True]
    assert {one["complete"] for one in found} == {True}
    assert found[0]["state"].items() >= {"user_id": user.id, "role_id": role}.items()
    assert (await read(auditor, "user_roles", id, "drift"))["ok"] is True


@pytest.mark.parametrize("id", ODD_IDS)
async def test_odd_ids(app: RunningApp, auditor: Caller, unique: str, id: str) -> None:
    made = await add_changes(app, [{"entity": unique, "entity_id": id} for _ in range(2)])
    assert ids(await walk(auditor, path_of(unique, id, "history"))) == made
    later = await read(auditor, unique, id, "as-of", at=START.isoformat())
    assert later["last_change_id"] == made[1]
    assert (await read(auditor, unique, id, "drift"))["checked_changes"] == 2


async def test_what_nobody_knows_of_is_404(auditor: Caller) -> None:
    moment = {"at": START.isoformat()}
    ends = {"from": START.isoformat(), "to": START.isoformat()}
    for entity in ("users", "nonsense", "refresh_tokens", "alembic_version"):
        for id in (str(uuid4()), "1", "x", "[1", "\N{SNOWMAN}"):
            for what, params in (("history", {}), ("as-of", moment), ("diff", ends), ("drift", {})):
                answer = await auditor.get(path_of(entity, id, what), params=params)
                assert_problem(answer, 404, "not_found")
    assert_problem(await auditor.get(path_of("users", "a\x00b", "history")), 422, "validation_error")
    for bad in ({}, {"at": "x"}, {"at": "1700000000"}, {"at": "2026-01-01"}, {**moment, "x": "1"}):
        assert_problem(await auditor.get(path_of("users", "1", "as-of"), params=bad), 422, "validation_error")


async def test_record_older_than_its_log_is_told_as_incomplete(
    app: RunningApp, auditor: Caller, unique: str
) -> None:
    (first,) = await add_changes(
        app,
        [{"entity": unique, "action": "UPDATE", "changed": ["a"], "old": {"a": 1}, "new": {"a": 2}}],
    )
    before = await read(auditor, unique, "1", "as-of", at=(START - timedelta(days=1)).isoformat())
    assert (before["exists"], before["state"], before["complete"], before["last_change_id"]) == (
        True,
        {"a": 1},
        False,
        None,
    )
    assert (await read(auditor, unique, "1", "as-of", at=START.isoformat()))["last_change_id"] == first


async def test_statement_past_the_log_makes_the_state_uncertain(
    api: Api, app: RunningApp, auditor: Caller
) -> None:
    user = await api.user()
    at = now()
    assert (await read(auditor, "users", user.id, "as-of", at=at.isoformat()))["complete"] is True
    await add_changes(app, [{"entity": "users", "entity_id": "", "action": "BULK", "occurred_at": now()}])
    assert (await read(auditor, "users", user.id, "as-of", at=at.isoformat()))["complete"] is False
    assert (await read(auditor, "users", user.id, "as-of", at=now().isoformat()))["complete"] is True


async def test_change_behind_the_log_is_found(
    api: Api, app: RunningApp, auditor: Caller, unique: str
) -> None:
    root = await api.superuser()
    id = (await root.post("roles", {"name": unique, "description": "told"})).json()["id"]
    assert (await read(auditor, "roles", id, "drift"))["ok"] is True
    statement = "UPDATE roles SET description = :text WHERE name = :name"
    await write(app, statement, text="not told", name=unique)
    found = await read(auditor, "roles", id, "drift")
    (last,) = ids(await walk(auditor, path_of("roles", id, "history")))
    assert found == {
        "ok": False,
        "checked_changes": 1,
        "breaks": [{"previous_id": last, "next_id": None, "fields": ["description"]}],
    }
    assert (await root.patch(f"roles/{id}", {"description": "told again"})).status_code == 200
    found = await read(auditor, "roles", id, "drift")
    _, later = ids(await walk(auditor, path_of("roles", id, "history")))
    assert found["breaks"] == [{"previous_id": last, "next_id": later, "fields": ["description"]}]
    await write(app, "DELETE FROM roles WHERE name = :name", name=unique)
    (_, vanished) = (await read(auditor, "roles", id, "drift"))["breaks"]
    assert (vanished["previous_id"], vanished["next_id"]) == (later, None)


async def test_entities_are_all_tables(api: Api, auditor: Caller) -> None:
    answer = (await auditor.get("audit/entities")).json()
    assert answer.keys() == {"audited", "excluded"}
    audited = {one["entity"]: {c["name"]: c for c in one["columns"]} for one in answer["audited"]}
    reasons = {one["entity"]: one["reason"] for one in answer["excluded"]}
    assert {"users", "roles", "user_roles", "sessions", "api_keys"} <= audited.keys()
    assert {"audit_change", "audit_access", "refresh_tokens", "alembic_version"} <= reasons.keys()
    assert all(len(reason) > 10 for reason in reasons.values())
    users = audited["users"]
    assert users["password_hash"]["policy"] == "redact"
    assert users["auth_version"]["policy"] == "exclude"
    assert users["email"] == {"name": "email", "policy": "full", "references": None}
    assert "pk" not in users
    hidden = {
        f"{e}.{name}"
        for e, columns in audited.items()
        for name in columns
        if columns[name]["policy"] == "redact"
    }
    assert hidden == {"users.password_hash", "api_keys.key_hash"}
    assert audited["user_roles"]["role_id"]["references"] == "roles"


def test_values_that_were_cut_are_compared_by_digest() -> None:
    chain = Chain()
    long = "ä" * 9000
    cut = {
        "$truncated": True,
        "bytes": 18000,
        "sha256": sha256(long.encode()).hexdigest(),
        "head": "ä",
    }
    assert same(cut, long)
    assert same(long, cut)
    assert not same(cut, long + "x")
    assert not same(cut, None)
    chain.follow({"id": 1, "action": "INSERT", "old": None, "new": {"a": long}})
    chain.follow({"id": 2, "action": "UPDATE", "old": {"a": cut}, "new": {"a": "b"}})
    chain.arrive({"a": "b"})
    assert (chain.breaks, chain.checked) == ([], 2)


def test_planted_breaks_are_told() -> None:
    insert = {"action": "INSERT", "old": None, "new": {"a": 1}}
    delete = {"action": "DELETE", "old": {"a": 1}, "new": None}
    for first, second in (
        (insert, insert),
        (delete, delete),
        (delete, {"action": "UPDATE", "old": {"a": 1}, "new": {"a": 2}}),
    ):
        chain = Chain()
        chain.follow({"id": 1, **first})
        chain.follow({"id": 2, **second})
        assert [(one["previous_id"], one["next_id"]) for one in chain.breaks] == [(1, 2)]
    rewind = Rewind(None)
    rewind.undo({"action": "UPDATE", "old": {"a": 1}})
    assert (rewind.state, rewind.is_whole) == ({"a": 1}, False)
    assert datetime.now(UTC) > START
