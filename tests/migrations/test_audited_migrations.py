"""Revisions that change rows leave a trace: who, which tables, how many rows; and change it together or not at all."""

from typing import Any

import pytest

from tests.migrations.alembic_run import Migrations

DATA = """
op.execute("UPDATE users SET full_name = 'planted' WHERE email LIKE '%@example.com'")
op.execute(sa.text("DELETE FROM sessions"))
op.execute("UPDATE refresh_tokens SET replays = 0")  # not audited
"""
ROWS = (
    "SELECT entity, action, cause, origin, actor_type, actor_id, reason, tx_seq, request_id FROM audit_change"
    " ORDER BY id"
)


async def told(migrations: Migrations) -> list[tuple[Any, ...]]:
    return await migrations.query(ROWS)


async def summaries(migrations: Migrations) -> dict[str, Any]:
    """How many rows of each table, and how many statements."""
    find = (
        "SELECT entity, json_extract(new, '$.rows'), json_array_length(new, '$.statements') FROM audit_change"
    )
    if not migrations.is_sqlite:
        find = "SELECT entity, (new->>'rows')::int, jsonb_array_length(new->'statements') FROM audit_change"
    return {entity: (rows, statements) for entity, rows, statements in await migrations.query(find)}


async def test_a_revision_is_the_actor_of_what_it_changes(migrated: Migrations) -> None:
    await migrated.add_session(await migrated.add_user("a@example.com"))
    await migrated.add_session(await migrated.add_user("b@example.com"))
    await migrated.add_user("c@elsewhere.test")
    migrated.plant("planted1", DATA, "op.execute('DELETE FROM users')")
    await migrated.upgrade()
    common = ("BULK", "bulk", "migration", "system", "migration:planted1", "upgrade: planted")
    assert await told(migrated) == [("sessions", *common, 1, None), ("users", *common, 2, None)]
    assert await summaries(migrated) == {"sessions": (2, 1), "users": (2, 1)}
    await migrated.downgrade("-1")
    assert (await told(migrated))[2:] == [("users", *common[:-1], "downgrade: planted", 1, None)]
    assert (await summaries(migrated))["users"] == (3, 1)


async def test_each_revision_has_rows_of_its_own(migrated: Migrations) -> None:
    user = await migrated.add_user("a@example.com")
    migrated.plant("planted1", "op.execute('UPDATE users SET version = version + 1')")
    migrated.plant("planted2", "op.add_column('users', sa.Column('shoe', sa.Integer()))", below="planted1")
    migrated.plant(
        "planted3",
        "users = sa.table('users', sa.column('shoe'))\n"
        "op.get_bind().execute(users.update().values(shoe=40))\n"
        "op.execute('-- why\\nUPDATE users SET shoe = 41')",
        below="planted2",
    )
    await migrated.upgrade()
    assert [(row[0], row[5], row[7]) for row in await told(migrated)] == [
        ("users", "migration:planted1", 1),
        ("users", "migration:planted3", 2),
    ]
    assert (await summaries(migrated))["users"] == (2, 2)
    assert await migrated.query("SELECT pk, shoe FROM users") == [(user, 41)]


async def test_rows_that_are_inserted_together_are_counted(migrated: Migrations) -> None:
    migrated.plant(
        "planted1",
        "op.create_table('figments', sa.Column('word', sa.String(9), primary_key=True))\n"
        "figments = sa.table('figments', sa.column('word'))\n"
        "op.bulk_insert(figments, [{'word': word} for word in ('one', 'two', 'three')])",
    )
    await migrated.upgrade()
    assert (await summaries(migrated)) == {"figments": (3, 1)}, "no model knows it, and yet it is told"


async def test_changes_of_the_schema_are_none_of_rows(migrated: Migrations) -> None:
    await migrated.add_user("a@example.com")
    migrated.plant(
        "planted1",
        "with batch_alter('users') as batch:\n"
        "    batch.add_column(sa.Column('shoe', sa.Integer(), server_default='40'))\n"
        "    batch.alter_column('full_name', type_=sa.String(300))\n"
        "op.create_table('figments', sa.Column('word', sa.String(9), primary_key=True))\n"
        "op.execute('/* DELETE FROM users */ DROP TABLE figments')\n"
        "op.get_bind().execute(sa.text('SELECT count(*) FROM users')).scalar()",
    )
    await migrated.upgrade()
    assert await told(migrated) == []


async def test_what_a_failed_revision_did_is_told_as_little_as_done(migrated: Migrations) -> None:
    await migrated.add_user("a@example.com")
    migrated.plant("planted1", DATA)
    migrated.plant("planted2", "op.execute('SELECT nothing FROM nowhere')", below="planted1")
    with pytest.raises(Exception, match="nowhere"):
        await migrated.upgrade()
    assert await told(migrated) == []
    assert await migrated.query("SELECT full_name FROM users") == [(None,)]


async def test_a_log_that_takes_no_rows_stops_the_migration(migrated: Migrations) -> None:
    await migrated.add_user("a@example.com")
    body = "EXECUTE FUNCTION audit_refuse()"
    if migrated.is_sqlite:
        body = "BEGIN SELECT RAISE(ABORT, 'audit_change is append-only'); END"
    await migrated.query(f"CREATE TRIGGER stuffed BEFORE INSERT ON audit_change {body}")
    migrated.plant("planted1", DATA)
    with pytest.raises(Exception, match=r"append-only|does not take its row"):
        await migrated.upgrade()
    assert await migrated.query("SELECT full_name FROM users") == [(None,)]


async def test_before_there_is_a_log_nothing_is_told(migrated: Migrations) -> None:
    """Down to before the log, through a revision that changes rows."""
    await migrated.add_user("a@example.com")
    migrated.plant("planted1", "pass", "op.execute('UPDATE users SET version = 2')")
    await migrated.upgrade()
    await migrated.downgrade("0002")
    assert "audit_change" not in await migrated.tables()
    assert await migrated.query("SELECT version FROM users") == [(2,)]
