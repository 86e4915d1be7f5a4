"""Whatever a blueprint says that the reader takes: modules in style, whose tests pass and whose rows outlive changes.

Each seed is another blueprint with other changes. A failure tells its seed and the changes; one seed by default,
more with `--full`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from blueprint_tool.existing import existing_modules
from tests.backend import Backend
from tests.blueprint.chance import Chance, Entities
from tests.blueprint.chance_changes import Changes
from tests.blueprint.generating import Generator
from tests.conftest import FULL, SECRET
from tests.migrations.alembic_run import Migrations
from tests.program import Program, copy_project

SEEDS = range(1, 13)
ENTITIES, CHANGES = 6, 20
CACHES = (".mypy_cache/", "logs/", "data/", "alembic/versions/")  # the last ones stay, whatever is removed
QUIET = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "--tb=short")
# Kept as they are written: types that hold the same values, whatever else is said of them.
SHAPE = (("type", ""), ("precision", 18), ("scale", 2))


class Life:
    """One blueprint in a copy of the project with a database, from its first run to its end."""

    def __init__(self, seed: int, folder: Path, url: str) -> None:
        root = copy_project(folder / "tessera")
        settings = {"ENVIRONMENT": "test", "SECRET_KEY": SECRET, "DATABASE_URL": url}
        self.generator = Generator(Program(root, settings))
        self.url, self.file = url, folder / "rows.json"
        self.chance = Chance(seed, existing_modules(root))
        self.changes = Changes(self.chance)
        self.before = self.generator.contents()

    def must(self, *words: str, **settings: str) -> str:
        """Runs to the end. Asserts that it works."""
        done = self.generator.program.but(**settings).python(*words, timeout=600)
        assert done.returncode == 0, (self.changes.log, words[:3], done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout

    def new_files(self) -> list[str]:
        return sorted(path for path in self.generator.contents() if path not in self.before)

    def apply(self, entities: Entities) -> str:
        """Carries the blueprint out, twice; what was told the first time."""
        self.generator.write(entities)
        told = self.generator.must()
        assert self.generator.must().endswith("Nothing to do.\n"), self.changes.log
        return told

    def check(self) -> None:
        """Linter, format, types (which take their time) and the modules' own tests."""
        code = [path for path in self.new_files() if path.endswith((".py", ".md"))]
        python = [path for path in code if path.endswith(".py")]
        self.must("-m", "ruff", "check", "--no-cache", *code)
        self.must("-m", "ruff", "format", "--no-cache", "--check", *code)
        self.must("-m", "mypy", *python)
        folders = {
            f"tests/modules/{path.split('/')[2]}" for path in code if path.startswith("tests/modules/")
        }
        self.must(*QUIET, *sorted(folders), "tests/test_snapshots.py", TEST_NO_SERVICES="1")

    def change(self, first: Entities) -> tuple[Entities, str]:
        """Other entities, without changes that are refused; what was told of them."""
        now = self.changes.of(first, CHANGES)
        files = self.generator.contents()
        self.generator.write(now)
        refused = self.generator.run()
        if refused.returncode == 0:
            return now, refused.stdout
        lines = refused.stderr.splitlines()
        assert all("can't become" in line or "can't point to" in line for line in lines), refused.stderr
        assert self.generator.contents() == files, "a refused run has changed something"
        gone = {line.partition(":")[0] for line in lines}
        kept = [
            next(old for old in first if old["table"] == one["table"]) for one in now if one["table"] in gone
        ]
        by_table = {one["table"]: one for one in [*now, *kept]}
        now = [by_table[one["table"]] for one in now]
        return now, self.apply(now) if self.chance.takes(now) else ""

    def rows(self, way: str) -> dict[str, list[dict[str, Any]]]:
        self.must("-m", "tests.blueprint.rows_of_modules", way, self.url, str(self.file))
        found: dict[str, list[dict[str, Any]]] = json.loads(self.file.read_text())
        return found


async def stored(life: Life, entities: Entities) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the entities' tables, as the database has it."""
    database = Migrations(life.url, life.generator.root)
    statements = {one["table"]: f"SELECT * FROM {one['table']} ORDER BY pk" for one in entities}  # noqa: S608
    return {table: await database.query(statement) for table, statement in statements.items()}


async def migrate(life: Life, first: Entities) -> bool:
    """Up, down and up again with the rows there; whether it could be. Else it has changed nothing."""
    before = await stored(life, first)
    done = life.generator.program.python("-m", "alembic", "upgrade", "head", timeout=120)
    if done.returncode:
        assert "RowsInTheWay: rows of " in done.stderr, (life.changes.log, done.stderr[-3000:])
        assert await stored(life, first) == before, life.changes.log
        return False
    life.must("-m", "alembic", "check")
    return True


def compare(life: Life, first: Entities, now: Entities, was: Any, then: Any) -> None:
    """Whatever has the type that it had has the values that it had, or one where there was none."""
    for entity in now:
        old = next(one for one in first if one["table"] == entity["table"])
        before, after = (
            {a["name"]: [a.get(*part) for part in SHAPE] for a in one["attributes"]} for one in (old, entity)
        )
        same = {"id", "created_at", "version"} | {name for name in before if before[name] == after.get(name)}
        for left, right in zip(was[entity["table"]], then[entity["table"]], strict=True):
            for name in same & left.keys() & right.keys():
                assert left[name] in (right[name], None), (life.changes.log, entity["table"], name)


@pytest.mark.skipif(not FULL, reason="minutes for each seed: with --full")
@pytest.mark.parametrize("seed", SEEDS)
async def test_modules_of_any_blueprint_live_through_any_change(
    seed: int, backend: Backend, tmp_path: Path
) -> None:
    life = Life(seed, tmp_path, backend.empty_database())
    first = life.chance.blueprint(ENTITIES)
    life.apply(first)
    life.check()
    life.must("-m", "app", "init-db")
    was = life.rows("make")

    now, told = life.change(first)
    life.check()
    if "alembic/versions/" in told and await migrate(life, first):
        compare(life, first, now, was, life.rows("read"))
        life.must("-m", "alembic", "downgrade", "-1")
        life.must("-m", "alembic", "upgrade", "head")
        compare(life, first, now, was, life.rows("read"))

    done = life.generator.bare("--remove", *(one["name"] for one in now))
    assert done.returncode == 0, (life.changes.log, done.stderr)
    assert kept_of(life.generator.contents()) == kept_of(life.before)


def kept_of(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """What nothing may be left of, or missing from, when all modules are gone."""
    return {path: text for path, text in contents.items() if not path.startswith(CACHES)}
