"""Contract 1, lists: a cursor misses and repeats nothing, and belongs to one question."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.api import Api, Caller, assert_problem
from tests.backend import RunningApp
from tests.core.people import crowd


@pytest.fixture
async def admin(api: Api) -> Caller:
    return await api.superuser()


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["items"]]


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
