"""Contract 7, the logs as numbers."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api import Caller, assert_problem
from tests.backend import RunningApp
from tests.modules.audit.support import START, Row, add_access, add_changes, instant, walk
from tests.modules.audit.test_lists import access_row, change_row

SIZES = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
KEYS: dict[str, Any] = {
    "actor": lambda row: row["actor"]["id"] or row["actor"]["type"],
    "status_class": lambda row: f"{row['status'] // 100}xx",
    "route": lambda row: row["route"],
    "outcome": lambda row: row["outcome"],
    "action": lambda row: row["action"],
    "entity": lambda row: row["entity"],
}
GROUPS = {"access": ("actor", "status_class", "route", "outcome"), "changes": ("actor", "action", "entity")}


async def stats(caller: Caller, **params: Any) -> Row:
    answer = await caller.get("audit/stats", params=params)
    assert answer.status_code == 200, answer.text
    found: Row = answer.json()
    assert found.keys() == {"stream", "bucket", "group_by", "total", "points"}
    return found


def start_of(moment: datetime, size: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return moment - (moment - epoch) % size


@pytest.mark.parametrize("stream", ["access", "changes"])
async def test_sums_are_the_rows_of_the_list(
    app: RunningApp, auditor: Caller, unique: str, stream: str
) -> None:
    chance = random.Random(9)
    make, add = (access_row, add_access) if stream == "access" else (change_row, add_changes)
    around = [START + timedelta(minutes=chance.randrange(180), microseconds=-1) for _ in range(60)]
    await add(app, [{**make(chance), "request_id": unique, "occurred_at": moment} for moment in around])
    rows = await walk(auditor, f"audit/{stream}", request_id=unique)
    span = {"from": (START - timedelta(hours=2)).isoformat(), "to": (START + timedelta(hours=5)).isoformat()}
    asked = {"stream": stream, "request_id": unique, **span}
    for bucket, size in SIZES.items():
        found = await stats(auditor, bucket=bucket, **asked)
        expected = Counter(start_of(instant(row), size) for row in rows)
        assert {
            datetime.fromisoformat(p["at"]): p["count"] for p in found["points"] if p["count"]
        } == expected
        moments = [datetime.fromisoformat(point["at"]) for point in found["points"]]
        first = start_of(START - timedelta(hours=2), size)
        assert moments == [first + size * step for step in range(len(moments))]
        assert moments[-1] < START + timedelta(hours=5) <= moments[-1] + size
        assert found["total"] == len(rows) == 60
    for group in GROUPS[stream]:
        found = await stats(auditor, bucket="hour", group_by=group, **asked)
        counted = Counter((start_of(instant(row), SIZES["hour"]), KEYS[group](row)) for row in rows)
        assert {
            (datetime.fromisoformat(p["at"]), p["group"]): p["count"] for p in found["points"] if p["count"]
        } == counted
        assert len(found["points"]) == 7 * len({group for _, group in counted})


async def test_ends_that_are_not_given(app: RunningApp, auditor: Caller, unique: str) -> None:
    await add_access(app, [{"request_id": unique, "occurred_at": START}])
    found = await stats(auditor, stream="access", request_id=unique, bucket="day")
    assert found["points"][0] == {"at": "2026-03-01T00:00:00Z", "group": None, "count": 1}
    assert sum(point["count"] for point in found["points"]) == 1
    assert len(found["points"]) > 1
    none = await stats(auditor, stream="changes", request_id=unique, bucket="day")
    assert (none["total"], none["points"]) == (0, [])


async def test_at_most_2000_points(app: RunningApp, auditor: Caller, unique: str) -> None:
    asked = {"stream": "access", "request_id": unique, "bucket": "minute", "from": START.isoformat()}
    full = await stats(auditor, **asked, to=(START + timedelta(minutes=2000)).isoformat())
    assert len(full["points"]) == 2000
    answer = await auditor.get(
        "audit/stats", params={**asked, "to": (START + timedelta(minutes=2001)).isoformat()}
    )
    assert assert_problem(answer, 422, "validation_error")["errors"][0]["code"] == "too_many_points"
    await add_access(app, [{"request_id": unique, "route": route} for route in ("/a", "/b")])
    by_route = {**asked, "group_by": "route"}
    half = await stats(auditor, **by_route, to=(START + timedelta(minutes=1000)).isoformat())
    assert len(half["points"]) == 2000
    answer = await auditor.get(
        "audit/stats", params={**by_route, "to": (START + timedelta(minutes=1001)).isoformat()}
    )
    assert_problem(answer, 422, "validation_error")
    far = {**asked, "from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}
    assert_problem(await auditor.get("audit/stats", params=far), 422, "validation_error")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"stream": "access", "bucket": "week"},
        {"stream": "access", "group_by": "entity"},
        {"stream": "changes", "group_by": "route"},
        {"stream": "changes", "group_by": "path"},
        {"stream": "changes", "status": "200"},
        {"stream": "access", "order": "asc"},
    ],
    ids=str,
)
async def test_question_that_means_nothing_is_422(auditor: Caller, params: dict[str, str]) -> None:
    assert_problem(await auditor.get("audit/stats", params=params), 422, "validation_error")
