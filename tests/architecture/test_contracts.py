"""The contracts hold; and each of them turns red for what it forbids, and only that one."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from app.doctor.walls import modules
from tests.architecture import code_rules, import_rules, removal_rules
from tests.architecture.sources import ROOT, Sources, read_sources
from tests.conftest import reads_sources_only

RULES = {rule.__name__: rule for rule in (*import_rules.RULES, *code_rules.RULES, *removal_rules.RULES)}

CHIMERA = {
    "app/modules/chimeras/__init__.py": "",
    "app/modules/chimeras/module.py": 'MODULE = Module(name="chimeras", router=router)\n',
    "app/modules/chimeras/schemas.py": "",
    "app/modules/chimeras/service.py": "",
}
ROUTER, SERVICE = "app/modules/users/router.py", "app/modules/users/service.py"
LONG = "def long() -> None:\n" + "    pass\n" * 40


@dataclass
class Plant:
    """Something forbidden: files to add, or lines (after a `+`) to add to a file that is there."""

    rule: str
    what: str
    files: dict[str, str] = field(default_factory=dict)


PLANTS = [
    Plant(
        "floors", "core imports a module", {"app/core/clock.py": "+from app.modules.users import schemas\n"}
    ),
    Plant("floors", "core imports the kernel", {"app/core/text.py": "+import app.auth.principal\n"}),
    Plant(
        "floors",
        "core imports inside of a function",
        {"app/core/text.py": "+def f():\n    import app.registry\n"},
    ),
    Plant(
        "floors",
        "core imports for type checkers only",
        {"app/core/text.py": "+if TYPE_CHECKING:\n    from app.auth.principal import Principal\n"},
    ),
    Plant(
        "floors", "core imports by a relative path", {"app/core/text.py": "+from ..auth import principal\n"}
    ),
    Plant(
        "floors", "the kernel imports a module", {"app/auth/ports.py": "+import app.modules.users.schemas\n"}
    ),
    Plant("floors", "a module imports the registry", {SERVICE: "+from app.registry import discover\n"}),
    Plant("floors", "pages import the kernel", {"app/pages/landing.py": "+from app.auth import principal\n"}),
    Plant("floors", "the registry imports the composition", {"app/registry.py": "+import app.composition\n"}),
    Plant("floors", "a file of app without a floor", {"app/extra.py": ""}),
    Plant("main_is_for_commands", "the command line imports main", {"app/cli.py": "+import app.main\n"}),
    Plant("no_cycles", "two files of core", {"app/core/clock.py": "+from app.core import entity\n"}),
    Plant(
        "no_cycles",
        "two folders of core, no two files",
        {"app/core/clock.py": "+from app.core.middleware import head\n"},
    ),
    Plant(
        "no_cycles",
        "two modules, no two files",
        {
            "app/modules/roles/schemas.py": "+from app.modules.system.schemas import Ping\n",
            "app/modules/roles/module.py": '+X = replace(MODULE, depends_on=("privileges", "system"))\n',
            "app/modules/system/repository.py": "+from app.modules.roles.service import RoleService\n",
            "app/modules/system/module.py": '+X = replace(MODULE, depends_on=("roles",))\n',
        },
    ),
    Plant("neighbours_by_the_door", "its repository", {SERVICE: "+import app.modules.roles.repository\n"}),
    Plant("neighbours_by_the_door", "its tables", {SERVICE: "+from app.modules.roles.models import Role\n"}),
    Plant("neighbours_by_the_door", "its guards", {SERVICE: "+from app.modules.roles import permissions\n"}),
    Plant(
        "neighbours_by_the_door",
        "the composition root at a repository",
        {"app/startup.py": "+from app.modules.users.repository import UserRepository\n"},
    ),
    Plant("listed_is_used", "used, not listed", {SERVICE: "+import app.modules.privileges.schemas\n"}),
    Plant(
        "listed_is_used",
        "listed, not used",
        {
            **CHIMERA,
            "app/modules/chimeras/module.py": 'MODULE = Module("chimeras", router, depends_on=("users",))\n',
        },
    ),
    Plant(
        "jose_has_one_door", "the kernel's guards", {"app/auth/dependencies.py": "+from jose import jwt\n"}
    ),
    Plant("jose_has_one_door", "a module", {SERVICE: "+import jose.jws\n"}),
    Plant(
        "log_has_its_own_driver",
        "a repository",
        {"app/modules/users/repository.py": "+from app.core.audit import driver\n"},
    ),
    Plant(
        "log_has_its_own_driver",
        "the start",
        {"app/startup.py": "+from app.core.audit.driver import fetch\n"},
    ),
    Plant("no_imports_by_name", "a module", {SERVICE: '+import_module("app.modules.roles.models")\n'}),
    Plant("routers_stay_outside", "its repository", {ROUTER: "+from app.modules.users import repository\n"}),
    Plant("routers_stay_outside", "its tables", {ROUTER: "+from app.modules.users.models import User\n"}),
    Plant("no_request_in_services", "the request", {SERVICE: "+from fastapi import Request\n"}),
    Plant(
        "no_request_in_services",
        "the scope, in a service of another name",
        {"app/modules/users/service_accounts.py": "+from starlette.types import Scope\n"},
    ),
    Plant("no_sql_outside_repositories", "a service", {SERVICE: "+from sqlmodel import select\n"}),
    Plant("no_sql_outside_repositories", "a column", {SERVICE: "+from sqlmodel import col\n"}),
    Plant("no_sql_outside_repositories", "a router", {ROUTER: "+from sqlalchemy import text\n"}),
    Plant("no_sql_outside_repositories", "the whole library", {SERVICE: "+import sqlalchemy as sa\n"}),
    Plant(
        "removable_modules_stay_alone",
        "a test of core",
        {**CHIMERA, "tests/core/test_x.py": "from app.modules.chimeras import schemas\n"},
    ),
    Plant("commits_in_one_place", "a service", {SERVICE: "+async def f(s):\n    await s.commit()\n"}),
    Plant("commits_in_one_place", "a repository", {"app/core/repository.py": "+def f(s):\n    s.commit()\n"}),
    Plant("routers_decide_nothing", "if", {ROUTER: "+async def f(x):\n    if x:\n        return 1\n"}),
    Plant(
        "routers_decide_nothing",
        "try",
        {ROUTER: "+async def f(x):\n    try:\n        return x\n    except ValueError:\n        return 1\n"},
    ),
    Plant(
        "models_keep_their_annotations",
        "a file of tables",
        {"app/modules/chimeras/models.py": "from __future__ import annotations\n"},
    ),
    Plant(
        "models_keep_their_annotations",
        "a table elsewhere",
        {"app/core/rows.py": "from __future__ import annotations\nclass X(SQLModel, table=True): ...\n"},
    ),
    Plant("packages_stay_packages", "a list of modules", {"app/modules/__init__.py": "MODULES = []\n"}),
    Plant("packages_stay_packages", "alembic as a package", {"alembic/__init__.py": ""}),
    Plant("names_say_something", "a file", {"app/core/utils.py": ""}),
    Plant("names_say_something", "a folder", {"app/modules/users/common/x.py": ""}),
    Plant("names_say_something", "part of a name", {"app/core/cache_manager.py": ""}),
    Plant("files_are_short", "300 lines", {"app/core/clock.py": "+" + "#\n" * 300}),
    Plant("functions_are_short", "41 lines", {"app/core/clock.py": f"+{LONG}"}),
    Plant(
        "relationships_never_load_by_themselves", "by default", {"app/core/clock.py": "+X = Relationship()\n"}
    ),
    Plant(
        "relationships_never_load_by_themselves",
        "lazily",
        {"app/core/clock.py": '+X = Relationship(sa_relationship_kwargs={"lazy": "select"})\n'},
    ),
    Plant(
        "middleware_is_pure",
        "Starlette's convenience",
        {"app/core/middleware/x.py": "from starlette.middleware.base import BaseHTTPMiddleware\n"},
    ),
    Plant(
        "endpoints_are_async",
        "an endpoint",
        {ROUTER: '+@router.get("/x")\ndef read_x() -> None:\n    return\n'},
    ),
    Plant(
        "endpoints_are_async",
        "a dependency",
        {ROUTER: "+def _plain() -> int:\n    return 1\nX = Annotated[int, Depends(_plain)]\n"},
    ),
    Plant(
        "endpoints_are_async",
        "a dependency from elsewhere",
        {
            "app/core/platform.py": "+def plain() -> int:\n    return 1\n",
            ROUTER: "+from app.core.platform import plain\nX = Annotated[int, Depends(plain)]\n",
        },
    ),
    Plant(
        "removable_modules_are_unnamed",
        "a path",
        {**CHIMERA, "tests/core/test_x.py": 'PATH = "/api/v1/chimeras"\n'},
    ),
    Plant(
        "removable_modules_are_unnamed",
        "a privilege",
        {
            **CHIMERA,
            "app/modules/chimeras/permissions.py": 'READ = "chimeras:read"\n',
            "app/modules/roles/schemas.py": '+X = "needs chimeras:read"\n',
        },
    ),
    Plant(
        "removable_modules_are_unnamed",
        "its folder",
        {**CHIMERA, "app/registry.py": '+SKIPPED = "app/modules/chimeras"\n'},
    ),
    Plant(
        "removable_modules_are_unnamed",
        "a key of its table",
        {**CHIMERA, "app/modules/roles/models.py": '+X = Field(foreign_key="chimeras.pk")\n'},
    ),
    Plant(
        "removable_modules_are_unnamed",
        "its name, to ask for",
        {**CHIMERA, "tests/core/test_x.py": 'async def test(api):\n    await api.get("chimeras")\n'},
    ),
    Plant(
        "removable_modules_are_unnamed",
        "its name, to look for",
        {**CHIMERA, "tests/core/test_x.py": 'PARAMS = {"entity": ["chimeras"], "limit": 5}\n'},
    ),
    Plant(
        "removable_modules_are_unnamed",
        "its name, to leave out",
        {**CHIMERA, "alembic/env.py": '+TABLES = ["chimeras"]\n'},
    ),
]


@pytest.fixture(scope="module")
def sources() -> Sources:
    return read_sources()


@pytest.fixture(scope="module")
def bed(sources: Sources) -> Sources:
    """Where things are planted: without this file, which names them."""
    return Sources({path: source for path, source in sources.items() if source.file != Path(__file__).name})


@pytest.fixture(scope="module")
def present(sources: Sources) -> dict[str, set[str]]:
    """What is wrong already: that one test says so, and the planted ones still tell their own."""
    return {name: set(rule(sources)) for name, rule in RULES.items()}


@pytest.mark.parametrize("rule", RULES)
def test_contract_is_kept(present: dict[str, set[str]], rule: str) -> None:
    assert present[rule] == set()


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: f"{plant.rule}: {plant.what}")
def test_planted_violation_turns_its_rule_red_and_no_other(
    bed: Sources, present: dict[str, set[str]], plant: Plant
) -> None:
    planted = bed.planted(plant.files)
    red = {name for name, rule in RULES.items() if set(rule(planted)) - present[name]}
    assert red == {plant.rule}


def test_every_rule_has_failed_once() -> None:
    assert {plant.rule for plant in PLANTS} == set(RULES)


def test_more_than_ten_import_contracts_were_broken_on_purpose() -> None:
    rules = {rule.__name__ for rule in import_rules.RULES}
    assert len([plant for plant in PLANTS if plant.rule in rules]) >= 10


def test_the_sources_are_really_there(sources: Sources) -> None:
    """A checker that reads an empty tree would find nothing wrong."""
    assert {"app/main.py", "app/core/entity.py", "alembic/env.py", "tests/conftest.py"} <= sources.keys()
    assert {"auth", "users", "roles", "privileges", "system"} <= set(modules(sources).values())
    assert sources["app/main.py"].imports
    assert "app.core.config" in sources.targets(sources["app/main.py"])


def test_allowed_forms_stay_allowed(bed: Sources, present: dict[str, set[str]]) -> None:
    planted = bed.planted(
        {
            **CHIMERA,
            "app/modules/chimeras/repository.py": "from sqlmodel import col, select\n",
            "app/modules/chimeras/service_x.py": "from sqlalchemy import ColumnElement\n",
            "app/modules/chimeras/models.py": 'X = Relationship(sa_relationship_kwargs={"lazy": "raise"})\n',
            "tests/modules/chimeras/test_chimeras.py": (
                'from app.modules.chimeras import models\nPATH = "/api/v1/chimeras"\n'
            ),
            "app/core/beasts.py": 'BEASTS = ["chimeras", "http://chimeras.example", "chimeras:read", "/chimeras"]\n',
            "app/core/short.py": "#\n" * 260 + "def short() -> None:\n" + "    pass\n" * 38,
        }
    )
    assert {name: set(rule(planted)) for name, rule in RULES.items()} == present


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["tests/architecture"], True),
        (["tests/architecture/test_contracts.py::test_contract_is_kept"], True),
        (["tests"], False),
        (["tests/architecture", "tests/core"], False),
        (["tests/architecture/../core"], False),
    ],
)
def test_contracts_alone_start_no_server(asked: list[str], *, expected: bool) -> None:
    invoked = SimpleNamespace(args=asked, invocation_params=SimpleNamespace(dir=ROOT))
    assert reads_sources_only(cast("pytest.Config", invoked)) is expected
