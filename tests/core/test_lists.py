"""Contract 1, lists; on users and roles, which have nullable, repeating and unique columns to sort by."""

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.core.database import Database
from app.core.listing import Listing
from app.core.pagination import PageQuery
from app.core.repository import MAX_LISTS, BaseRepository
from app.modules.roles.schemas import RoleSummary
from tests.api import Api, Caller, assert_problem
from tests.backend import RunningApp
from tests.core.people import add_people, crowd

ENVELOPE = {"items", "page", "per_page", "total", "pages", "total_is_capped", "next_cursor"}


@pytest.fixture
async def admin(api: Api) -> Caller:
    return await api.superuser()


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["items"]]


def links(answer: Any) -> dict[str, str]:
    return {
        name: target for target, name in re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers.get("link", ""))
    }


# bounds and spellings


@pytest.mark.parametrize(
    "query",
    [
        *(f"page={bad}" for bad in ("0", "-1", "1e3", "1_000", "%2B1", "1.0", "", "x", "٣", "0x1", "NaN", str(2**62))),
        *(f"per_page={bad}" for bad in ("0", "-1", "1001", "1e3", "1_0", "%2B1", "", " 5", "５", str(2**31))),
        f"per_page={'9' * 4400}",
        "page=1001&per_page=1000",
        "page=1000001&per_page=1",
        "page=50001",
        "page=1&page=2",
        "per_page=1&per_page=1",
        "page=1&cursor=x",
        "sort=",
        "sort=,",
        "sort=email,",
        "sort=--email",
        "sort=password_hash",
        "sort=pk",
        "sort=id",
        "sort=email%00",
        "sort=EMAIL",
        f"sort={'email,' * 40}email",
        "count=all",
        "count=",
        "deleted=1",
        "deleted=TRUE",
        f"cursor={'x' * 2001}",
        "limit=5",
        "offset=5",
        "Page=1",
    ],
)  # fmt: skip
async def test_query_at_fault_is_422(admin: Caller, query: str) -> None:
    problem = assert_problem(await admin.get(f"users?{query}"), 422, "validation_error")
    assert problem["errors"]


@pytest.mark.parametrize(
    "query",
    ["page=1", "per_page=1", "per_page=1000", "page=1000&per_page=1000", "page=1000000&per_page=1", "page=50000",
     "page=007", "sort=email", "sort=-created_at,email", "sort=email,-email", "count=exact", "deleted=false"],
)  # fmt: skip
async def test_query_within_bounds_is_answered(admin: Caller, query: str) -> None:
    answer = await admin.get(f"users?{query}")
    assert answer.status_code == 200
    assert set(answer.json()) == ENVELOPE


# the envelope


async def test_envelope(app: RunningApp, admin: Caller) -> None:
    await crowd(app, 24)
    body = (await admin.get("users")).json()
    assert {name: body[name] for name in ENVELOPE - {"items", "next_cursor"}} == {
        "page": 1,
        "per_page": 20,
        "total": 25,
        "pages": 2,
        "total_is_capped": False,
    }
    assert (len(body["items"]), isinstance(body["next_cursor"], str)) == (20, True)
    last = (await admin.get("users?page=2")).json()
    assert (len(last["items"]), last["next_cursor"]) == (5, None)
    past = (await admin.get("users?page=3")).json()
    assert (past["items"], past["total"], past["pages"], past["next_cursor"]) == ([], 25, 2, None)
    none = (await admin.get("users?deleted=true")).json()
    assert (none["items"], none["total"], none["pages"], none["page"]) == ([], 0, 0, 1)
    exact = (await admin.get("users?per_page=25")).json()
    assert (exact["pages"], exact["next_cursor"]) == (1, None)


async def test_pages_are_the_whole_in_order(app: RunningApp, admin: Caller) -> None:
    await crowd(app)
    whole = ids(await admin.get("users?per_page=1000&sort=full_name"))
    pages = [ids(await admin.get(f"users?per_page=7&page={n}&sort=full_name")) for n in (1, 2, 3, 4)]
    assert [id for page in pages for id in page] == whole


# order

Column = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize("name", ["full_name", "last_login_at"])
@pytest.mark.parametrize("descending", [False, True])
async def test_nulls_come_last_both_ways(
    app: RunningApp, admin: Caller, name: str, *, descending: bool
) -> None:
    rows = await crowd(app)
    sign = "-" if descending else ""
    listed = [id for id in ids(await admin.get(f"users?per_page=1000&sort={sign}{name}")) if id != admin.id]
    by_id = {row["id"]: row for row in rows}
    values = [by_id[id][name] for id in listed]
    present = [value for value in values if value is not None]
    assert present == sorted(present, reverse=descending)
    assert values == present + [None] * (len(values) - len(present))
    for value in {*values}:  # ties are broken by id, in the direction of the last key
        tied = [id for id in listed if by_id[id][name] == value]
        assert tied == sorted(tied, reverse=descending)


async def test_several_keys(app: RunningApp, admin: Caller) -> None:
    rows = await crowd(app)
    listed = [
        id for id in ids(await admin.get("users?per_page=1000&sort=-full_name,created_at")) if id != admin.id
    ]

    def key(row: dict[str, Any]) -> Any:
        return row["created_at"], row["id"]

    expected = [
        row["id"]
        for name in ("Cid", "Bob", "Ann", None)
        for row in sorted((r for r in rows if r["full_name"] == name), key=key)
    ]
    assert listed == expected


async def test_first_mention_of_a_field_holds(app: RunningApp, admin: Caller) -> None:
    await crowd(app)
    assert ids(await admin.get("users?sort=-email,email")) == ids(await admin.get("users?sort=-email"))


# Link


async def test_links_lead_through_the_list(app: RunningApp, admin: Caller) -> None:
    await crowd(app)
    path = "/api/v1/users?per_page=5&sort=full_name,-email&is_blocked=false&q=example"
    answer = await admin.get(path)
    assert set(links(answer)) == {"first", "next", "last"}
    whole = ids(await admin.get("users?per_page=1000&sort=full_name,-email&q=example"))
    seen = ids(answer)
    while "next" in links(answer):
        before = answer
        target = links(answer)["next"]
        question = parse_qs(urlsplit(target).query)
        assert (question["sort"], question["is_blocked"]) == (["full_name,-email"], ["false"])
        answer = await admin.get(target)
        assert ids(await admin.get(links(answer)["prev"])) == ids(before)
        seen += ids(answer)
    assert seen == whole
    assert set(links(answer)) == {"first", "prev", "last"}
    assert ids(await admin.get(links(answer)["last"])) == ids(answer)
    assert ids(await admin.get(links(answer)["first"])) == whole[:5]


async def test_links_of_a_cursor_have_next_only(app: RunningApp, admin: Caller) -> None:
    await crowd(app)
    first = await admin.get("users?per_page=10")
    second = await admin.get(f"users?per_page=10&cursor={first.json()['next_cursor']}")
    assert set(links(second)) == {"next"}
    body = second.json()
    assert (body["page"], body["pages"], body["total"]) == (None, None, 24)
    third = await admin.get(links(second)["next"])
    assert ids(first) + ids(second) + ids(third) == ids(await admin.get("users?per_page=1000"))
    assert (links(third), third.json()["next_cursor"]) == ({}, None)


async def test_links_never_lead_to_a_refusal(probe: Api, probe_app: RunningApp) -> None:
    await add_people(probe_app, [{} for _ in range(3)])
    admin = await probe.superuser()
    for query in ("page=999999&per_page=1", "page=1000000&per_page=1", "page=1000&per_page=1000", "page=2"):
        answer = await admin.get(f"users?{query}")
        for target in links(answer).values():
            assert (await admin.get(target)).status_code == 200
    listing = Listing(RoleSummary, [], PageQuery(per_page=1, count="exact"), 2_000_000, 100, "x")
    assert "last" not in listing.links("/roles")
    assert 'rel="last"' in Listing(RoleSummary, [], PageQuery(per_page=1), 100, 100, "x").links("/roles")


# totals


async def test_total_is_exact_up_to_the_bound(probe: Api, probe_app: RunningApp) -> None:
    admin = await probe.superuser()
    await add_people(probe_app, [{} for _ in range(99)])
    at_the_bound = (await admin.get("users?per_page=30")).json()
    assert (at_the_bound["total"], at_the_bound["total_is_capped"], at_the_bound["pages"]) == (100, False, 4)
    await add_people(probe_app, [{} for _ in range(7)])
    answer = await admin.get("users?per_page=30")
    beyond = answer.json()
    assert (beyond["total"], beyond["total_is_capped"], beyond["pages"]) == (100, True, 4)
    assert "last" not in links(answer)
    assert len(ids(await admin.get("users?per_page=30&page=4"))) == 17
    exact = await admin.get("users?per_page=30&count=exact")
    assert (exact.json()["total"], exact.json()["total_is_capped"]) == (107, False)
    assert "last" in links(exact)
    past = (await admin.get("users?per_page=30&page=9")).json()
    assert (past["items"], past["total"], past["total_is_capped"]) == ([], 100, True)
    past = (await admin.get("users?per_page=30&page=9&count=exact")).json()
    assert (past["total"], past["total_is_capped"]) == (107, False)


# what it costs


async def test_statements_are_pinned(api: Api, admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for who asks, one for the page with its total; a few for a detail. However many rows there are."""
    statements: list[str] = []
    run = Database._run

    async def counting(self: Database, sql: str, arguments: list[Any]) -> Any:
        if is_ours.get():
            statements.append(sql)
        return await run(self, sql, arguments)

    # Tasks that a request begins inherit it; those of the program, such as the sealing, may read at any time.
    is_ours = ContextVar("is_ours", default=False)
    is_ours.set(True)
    for _ in range(3):
        await api.user("users:read")
    role = ids(await admin.get("roles"))[0]
    monkeypatch.setattr(Database, "_run", counting)
    for path, expected in (
        ("users", 2),
        ("users?q=user&sort=full_name", 2),
        ("users?page=9", 3),
        ("roles", 2),
        ("privileges?per_page=1000", 2),
        (f"users/{admin.id}", 3),
        (f"roles/{role}", 5),
        ("privileges/users:read", 2),
    ):
        statements.clear()
        assert (await admin.get(path)).status_code == 200
        assert len(statements) == expected, (path, statements)


async def test_kept_statements_are_bounded(admin: Caller) -> None:
    BaseRepository._lists.clear()
    BaseRepository._lists.update({("filler", n): None for n in range(MAX_LISTS)})  # type: ignore[misc]
    assert (await admin.get("users?sort=email,-full_name,last_login_at")).status_code == 200
    assert 0 < len(BaseRepository._lists) < MAX_LISTS
