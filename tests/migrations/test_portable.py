from typing import Any

import pytest
from alembic.operations.ops import (
    AddColumnOp,
    CreateIndexOp,
    CreateTableOp,
    DowngradeOps,
    DropTableOp,
    MigrationScript,
    ModifyTableOps,
    UpgradeOps,
)
from sqlalchemy import (
    CHAR,
    DATETIME,
    TIMESTAMP,
    UUID,
    VARCHAR,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, asyncpg
from sqlalchemy.dialects.sqlite import aiosqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeEngine

from app.core.portable import make_portable, portable_type


def dialects() -> dict[str, Dialect]:
    kinds: Any = (aiosqlite.dialect, asyncpg.dialect)  # classes without annotations
    return {kind.name: kind() for kind in kinds}


@pytest.mark.parametrize("dialect", dialects().values(), ids=dialects())
@pytest.mark.parametrize(
    ("name", "reflected", "expected"),
    [
        ("id", CHAR(32), {"sqlite": "CHAR(32)", "postgresql": "UUID"}),
        ("id", UUID(), {"sqlite": "CHAR(32)", "postgresql": "UUID"}),
        ("pk", Integer(), {"sqlite": "INTEGER", "postgresql": "BIGINT"}),
        ("owner_pk", Integer(), {"sqlite": "INTEGER", "postgresql": "BIGINT"}),
        ("at", DATETIME(), {"sqlite": "DATETIME", "postgresql": "TIMESTAMP WITH TIME ZONE"}),
        (
            "at",
            TIMESTAMP(timezone=True),
            {"sqlite": "DATETIME", "postgresql": "TIMESTAMP WITH TIME ZONE"},
        ),
        ("data", JSONB(), {"sqlite": "JSON", "postgresql": "JSONB"}),
        ("code", CHAR(3), {"sqlite": "CHAR(3)", "postgresql": "CHAR(3)"}),
        ("title", VARCHAR(200), {"sqlite": "VARCHAR(200)", "postgresql": "VARCHAR(200)"}),
        ("count", Integer(), {"sqlite": "INTEGER", "postgresql": "INTEGER"}),
    ],
)
def test_reflected_types_become_those_of_models(
    name: str, reflected: TypeEngine[object], expected: dict[str, str], dialect: Dialect
) -> None:
    made = portable_type(Column(name, reflected))
    assert made.compile(dialect=dialect) == expected[dialect.name]


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "b", "a"), ("b", "a", "c"), ("b", "c", "a")])
def test_tables_go_before_what_they_refer_to_and_come_back_after_it(order: tuple[str, ...]) -> None:
    """`c` refers to `b`, `b` to `a` and to itself; indexes go with their tables."""
    metadata = MetaData()
    Table("a", metadata, Column("pk", Integer, primary_key=True))
    Table(
        "b",
        metadata,
        Column("pk", Integer, primary_key=True),
        Column("a_pk", ForeignKey("a.pk")),
        Column("b_pk", ForeignKey("b.pk")),
    )
    Table("c", metadata, Column("b_pk", ForeignKey("b.pk"), primary_key=True))
    other = ModifyTableOps("users", [])
    ops: list[Any] = [other]
    for name in order:
        ops += [ModifyTableOps(name, []), DropTableOp.from_table(metadata.tables[name])]
    up, down = UpgradeOps(ops), DowngradeOps([])
    make_portable(None, None, [MigrationScript("0002", up, down)])
    assert up.ops[0] is other
    assert [(type(op), getattr(op, "table_name", "")) for op in up.ops[1:]] == [
        (kind, name) for name in "cba" for kind in (ModifyTableOps, DropTableOp)
    ]
    assert [op.table_name for op in down.ops if isinstance(op, CreateTableOp)] == ["a", "b", "c"]


def test_the_way_back_is_rewritten_wherever_it_stands() -> None:
    table = CreateTableOp("figments", [Column("pk", Integer()), Column("at", DATETIME())])
    added = AddColumnOp("figments", Column("seen_at", DATETIME()))
    partial = CreateIndexOp("ix", "figments", ["at"], sqlite_where=text("deleted_at IS NULL"))
    whole = CreateIndexOp("iy", "figments", ["at"])
    down = DowngradeOps([table, ModifyTableOps("figments", [added, partial, whole])])
    make_portable(None, None, [MigrationScript("0002", UpgradeOps([]), down)])
    assert table.kw["sqlite_autoincrement"] is True
    for column in (table.columns[1], added.column):
        assert isinstance(column, Column)
        assert column.type.compile(dialect=dialects()["postgresql"]) == "TIMESTAMP WITH TIME ZONE"
    assert str(partial.kw["postgresql_where"]) == "deleted_at IS NULL"
    assert "postgresql_where" not in whole.kw


def test_a_condition_that_came_as_a_string_is_a_clause_on_both() -> None:
    index = CreateIndexOp("ix", "figments", ["at"], postgresql_where="(deleted_at IS NULL)")
    make_portable(None, None, [MigrationScript("0002", UpgradeOps([]), DowngradeOps([index]))])
    assert {str(type(index.kw[name]).__name__) for name in ("sqlite_where", "postgresql_where")} == {
        "TextClause"
    }
