"""Removing a module is deleting its folder: the next revision drops its tables, and everything else lives on.

Tried with every module that no other one needs, whatever it is called.
"""

import re
import shutil
from pathlib import Path

import pytest

from app.core.entity import table_of
from app.registry import discover
from tests.architecture.import_rules import removable_modules
from tests.architecture.sources import read_sources
from tests.backend import Backend
from tests.conftest import FULL, SECRET
from tests.program import Program, copy_project

REMOVABLE = removable_modules(read_sources())
SHORT = (
    "tests/architecture",
    "tests/migrations",
    "tests/modules/users",
    "tests/test_guard_matrix.py",
    "tests/test_snapshots.py",
)


def tables_of(module: str) -> set[str]:
    (found,) = [one for one in discover().modules if one.name == module]
    return {table_of(entity).name for entity in found.entities}


def delete(root: Path, module: str) -> None:
    """What a developer would do."""
    shutil.rmtree(root / "app" / "modules" / module)
    shutil.rmtree(root / "tests" / "modules" / module)
    (root / "seeds" / f"{module}.py").unlink(missing_ok=True)


def alembic(program: Program, *words: str) -> str:
    done = program.python("-m", "alembic", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(copy_project(tmp_path / "tessera"), {"ENVIRONMENT": "test", "SECRET_KEY": SECRET})


@pytest.mark.parametrize("module", REMOVABLE)
def test_next_revision_drops_the_tables_and_nothing_else(
    program: Program, backend: Backend, module: str
) -> None:
    program = program.but(DATABASE_URL=backend.empty_database())
    program.must("init-db")
    program.must("seed")
    revisions = program.root / "alembic" / "versions"
    known = set(revisions.glob("*.py"))
    delete(program.root, module)

    alembic(program, "revision", "--autogenerate", "-m", f"drop {module}")
    (made,) = set(revisions.glob("*.py")) - known
    upgrade, _, downgrade = made.read_text().partition("def downgrade()")
    assert set(re.findall(r"drop_table\(['\"](\w+)", upgrade)) == tables_of(module)
    assert set(re.findall(r"batch_alter\(['\"](\w+)", upgrade)) <= tables_of(module)
    assert "create_" not in upgrade
    assert set(re.findall(r"create_table\(['\"](\w+)", downgrade)) == tables_of(module)

    alembic(program, "upgrade", "head")
    alembic(program, "check")
    assert "privileges" in program.must("seed"), "privileges that nobody declares are retired"
    assert "Nothing to do" in program.must("seed")
    with program.serving(path="/health/ready") as served:
        assert served.get("/health").json()["status"] == "ok"
        document = served.get("/openapi.json").text
        assert f"/api/v1/{module}" not in document
    assert "admin@example.com" in program.must("list-users")


@pytest.mark.parametrize("module", REMOVABLE)
def test_remaining_tests_pass(program: Program, module: str) -> None:
    """With `--full` all of them, on the real servers; else those that look at everything, on SQLite."""
    delete(program.root, module)
    # The head still makes its tables: a revision drops them, as it would in the real project.
    there = program.but(DATABASE_URL=f"sqlite+aiosqlite:///{program.root}/data/there.db")
    there.must("init-db")
    alembic(there, "revision", "--autogenerate", "-m", f"drop {module}")
    quiet = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0")
    shortened = program if FULL else program.but(TEST_NO_SERVICES="1")
    collected = shortened.python(*quiet, "--collect-only")
    assert collected.returncode == 0, collected.stdout[-3000:]
    assert f"tests/modules/{module}" not in collected.stdout
    done = shortened.python(*quiet, "-x", *(() if FULL else SHORT), timeout=1800 if FULL else 300)
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout


def test_there_is_a_module_to_try_it_with() -> None:
    """Where this is skipped, nothing of the above was tried."""
    if not REMOVABLE:
        pytest.skip("every module is needed by another one")
    assert all((Path(__file__).parent / "modules" / module).is_dir() for module in REMOVABLE)
