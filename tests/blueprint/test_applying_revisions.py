"""Revisions that the generator writes run where there are rows, on both databases, up, down and up again."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import Script
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    String,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.exc import DBAPIError

from app.core.entity import LIVE, Key, metadata
from app.core.row_steps import RowsInTheWay
from app.core.search import search_text_of
from blueprint_tool.migrating.revising import Reviser
from tests.backend import Backend
from tests.migrations.alembic_run import Migrations

CREATED = """
op.create_table("figments", sa.Column("pk", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("title", sa.String(80), nullable=False), sa.Column("size", sa.String(20), nullable=False),
    sa.Column("note", sa.String(20), nullable=True), sa.Column("deleted_at", sa.DateTime(timezone=True)),
    sa.Column("search_text", sa.Text(), nullable=False), sqlite_autoincrement=True)
op.create_index("ix_figments_title", "figments", ["title"])
"""


def now() -> list[Any]:
    """The columns as they shall be; a column belongs to one table only, so they are made anew."""
    return [
        Column("pk", Key, primary_key=True),
        Column("title", String(80), nullable=False),
        Column("size", Integer, nullable=False),
        Column("note", String(20), nullable=False),
        Column("deleted_at", DateTime(timezone=True)),
        Column("search_text", Text, nullable=False),
    ]


@pytest.fixture
def database(backend: Backend, tmp_path: Path) -> Migrations:
    return Migrations(backend.new_database(), tmp_path / "versions")


@pytest.fixture
async def scratch(database: Migrations, tmp_path: Path) -> Migrations:
    """The SQLite file on which revisions are written, with the same planted revision below."""
    database.plant("figments", CREATED, 'op.drop_table("figments")')
    made = Migrations(f"sqlite+aiosqlite:///{tmp_path}/scratch.db", database.folder)
    await made.upgrade()
    return made


@pytest.fixture
def models() -> Iterator[None]:
    """Takes the planted table out of the models again."""
    yield
    if "figments" in metadata.tables:
        metadata.remove(metadata.tables["figments"])


def reviser(**options: Any) -> Reviser:
    return Reviser(**{"tables": frozenset({"figments"}), **options})


def text_of(made: object) -> str | None:
    return Path(made.path).read_text() if isinstance(made, Script) else None


async def written(scratch: Migrations, parts: Sequence[Any], hook: Reviser) -> str | None:
    """The text of the revision; None where there was nothing to do."""
    if parts:
        Table("figments", metadata, *parts)
    made = await scratch.run(
        command.revision,
        "grow",
        autogenerate=True,
        version_path=str(scratch.folder),
        process_revision_directives=hook,
    )
    return text_of(made)


async def add(database: Migrations, *rows: tuple[str, str, str | None]) -> None:
    for title, size, note in rows:
        await database.query(
            "INSERT INTO figments (title, size, note, search_text) VALUES (:title, :size, :note, '')",
            {"title": title, "size": size, "note": note},
        )


@pytest.mark.usefixtures("models")
async def test_rows_live_through_every_kind_of_change(database: Migrations, scratch: Migrations) -> None:
    kinds: dict[str, Any] = {
        "name": String(40),
        "count": Integer,
        "price": Numeric(18, 2),
        "is_ok": Boolean,
        "at": DateTime(timezone=True),
    }
    added: list[Column[Any]] = [
        Column(name, kind, nullable=False) for name, kind in {**kinds, "key": Uuid}.items()
    ]
    live = Index("ix_figments_title", "title", sqlite_where=LIVE, postgresql_where=LIVE)
    plain = {
        "name": "it's: x",
        "count": "3",
        "price": "1.50",
        "is_ok": "0",
        "at": "1970-01-01 00:00:00",
        "key": "0" * 32,
    }
    hook = reviser(
        up={"figments": {**plain, "note": "it's: y"}},
        searches_up={"figments": ["title", "note"]},
        searches_down={"figments": ["title"]},
    )
    told = await written(scratch, [*now(), *added, live], hook)
    assert told is not None
    assert 'rows that are there get "it\'s: x" in figments.name, where they have nothing' in hook.notices
    await database.upgrade("figments")
    await add(database, ("Ädam Smith", "12", None), ("Eve", "13", "kept"))

    for _ in range(2):
        await database.upgrade()
        rows = await database.query("SELECT size, note, name, count, is_ok FROM figments ORDER BY pk")
        assert [(s, n, name, c, bool(ok)) for s, n, name, c, ok in rows] == [
            (12, "it's: y", "it's: x", 3, False),
            (13, "kept", "it's: x", 3, False),
        ]
        (found, _) = await database.query("SELECT search_text FROM figments ORDER BY pk")
        assert found == (search_text_of(["Ädam Smith", "it's: y"]),)
        assert "deleted_at IS NULL" in (await database.indexes())["ix_figments_title"]
        assert "server_default=None" in told
        with pytest.raises(DBAPIError):  # the default of the model is the program's, not the database's
            await add(database, ("x", "1", "x"))
        await database.downgrade("-1")
        rows = await database.query("SELECT size, search_text FROM figments ORDER BY pk")
        assert rows[0] == ("12", search_text_of(["Ädam Smith"]))
        assert "deleted_at" not in (await database.indexes())["ix_figments_title"]


@pytest.mark.usefixtures("models")
async def test_what_can_not_be_guessed_runs_on_an_empty_table_only(
    database: Migrations, scratch: Migrations
) -> None:
    hook = reviser(up={"figments": {"note": ""}})
    owner = Column("user_pk", Key, ForeignKey("users.pk", ondelete="CASCADE"), nullable=False)
    await written(scratch, [*now(), owner, Index("ix_figments_title", "title")], hook)
    assert "figments.user_pk must not be null and nothing can be guessed for it" in hook.notices[0]
    await database.upgrade("figments")
    await database.upgrade()
    await database.downgrade("-1")
    await add(database, ("Eve", "1", "x"))
    with pytest.raises(RowsInTheWay, match=r"^rows of figments need a user_pk and nothing can be guessed"):
        await database.upgrade()
    assert await database.query("SELECT title, size FROM figments") == [("Eve", "1")]


@pytest.mark.usefixtures("models")
async def test_column_that_goes_comes_back_filled(database: Migrations, scratch: Migrations) -> None:
    hook = reviser(down={"figments": {"size": "7"}})
    parts = [column for column in now() if column.name != "size"]
    parts[2] = Column("note", String(20))
    await written(scratch, [*parts, Index("ix_figments_title", "title")], hook)
    assert hook.notices == ["the revision drops figments.size with its values"]
    await database.upgrade("figments")
    await add(database, ("Eve", "1", None))
    await database.upgrade()
    await database.downgrade("-1")
    assert await database.query("SELECT size FROM figments") == [("7",)]


async def test_table_that_goes_comes_back_empty(database: Migrations, scratch: Migrations) -> None:
    hook = reviser()
    await written(scratch, [], hook)
    assert hook.notices == ["the revision drops the table figments with all its rows"]
    await database.upgrade()
    assert "figments" not in await database.tables()
    await database.downgrade("-1")
    await add(database, ("Eve", "1", None))
    assert await database.count("figments") == 1


@pytest.mark.usefixtures("models")
async def test_way_back_is_kept_where_a_table_goes_too(database: Migrations, scratch: Migrations) -> None:
    """Another hook works the way back out again for the sake of the table, and knows none of these steps."""
    made = "op.create_table('strays', sa.Column('pk', sa.Integer(), primary_key=True))"
    database.plant("strays", made, "op.drop_table('strays')", below="figments")
    await scratch.upgrade()
    hook = reviser(
        tables=frozenset({"figments", "strays"}),
        up={"figments": {"note": "x"}},
        searches_up={"figments": ["title", "note"]},
        searches_down={"figments": ["title"]},
        demands_up={"figments": [("title = 'gone'", "are gone")]},
        demands_down={"figments": [("title = 'back'", "are back")]},
    )
    told = await written(scratch, [*now(), Index("ix_figments_title", "title")], hook)
    assert told is not None
    await database.upgrade("strays")
    await add(database, ("Eve", "1", None), ("gone", "2", "y"))
    with pytest.raises(RowsInTheWay, match=r"^rows of figments are gone \(1 of them\)"):
        await database.upgrade()
    await database.query("UPDATE figments SET title = 'back' WHERE title = 'gone'")
    await database.upgrade()
    assert "strays" not in await database.tables()
    assert await database.query("SELECT note FROM figments ORDER BY pk") == [("x",), ("y",)]
    with pytest.raises(RowsInTheWay, match=r"^rows of figments are back \(1 of them\)"):
        await database.downgrade("-1")
    await database.query("UPDATE figments SET title = 'b' WHERE title = 'back'")
    await database.downgrade("-1")
    assert "strays" in await database.tables()
    assert (await database.query("SELECT search_text FROM figments ORDER BY pk"))[0] == (
        search_text_of(["Eve"]),
    )


@pytest.mark.usefixtures("models")
async def test_first_searched_text_of_rows_is_worked_out(database: Migrations, scratch: Migrations) -> None:
    """The column is new then, and there is nothing that it could be taken from but the others."""
    bare = 'with batch_alter("figments") as batch:\n    batch.drop_column("search_text")'
    database.plant("bare", bare, below="figments")
    await scratch.upgrade()
    filled = {"search_text": "", "note": "x", "size": "1"}
    hook = reviser(up={"figments": filled}, searches_up={"figments": ["title"]})
    await written(scratch, [*now(), Index("ix_figments_title", "title")], hook)
    assert not [notice for notice in hook.notices if "search_text" in notice]
    await database.upgrade("bare")
    await database.query("INSERT INTO figments (title, size) VALUES ('Eve', '1')")
    await database.upgrade()
    assert await database.query("SELECT search_text FROM figments") == [(search_text_of(["Eve"]),)]


async def test_tables_of_others_are_left_to_them(scratch: Migrations) -> None:
    hook = reviser(tables=frozenset({"elsewhere"}))
    assert await written(scratch, [], hook) is None
    assert hook.notices == ["the models of figments differ from the revisions too; that is left to you"]


async def test_search_is_filled_in_portions_and_told_to_sql_writers(
    database: Migrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.migration._ROWS_AT_ONCE", 2)
    database.plant("figments", CREATED, 'op.drop_table("figments")')
    fill = 'from app.core.migration import fill_search\nfill_search("figments", "title")'
    database.plant("filled", fill, below="figments")
    await database.upgrade("figments")
    await add(database, *((f"T{number}", "1", None) for number in range(5)))
    await database.upgrade()
    found = await database.query("SELECT search_text FROM figments ORDER BY pk")
    assert found == [(search_text_of([f"T{number}"]),) for number in range(5)]
    config = database.config
    config.output_buffer = database.printed
    command.upgrade(config, "figments:filled", sql=True)
    assert "-- search_text of figments is filled by a program" in database.printed.getvalue()
