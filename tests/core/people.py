"""Users by the hundred without a password each, and a look into the gates before the pools."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from app.core.clock import now
from app.core.database import Gate
from app.core.entity import table_of
from app.core.errors import Unavailable
from app.core.identifiers import uuid7
from app.core.search import END_OF_FIRST, marked
from app.modules.users.models import User, new_stamp
from tests.backend import RunningApp

START = datetime(2026, 1, 1, tzinfo=UTC)


async def add_people(app: RunningApp, people: Iterable[dict[str, Any]]) -> list[str]:
    """Inserts users with these columns (others get defaults); returns their ids."""
    rows = [_row(index, columns) for index, columns in enumerate(people)]
    async with app.unseen() as connection:
        await connection.execute(table_of(User).insert(), rows)
    return [str(row["id"]) for row in rows]


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


async def ask(app: RunningApp, method: str, url: str, **options: Any) -> httpx2.Response:
    """Without the checks of the test kit."""
    transport = httpx2.ASGITransport(app=app.app, raise_app_exceptions=False, client=("127.0.0.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, url, **options)


async def take_all(gate: Gate) -> int:
    """Goes in until nobody more is let in; returns how many places were free."""
    taken = 0
    try:
        while True:
            await gate.__aenter__()
            taken += 1
    except Unavailable:
        return taken


async def give_back(gate: Gate, places: int) -> None:
    """Leaves these places."""
    for _ in range(places):
        await gate.__aexit__(None, None, None)


def _row(index: int, columns: dict[str, Any]) -> dict[str, Any]:
    moment, id = now(), uuid7()
    row = {
        "id": id,
        "email": f"{id.hex}-{index}@example.com",
        "full_name": None,
        "password_hash": "!",
        "is_blocked": False,
        "blocked_reason": None,
        "last_login_at": None,
        "auth_version": 1,
        "rights_version": new_stamp(),
        "created_at": moment,
        "created_by": None,
        "updated_at": moment,
        "updated_by": None,
        "deleted_at": None,
        "deleted_by": None,
        "version": 1,
        **columns,
    }
    row["search_text"] = marked(row["email"]) + END_OF_FIRST + marked(row["full_name"] or "")
    return row
