"""`python -m app …` as it is typed: what it prints, what it leaves behind, how it ends."""

import json
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.commands import clean_up_tokens, find_accounts, seed_database
from app.core.config import DEFAULT_ADMIN_PASSWORD, RefusedStart, Settings, load_settings
from app.core.errors import SchemaNotCurrent
from app.migrations import upgrade
from app.startup import violations
from tests.api import Api
from tests.backend import Backend, run_app
from tests.conftest import settings_for
from tests.forks import Forked
from tests.program import GOOD_PRODUCTION, STRONG, Program, copy_project, files_of

EMAIL, PASSWORD = "somebody@example.com", "correct horse battery staple"
KINDS = ("refresh_tokens", "sessions", "password_resets", "throttle_tallies")
OPERATIONS = ("serve", "init-db", "seed", "create-user", "list-users", "cleanup-tokens", "routes", "openapi")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    root = copy_project(tmp_path_factory.mktemp("project") / "tessera")
    return Program(root, {"ENVIRONMENT": "test"})


@pytest.fixture
def forked(program: Program, tmp_path: Path) -> Forked:
    return Forked(program.but(DATABASE_URL="postgresql+asyncpg://nobody@127.0.0.1:9/none"), tmp_path)


def refused(program: Program | Forked, *command: str) -> list[str]:
    """The lines of a refused start. Asserts that it was one."""
    done = program.run(*command)
    assert done.returncode == 78, (done.returncode, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert all(line.startswith("refused to start: ") for line in lines), done.stderr
    return [line.removeprefix("refused to start: ") for line in lines]


def test_from_nothing_to_a_user(program: Program, backend: Backend, tmp_path: Path) -> None:
    program = program.but(DATABASE_URL=backend.empty_database())
    assert "current" in program.must("init-db")
    first = program.must("seed")
    assert "superuser admin@example.com" in first
    assert "role regular" in first

    made = json.loads(program.must("create-user", EMAIL, "--password-stdin", "--json", given=f"{PASSWORD}\n"))
    assert (made["email"], [role["name"] for role in made["roles"]]) == (EMAIL, ["regular"])
    if backend.name == "postgres":
        return  # what follows differs in nothing but time
    forked = Forked(program, tmp_path)
    assert forked.must("seed") == "Nothing to do: everything is there.\n"
    again = forked.run("create-user", EMAIL.upper(), "--password-stdin", given=f"{PASSWORD}\n")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "error: A user with this e-mail address exists already.\n"
    weak = forked.run("create-user", "other@example.com", "--password-stdin", given="short\n")
    assert (weak.returncode, len(weak.stderr.splitlines())) == (1, 1)
    assert "short\n" not in weak.stderr

    listed = json.loads(forked.must("list-users", "--json"))
    assert [user["email"] for user in listed["items"]] == [EMAIL, "admin@example.com"]
    found = forked.run("list-users", "--q", "somebody")
    assert found.stdout.split()[-1] == EMAIL
    assert found.stderr == "1 of 1\n"
    removed = json.loads(forked.must("cleanup-tokens", "--keep-days", "0", "--json"))
    assert removed == {"refresh_tokens": 0, "sessions": 0, "password_resets": 0, "throttle_tallies": 0}
    assert forked.must("cleanup-tokens").startswith("Removed 0 refresh tokens, 0 sessions, ")


async def test_cleanup_tells_what_it_removed(backend: Backend) -> None:
    settings = settings_for(backend.new_database(), "")
    async with run_app(settings) as app:
        user = await Api(app).user()
        for _ in range(3):
            assert (await (await user.api.login(user.email)).post("auth/logout")).status_code == 204
        assert await clean_up_tokens(settings, keep_days=7) == dict.fromkeys(KINDS, 0)
        removed = await clean_up_tokens(settings, keep_days=0)
        assert removed == {**dict.fromkeys(KINDS, 0), "refresh_tokens": 3, "sessions": 3}
        assert (await user.get("auth/me")).status_code == 200


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("create-user",),
        ("dance",),
        ("serve", "--port", "99999"),
        ("serve", "--workers", "0"),
        ("cleanup-tokens", "--keep-days", "-1"),
        ("seed", "--x"),
    ],
)
def test_wrong_use_is_2(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert "Usage: " in done.output


def test_wrong_use_of_the_program_is_2(forked: Forked) -> None:
    done = forked.run("dance")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command" in done.stderr


def test_help_names_every_command() -> None:
    done = CliRunner().invoke(cli, ["--help"])
    assert done.exit_code == 0
    for name in OPERATIONS:
        assert f" {name} " in done.output
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0


def test_routes_and_document_need_no_database(forked: Forked) -> None:
    rows = json.loads(forked.must("routes", "--json"))
    assert {"module", "method", "path", "access", "note"} == set(rows[0])
    document = json.loads(forked.must("openapi"))
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert len(operations) == len(
        [row for row in rows if row["method"] != "WS"]
    )  # the document knows HTTP only


def test_database_that_is_not_there_is_1_with_one_line(forked: Forked) -> None:
    done = forked.run("init-db")
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_production_says_all_that_is_wrong_at_once_and_leaves_no_trace(tmp_path: Path) -> None:
    program = Program(
        copy_project(tmp_path / "p"), {"ENVIRONMENT": "production", "DATABASE_FALLBACK": "sqlite"}
    )
    before = files_of(program.root)
    lines = refused(program, "serve")
    names = sorted(line.split()[0].rstrip(":") for line in lines)
    assert names == ["ADMIN_PASSWORD", "ALLOWED_HOSTS", "DATABASE_FALLBACK", "DATABASE_URL", "SECRET_KEY"]
    assert DEFAULT_ADMIN_PASSWORD not in "".join(lines)
    assert files_of(program.root) == before
    # The same through a server that loads the app by its name; the stored superuser is looked at later there.
    done = program.python("-m", "uvicorn", "app.main:app", "--port", "0")
    assert done.returncode == 78
    assert {"SECRET_KEY", "ALLOWED_HOSTS"} <= set(done.stderr.replace(":", " ").split())
    assert files_of(program.root) == before


GOOD = {name.lower(): value for name, value in GOOD_PRODUCTION.items()}


async def wrong(database: Path, **changes: str) -> list[str]:
    cache_url = changes.pop("cache_url", "")
    settings = settings_for(f"sqlite+aiosqlite:///{database}", cache_url, **{**GOOD, **changes})
    return await violations(settings)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"secret_key": ""}, "SECRET_KEY"),
        ({"secret_key": "short"}, "SECRET_KEY"),
        ({"secret_key": "a" * 40}, "SECRET_KEY"),
        ({"secret_keys_old": "short"}, "SECRET_KEYS_OLD"),
        ({"allowed_hosts": "*"}, "ALLOWED_HOSTS"),
        ({"allowed_hosts": "example.com,*"}, "ALLOWED_HOSTS"),
        ({"trusted_proxies": "*"}, "TRUSTED_PROXIES"),
        ({"cors_origins": "*"}, "CORS_ORIGINS"),
        ({"allow_sqlite_in_production": "false"}, "DATABASE_URL"),
        ({"database_fallback": "sqlite"}, "DATABASE_FALLBACK"),
        ({"admin_password": DEFAULT_ADMIN_PASSWORD}, "ADMIN_PASSWORD"),
        ({"admin_password": "password"}, "ADMIN_PASSWORD"),
        ({"cache_url": "redis://cache.example:6379/0"}, "CACHE_URL"),
        ({"environment": "staging", "allowed_hosts": "*"}, "ALLOWED_HOSTS"),
        ({"environment": "Development", "allowed_hosts": "*"}, "ALLOWED_HOSTS"),
    ],
)
async def test_each_violation_alone_is_one_line(tmp_path: Path, changes: dict[str, str], name: str) -> None:
    (line,) = await wrong(tmp_path / "none.db", **changes)
    assert line.split()[0].rstrip(":") == name
    assert not (tmp_path / "none.db").exists()


async def test_good_production_has_no_violation(tmp_path: Path) -> None:
    assert await wrong(tmp_path / "none.db") == []
    for url in ("redis://127.0.0.1:6379/0", "redis://:secret@cache.example:6379/0", "unix:///run/redis.sock"):
        assert await wrong(tmp_path / "none.db", cache_url=url) == []
    assert (
        await wrong(tmp_path / "none.db", environment="development", allowed_hosts="*", secret_key="") == []
    )


async def test_wild_cors_is_refused_everywhere(tmp_path: Path) -> None:
    (line,) = await wrong(tmp_path / "none.db", environment="development", cors_origins="*")
    assert line.startswith("CORS_ORIGINS")
    assert (
        await wrong(tmp_path / "none.db", environment="development", cors_origins="https://a.example") == []
    )


WORKS: dict[str, Callable[[Settings], Awaitable[object]]] = {
    "seed": seed_database,
    "list-users": partial(find_accounts, limit=1, q=None),
    "cleanup-tokens": partial(clean_up_tokens, keep_days=7),
}


@pytest.mark.parametrize("command", WORKS)
async def test_commands_need_tables(backend: Backend, command: str) -> None:
    settings = settings_for(backend.empty_database(), "")
    with pytest.raises(SchemaNotCurrent):
        await WORKS[command](settings)
    await upgrade(settings.database)
    await WORKS[command](settings)


def test_database_without_tables_is_told_in_one_line(program: Program, tmp_path: Path) -> None:
    program = program.but(DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/empty.db", SECRET_KEY=STRONG)
    done = Forked(program, tmp_path).run("seed")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: The schema is not current; run `python -m app init-db`."]


def test_serve_says_that_its_port_is_taken(program: Program, tmp_path: Path) -> None:
    program = program.but(**GOOD_PRODUCTION, DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/none.db")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = program.run("serve", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"error: can't listen on 127.0.0.1:{port}: Address already in use"]


def test_good_production_starts(program: Program, tmp_path: Path) -> None:
    program = program.but(**GOOD_PRODUCTION, DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/app.db")
    program.must("init-db")
    program.must("seed")
    # From now on the setting is not asked for, but what is stored is.
    with program.but(ADMIN_PASSWORD=DEFAULT_ADMIN_PASSWORD).serving(path="/health/ready") as served:
        assert served.get("/docs").status_code == 404


async def test_stored_default_password_is_refused_in_production(tmp_path: Path) -> None:
    settings = settings_for(f"sqlite+aiosqlite:///{tmp_path}/x.db", "")
    await upgrade(settings.database)
    await seed_database(settings)
    (line,) = await wrong(tmp_path / "x.db")
    assert "default password" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://root:hunter2@db/x"),
        ("DATABASE_URL", "hunter2"),
        ("CACHE_URL", "memcached://hunter2"),
        ("PASSWORD_MIN_LENGTH", "hunter2"),
        ("ACCESS_TOKEN_MINUTES", "-5"),
        ("TRUSTED_PROXIES", "hunter2"),
        ("REGISTRATION", "hunter2"),
        ("LOG_LEVEL", "hunter2"),
        ("ADMIN_EMAIL", "hunter2"),
        ("DATABASE_FALLBACK", "hunter2"),
        ("ALLOW_SQLITE_IN_PRODUCTION", "hunter2"),
    ],
)
def test_bad_value_is_told_by_name_and_never_by_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(RefusedStart) as told:
        load_settings(_env_file=None)
    (line,) = told.value.violations
    assert line.startswith(f"{name}: ")
    assert value not in line


def test_bad_values_are_told_all_at_once(program: Program, tmp_path: Path) -> None:
    bad = program.but(CACHE_URL="hunter2", PASSWORD_MIN_LENGTH="1", DATABASE_URL="hunter2")
    lines = refused(Forked(bad, tmp_path), "init-db")
    assert [line.partition(":")[0] for line in lines] == ["DATABASE_URL", "CACHE_URL", "PASSWORD_MIN_LENGTH"]
    assert "hunter2" not in "".join(lines)


def test_migrations_and_seeds_need_only_the_database(tmp_path: Path) -> None:
    """In production, without a secret, hosts, or a switch for SQLite; relative paths count from the root."""
    program = Program(copy_project(tmp_path / "p"), {"ENVIRONMENT": "production"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert program.python("-m", "app", "init-db", cwd=elsewhere).returncode == 0
    assert (program.root / "data" / "app.db").exists()
    assert list(elsewhere.iterdir()) == []
    asked = program.python("-m", "alembic", "current")
    assert (asked.returncode, asked.stdout.split()[1:]) == (0, ["(head)"]), asked.stderr
    (line,) = refused(program, "seed")
    assert line.startswith("ADMIN_PASSWORD")
    assert "superuser" in program.but(ADMIN_PASSWORD=GOOD_PRODUCTION["ADMIN_PASSWORD"]).must("seed")


SERVERS = {
    "uvicorn": ("-m", "uvicorn", "app.main:app", "--port", "{port}", "--no-proxy-headers"),
    "fastapi dev": ("-m", "fastapi", "dev", "app/main.py", "--port", "{port}"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_other_servers_start(program: Program, name: str) -> None:
    program = program.but(ENVIRONMENT="development", DATABASE_URL="sqlite+aiosqlite:///./data/served.db")
    with program.serving(*SERVERS[name]) as served:
        assert served.get("/api/v1/system/ping").json()["status"] == "ok"
        assert served.get("/health/ready").status_code == 503, "nothing has migrated this database"
