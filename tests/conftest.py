"""What all tests share: one app on SQLite and one on PostgreSQL with Redis, emptied after each test that wrote."""

import logging
import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app import composition
from app.auth import passwords
from app.core.config import Environment, Settings, load_settings
from app.core.mail import open_mailer
from tests.api import Api
from tests.backend import Backend, RunningApp, run_app
from tests.canaries import CANARIES
from tests.services import REDIS_VARIABLE, PostgresServer, Services, start_services

NO_SERVICES = os.environ.get("TEST_NO_SERVICES") == "1"
FULL = os.environ.get("TEST_FULL") == "1"
CONTRACTS = Path(__file__).parent / "architecture"
BACKENDS = ["sqlite"] if NO_SERVICES else ["sqlite", "postgres"]
# Half a minute each: begun last, they would keep one worker while the others are done.
LONG = {"test_module_comes_answers_and_goes_both_ways", "test_remaining_tests_pass"}
SECRET = "tests-only-" + "0123456789abcdefghijklmnopqrstuv"

# Whoever runs the tests has settings of their own; the program under test must not see them.
for name in list(os.environ):
    if name.lower() in Settings.model_fields:
        del os.environ[name]
os.environ["ENVIRONMENT"] = "test"
# The client tells every URL that it asks for: what tests send in one would look like what the program logs.
logging.getLogger("httpx2").setLevel(logging.WARNING)

_services: list[Services] = []


def reads_sources_only(config: pytest.Config) -> bool:
    """Whether nothing but the contracts is asked for: they look at the code and need no server."""
    paths = [config.invocation_params.dir / name.partition("::")[0] for name in config.args]
    return all(path.resolve().is_relative_to(CONTRACTS) for path in paths)


def pytest_configure(config: pytest.Config) -> None:
    """The controller starts the servers; its workers inherit their addresses."""
    # A shell that starts the run behind `&` has Ctrl-C ignored, and every program under test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput") and not reads_sources_only(config):
        _services.append(start_services(no_services=NO_SERVICES))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first."""
    items.sort(key=lambda item: item.name.partition("[")[0] not in LONG)


def pytest_unconfigure() -> None:
    """Ends what was started."""
    while _services:
        _services.pop().stop()


def settings_for(url: str, cache_url: str, **changes: Any) -> Settings:
    """Settings of a program under test, without `.env` and environment."""
    given = {
        "environment": Environment.TEST,
        "database_url": url,
        "cache_url": cache_url,
        "secret_key": SECRET,
        "log_level": "WARNING",
        **changes,
    }
    return load_settings(_env_file=None, **given)


@pytest.fixture(scope="session", autouse=True)
def _cheap_hashes() -> Iterator[None]:
    """The suite logs in hundreds of times; what Argon2id costs in earnest is tested where it matters."""
    patch = pytest.MonkeyPatch()
    patch.setattr(passwords, "MEMORY_KIB", 64)
    patch.setattr(passwords, "PASSES", 1)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def _watched_log() -> Iterator[None]:
    """Every line of the run is looked at for secrets."""
    with CANARIES.watching_log():
        yield


@pytest.fixture(autouse=True)
def _no_secret_is_logged(_watched_log: None) -> Iterator[None]:
    """Each test has secrets of its own."""
    CANARIES.forget()
    yield
    CANARIES.check_log()


@pytest.fixture(scope="session", autouse=True)
def mail_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where apps without a mail server put their mails: not among the project's files."""
    folder, patch = tmp_path_factory.mktemp("project") / "mail", pytest.MonkeyPatch()
    patch.setattr(composition, "open_mailer", partial(open_mailer, folder=folder))
    yield folder
    patch.undo()


@pytest.fixture(scope="session", params=BACKENDS)
async def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Backend]:
    """An empty migrated database, and a way to make more; each worker has its own."""
    folder = tmp_path_factory.mktemp(str(request.param))
    made = Backend(request.param, folder, _server() if request.param == "postgres" else None)
    await made.open()
    yield made
    made.close()


def _server() -> PostgresServer:
    server = PostgresServer()
    server.start()
    return server


@pytest.fixture(scope="session")
async def running(backend: Backend) -> AsyncIterator[RunningApp]:
    """The app, started, on a seeded database."""
    url = backend.new_database()
    cache_url = os.environ.get(REDIS_VARIABLE, "") if backend.name == "postgres" else ""
    async with run_app(settings_for(url, cache_url)) as app:
        yield app


@pytest.fixture(scope="session")
async def workers(backend: Backend) -> AsyncIterator[tuple[Api, Api]]:
    """Clients of two apps that share one database, and on PostgreSQL one Redis. Nothing is put back."""
    cache_url = os.environ.get(REDIS_VARIABLE, "") if backend.name == "postgres" else ""
    settings = settings_for(backend.new_database(), cache_url)
    async with run_app(settings) as first, run_app(settings) as second:
        yield Api(first), Api(second)


@pytest.fixture
async def app(running: RunningApp) -> AsyncIterator[RunningApp]:
    """The app for one test; afterwards the database is as it was seeded."""
    yield running
    await running.reset()


@pytest.fixture
async def api(app: RunningApp) -> Api:
    """A client of the app."""
    return Api(app)


@pytest.fixture
def unique() -> str:
    """A word that no other test uses."""
    return uuid.uuid4().hex[:12]
