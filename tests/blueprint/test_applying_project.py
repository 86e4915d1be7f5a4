"""The generator in a copy of the project: what it makes works, and what people made stays.

Copies are taken of one project in which the modules lie already, so that only one test waits for them to be made.
"""

import re
import shutil
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.backend import Backend
from tests.blueprint.generating import Generator, harbour
from tests.conftest import SECRET
from tests.program import Program, copy_project

MODULES = ("fog_signals", "keepers", "lighthouses")
SERVICE = "app/modules/lighthouses/service.py"
SCHEMAS = "app/modules/lighthouses/schemas.py"
HAND_MADE = '''
    async def light(self,  id: UUID) -> str:
        """Not formatted, on purpose: \\x41."""
        return  f"{id} is lit"  # by hand
'''
ADMIN = {"email": "admin@example.com", "password": "ChangeMe123!"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """The project with the three modules. Not to be changed."""
    root = copy_project(tmp_path_factory.mktemp("made") / "tessera")
    generator = Generator(Program(root, {"ENVIRONMENT": "test", "SECRET_KEY": SECRET}))
    generator.write(harbour())
    before = generator.contents()
    told = generator.must()
    after = generator.contents()
    assert {path: after[path] for path in before} == before, "a file that was there has changed"
    assert "Serve it: python3 scripts/dev.py run" in told
    return generator


@pytest.fixture
def generator(made: Generator, tmp_path: Path) -> Generator:
    """A copy of it with a blueprint of its own."""
    shutil.copytree(made.root, tmp_path / "tessera")
    copied = Generator(Program(tmp_path / "tessera", made.program.settings))
    copied.write(harbour())
    return copied


def new_files(made: Generator) -> set[str]:
    known = Path(__file__).resolve().parents[2]
    return {path for path in made.contents() if not (known / path).exists()}


def test_only_files_of_the_modules_are_new(made: Generator) -> None:
    def is_own(path: str) -> bool:
        return any(module in path.replace(".", "/").split("/") for module in MODULES)

    others = {path for path in new_files(made) if not is_own(path)}
    assert len(others) == 1
    assert others.pop().startswith("alembic/versions/")


def test_once_more_changes_nothing_and_brings_nothing_back(generator: Generator) -> None:
    before = generator.contents()
    assert generator.must().endswith("Nothing to do.\n")
    assert generator.must("--check").endswith("Blueprint and code agree.\n")
    assert generator.contents() == before
    page = "docs/modules/keepers.md"
    (generator.root / page).unlink()
    assert f"{page}: deleted by hand, stays away" in generator.must()
    assert not (generator.root / page).exists()


def test_made_modules_pass_the_checks(generator: Generator) -> None:
    """Linter, format, types and contracts; their own tests are the next one's."""
    shutil.rmtree(generator.root / "tests" / "blueprint")  # which name the modules, as no other file may
    program, changed = generator.program, sorted(new_files(generator))
    code = [path for path in changed if path.endswith((".py", ".md"))]
    python = [path for path in code if path.endswith(".py")]
    for command in (("ruff", "check", *code), ("ruff", "format", "--check", *code), ("mypy", *python)):
        done = program.python("-m", *command, timeout=300)
        assert done.returncode == 0, done.stdout
    quiet = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0")
    done = program.python(
        *quiet, "tests/architecture/test_contracts.py", "-k", "contract_is_kept", timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_tests_of_made_modules_pass(generator: Generator) -> None:
    quiet = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0")
    own = [f"tests/modules/{module}" for module in MODULES]
    program = generator.program.but(TEST_NO_SERVICES="1")
    done = program.python(*quiet, *own, "tests/test_snapshots.py", timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]


def to_and_fro(program: Program) -> None:
    """Up, down, up again, and then nothing is left to do. In one process, because each takes its time to start."""
    ways = ("upgrade", "head"), ("downgrade", "-1"), ("upgrade", "head"), ("check",)
    script = "from alembic.config import main\n" + "".join(f"main({list(words)})\n" for words in ways)
    done = program.python("-c", script, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("No new upgrade operations detected.\n")


class Client:
    """Somebody who calls the running program."""

    def __init__(self, url: str, credentials: dict[str, str]) -> None:
        self._url, self._headers = url, dict[str, str]()
        token = self.call("POST", "auth/login", 200, credentials)["access_token"]
        self._headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, status: int, body: object = None) -> Any:
        """The answer. Asserts its status."""
        address = f"{self._url}/api/v1/{path}"
        answer = httpx2.request(method, address, json=body, headers=self._headers, timeout=20)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
def migrated(generator: Generator, backend: Backend) -> Generator:
    """The three modules on a database that went up, down and up again, with nothing left to do."""
    generator.program.settings["DATABASE_URL"] = backend.empty_database()
    to_and_fro(generator.program)
    generator.program.must("seed")
    return generator


def test_calls_are_guarded_and_audited_and_a_later_attribute_works(migrated: Generator) -> None:
    with migrated.program.serving(path="/health/ready") as served:
        admin = Client(served.url, ADMIN)
        assert httpx2.get(f"{served.url}/api/v1/lighthouses").status_code == 401
        stranger = {"email": "eve@example.com", "password": "a long walk in the rain"}
        admin.call("POST", "users", 201, {**stranger, "full_name": "Eve", "role_ids": []})
        Client(served.url, stranger).call("POST", "lighthouses", 403, {"title": "x", "height": "1"})
        light = admin.call("POST", "lighthouses", 201, {"title": "Roter Sand", "height": "28.10"})
        admin.call("POST", "lighthouses", 409, {"title": "Roter Sand", "height": "1"})
        keeper = admin.call("POST", "keepers", 201, {"badge": "7", "lighthouse_id": light["id"]})
        admin.call("POST", "fog-signals", 201, {"pattern": "-- --", "heard_by_ids": [keeper["id"]]})
        found = admin.call("GET", "lighthouses/search?q=sand", 200)["items"]
        assert [row["id"] for row in found] == [light["id"]]
        changes = admin.call("GET", f"audit/entities/lighthouses/{light['id']}/history", 200)["items"]
        assert len(changes) == 1

    migrated.edit(SERVICE, lambda text: text + HAND_MADE)
    entities = harbour()
    entities[0]["attributes"].append(
        {"name": "colour", "type": "string", "default": "red", "searchable": True}
    )
    migrated.write(entities)
    assert "note: rows that are there get 'red' in lighthouses.colour" in migrated.must()
    assert migrated.read(SERVICE).endswith(HAND_MADE)
    to_and_fro(migrated.program)
    with migrated.program.serving(path="/health/ready") as served:
        admin = Client(served.url, ADMIN)
        path = f"lighthouses/{light['id']}"
        assert admin.call("GET", path, 200)["colour"] == "red"
        assert admin.call("GET", "lighthouses/search?q=red", 200)["total"] == 1
        assert admin.call("PATCH", path, 200, {"colour": "green"})["colour"] == "green"


def test_check_is_red_for_a_blueprint_that_is_ahead_until_it_is_carried_out(generator: Generator) -> None:
    generator.edit(SERVICE, lambda text: text + HAND_MADE)
    assert generator.must("--check")
    entities = harbour()
    entities[1]["attributes"][0]["max_length"] = 50
    generator.write(entities)
    before = generator.contents()
    checked = generator.run("--check")
    assert checked.returncode == 3
    assert "keepers                 changed" in checked.stdout
    dry = generator.run("--dry-run")
    assert dry.returncode == 0
    assert '+    convert("keepers", "badge", ' in dry.stdout
    assert "+++ b/app/modules/keepers/models.py" in dry.stdout
    assert generator.contents() == before
    generator.must()
    entities[1]["attributes"][0]["max_length"] = 60
    generator.write(entities)
    generator.must()
    versions = sorted(
        path.name[9:] for path in (generator.root / "alembic/versions").glob("*_change_keepers*.py")
    )
    assert versions == ["change_keepers.py", "change_keepers_2.py"]


def test_conflict_leaves_its_module_and_does_the_others(generator: Generator) -> None:
    edited = generator.edit(SCHEMAS, lambda text: re.sub(r"(    height: .*)", r"\1  # metres", text))
    entities = harbour()
    entities[0]["attributes"][1]["nullable"] = True
    entities[2]["attributes"][0]["nullable"] = False
    generator.write(entities)
    models = generator.read("app/modules/lighthouses/models.py")

    stuck = generator.run()

    assert stuck.returncode == 3
    assert "Nothing of lighthouses was written." in stuck.stdout
    assert f"+++ b/{SCHEMAS}" in stuck.stdout
    assert "# metres" not in stuck.stdout
    assert generator.read(SCHEMAS) == edited
    assert generator.read("app/modules/lighthouses/models.py") == models
    assert "fog_signals             changed" in stuck.stdout
    assert generator.run("--keep", "app/x.py").stderr == "--keep app/x.py: the blueprint makes no such file\n"
    # Resolved by hand, in other words than the generator's.
    by_hand = generator.edit(SCHEMAS, lambda text: re.sub(r"(    height: \w+)", r"\1 | None", text))
    generator.must("--keep", SCHEMAS)
    assert generator.must("--check")
    assert generator.read("app/modules/lighthouses/models.py") != models
    assert generator.read(SCHEMAS) == by_hand


def test_program_that_would_not_start_is_not_written(generator: Generator) -> None:
    generator.edit(
        "app/modules/keepers/router.py", lambda text: text.replace("_: CanCreate", "_: int", 1) + "\nX = Y\n"
    )
    entities = harbour()
    entities[1]["attributes"][0]["max_length"] = 50
    generator.write(entities)
    before = generator.contents()
    failed = generator.run()
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "the generated program does not start: NameError: name 'Y' is not defined\n"
    assert generator.contents() == before


def test_module_goes_with_its_tables_when_nobody_needs_it(generator: Generator) -> None:
    before = generator.contents()
    needed = generator.bare("--remove", "Keeper")
    assert needed.returncode == 1
    assert "--remove keepers: fog_signals needs it: " in needed.stderr
    named = generator.run("--remove", "FogSignal")
    assert named.stderr == "--remove FogSignal: the blueprint names it; take it out there first\n"
    unknown = generator.bare("--remove", "users")
    assert (
        "no module was generated under this name (generated: fog_signals, keepers, lighthouses)"
        in unknown.stderr
    )
    (generator.root / "app/modules/fog_signals/service_more.py").write_text('"""By hand."""\n')
    refused = generator.bare("--remove", "fog_signals")
    assert "app/modules/fog_signals/service_more.py was made by hand" in refused.stderr
    assert generator.contents() == {**before, "app/modules/fog_signals/service_more.py": b'"""By hand."""\n'}

    generator.write(harbour()[:1])
    told = generator.must("--remove", "fog_signals", "keepers", "--force")

    assert "note: the revision drops the table fog_signals with all its rows" in told
    assert not list(generator.root.glob("**/keepers*"))
    assert not (generator.root / "app/modules/fog_signals").exists()
    assert not (generator.root / "tests/modules/fog_signals").exists()
    program = generator.program.but(DATABASE_URL=f"sqlite+aiosqlite:///{generator.root}/data/x.db")
    to_and_fro(program)
    assert generator.must("--check")
