"""The composition root: concrete parts are made and plugged together here, for the server and the commands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import URL

from app.auth.passwords import PasswordHasher
from app.auth.ports import Grants, Kernel, Sessions
from app.auth.tokens import AccessTokens
from app.auth.turnstile import Turnstile
from app.core.audit.change_log import AuditRules, ChangeLog
from app.core.bus import open_bus
from app.core.cache import open_cache
from app.core.config import Environment, RefusedStart, Settings
from app.core.database import Database, ListRules
from app.core.evidence.places import open_anchor
from app.core.evidence.sealer import Sealer, SealRules
from app.core.evidence.signing import KeyFault, load_key
from app.core.job import Job
from app.core.keys import Keyring, Signer
from app.core.mail import open_mailer
from app.core.module import Catalog
from app.core.platform import Platform
from app.core.rate_limit import RateLimiter
from app.core.transaction import UnitOfWork
from app.core.versioned import VersionedCache
from app.modules.auth.service_principals import PrincipalService
from app.modules.auth.service_resets import ResetMails
from app.modules.auth.service_sessions import SessionService
from app.modules.auth.service_throttle import ThrottleService
from app.modules.roles.service import RoleService
from app.modules.roles.service_seeding import RoleSeeding
from app.modules.users.service_accounts import AccountService
from app.modules.users.service_seeding import SuperuserSeeding
from app.registry import discover

_MAIL_SECONDS = 15.0
_PROFILE_SECONDS = 300
_SEAL_LOOK_SECONDS = 5.0


def open_database(settings: Settings, keyring: Keyring, url: URL | None = None) -> Database:
    """The database of the settings, or another one that stands in for it. Opens no connection."""
    return Database(
        url or settings.database,
        ListRules(Signer(keyring.keys("cursor")[0]), settings.list_count_limit),
        pool_size=settings.database_pool_size,
        durable=settings.environment is not Environment.TEST,
        fallback=url is not None,
        recorder=ChangeLog(
            AuditRules(settings.audit_guard, settings.audit_bulk_max_rows, settings.requires_actor)
        ),
    )


def open_platform(settings: Settings, catalog: Catalog, url: URL | None = None) -> Platform:
    """Database, cache, bus and modules. Opens no connection."""
    database = open_database(settings, settings.keyring, url)
    return Platform(settings, database, open_cache(settings.cache_url), open_bus(settings.cache_url), catalog)


def audit_settings(settings: Settings) -> dict[str, Any]:
    """The settings under which the two logs are kept, as the log tells them itself."""
    return {
        "durability": settings.audit_access_durability,
        "exclude": list(settings.audit_access_exclude),
        "guard": settings.audit_guard,
        "require_actor": settings.requires_actor,
        "bulk_max_rows": settings.audit_bulk_max_rows,
        "seal_seconds": settings.audit_seal_seconds,
        "is_signed": settings.audit_seal_key_file is not None,
        "is_anchored": bool(settings.audit_anchor_uri),
    }


def seal_rules(settings: Settings) -> SealRules:
    """How the logs are sealed. Raises RefusedStart for a key or an anchor that can't be used."""
    try:
        key = load_key(settings.seal_key_path) if settings.seal_key_path else None
        anchor = open_anchor(settings.anchor_uri)
    except KeyFault as fault:
        raise RefusedStart([f"AUDIT_SEAL_KEY_FILE: {fault}"]) from None
    except ValueError as fault:
        raise RefusedStart([f"AUDIT_ANCHOR_URI: {fault}"]) from None
    return SealRules(float(settings.audit_seal_seconds), key, anchor, settings.audit_anchor_every)


def sealing(database: Database, rules: SealRules) -> Job:
    """The job that seals the logs."""
    sealer = Sealer(UnitOfWork(database), rules)
    return Job("audit seals", sealer.work, min(rules.seconds / 4, _SEAL_LOOK_SECONDS))


def assemble_kernel(platform: Platform) -> Kernel:
    """The security kernel with its ports filled in by modules. Starts nothing."""
    settings, catalog = platform.settings, platform.catalog
    tokens, turnstile = AccessTokens(settings.keyring, settings.access_token_minutes), Turnstile()
    signer = Signer(settings.keyring.keys("cache")[0])

    def sessions(uow: UnitOfWork) -> Sessions:
        return SessionService(uow, tokens, settings)

    def grants(uow: UnitOfWork) -> Grants:
        return RoleService(uow, catalog)

    def attempts(uow: UnitOfWork) -> ThrottleService:
        return ThrottleService(uow, settings, turnstile)

    async def mail_resets() -> bool:
        if kernel.mailer is None:
            return False
        uow = UnitOfWork(platform.database)
        accounts = AccountService(uow, RoleService(uow, catalog), kernel)
        return await ResetMails(uow, accounts, attempts(uow), kernel.mailer, settings.base_url).send_next()

    kernel = Kernel(
        hasher=PasswordHasher(),
        password_min_length=settings.password_min_length,
        tokens=tokens,
        authenticator=PrincipalService(platform.database, platform.cache, signer, tokens, catalog),
        sessions=sessions,
        grants=grants,
        attempts=attempts,
        mailer=open_mailer(settings),
        reset_mails=Job("reset mails", mail_resets, _MAIL_SECONDS),
        limiter=RateLimiter(settings.rate_limit, settings.cache_url) if settings.rate_limit else None,
        profiles=VersionedCache(platform.cache, signer, dict[str, Any], ttl_seconds=_PROFILE_SECONDS),
    )
    return kernel


@dataclass(frozen=True, slots=True)
class Seeding:
    """What a database gets before anybody logs in."""

    roles: RoleSeeding
    superuser: SuperuserSeeding


def seeding(database: Database, catalog: Catalog, hasher: PasswordHasher) -> Seeding:
    """The services that seed, on one unit of work."""
    uow = UnitOfWork(database)
    return Seeding(RoleSeeding(uow, catalog), SuperuserSeeding(uow, RoleService(uow, catalog), hasher))


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Platform, Kernel]]:
    """Platform and kernel for a command; closed afterwards."""
    platform = open_platform(settings, discover())
    kernel = assemble_kernel(platform)
    try:
        yield platform, kernel
    finally:
        await close(platform, kernel)


async def close(platform: Platform, kernel: Kernel) -> None:
    """Ends threads and connections."""
    kernel.hasher.close()
    if kernel.limiter is not None:
        await kernel.limiter.close()
    await platform.bus.close()
    await platform.cache.close()
    await platform.database.dispose()
