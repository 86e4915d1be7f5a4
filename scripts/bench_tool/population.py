"""The rows that are measured: ten thousand items of a hundred owners, in the migrated tables of the program."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg

from app.core.identifiers import uuid7
from app.core.search import END_OF_FIRST, marked
from bench_tool.operations import ADMIN_EMAIL, Subject

ITEMS = 10_000
OWNERS = 100
ASKED_FOR = 1_000
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_USER_COLUMNS = (
    "id", "email", "full_name", "password_hash", "is_blocked", "auth_version", "rights_version",
    "search_text", "created_at", "updated_at", "version",
)  # fmt: skip
_ITEM_COLUMNS = (
    "id", "title", "description", "search_text", "owner_pk", "created_at", "updated_at", "version",
)  # fmt: skip


def populate(url: str) -> Subject:
    """Fills a migrated and seeded database; the rows to ask for."""
    return asyncio.run(_populate(url))


async def _populate(url: str) -> Subject:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.copy_records_to_table("users", records=_users(), columns=_USER_COLUMNS)
        owners = [row["pk"] for row in await connection.fetch("SELECT pk FROM users ORDER BY pk")]
        items = item_rows(owners)
        await connection.copy_records_to_table("items", records=items, columns=_ITEM_COLUMNS)
        await connection.execute("VACUUM ANALYZE")
        user = await connection.fetchrow("SELECT id, pk FROM users WHERE email = $1", ADMIN_EMAIL)
    finally:
        await connection.close()
    ids = tuple(str(item[0]) for item in items[:: ITEMS // ASKED_FOR])
    return Subject(ids, str(user["id"]), user["pk"])


def _users() -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for number in range(OWNERS):
        email, name = f"owner{number}@example.com", f"Owner {number}"
        text = search_text(email, name)
        rows.append((uuid7(), email, name, "!", False, 1, number, text, _FIRST, _FIRST, 1))
    return rows


def item_rows(owners: list[int]) -> list[tuple[object, ...]]:
    """The rows of the items, a second apart, their owners in turn."""
    rows: list[tuple[object, ...]] = []
    for number in range(ITEMS):
        title, description = f"Item {number} of the benchmark", f"Text number {number}. " * 5
        moment = _FIRST + timedelta(seconds=number)
        owner, text = owners[number % len(owners)], search_text(title, description)
        rows.append((uuid7(), title, description, text, owner, moment, moment, 1))
    return rows


def search_text(first: str, second: str) -> str:
    """What the program derives for a row with these two texts."""
    return marked(first) + END_OF_FIRST + marked(second)
