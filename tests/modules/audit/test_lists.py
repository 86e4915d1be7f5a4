"""Contract 7, the two lists: filters, order, cursors."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api, Caller, assert_problem
from tests.backend import RunningApp
from tests.modules.audit.support import START, Row, add_access, add_changes, ids, instant, page, walk

Test = Callable[[Row], bool]
ACCESS_ROW = {
    *("id", "occurred_at", "request_id", "actor", "auth_method", "session_id", "api_key_id", "client_ip"),
    *("user_agent", "method", "path", "route", "query", "status", "outcome", "duration_ms", "request_bytes"),
    *("response_bytes", "module", "operation", "privilege", "error_class"),
}
CHANGE_ROW = {
    *("id", "occurred_at", "tx_id", "tx_seq", "request_id", "origin", "actor", "action", "cause", "entity"),
    *("entity_id", "changed", "old", "new", "truncated", "redacted", "reason"),
}
WHO = [str(uuid4()) for _ in range(3)]
TRANSACTIONS = [uuid4() for _ in range(3)]
ACCESS: list[tuple[dict[str, Any], Test]] = [
    ({"actor_id": WHO[0]}, lambda row: row["actor"]["id"] == WHO[0]),
    ({"actor_id": WHO[0].upper()}, lambda row: row["actor"]["id"] == WHO[0]),
    ({"actor_type": "api_key"}, lambda row: row["actor"]["type"] == "api_key"),
    ({"method": "POST"}, lambda row: row["method"] == "POST"),
    ({"route": "/api/v1/t/{id}"}, lambda row: row["route"] == "/api/v1/t/{id}"),
    ({"path_prefix": "/t/50%_"}, lambda row: row["path"].startswith("/t/50%_")),
    ({"path_prefix": "/T/"}, lambda row: row["path"].startswith("/T/")),
    ({"status": "404"}, lambda row: row["status"] == 404),
    ({"status": "201"}, lambda row: row["status"] == 201),
    ({"status_class": "2xx"}, lambda row: row["status"] // 100 == 2),
    ({"status_class": "4xx"}, lambda row: row["status"] // 100 == 4),
    ({"status_class": "5xx"}, lambda row: row["status"] // 100 == 5),
    ({"outcome": "denied"}, lambda row: row["outcome"] == "denied"),
    ({"ip": "192.0.2.7"}, lambda row: row["client_ip"] == "192.0.2.7"),
    ({"ip": "192.0.2.0/29"}, lambda row: is_in(row, "192.0.2.0/29")),
    ({"ip": "192.0.2.9/24"}, lambda row: is_in(row, "192.0.2.0/24")),
    ({"ip": "2001:DB8:0::1"}, lambda row: row["client_ip"] == "2001:db8::1"),
    ({"ip": "2001:db8::/32"}, lambda row: is_in(row, "2001:db8::/32")),
    ({"ip": "198.18.0.0/15"}, lambda row: is_in(row, "198.18.0.0/15")),
    ({"request_id": "req-2"}, lambda row: row["request_id"] == "req-2"),
    ({"min_duration_ms": "20"}, lambda row: row["duration_ms"] >= 20),
    ({"module": "users"}, lambda row: row["module"] == "users"),
    ({"from": START + timedelta(seconds=3)}, lambda row: instant(row) >= START + timedelta(seconds=3)),
    ({"to": START + timedelta(seconds=3)}, lambda row: instant(row) < START + timedelta(seconds=3)),
]
CHANGES: list[tuple[dict[str, Any], Test]] = [
    ({"actor_id": WHO[1]}, lambda row: row["actor"]["id"] == WHO[1]),
    ({"actor_type": "system"}, lambda row: row["actor"]["type"] == "system"),
    ({"entity": "things"}, lambda row: row["entity"] == "things"),
    ({"entity_id": "a/b%c 'd\""}, lambda row: row["entity_id"] == "a/b%c 'd\""),
    ({"action": "DELETE"}, lambda row: row["action"] == "DELETE"),
    ({"action": ["INSERT", "BULK"]}, lambda row: row["action"] in {"INSERT", "BULK"}),
    ({"field": "title"}, lambda row: "title" in row["changed"]),
    ({"field": "tit"}, lambda row: "tit" in row["changed"]),
    ({"request_id": "req-1"}, lambda row: row["request_id"] == "req-1"),
    ({"tx_id": TRANSACTIONS[0]}, lambda row: row["tx_id"] == str(TRANSACTIONS[0])),
    ({"origin": "job"}, lambda row: row["origin"] == "job"),
    ({"from": START + timedelta(seconds=3)}, lambda row: instant(row) >= START + timedelta(seconds=3)),
    ({"to": START + timedelta(seconds=3)}, lambda row: instant(row) < START + timedelta(seconds=3)),
]
# Between these, nothing fits on purpose.
EMPTY = ({"field": "tit"}, {"path_prefix": "/T/"}, {"ip": "198.18.0.0/15"})


def is_in(row: Row, network: str) -> bool:
    return row["client_ip"] is not None and ip_address(row["client_ip"]) in ip_network(network)


async def fill(app: RunningApp) -> None:
    """Rows of every kind in both logs."""
    chance = random.Random(3)
    await add_access(app, [access_row(chance) for _ in range(150)])
    await add_changes(app, [change_row(chance) for _ in range(150)])


def access_row(chance: random.Random) -> Row:
    return {
        "occurred_at": START + timedelta(microseconds=chance.randrange(6_000_000)),
        "actor_type": chance.choice(["user", "api_key", "anonymous"]),
        "actor_id": chance.choice([None, *WHO]),
        "method": chance.choice(["GET", "POST"]),
        "route": chance.choice([None, "/api/v1/t", "/api/v1/t/{id}"]),
        "path": chance.choice(["/t/50%_x", "/t/50x", "/t/"]),
        "status": chance.choice([200, 201, 404, 403, 500]),
        "outcome": chance.choice(["ok", "denied", "server_error"]),
        "client_ip": chance.choice(
            [None, "192.0.2.7", "192.0.2.70", "192.0.2.1", "2001:db8::1", "127.0.0.1"]
        ),
        "request_id": chance.choice(["req-1", "req-2"]),
        "duration_us": chance.choice([19_999, 20_000, 20_001, 5]),
        "module": chance.choice([None, "users", "roles"]),
        "query": chance.choice([None, {"q": "[redacted]"}]),
    }


def change_row(chance: random.Random) -> Row:
    return {
        "occurred_at": START + timedelta(microseconds=chance.randrange(6_000_000)),
        "actor_type": chance.choice(["user", "system"]),
        "actor_id": chance.choice([None, *WHO]),
        "entity": chance.choice(["things", "others"]),
        "entity_id": chance.choice(["1", "2", "a/b%c 'd\""]),
        "action": chance.choice(["INSERT", "UPDATE", "DELETE", "BULK"]),
        "changed": chance.choice([[], ["title"], ["title", "size"], ["subtitle"]]),
        "request_id": chance.choice([None, "req-1", "req-2"]),
        "tx_id": chance.choice(TRANSACTIONS),
        "origin": chance.choice(["request", "job"]),
    }


@pytest.mark.parametrize(
    ("path", "cases", "shape"), [("access", ACCESS, ACCESS_ROW), ("changes", CHANGES, CHANGE_ROW)]
)
async def test_filters_are_what_they_say(
    app: RunningApp, auditor: Caller, path: str, cases: list[tuple[dict[str, Any], Test]], shape: set[str]
) -> None:
    await fill(app)
    whole = await walk(auditor, f"audit/{path}", limit=1000)
    assert all(row.keys() == shape for row in whole)
    top = whole[0]["id"]
    assert ids(whole) == sorted(ids(whole), reverse=True)

    async def asked(filters: dict[str, Any]) -> list[Row]:
        found = await walk(auditor, f"audit/{path}", limit=1000, **filters)
        return [row for row in found if row["id"] <= top]  # asking is logged as well

    for filters, fits in cases:
        expected = [row for row in whole if fits(row)]
        assert await asked(filters) == expected, filters
        assert bool(expected) is (filters not in EMPTY), filters
    chance = random.Random(5)
    found = 0
    for _ in range(40):
        chosen = chance.sample(cases, 3)
        filters = {name: value for one, _ in chosen for name, value in one.items()}
        if len(filters) == 3:
            expected = [row for row in whole if all(fits(row) for _, fits in chosen)]
            assert await asked(filters) == expected, filters
            found += len(expected)
    assert found > 20


async def test_probes_can_be_left_out(app: RunningApp, auditor: Caller, unique: str) -> None:
    probe, other = await add_access(app, [{"path": unique, "is_probe": True}, {"path": unique}])
    for params, expected in (
        ({}, [other, probe]),
        ({"include_probes": "true"}, [other, probe]),
        ({"include_probes": "false"}, [other]),
    ):
        assert ids(await walk(auditor, "audit/access", path_prefix=unique, **params)) == expected


@pytest.mark.parametrize(("path", "add"), [("access", add_access), ("changes", add_changes)])
async def test_ends_are_exact_to_the_microsecond(
    app: RunningApp, auditor: Caller, unique: str, path: str, add: Any
) -> None:
    tick = timedelta(microseconds=1)
    before, at, after = await add(
        app, [{"request_id": unique, "occurred_at": START + tick * step} for step in (-1, 0, 1)]
    )
    east = START.astimezone(timezone(timedelta(hours=2))).isoformat()
    assert east.endswith("+02:00")
    for moment in (START.isoformat(), east, START.strftime("%Y-%m-%dT%H:%M:%S.000000Z")):
        assert ids(await walk(auditor, f"audit/{path}", request_id=unique, **{"from": moment})) == [after, at]
        assert ids(await walk(auditor, f"audit/{path}", request_id=unique, to=moment)) == [before]
    inner = {"from": START.isoformat(), "to": (START + tick).isoformat()}
    assert ids(await walk(auditor, f"audit/{path}", request_id=unique, **inner)) == [at]
    problem = await auditor.get(f"audit/{path}", params={"from": "2026-03-01T12:00:00"})
    assert problem.status_code == 422, "an instant without a zone"


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize(("path", "add"), [("access", add_access), ("changes", add_changes)])
async def test_walk_sees_what_there_was_when_it_began(
    app: RunningApp, auditor: Caller, unique: str, path: str, add: Any, order: str
) -> None:
    made = await add(app, [{"request_id": unique} for _ in range(7)])
    expected = made if order == "asc" else made[::-1]
    found: list[int] = []
    cursor: Row = {}
    while True:
        one = await page(auditor, f"audit/{path}", request_id=unique, order=order, limit=2, **cursor)
        found += ids(one["items"])
        await add(app, [{"request_id": unique}])
        if one["next_cursor"] is None:
            break
        cursor = {"cursor": one["next_cursor"]}
    assert found == expected
    assert len(await walk(auditor, f"audit/{path}", request_id=unique)) == 7 + 4


async def test_cursor_belongs_to_one_question(app: RunningApp, auditor: Caller, unique: str) -> None:
    await add_changes(app, [{"request_id": unique} for _ in range(3)])
    await add_access(app, [{"request_id": unique} for _ in range(3)])
    asked = {"request_id": unique, "limit": 1}
    cursor = (await page(auditor, "audit/changes", **asked))["next_cursor"]
    assert len((await page(auditor, "audit/changes", **asked, cursor=cursor))["items"]) == 1
    assert len((await page(auditor, "audit/changes", **{**asked, "limit": 5}, cursor=cursor))["items"]) == 2
    other = chr(ord(cursor[10]) ^ 1)
    for path, params in (
        ("changes", {"request_id": unique, "order": "asc"}),
        ("changes", {"request_id": f"{unique}x"}),
        ("changes", {}),
        ("changes", {"request_id": unique, "entity": "things"}),
        ("changes", {"request_id": unique, "to": START.isoformat()}),
        ("access", {"request_id": unique}),
    ):
        answer = await auditor.get(f"audit/{path}", params={**params, "cursor": cursor})
        assert_problem(answer, 400, "bad_request")
    for bad in (cursor[:10] + other + cursor[11:], cursor[:-1], cursor + "A", "", "x", "é", "A" * 4000):
        answer = await auditor.get("audit/changes", params={**asked, "cursor": bad})
        assert_problem(answer, 400, "bad_request")


@pytest.mark.parametrize("path", ["access", "changes"])
@pytest.mark.parametrize(
    "params",
    [
        *({"limit": bad} for bad in ("0", "1001", "-1", "x", "1e2", "")),
        {"order": "up"},
        {"page": "1"},
        {"per_page": "5"},
        {"nonsense": "1"},
        {"from": "yesterday"},
        {"from": "1700000000"},
        {"request_id": "a\x00b"},
        {"stream": "access"},
    ],
    ids=str,
)
async def test_bad_question_is_422(auditor: Caller, path: str, params: dict[str, str]) -> None:
    assert_problem(await auditor.get(f"audit/{path}", params=params), 422, "validation_error")


@pytest.mark.parametrize(
    ("path", "params"),
    [
        *(("access", {"ip": bad}) for bad in ("x", "1.2.3", "1.2.3.4/33", "", "1.2.3.4/24/8")),
        *(("access", {"status": bad}) for bad in ("99", "600", "4xx")),
        ("access", {"status_class": "6xx"}),
        ("access", {"outcome": "fine"}),
        ("access", {"entity": "users"}),
        ("changes", {"method": "GET"}),
        ("changes", {"action": "insert"}),
        ("changes", {"tx_id": "1"}),
        ("changes", {"origin": "x"}),
    ],
    ids=str,
)
async def test_filter_that_means_nothing_is_422(auditor: Caller, path: str, params: dict[str, str]) -> None:
    problem = assert_problem(await auditor.get(f"audit/{path}", params=params), 422, "validation_error")
    assert all(f"'{value}'" not in str(problem) for value in params.values() if value)


READS = (
    "access",
    "changes",
    "requests/x",
    "entities",
    "stats?stream=access&bucket=day",
    "entities/users/1/history",
)


async def test_who_may_read(api: Api, auditor: Caller) -> None:
    bob, admin, root = await api.user(), await api.user(role="admin"), await api.superuser()
    for path in READS:
        assert_problem(await api.get(f"audit/{path}"), 401, "unauthenticated")
        for caller in (bob, admin):
            problem = assert_problem(await caller.get(f"audit/{path}"), 403, "forbidden")
            assert problem["required"] == "audit:read"
        for caller in (auditor, root):
            assert (await caller.get(f"audit/{path}")).status_code in {200, 404}
    export = "audit/export?stream=access"
    reader = await api.user("audit:read")
    for caller in (bob, admin, reader):
        assert assert_problem(await caller.get(export), 403, "forbidden")["required"] == "audit:export"
    for caller in (auditor, root):
        assert (await caller.get(export)).status_code == 200
    assert (await auditor.get("roles")).status_code == 403, "and nothing else"


async def test_module_cant_be_given_to_a_role_as_a_whole(api: Api) -> None:
    admin = await api.superuser()
    made = await admin.post("roles", {"name": "peeping", "modules": ["audit"]})
    assert_problem(made, 422, "validation_error")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["access", "changes", "entities/users/1/history", "export", "stats"])
async def test_nobody_changes_a_log(api: Api, auditor: Caller, method: str, path: str) -> None:
    for caller in (api, auditor, await api.superuser()):
        answer = await caller.call(method, f"audit/{path}")
        assert_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, HEAD"


async def test_change_is_there_as_soon_as_it_was_answered(api: Api, auditor: Caller, unique: str) -> None:
    root = await api.superuser()
    for step in range(20):
        answer = await root.post("roles", {"name": f"{unique}-{step}"})
        (change,) = await walk(
            auditor, "audit/changes", request_id=answer.headers["x-request-id"], entity="roles"
        )
        assert (change["action"], change["new"]["name"]) == ("INSERT", f"{unique}-{step}")
        assert change["actor"] == {"type": "user", "id": root.id, "label": root.email}


async def test_actor_keeps_a_name(api: Api, app: RunningApp, auditor: Caller, unique: str) -> None:
    root = await api.superuser()
    user = await api.user(email=f"{unique}@example.com")
    await add_changes(app, [{"request_id": unique, "actor_id": user.id}])
    await add_access(app, [{"request_id": unique, "actor_id": user.id, "actor_type": "user"}])

    async def labels() -> set[str | None]:
        rows = [
            row
            for path in ("access", "changes")
            for row in await walk(auditor, f"audit/{path}", request_id=unique)
        ]
        assert {row["actor"]["id"] for row in rows} == {user.id}
        return {row["actor"]["label"] for row in rows}

    assert await labels() == {f"{unique}@example.com"}
    moved = await root.patch(f"users/{user.id}", {"email": f"{unique}-2@example.com"})
    assert moved.status_code == 200
    assert await labels() == {f"{unique}-2@example.com"}
    assert (await root.delete(f"users/{user.id}")).status_code == 204
    assert await labels() == {f"{unique}-2@example.com"}
    assert (await root.delete(f"users/{user.id}", params={"hard": "true"})).status_code == 204
    assert await labels() == {f"{unique}-2@example.com"}
    await add_changes(
        app, [{"request_id": f"{unique}x", "actor_id": who} for who in (str(uuid4()), "root", None)]
    )
    unnamed = await walk(auditor, "audit/changes", request_id=f"{unique}x")
    assert [row["actor"]["label"] for row in unnamed] == [None] * 3


async def test_story_of_a_request(api: Api, app: RunningApp, auditor: Caller, unique: str) -> None:
    first, second = uuid4(), uuid4()
    changes = await add_changes(
        app,
        [
            {"request_id": unique, "tx_id": tx, "tx_seq": seq}
            for tx, seq in ((first, 1), (second, 1), (first, 2))
        ],
    )
    access = await add_access(app, [{"request_id": unique}])
    answer = await auditor.get(f"audit/requests/{unique}")
    story = answer.json()
    assert story.keys() == {"request_id", "access", "transactions", "complete"}
    assert (story["request_id"], story["complete"]) == (unique, True)
    assert ids(story["access"]) == access
    told = {part["tx_id"]: ids(part["changes"]) for part in story["transactions"]}
    assert told == {str(first): [changes[0], changes[2]], str(second): [changes[1]]}
    assert_problem(await auditor.get(f"audit/requests/{unique}-not"), 404, "not_found")
    made = await (await api.superuser()).post("roles", {"name": unique})
    real = (await auditor.get(f"audit/requests/{made.headers['x-request-id']}")).json()
    assert len(real["transactions"]) == 1
    assert {change["entity"] for change in real["transactions"][0]["changes"]} == {"roles"}


async def test_story_has_an_end(app: RunningApp, auditor: Caller, unique: str) -> None:
    await add_changes(app, [{"request_id": unique} for _ in range(1001)])
    story = (await auditor.get(f"audit/requests/{unique}")).json()
    assert story["complete"] is False
    assert sum(len(part["changes"]) for part in story["transactions"]) == 1000


def test_planted_filter_is_told_apart() -> None:
    """The oracle can fail: rows that don't fit are told from those that do."""
    row: Row = {"occurred_at": START.isoformat(), "client_ip": "192.0.2.9"}
    assert not is_in(row, "192.0.2.0/29")
    assert instant(row) == datetime.fromisoformat("2026-03-01T14:00:00+02:00")
