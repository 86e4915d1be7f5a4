"""`python -m app doctor` tells each planted fault, also where nothing starts; `modules` lists what there is."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, String, Table
from sqlalchemy.engine import make_url

from app.core.entity import metadata
from app.doctor.folders import faults_of_blueprints, faults_of_folders, faults_of_snapshots
from app.migrations import differences
from app.registry import discover
from tests.backend import Backend
from tests.program import Program, copy_project, files_of

CHECKS = ["folders", "modules", "imports", "blueprints", "snapshots", "database"]
PROBES = "app/modules/probes"
PROBE = {
    "__init__.py": "",
    "service.py": "from app.modules.users.models import User\n",
    "module.py": """from app.auth.dependencies import PermissionChecker
from app.core.module import Module, Privilege
from app.core.routing import ModuleRouter

router = ModuleRouter("/probes", tags=["probes"])
privileges = (Privilege("probes:read", "…"),)
MODULE = Module(name="probes", router=router, privileges=privileges, depends_on=("roles",))
""",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """A copy into which nothing is planted."""
    return Program(copy_project(tmp_path_factory.mktemp("project") / "tessera"), {"ENVIRONMENT": "test"})


def plant(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def findings(program: Program, code: int) -> dict[str, list[str]]:
    done = program.run("doctor", "--json")
    assert done.returncode == code, (done.stdout, done.stderr)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_sound_program_is_well(project: Program, backend: Backend) -> None:
    program = project.but(DATABASE_URL=backend.new_database())
    before = files_of(program.root)
    assert findings(program, 0) == {check: [] for check in CHECKS}
    assert program.must("doctor").splitlines() == [f"{check:12}well" for check in CHECKS]
    assert files_of(program.root) == before


def test_faults_are_told_where_nothing_starts(tmp_path: Path) -> None:
    program = Program(copy_project(tmp_path / "tessera"), {"ENVIRONMENT": "test"})
    for name, text in PROBE.items():
        plant(program.root, f"{PROBES}/{name}", text)
    plant(program.root, "app/modules/broken/__init__.py", "")
    plant(program.root, "app/modules/broken/module.py", "MODULE = (\n")
    assert program.run("routes").returncode != 0

    found = findings(program, 1)

    assert "broken: does not load: SyntaxError" in found["modules"][0]
    assert found["modules"][1:] == ["probes: no route asks for probes:read"]
    assert found["imports"] == [
        "app/modules/broken/module.py:1 is no Python: '(' was never closed",
        f"{PROBES}/service.py imports app.modules.users.models: only services and schemas of users are for others",
        "probes uses users without listing it in depends_on",
        "probes lists roles in depends_on without using it",
    ]
    assert found["database"] == ["not compared with the models, because the modules above are faulty"]
    told = program.run("doctor")
    assert (told.returncode, told.stderr) == (1, "")
    assert "modules     wrong\n  - broken: does not load: SyntaxError" in told.stdout


def test_database_that_is_missing_behind_or_away_is_told(project: Program, tmp_path: Path) -> None:
    program = project.but(DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/data.db")
    assert findings(program, 1)["database"] == [f"{tmp_path}/data.db is not there yet: python -m app init-db"]
    assert not (tmp_path / "data.db").exists()
    away = program.but(DATABASE_URL="postgresql+asyncpg://nobody:hidden@127.0.0.1:9/none")
    (line,) = findings(away, 1)["database"]
    assert line.startswith("can't be compared: ")
    assert "hidden" not in line
    assert "DATABASE_URL" in "".join(findings(program.but(DATABASE_URL="mysql://x"), 1)["database"])


@pytest.fixture
def planted_models(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    table = Table("figments", metadata, Column("pk", Integer, primary_key=True))
    monkeypatch.setattr(metadata.tables["users"].c.full_name, "type", String(300))
    yield
    metadata.remove(table)


@pytest.mark.usefixtures("planted_models")
async def test_models_ahead_of_the_revisions_are_told(backend: Backend) -> None:
    found = await differences(make_url(backend.new_database()))
    assert found == [
        "the database lacks the table figments: no revision says so yet",
        "users.full_name differs from the model (type): no revision says so yet",
    ]


async def test_database_behind_the_revisions_is_told(backend: Backend) -> None:
    url = make_url(backend.empty_database())
    assert await differences(url) == ["Target database is not up to date: python -m app init-db"]


async def test_columns_and_indexes_are_told_by_name(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = metadata.tables["users"]
    url = make_url(backend.new_database())
    assert await differences(url) == []
    monkeypatch.setattr(users, "indexes", {one for one in users.indexes if "created_at" not in str(one.name)})
    gone = [line for line in await differences(url) if "and the models have not" in line]
    assert all(line.endswith(" of users: no revision says so yet") for line in gone)
    assert gone


def test_folders_without_their_files_are_told(tmp_path: Path) -> None:
    plant(tmp_path, "app/modules/ghosts/models.py", "")
    plant(tmp_path, "app/modules/sound/__init__.py", "")
    plant(tmp_path, "app/modules/sound/module.py", "")
    plant(tmp_path, "app/modules/leftover/__pycache__/x.pyc", "")
    assert list(faults_of_folders(tmp_path)) == [
        "app/modules/ghosts has no __init__.py",
        "app/modules/ghosts has no module.py",
    ]


def test_missing_and_orphaned_snapshots_are_told(tmp_path: Path) -> None:
    users = [module for module in discover().modules if module.name == "users"]
    assert list(faults_of_snapshots(tmp_path, users)) == [], "where no tests are shipped"
    plant(tmp_path, "tests/modules/ghosts/routes.txt", "")
    plant(tmp_path, "tests/modules/users/routes.txt", "")
    (tmp_path / "app" / "modules" / "users").mkdir(parents=True)
    missing, orphan = faults_of_snapshots(tmp_path, users)
    assert missing.startswith("tests/modules/users/openapi.json is missing: UPDATE_SNAPSHOTS=1")
    assert orphan == "tests/modules/ghosts/routes.txt belongs to no module"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"tables": ["users"], "files": {"app/x.py": ""}}', []),
        ('{"tables": ["users"], "files": {"docs/x.md": ""}}', []),
        ('{"tables": ["users"], "files": {"app/y.py": ""}}', [" lists app/y.py, which is not there"]),
        ('{"tables": [], "files": {}}', [" does not know the table users"]),
        ("{", [" is damaged: take it from version control again"]),
        ("{}", [" is damaged: take it from version control again"]),
    ],
)
def test_blueprints_that_disagree_with_files_are_told(tmp_path: Path, text: str, told: list[str]) -> None:
    """What is not shipped (`docs`, in an image) is not missed."""
    users = [module for module in discover().modules if module.name == "users"]
    plant(tmp_path, "app/modules/users/blueprint.json", text)
    plant(tmp_path, "app/x.py", "")
    expected = [f"app/modules/users/blueprint.json{line}" for line in told]
    assert list(faults_of_blueprints(tmp_path, users)) == expected


def test_modules_are_listed_with_what_they_declare(project: Program) -> None:
    program = project.but(DATABASE_URL="postgresql+asyncpg://nobody@127.0.0.1:9/none")
    rows = {row["name"]: row for row in json.loads(program.must("modules", "--json"))}
    assert list(rows) == [module.name for module in discover().modules]
    assert rows["users"]["depends_on"] == ["roles"]
    assert rows["users"]["tables"] == ["users"]
    assert "users:block" in rows["users"]["privileges"]
    assert "GET /api/v1/users/me" in rows["users"]["routes"]
    told = program.must("modules")
    assert "\nusers\n  depends on  roles\n  tables      users\n" in told
