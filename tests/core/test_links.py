"""Link tables, and keys of rows that others refer to."""

from uuid import UUID, uuid4

import pytest

from app.core.context import acting_as
from app.core.errors import Invalid
from app.core.links import Links
from app.core.transaction import UnitOfWork
from app.modules.roles.models import UserRole
from app.modules.roles.repository import RoleRepository
from app.modules.users.repository_keys import UserKeyRepository
from app.modules.users.service_keys import UserKeyService
from tests.api import Api
from tests.backend import RunningApp


async def test_links_are_replaced_as_a_set(app: RunningApp, api: Api) -> None:
    user = await api.user("users:read")
    uow = UnitOfWork(app.platform.database)
    links, roles, users = (
        Links(uow, UserRole, "user_pk", "role_pk"),
        RoleRepository(uow),
        UserKeyRepository(uow),
    )
    with acting_as("test", origin="job"):
        async with uow.transaction():
            row = await users.get(UUID(user.id))
            assert row.pk is not None
            wanted = sorted([(await roles.seeded())[0].id, (await roles.seeded())[1].id])
            keys = await roles.keys_of([*wanted, wanted[0]], "role_ids")
            assert await links.replace(row, keys) is True
            assert await links.replace(row, keys[::-1]) is False
            assert await links.ids(row.pk) == wanted
            await roles.delete(await roles.get(wanted[0]))
        assert await links.ids(row.pk) == wanted[1:], "what is deleted is left out"
        async with uow.transaction():
            assert await links.replace(row, []) is True
    assert await links.ids(row.pk) == []


async def test_unknown_and_deleted_are_told_by_their_places(app: RunningApp, api: Api) -> None:
    user, gone = await api.user(), await api.user()
    await (await api.superuser()).delete(f"users/{gone.id}")
    uow = UnitOfWork(app.platform.database)
    service = UserKeyService(uow)
    with acting_as("test", origin="job"):
        async with uow.transaction():
            key = await service.key_of(UUID(user.id), "keeper_id")
            assert await service.keys_of([UUID(user.id)] * 2, "keeper_ids") == [key]
            for unknown in (uuid4(), UUID(gone.id)):
                with pytest.raises(Invalid) as one:
                    await service.key_of(unknown, "keeper_id")
                with pytest.raises(Invalid) as several:
                    await service.keys_of([UUID(user.id), unknown], "keeper_ids")
                assert [e["loc"] for e in one.value.errors] == [["body", "keeper_id"]]
                assert [(e["loc"], e["code"]) for e in several.value.errors] == [
                    (["body", "keeper_ids", 1], "unknown")
                ]


async def test_what_belongs_to_a_row_counts_as_a_change_of_it(app: RunningApp, api: Api) -> None:
    user = await api.user()
    uow = UnitOfWork(app.platform.database)
    users = UserKeyRepository(uow)
    with acting_as("test", origin="job"):
        async with uow.transaction():
            row = await users.get(UUID(user.id))
            before = row.version
            await users.update(row, {"full_name": row.full_name})
            assert row.version == before
            await users.update(row, {}, touched=True)
            assert row.version == before + 1
