"""Who may read the logs."""

import pytest

from tests.api import Api, Caller


@pytest.fixture
async def auditor(api: Api) -> Caller:
    """Somebody with the seeded role."""
    return await api.user(role="auditor")
