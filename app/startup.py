"""What happens between the start of the process and the first request that it may serve."""

import asyncio
import os
import sys
from pathlib import Path

from sqlalchemy.engine import URL

from app.auth.passwords import PasswordHasher, check_policy
from app.composition import open_database, seeding
from app.core.audit.selftest import audit_faults
from app.core.config import DEFAULT_ADMIN_PASSWORD, ROOT, Environment, RefusedStart, Settings
from app.core.context import acting_as, as_operator
from app.core.database import Database
from app.core.errors import AppError, CompromisedPassword, SchemaNotCurrent, Unavailable, WeakPassword
from app.core.keys import Keyring
from app.core.logging import logger
from app.core.module import Catalog
from app.core.platform import Platform
from app.core.text import canonical_email
from app.migrations import upgrade
from app.modules.system.service import SystemService
from app.registry import API_PREFIX, discover

EXIT_REFUSED = 78  # EX_CONFIG of sysexits.h
FALLBACK = ROOT / "data" / "fallback.db"
_RETRY_SECONDS = (1.0, 2.0, 5.0)
_log = logger("server")


async def violations(settings: Settings) -> list[str]:
    """Everything for which production refuses to start, the stored superuser's password included."""
    return settings.violations() + (await _admin_violations(settings) if settings.is_production else [])


async def _admin_violations(settings: Settings) -> list[str]:
    """ADMIN_PASSWORD counts only while there is no superuser. A database that is down is asked later."""
    if _is_missing_file(settings.database):
        return _first_superuser_faults(settings)
    database, hasher = open_database(settings, Keyring(["no list is served here"])), PasswordHasher()
    try:
        superuser = seeding(database, discover(), hasher).superuser
        if not await superuser.exists():
            return _first_superuser_faults(settings)
        if await superuser.anyone_with(DEFAULT_ADMIN_PASSWORD):
            return ["a superuser still has the default password; change it, then start again"]
    except SchemaNotCurrent:
        return _first_superuser_faults(settings)
    except Unavailable:
        return []
    finally:
        hasher.close()
        await database.dispose()
    return []


def _is_missing_file(url: URL) -> bool:
    """Whether this is SQLite without its file: asking would make it."""
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()


def _first_superuser_faults(settings: Settings) -> list[str]:
    if settings.admin_password == DEFAULT_ADMIN_PASSWORD:
        return ["ADMIN_PASSWORD is the published default, and there is no superuser yet"]
    try:
        check_policy(
            settings.admin_password, min_length=settings.password_min_length, email=settings.admin_email
        )
    except (WeakPassword, CompromisedPassword) as error:
        return [f"ADMIN_PASSWORD: {error.detail}"]
    return []


async def seed(database: Database, catalog: Catalog, hasher: PasswordHasher, settings: Settings) -> list[str]:
    """What an operator does first: see `_seed`. Raises RefusedStart."""
    with as_operator():
        return await _seed(database, catalog, hasher, settings)


async def _seed(
    database: Database, catalog: Catalog, hasher: PasswordHasher, settings: Settings
) -> list[str]:
    """Privileges, seeded roles, the first superuser; returns what was made. Raises RefusedStart."""
    services = seeding(database, catalog, hasher)
    is_first = settings.is_production and not await services.superuser.exists()
    if is_first and (faults := _first_superuser_faults(settings)):
        raise RefusedStart(faults)
    made = ["privileges"] if await services.roles.synchronise(retire=True) else []
    made += [f"role {name}" for name in await services.roles.seed()]
    email = canonical_email(settings.admin_email)
    if await services.superuser.ensure(email, settings.admin_password):
        made.append(f"superuser {email}")
    return made


async def choose_database(settings: Settings) -> URL | None:
    """The fallback's URL where PostgreSQL does not answer and development allows it; else None.

    One try for each process, before anything was served: two stores of truth would lose data silently.
    """
    wanted = settings.environment is Environment.DEVELOPMENT and settings.database_fallback == "sqlite"
    if not wanted or settings.database.get_backend_name() == "sqlite":
        return None
    database = open_database(settings, Keyring(["no list is served here"]))
    try:
        await database.ping()
    except AppError:
        _log.warning(
            "database.fallback", using=str(FALLBACK), reason="the configured database does not answer"
        )
        return URL.create("sqlite+aiosqlite", database=str(FALLBACK))
    finally:
        await database.dispose()
    return None


class Startup:
    """Makes a platform ready, now or as soon as its database answers."""

    def __init__(self, platform: Platform, hasher: PasswordHasher) -> None:
        """Does nothing yet."""
        self._platform = platform
        self._hasher = hasher
        self._retry: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Prepares; where the database is not there yet, goes on trying in the background."""
        if not await self._attempt():
            self._retry = asyncio.create_task(self._keep_trying())

    async def stop(self) -> None:
        """Ends the attempts."""
        if self._retry is not None:
            self._retry.cancel()
            await asyncio.gather(self._retry, return_exceptions=True)

    async def _keep_trying(self) -> None:
        attempt = 0
        while not self._platform.ready:
            await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
            attempt += 1
            await self._attempt()

    async def _attempt(self) -> bool:
        try:
            with acting_as("system", origin="job"):
                await self._prepare()
        except AppError as error:
            _log.warning("start.waiting", reason=error.detail)
        return self._platform.ready

    async def _prepare(self) -> None:
        """Schema, change log, privileges, and what production asks of the superuser. Raises Unavailable."""
        platform, settings = self._platform, self._platform.settings
        if platform.database.fallback:
            await upgrade(platform.database.url)
            await _seed(platform.database, platform.catalog, self._hasher, settings)
        await platform.database.ping()
        await SystemService(platform, API_PREFIX).require_schema()
        entities = [entity for module in platform.catalog.modules for entity in module.entities]
        if faults := await audit_faults(platform.database, entities):
            refuse(faults)
        if settings.is_production and (faults := await _admin_violations(settings)):
            refuse(faults)
        services = seeding(platform.database, platform.catalog, self._hasher)
        await services.roles.synchronise(retire=False)
        platform.ready = True
        _log.info("start.ready")


def refuse(faults: list[str]) -> None:
    """Ends the process with a line for each fault. Inside of a server's start, where exceptions give another code."""
    for fault in faults:
        sys.stderr.write(f"refused to start: {fault}\n")
    sys.stderr.flush()
    os._exit(EXIT_REFUSED)
