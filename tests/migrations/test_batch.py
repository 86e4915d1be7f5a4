"""Changing tables that hold data: nothing is lost but what the revision takes away."""

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.core.entity import metadata
from app.registry import discover
from tests.migrations.alembic_run import Migrations

discover()
LONGER = 'with batch_alter("users") as batch:\n    batch.alter_column("full_name", type_=sa.String(300))'
SHORTER = 'with batch_alter("users") as batch:\n    batch.alter_column("full_name", type_=sa.String(200))'
PLAIN = LONGER.replace("batch_alter", "op.batch_alter_table")
TRIGGER = (
    "CREATE TRIGGER users_watch AFTER INSERT ON users BEGIN UPDATE rbac_epoch SET value = value + 1; END"
)


async def test_keys_are_never_given_out_again(migrated: Migrations) -> None:
    keys = [await migrated.add_user(f"{n}@example.com") for n in range(3)]
    await migrated.query("DELETE FROM users WHERE pk > :pk", {"pk": keys[0]})
    migrated.plant("longer", LONGER)
    await migrated.upgrade()
    assert await migrated.add_user("new@example.com") > keys[-1]


async def test_keys_are_never_given_out_again_by_an_empty_table(migrated: Migrations) -> None:
    keys = [await migrated.add_user(f"{n}@example.com") for n in range(3)]
    await migrated.query("DELETE FROM users")
    migrated.plant("longer", LONGER)
    await migrated.upgrade()
    assert await migrated.add_user("new@example.com") > keys[-1]


async def test_table_without_counter_needs_none(migrated: Migrations) -> None:
    recreate = "always" if migrated.is_sqlite else "auto"
    column = 'batch.add_column(sa.Column("note", sa.String(9)))'
    migrated.plant("link", f'with batch_alter("user_roles", recreate="{recreate}") as batch:\n    {column}')
    await migrated.upgrade()
    assert await migrated.query("SELECT note FROM user_roles") == []


async def test_catalogue_is_the_same_after_there_and_back(migrated: Migrations) -> None:
    before = await migrated.indexes(), await migrated.constraints()
    migrated.plant("longer", LONGER, SHORTER)
    await migrated.upgrade()
    await migrated.downgrade("-1")
    assert (await migrated.indexes(), await migrated.constraints()) == before


async def test_uniqueness_outlives_the_change(migrated: Migrations) -> None:
    await migrated.add_user("a@example.com")
    migrated.plant("longer", LONGER)
    await migrated.upgrade()
    with pytest.raises(IntegrityError):
        await migrated.add_user("A@example.com")


async def test_children_outlive_the_change_of_their_parent(migrated: Migrations) -> None:
    await migrated.add_session(await migrated.add_user("a@example.com"))
    migrated.plant("longer", LONGER, SHORTER)
    await migrated.upgrade()
    assert (await migrated.count("users"), await migrated.count("sessions")) == (1, 1)
    await migrated.downgrade("-1")
    assert (await migrated.count("users"), await migrated.count("sessions")) == (1, 1)
    await migrated.query("DELETE FROM users")
    assert await migrated.count("sessions") == 0


async def test_triggers_outlive_the_change(migrated: Migrations) -> None:
    if not migrated.is_sqlite:
        return  # PostgreSQL alters tables in place
    await migrated.query(TRIGGER)
    migrated.plant("longer", LONGER)
    await migrated.upgrade()
    assert await migrated.query(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'users'"
    ) == [("users_watch",)]


async def test_plain_batch_mode_loses_all_that(migrated: Migrations) -> None:
    """Why `batch_alter` exists. When this fails, Alembic has learned it and the helper can go."""
    if not migrated.is_sqlite:
        return
    await migrated.query(TRIGGER)
    key = await migrated.add_user("a@example.com")
    await migrated.query("DELETE FROM users")
    migrated.plant("plain", PLAIN)
    await migrated.upgrade()
    assert (
        await migrated.query("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'users'")
        == []
    )
    assert "uq_users_email_live" not in await migrated.indexes()
    assert await migrated.add_user("new@example.com") == key


async def test_downgrade_leaves_other_tables_alone(migrated: Migrations) -> None:
    await migrated.add_session(await migrated.add_user("a@example.com"))
    migrated.plant(
        "grow",
        f'op.create_table("extras", sa.Column("pk", sa.Integer(), primary_key=True))\n{LONGER}',
        f'{SHORTER}\nop.drop_table("extras")',
    )
    await migrated.upgrade()
    assert "extras" in await migrated.tables()
    await migrated.downgrade("-1")
    assert await migrated.tables() == {*metadata.tables, "alembic_version"}
    assert (await migrated.count("users"), await migrated.count("sessions")) == (1, 1)


async def test_failed_revision_leaves_nothing(migrated: Migrations) -> None:
    """Both databases undo tables; all revisions of one run stand or fall together."""
    before = await migrated.query("SELECT version_num FROM alembic_version")
    migrated.plant("first", 'op.create_table("extras", sa.Column("pk", sa.Integer(), primary_key=True))')
    migrated.plant("second", 'op.execute("SELECT nothing FROM nowhere")', below="first")
    with pytest.raises(DBAPIError):
        await migrated.upgrade()
    assert "extras" not in await migrated.tables()
    assert await migrated.query("SELECT version_num FROM alembic_version") == before


async def test_revision_that_leaves_dangling_references_is_undone(migrated: Migrations) -> None:
    await migrated.add_session(await migrated.add_user("a@example.com"))
    parents = (
        "op.execute(\"INSERT INTO sessions SELECT 99, 'x', created_at, 77, 1, expires_at, last_used_at, "
        'NULL, NULL, NULL, NULL FROM sessions")'
    )
    migrated.plant(
        "dangling", parents if migrated.is_sqlite else 'op.execute("UPDATE sessions SET user_pk = 77")'
    )
    with pytest.raises((RuntimeError, IntegrityError)):
        await migrated.upgrade()
    assert await migrated.count("sessions") == 1
