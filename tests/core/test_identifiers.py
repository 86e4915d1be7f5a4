"""Public ids: UUIDv7, in the order in which they were made; integer keys stay inside."""

import time
from typing import Any
from uuid import UUID

import pytest

from app.core.identifiers import uuid7
from tests.api import Api, integer_keys


def test_ids_are_version_7_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    made = [uuid7() for _ in range(10_000)]
    after = time.time_ns() // 1_000_000
    assert all((id.version, id.variant) == (7, "specified in RFC 4122") for id in made)
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert before <= made[0].int >> 80 <= after + 10


def test_more_ids_than_the_counter_holds_in_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.time_ns() + 10_000_000_000
    monkeypatch.setattr("app.core.identifiers.time.time_ns", lambda: moment)
    made = [uuid7() for _ in range(9000)]
    assert made == sorted(made)
    assert len(set(made)) == 9000


def test_a_clock_that_jumps_back_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    first = uuid7()
    monkeypatch.setattr("app.core.identifiers.time.time_ns", lambda: 1_000_000_000)
    assert uuid7() > first


async def test_no_integer_key_anywhere(api: Api) -> None:
    """Every GET of the document, as the superuser; the test kit looks at all other 2xx bodies of a run."""
    admin, user = await api.superuser(), await api.user(role="regular")
    role = (await admin.get("roles")).json()["items"][0]["id"]
    values = {"user_id": user.id, "role_id": role, "code": "users:read"}
    document = (await api.get("/openapi.json")).json()
    asked = 0
    for path, item in document["paths"].items():
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", value)  # noqa: PLW2901
        asks_for_more = any(one.get("required") for one in item.get("get", {}).get("parameters", ()))
        is_log = path.startswith("/api/v1/audit")  # whose rows have the log's own numbers
        if "get" in item and "{" not in path and path.startswith("/api/") and not (asks_for_more or is_log):
            answer = await admin.get(path)
            assert answer.status_code == 200, path
            assert not integer_keys(answer.json())
            asked += 1
    assert asked >= 10
    for schema in document["components"]["schemas"].values():
        assert not [name for name in schema.get("properties", {}) if name == "pk" or name.endswith("_pk")]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"id": str(UUID(int=1)), "version": 1}, []),
        ({"items": [{"id": "x"}, {"pk": 1}]}, ["pk"]),
        ({"owner": {"owner_pk": 5}}, ["owner_pk"]),
        ({"id": 7}, ["id"]),
        ([{"role_id": 7}], ["role_id"]),
        ({"is_valid": True, "user_count": 3}, []),
    ],
)
def test_integer_keys_are_noticed(body: Any, found: list[str]) -> None:
    assert integer_keys(body) == found
