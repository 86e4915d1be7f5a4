"""`seeds/seed_create_app.py`: believable, repeatable, refused in production."""

import json
import os
import pty
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from sqlmodel import select

from app.auth.passwords import PasswordHasher
from app.core.config import ROOT
from app.core.database import Database
from app.core.transaction import UnitOfWork
from app.modules.roles.models import Role, UserRole
from app.modules.users.models import User
from app.registry import discover as discover_modules
from seeds.field import discover
from seeds.roles import planned
from seeds.seed_create_app import main, sow
from seeds.users import DOMAIN, PASSWORD, people
from tests.api import Api
from tests.backend import Backend, RunningApp, run_app
from tests.conftest import settings_for

SCRIPT = ROOT / "seeds" / "seed_create_app.py"
NONE = {seed.name: 0 for seed in discover()}


async def rows(database: Database, model: type[User] | type[Role] | type[UserRole]) -> list[object]:
    async with UnitOfWork(database).transaction() as session:
        return list((await session.exec(select(model))).all())


async def test_users_and_roles_are_made_once(backend: Backend) -> None:
    settings = settings_for(backend.new_database(), "")
    counts = {**NONE, "roles": 7, "users": 60}
    assert await sow(settings, counts) == {**NONE, "roles": 7, "users": 60}
    assert await sow(settings, counts) == NONE
    assert await sow(settings, {**counts, "users": 80}) == {**NONE, "users": 20}
    async with run_app(settings) as app:
        await look_at_people(app)
        await log_in_as_one(app)


async def look_at_people(app: RunningApp) -> None:
    users = [user for user in await rows(app.platform.database, User) if isinstance(user, User)]
    made = [user for user in users if user.email.endswith(DOMAIN)]
    assert len(made) == 80
    assert len({user.full_name for user in made}) > 70
    assert any(user.is_blocked for user in made)
    assert any(user.deleted_at for user in made)
    assert all(user.search_text for user in made)
    assert all(user.created_at <= user.updated_at for user in made)
    held = Counter(
        link.role_pk for link in await rows(app.platform.database, UserRole) if isinstance(link, UserRole)
    )
    roles = {role.pk: role for role in await rows(app.platform.database, Role) if isinstance(role, Role)}
    assert len([pk for pk, count in held.items() if count > 0]) >= 5
    assert max(held, key=lambda pk: held[pk]) in {pk for pk, role in roles.items() if role.name == "regular"}
    assert [role.name for pk, role in roles.items() if pk and role.is_superuser and held[pk] > 1] == []


async def log_in_as_one(app: RunningApp) -> None:
    users = [user for user in await rows(app.platform.database, User) if isinstance(user, User)]
    someone = next(u for u in users if u.email.endswith(DOMAIN) and not u.is_blocked and u.deleted_at is None)
    caller = await Api(app).login(someone.email, PASSWORD)
    assert (await caller.get("auth/me")).json()["user"]["full_name"] == someone.full_name


def test_default_is_hundreds_of_people() -> None:
    counts = {seed.name: seed.count for seed in discover()}
    assert counts["users"] >= 300
    assert list(counts).index("roles") < list(counts).index("users")


def test_roles_grant_only_what_modules_declare() -> None:
    catalog = discover_modules()
    for role in planned(catalog):
        assert set(role.privileges) <= set(catalog.privileges)
        assert set(role.modules) <= set(catalog.assignable)
        assert not [code for code in role.privileges if code.endswith(":purge")]


def test_people_have_each_an_address() -> None:
    names = people(Random(1))
    made = [next(names) for _ in range(3000)]
    assert len({email for _, email in made}) == 3000
    assert all(email.isascii() and email == email.lower() and ".@" not in email for _, email in made)


async def test_password_of_the_demo_is_one_that_people_may_have() -> None:
    from app.auth.passwords import check_policy  # noqa: PLC0415

    check_policy(PASSWORD, min_length=15, email="someone@example.com")
    hasher = PasswordHasher()
    assert (await hasher.verify(PASSWORD, await hasher.hash(PASSWORD))).matches
    hasher.close()


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_production_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("ENVIRONMENT", environment)
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/x.db")
    assert main([]) == 78
    told = capsys.readouterr()
    assert told.err == (
        "refused to start: demo data is for development; ENVIRONMENT is production (or not known)\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--users", "x"], ["--users", "-1"], ["--cats", "1"], ["more"]])
def test_wrong_use_is_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def test_database_that_is_not_there_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://nobody@127.0.0.1:9/none")
    assert main([]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert len(told.splitlines()) == 1


def script(database: Path, *words: str) -> list[str]:
    return [sys.executable, str(SCRIPT), *(f"--{name}=5" for name in NONE), *words]


def environment_for(database: Path) -> dict[str, str]:
    return {**os.environ, "ENVIRONMENT": "development", "DATABASE_URL": f"sqlite+aiosqlite:///{database}"}


def test_script_runs_from_anywhere_without_a_bar(tmp_path: Path) -> None:
    done = subprocess.run(
        script(tmp_path / "x.db", "--json"),
        cwd=tmp_path,
        env=environment_for(tmp_path / "x.db"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == dict.fromkeys(NONE, 5)


def test_bar_is_shown_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        script(tmp_path / "x.db"),
        env={**environment_for(tmp_path / "x.db"), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        check=False,
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0, shown
    assert "users" in shown
    assert "100%" in shown
    assert done.stdout.startswith("Made: ")
