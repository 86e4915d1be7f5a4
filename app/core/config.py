"""Settings from the environment and `.env`, and what production refuses to start with."""

from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL, make_url

from app.core.keys import Keyring, development_secret, weakness
from app.core.setting_types import (
    AnchorUri,
    BaseUrl,
    CacheUrl,
    CommaList,
    DatabaseUrl,
    EmailAddress,
    Networks,
    Rate,
    RateText,
    Sender,
    SmtpUrl,
    rate_of,
)

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_ADMIN_PASSWORD = "ChangeMe123!"  # noqa: S105  refused in production
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
_PRODUCTION_REGISTER_LIMIT = Rate(20, 60)


class Environment(StrEnum):
    """Where the program runs. Anything unknown counts as production (CWE-1188)."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class RefusedStart(Exception):
    """The settings don't allow a start; `violations` has a line for each, all of them at once."""

    def __init__(self, violations: list[str]) -> None:
        """Keeps the lines; no value of a setting is ever part of one."""
        super().__init__("\n".join(violations))
        self.violations = violations


class Settings(BaseSettings):
    """All settings; names are those of the environment variables. `.env.example` explains each."""

    model_config = SettingsConfigDict(
        env_file=ROOT / ".env", extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )

    environment: Environment = Environment.PRODUCTION
    database_url: DatabaseUrl = "sqlite+aiosqlite:///./data/app.db"
    database_fallback: Literal["", "sqlite"] = ""
    database_pool_size: int = Field(default=10, ge=1, le=200)
    allow_sqlite_in_production: bool = False
    cache_url: CacheUrl = ""
    secret_key: str = Field(default="", repr=False)
    secret_keys_old: CommaList = Field(default=(), repr=False)
    admin_email: EmailAddress = "admin@example.com"
    admin_password: str = Field(default=DEFAULT_ADMIN_PASSWORD, repr=False)
    registration: Literal["open", "closed"] = "open"
    register_limit: RateText | None = None
    access_token_minutes: int = Field(default=15, ge=1, le=24 * 60)
    refresh_token_days: int = Field(default=30, ge=1, le=365)
    refresh_grace_seconds: int = Field(default=10, ge=0, le=60)
    password_min_length: int = Field(default=15, ge=8, le=128)
    login_max_failures: int = Field(default=10, ge=1, le=100)
    login_max_failures_per_address: int = Field(default=100, ge=1, le=100_000)
    login_window_minutes: int = Field(default=15, ge=1, le=24 * 60)
    cors_origins: CommaList = ()
    allowed_hosts: CommaList = ("*",)
    trusted_proxies: Networks = ()
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024, le=1024 * 1024 * 1024)
    rate_limit: RateText = ""
    list_count_limit: int = Field(default=10_000, ge=100, le=10_000_000)
    public_base_url: BaseUrl = ""
    smtp_url: SmtpUrl = Field(default="", repr=False)
    mail_from: Sender = ""
    audit_access_durability: Literal["batched", "durable"] = "batched"
    audit_access_exclude: CommaList = ()
    audit_guard: Literal["refuse", "warn", "off"] = "refuse"
    audit_require_actor: bool | None = None
    audit_bulk_max_rows: int = Field(default=50_000, ge=1, le=10_000_000)
    audit_seal_key_file: Path | None = None
    audit_seal_seconds: int = Field(default=60, ge=1, le=3600)
    audit_anchor_uri: AnchorUri = ""
    audit_anchor_every: int = Field(default=1, ge=1, le=100_000)
    audit_hold_two_people: bool | None = None
    docs_enabled: bool | None = None
    metrics_enabled: bool | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] | None = None
    log_dir: Path = Path("logs")

    @field_validator("environment", mode="before")
    @classmethod
    def _unknown_is_production(cls, value: object) -> object:
        return value if value in set(Environment) else Environment.PRODUCTION

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _lifetimes(self) -> Self:
        if self.access_token_minutes * 60 >= self.refresh_token_days * 86_400:
            raise ValueError("ACCESS_TOKEN_MINUTES must be shorter than REFRESH_TOKEN_DAYS")
        return self

    @property
    def is_production(self) -> bool:
        """True unless the environment is named development or test."""
        return self.environment is Environment.PRODUCTION

    @property
    def registration_rate(self) -> Rate | None:
        """Registrations and forgot-requests of one address: as set, else bounded in production only."""
        if self.register_limit is None:
            return _PRODUCTION_REGISTER_LIMIT if self.is_production else None
        return rate_of(self.register_limit)

    @property
    def base_url(self) -> str:
        """The address that links in mails begin with; without a slash at its end."""
        return self.public_base_url or "http://localhost:8000"

    @property
    def docs(self) -> bool:
        """Whether the documentation pages are served: as set, else only in development."""
        return (not self.is_production) if self.docs_enabled is None else self.docs_enabled

    @property
    def metrics(self) -> bool:
        """Whether `/metrics` answers: as set, else only in development."""
        return (not self.is_production) if self.metrics_enabled is None else self.metrics_enabled

    @property
    def requires_actor(self) -> bool:
        """Whether a write by nobody is refused: as set, else in production."""
        return self.is_production if self.audit_require_actor is None else self.audit_require_actor

    @property
    def holds_need_two(self) -> bool:
        """Whether nobody may release the hold that they placed: as set, else in production."""
        return self.is_production if self.audit_hold_two_people is None else self.audit_hold_two_people

    @property
    def seal_key_path(self) -> Path | None:
        """The key that signs seals, absolute."""
        return None if self.audit_seal_key_file is None else anchored(self.audit_seal_key_file)

    @property
    def anchor_uri(self) -> str:
        """Where heads are kept; a file's path absolute."""
        uri = self.audit_anchor_uri
        return uri if not uri or ":" in uri else str(anchored(Path(uri)))

    @property
    def json_console(self) -> bool:
        """Whether the console gets JSON lines: as set, else in production."""
        return self.is_production if self.log_format is None else self.log_format == "json"

    @property
    def log_path(self) -> Path:
        """The folder of the log files, absolute."""
        return anchored(self.log_dir)

    @cached_property
    def database(self) -> URL:
        """The parsed URL; SQLite's relative path made absolute from the project's root."""
        return anchored_url(make_url(self.database_url))

    @cached_property
    def keyring(self) -> Keyring:
        """The signing keys, newest first; in development a key is made once and kept in `data/`."""
        secret = self.secret_key or (development_secret(ROOT / "data") if not self.is_production else "")
        if not secret:
            raise RefusedStart(["SECRET_KEY is not set"])
        return Keyring([secret, *self.secret_keys_old])

    def violations(self) -> list[str]:
        """For what the start is refused, one line each: in production unsafe settings, everywhere wild CORS."""
        if not self.is_production:
            return self.cors_faults()
        found = [f"{name} {why}" for name, why in self._secret_faults()]
        if "*" in self.allowed_hosts:
            found.append("ALLOWED_HOSTS must name this server's hosts; * is refused in production")
        if "*" in self.trusted_proxies:
            found.append("TRUSTED_PROXIES must name networks; * is refused in production")
        if self.database.get_backend_name() == "sqlite" and not self.allow_sqlite_in_production:
            found.append("DATABASE_URL is SQLite; set ALLOW_SQLITE_IN_PRODUCTION=true if that is meant")
        if self.database_fallback:
            found.append("DATABASE_FALLBACK is for development only")
        if self._cache_is_open():
            found.append("CACHE_URL has no password, and is not on this machine")
        if self.smtp_url:
            found += [
                f"{name} is not set, and SMTP_URL is: mails need it"
                for name, value in (("PUBLIC_BASE_URL", self.public_base_url), ("MAIL_FROM", self.mail_from))
                if not value
            ]
        return found + self.cors_faults()

    def cors_faults(self) -> list[str]:
        """Credentials are always allowed to the configured origins, so that `*` would let in any site."""
        return ["CORS_ORIGINS must list origins; * together with credentials is refused"] * (
            "*" in self.cors_origins
        )

    def _cache_is_open(self) -> bool:
        """Whether anybody on the network could read and write the cache."""
        url = urlsplit(self.cache_url)
        return url.scheme in {"redis", "rediss"} and not url.password and url.hostname not in _THIS_MACHINE

    def _secret_faults(self) -> list[tuple[str, str]]:
        if not self.secret_key:
            return [("SECRET_KEY", "is not set")]
        keys = [("SECRET_KEY", self.secret_key), *(("SECRET_KEYS_OLD", key) for key in self.secret_keys_old)]
        return [(name, why) for name, key in keys if (why := weakness(key))]


def anchored(path: Path) -> Path:
    """Relative paths count from the project's root, wherever the program was started."""
    return path if path.is_absolute() else ROOT / path


def anchored_url(url: URL) -> URL:
    """SQLite's file made absolute; other URLs as they are."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return url
    return url.set(database=str(anchored(Path(url.database))))


def _explained(error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        name = ".".join(str(part) for part in fault["loc"][:1]).upper() or "settings"
        lines.append(f"{name}: {fault['msg'].removeprefix('Value error, ')}")
    return lines


def load_settings(**overrides: Any) -> Settings:
    """Reads the environment; raises `RefusedStart` with a line for each bad value."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise RefusedStart(_explained(error)) from None


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings, read once."""
    return load_settings()
