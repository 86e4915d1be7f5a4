"""Users by the hundred for tests of lists, without a password each."""

from collections.abc import Iterable
from typing import Any

from app.core.clock import now
from app.core.entity import table_of
from app.core.identifiers import uuid7
from app.core.search import END_OF_FIRST, marked
from app.modules.users.models import User, new_stamp
from tests.backend import RunningApp


async def add_people(app: RunningApp, people: Iterable[dict[str, Any]]) -> list[str]:
    """Inserts users with these columns (others get defaults); returns their ids."""
    rows = [_row(index, columns) for index, columns in enumerate(people)]
    async with app.platform.database.writer.begin() as connection:
        await connection.execute(table_of(User).insert(), rows)
    return [str(row["id"]) for row in rows]


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
