"""The demo's items: owned by its people, believable, made once."""

from collections import Counter

from sqlmodel import select

from app.core.transaction import UnitOfWork
from app.modules.items.models import Item
from app.modules.users.models import User
from seeds.field import discover
from seeds.seed_create_app import sow
from seeds.users import DOMAIN
from tests.backend import Backend, run_app
from tests.conftest import settings_for


async def test_items_are_made_once(backend: Backend) -> None:
    settings = settings_for(backend.new_database(), "")
    counts = {"roles": 7, "users": 30, "items": 300}
    assert await sow(settings, counts) == counts
    assert await sow(settings, counts) == {"roles": 0, "users": 0, "items": 0}
    async with run_app(settings) as app, UnitOfWork(app.platform.database).transaction() as session:
        items = (await session.exec(select(Item))).all()
        users = {user.pk: user for user in (await session.exec(select(User))).all()}
    assert len(items) == 300
    assert len({item.title for item in items}) > 200
    assert 0 < len([item for item in items if item.deleted_at]) < 60
    assert any(item.description is None for item in items)
    for item in items:
        owner = users[item.owner_pk]
        assert owner.email.endswith(DOMAIN)
        assert owner.deleted_at is None
        assert owner.created_at <= item.created_at <= item.updated_at
        assert item.created_by == owner.id
        assert item.search_text
    assert Counter(item.owner_pk for item in items).most_common(1)[0][1] > 20


async def test_without_people_there_are_no_items(backend: Backend) -> None:
    settings = settings_for(backend.new_database(), "")
    assert (await sow(settings, {"roles": 0, "users": 0, "items": 10}))["items"] == 0


def test_default_is_ten_thousand() -> None:
    assert {seed.name: seed.count for seed in discover()}["items"] == 10_000
