"""Removing a module is deleting its folder: the next revision drops its tables, and everything else lives on.

Tried with every module that no other one needs, whatever it is called.
"""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from app.commands import seed_database
from app.core.entity import table_of
from app.registry import discover
from tests.architecture.import_rules import removable_modules
from tests.architecture.sources import read_sources
from tests.backend import Backend
from tests.conftest import FULL, SECRET, settings_for
from tests.program import Program, copy_project

REMOVABLE = removable_modules(read_sources())
# What looks at everything; without what is the same in any tree.
SHORT = (
    "(architecture or test_schema or test_without_credential_is_401 or test_snapshots)"
    " and not planted and not three_processes"
)


def tables_of(module: str) -> set[str]:
    (found,) = [one for one in discover().modules if one.name == module]
    return {table_of(entity).name for entity in found.entities}


def delete(root: Path, module: str) -> None:
    """What a developer would do."""
    shutil.rmtree(root / "app" / "modules" / module)
    shutil.rmtree(root / "tests" / "modules" / module)
    (root / "seeds" / f"{module}.py").unlink(missing_ok=True)


ALEMBIC = """
import sys
from alembic.config import main
for words in sys.argv[1:]:
    main(words.split())
"""


def alembic(program: Program, *commands: str) -> None:
    """Several commands of one process: its start takes longer than all of them."""
    done = program.python("-c", ALEMBIC, *commands)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(copy_project(tmp_path / "tessera"), {"ENVIRONMENT": "test", "SECRET_KEY": SECRET})


@pytest.mark.parametrize("module", REMOVABLE)
def test_next_revision_drops_the_tables_and_nothing_else(
    program: Program, backend: Backend, module: str
) -> None:
    url = backend.new_database()
    asyncio.run(seed_database(settings_for(url, "")))
    program = program.but(DATABASE_URL=url)
    revisions = program.root / "alembic" / "versions"
    known = set(revisions.glob("*.py"))
    delete(program.root, module)

    alembic(program, f"revision --autogenerate -m drop_{module}")
    (made,) = set(revisions.glob("*.py")) - known
    upgrade, _, downgrade = made.read_text().partition("def downgrade()")
    assert set(re.findall(r"drop_table\(['\"](\w+)", upgrade)) == tables_of(module)
    assert set(re.findall(r"batch_alter\(['\"](\w+)", upgrade)) <= tables_of(module)
    assert "create_" not in upgrade
    assert set(re.findall(r"create_table\(['\"](\w+)", downgrade)) == tables_of(module)

    alembic(program, "upgrade head", "check")
    assert "privileges" in program.must("seed"), "privileges that nobody declares are retired"
    if backend.name == "postgres":
        return  # what follows differs in nothing but time
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
    alembic(there, "upgrade head", f"revision --autogenerate -m drop_{module}")
    quiet = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "-x")
    if FULL:
        done = program.python(*quiet, timeout=1800)
    else:  # all are collected, which imports them; few are run
        done = program.but(TEST_NO_SERVICES="1").python(*quiet, "-k", SHORT, timeout=300)
    assert done.returncode == 0, done.stdout[-5000:]
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 100


def test_there_is_a_module_to_try_it_with() -> None:
    """Where this is skipped, nothing of the above was tried."""
    if not REMOVABLE:
        pytest.skip("every module is needed by another one")
    assert all((Path(__file__).parent / "modules" / module).is_dir() for module in REMOVABLE)
