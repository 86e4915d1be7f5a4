"""Who may read the logs; and the one exception from the rule that ids are no integers."""

from typing import Any

import pytest

from tests import api as kit
from tests.api import Api, Caller

NUMBERED = {"occurred_at", "horizon_id", "last_change_id", "previous_id"}
every_integer_key = kit.integer_keys


def integer_keys(value: Any) -> list[str]:
    """Rows of the logs bear the logs' own numbers: their order is what they prove."""
    if isinstance(value, dict) and NUMBERED & value.keys():
        numbers = {"id", "horizon_id", "last_change_id", "previous_id", "next_id"}
        value = {name: inner for name, inner in value.items() if name not in numbers}
        return [found for inner in value.values() for found in integer_keys(inner)]
    if isinstance(value, dict):
        plain = {name: inner for name, inner in value.items() if not isinstance(inner, dict | list)}
        nested = [inner for inner in value.values() if isinstance(inner, dict | list)]
        return every_integer_key(plain) + [found for inner in nested for found in integer_keys(inner)]
    return [found for inner in value for found in integer_keys(inner)] if isinstance(value, list) else []


@pytest.fixture(autouse=True)
def _logs_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit, "integer_keys", integer_keys)


@pytest.fixture
async def auditor(api: Api) -> Caller:
    """Somebody with the seeded role."""
    return await api.user(role="auditor")
