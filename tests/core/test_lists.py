"""Contract 1, lists; on users and roles, which have nullable, repeating and unique columns to sort by."""

import random
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, get_args, get_origin
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel

from app.core.database import Database
from app.core.listing import Listing
from app.core.pagination import Page, PageQuery
from app.core.repository import MAX_LISTS, BaseRepository
from app.core.shape import nested_model
from app.modules.roles.schemas import RoleSummary
from app.modules.users.schemas import UserSummary
from tests.api import Api, Caller, assert_problem
from tests.backend import RunningApp
from tests.core.people import add_people

ENVELOPE = {"items", "page", "per_page", "total", "pages", "total_is_capped", "next_cursor"}
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def admin(api: Api) -> Caller:
    return await api.superuser()


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["items"]]


async def crowd(app: RunningApp, count: int = 23, seed: int = 1) -> list[dict[str, Any]]:
    """Users with repeated and missing values, besides the superuser."""
    chance = random.Random(seed)
    rows = [
        {
            "full_name": chance.choice([None, "Ann", "Bob", "Cid"]),
            "last_login_at": chance.choice([None, START, START + timedelta(microseconds=1)]),
            "created_at": START + timedelta(seconds=chance.randrange(5)),
        }
        for _ in range(count)
    ]
    for row, id in zip(rows, await add_people(app, rows), strict=True):
        row["id"] = id
    return rows


def links(answer: Any) -> dict[str, str]:
    return {
        name: target for target, name in re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers.get("link", ""))
    }


# bounds and spellings


@pytest.mark.parametrize(
    "query",
    [
        *(f"page={bad}" for bad in ("0", "-1", "1e3", "1_000", "%2B1", "1.0", "", "x", "٣", "0x1", "NaN", str(2**62))),
        *(f"per_page={bad}" for bad in ("0", "-1", "1001", "1e3", "1_0", "%2B1", "", " 5", "５", str(2**31), "9" * 4400)),
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


# cursors


SORTS = [
    "created_at", "-created_at", "full_name", "-full_name", "full_name,-created_at", "-full_name,created_at",
    "last_login_at,-full_name,created_at", "-last_login_at,full_name", "email",
]  # fmt: skip


@pytest.mark.parametrize("sort", SORTS)
async def test_walk_misses_and_repeats_nothing(app: RunningApp, admin: Caller, sort: str) -> None:
    """While one walks, others insert in front, behind and in between, and delete what was seen."""
    rows = await crowd(app, 40, seed=SORTS.index(sort))
    whole = ids(await admin.get(f"users?per_page=1000&sort={sort}"))
    seen: list[str] = []
    query = f"users?per_page=6&sort={sort}"
    answer = (await admin.get(query)).json()
    for step in range(100):
        seen += [row["id"] for row in answer["items"]]
        if answer["next_cursor"] is None:
            break
        await crowd(app, 3, seed=100 + step)
        if step == 2:
            assert (
                await admin.delete(f"users/{next(id for id in seen if id != admin.id)}")
            ).status_code == 204
        answer = (await admin.get(f"{query}&cursor={answer['next_cursor']}")).json()
    assert len(seen) == len(set(seen))
    known = {row["id"] for row in rows} | {admin.id}
    assert [id for id in seen if id in known] == whole


async def test_page_size_may_change_on_the_way(app: RunningApp, admin: Caller) -> None:
    await crowd(app)
    whole = ids(await admin.get("users?per_page=1000"))
    cursor = (await admin.get("users?per_page=3")).json()["next_cursor"]
    assert ids(await admin.get(f"users?per_page=500&cursor={cursor}")) == whole[3:]


async def test_cursor_belongs_to_one_question(app: RunningApp, admin: Caller) -> None:
    await crowd(app)
    cursor = (await admin.get("users?per_page=3&sort=email&is_blocked=false")).json()["next_cursor"]
    same = "sort=email&is_blocked=false"
    assert (await admin.get(f"users?{same}&cursor={cursor}")).status_code == 200
    for other in (
        f"users?cursor={cursor}",
        f"users?sort=-email&is_blocked=false&cursor={cursor}",
        f"users?sort=email,created_at&is_blocked=false&cursor={cursor}",
        f"users?sort=email&cursor={cursor}",
        f"users?sort=email&is_blocked=true&cursor={cursor}",
        f"users?{same}&q=example&cursor={cursor}",
        f"users?{same}&role={uuid4()}&cursor={cursor}",
        f"users?{same}&deleted=true&cursor={cursor}",
        f"roles?cursor={cursor}",
        f"privileges?cursor={cursor}",
    ):
        assert_problem(await admin.get(other), 400, "bad_request")


async def test_cursor_of_another_value_of_a_filter_is_400(app: RunningApp, admin: Caller) -> None:
    await crowd(app)
    cursor = (await admin.get("users?per_page=3&q=example")).json()["next_cursor"]
    assert_problem(await admin.get(f"users?q=exampl&cursor={cursor}"), 400, "bad_request")
    assert (await admin.get(f"users?q=example&cursor={cursor}")).status_code == 200


async def test_tampered_cursor_is_400(app: RunningApp, admin: Caller) -> None:
    await crowd(app)
    cursor = (await admin.get("users?per_page=3")).json()["next_cursor"]
    assert (await admin.get(f"users?cursor={cursor}")).status_code == 200
    middle = len(cursor) // 2
    forged = "B" if cursor[middle] == "A" else "A"
    for bad in (
        cursor[:-1],
        cursor[1:],
        cursor + "A",
        cursor + "=",
        cursor + ".",
        f"{cursor[:middle]}{forged}{cursor[middle + 1 :]}",
        f"{cursor[:middle]}!{cursor[middle:]}",
        "",
        "x",
        "é",
        "null",
        "A" * 2000,
        cursor.swapcase(),
    ):
        assert_problem(await admin.get(f"users?cursor={quote(bad)}"), 400, "bad_request")


# what it costs


async def test_statements_are_pinned(api: Api, admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for who asks, one for the page with its total; a few for a detail. However many rows there are."""
    statements: list[str] = []
    run = Database._run

    async def counting(self: Database, sql: str, arguments: list[Any]) -> Any:
        statements.append(sql)
        return await run(self, sql, arguments)

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


# rendering


def every_summary() -> list[type[BaseModel]]:
    found = {shape for repository in BaseRepository.__subclasses__() for shape in repository.summaries}
    return sorted(found, key=lambda shape: shape.__name__)


SAMPLES: dict[type[Any], list[Any]] = {
    str: ["plain", 'é "quoted" \\ / \u2028 \x1f <b>', ""],
    UUID: [UUID(int=1), UUID("0198c0de-0000-7000-8000-0123456789ab"), uuid4()],
    bool: [True, False, True],
    int: [0, -5, 2**53],
    float: [0.1, 1e300, -2.5],
    Decimal: [Decimal("0.10"), Decimal("-5"), Decimal("123456789.12")],
    datetime: [START, START.replace(microsecond=120), datetime(1, 1, 1, 23, 59, 59, 999999, tzinfo=UTC)],
    date: [date(2026, 1, 2), date(1, 1, 1), date(9999, 12, 31)],
}


def sample(annotation: Any, turn: int) -> Any:
    """A value as the database gives it."""
    if (inner := nested_model(annotation)) is not None:
        return {name: sample(field.annotation, turn) for name, field in inner.model_fields.items()}
    if get_origin(annotation) is not None and type(None) in get_args(annotation):
        return (
            None if turn == 2 else sample(next(a for a in get_args(annotation) if a is not type(None)), turn)
        )
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        members = [member.value for member in annotation]
        return members[turn % len(members)]
    return SAMPLES[annotation][turn]


def test_there_are_summaries() -> None:
    assert {UserSummary, RoleSummary} <= set(every_summary())


@pytest.mark.parametrize("shape", every_summary(), ids=lambda shape: shape.__name__)
def test_fast_rendering_is_the_validated_one(shape: type[BaseModel]) -> None:
    values = [{n: sample(f.annotation, turn) for n, f in shape.model_fields.items()} for turn in range(3)]
    for query in (PageQuery(), PageQuery(cursor="x"), PageQuery(count="exact", per_page=2)):
        for total, cursor in ((3, None), (101, "abc")):
            listing = Listing(shape, values, query, total, 100, cursor)
            assert listing.to_json() == listing.to_page().model_dump_json().encode()


async def test_rendered_rows_are_valid_answers(app: RunningApp, admin: Caller) -> None:
    await crowd(app)
    shapes: dict[str, type[BaseModel]] = {"users": UserSummary, "roles": RoleSummary}
    for path, shape in shapes.items():
        answer = await admin.get(f"{path}?per_page=1000")
        page = Page[shape].model_validate_json(answer.content)  # type: ignore[valid-type]
        assert page.model_dump_json().encode() == answer.content


def test_shape_that_was_not_checked_is_refused(app: RunningApp) -> None:
    """Only shapes that start-up compared with their columns go out unvalidated."""
    from app.core.transaction import UnitOfWork
    from app.modules.privileges.repository import PrivilegeRepository

    repository = PrivilegeRepository(UnitOfWork(app.platform.database))
    with pytest.raises(TypeError, match="not among the summaries"):
        repository.page(PageQuery(), RoleSummary).send(None)
