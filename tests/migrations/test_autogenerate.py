"""A revision that Alembic writes for a changed model runs as it is, and passes the checks of the house."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import JSON, Column, DateTime, ForeignKey, Index, String, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.sql.sqltypes import AutoString

from app.core.config import ROOT
from app.core.entity import LIVE, Key, metadata
from tests.migrations.alembic_run import Migrations


@pytest.fixture
def planted_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new table and a changed column, in the models of this process."""
    table = Table(
        "figments",
        metadata,
        Column("pk", Key, primary_key=True),
        Column("id", Uuid, unique=True, nullable=False),
        Column("name", AutoString(80), nullable=False),
        Column("seen_at", DateTime(timezone=True)),
        Column("deleted_at", DateTime(timezone=True)),
        Column("extra", JSON().with_variant(JSONB(), "postgresql")),
        Column("user_pk", Key, ForeignKey("users.pk", ondelete="CASCADE"), nullable=False, index=True),
        Index("uq_figments_name_live", "name", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
    )
    monkeypatch.setattr(metadata.tables["users"].c.full_name, "type", String(300))
    yield
    metadata.remove(table)


async def written(migrated: Migrations, message: str) -> Path:
    migrated.folder.mkdir(exist_ok=True)
    made = await migrated.run(command.revision, message, autogenerate=True, version_path=str(migrated.folder))
    return Path(made.path)


@pytest.mark.usefixtures("planted_model")
async def test_written_revision_runs_both_ways(migrated: Migrations) -> None:
    await migrated.add_session(await migrated.add_user("a@example.com"))
    text = (await written(migrated, "grow")).read_text()
    assert 'batch_alter("users"' in text.replace("'", '"')
    assert "op.batch_alter_table" not in text
    await migrated.upgrade()
    await migrated.run(command.check)
    assert "figments" in await migrated.tables()
    if migrated.is_sqlite:
        assert (await migrated.constraints())["figments"] == "True"
    await migrated.downgrade("-1")
    assert "figments" not in await migrated.tables()
    assert (await migrated.count("users"), await migrated.count("sessions")) == (1, 1)
    await migrated.upgrade()
    await migrated.run(command.check)


@pytest.mark.usefixtures("planted_model")
async def test_written_revision_passes_the_checks(migrated: Migrations) -> None:
    path = await written(migrated, "grow")
    # Where revisions lie, other rules hold than elsewhere.
    name = ROOT / "alembic" / "versions" / path.name
    configuration = ["--config", str(ROOT / "ruff.toml"), "--stdin-filename", str(name), "-"]
    formatted = tool("ruff", "format", *configuration, given=path.read_text())
    linted = tool("ruff", "check", *configuration, given=formatted.stdout)
    assert linted.returncode == 0, linted.stdout
    path.write_text(formatted.stdout)
    checked = tool("mypy", "--strict", "--config-file", str(ROOT / "mypy.ini"), str(path))
    assert checked.returncode == 0, checked.stdout


async def test_nothing_changed_makes_an_empty_revision(migrated: Migrations) -> None:
    text = (await written(migrated, "nothing")).read_text()
    assert text.count("    pass\n") == 2
    await migrated.upgrade()


def tool(*command_line: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command_line],
        cwd=ROOT,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
