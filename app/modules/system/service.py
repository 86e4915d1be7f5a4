"""What the system says about itself."""

import platform as interpreter
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel

import app
from app.auth.principal import Principal
from app.core.audit.writer import AccessWriter
from app.core.cache import MemoryCache
from app.core.clock import now
from app.core.config import Settings
from app.core.entity import table_of
from app.core.errors import NotFound, SchemaNotCurrent, Unavailable
from app.core.module import Module, Resource
from app.core.platform import Platform
from app.modules.system.models import State, worst
from app.modules.system.repository import SystemRepository
from app.modules.system.schemas import Checks, EditableField, EditableResource, Health, Info, Ping

_CRITICAL = ("database", "migrations", "audit")


class SystemService:
    """Reads only."""

    def __init__(self, platform: Platform, prefix: str, access: AccessWriter | None = None) -> None:
        """`prefix`: where the API is, such as `/api/v1`. `access`: who writes the access log, if anybody does."""
        self.platform = platform
        self.prefix = prefix
        self.repository = SystemRepository(platform, access)

    def ping(self) -> Ping:
        """The server's time."""
        return Ping(status="ok", time=now())

    def fallback_headers(self) -> dict[str, str]:
        """Tells every client that asks for the time that a substitute database is in use."""
        return {"X-Database-Fallback": "sqlite"} if self.platform.database.fallback else {}

    async def health(self) -> Health:
        """The state of every part. Unavailable where nothing works without it, degraded where it does."""
        checks = Checks(
            database=await self.repository.database(),
            cache=await self.repository.cache(),
            migrations=await self.repository.migrations(),
            audit=self.repository.audit(),
        )
        states = checks.model_dump()
        if any(states[name] == State.UNAVAILABLE for name in _CRITICAL):
            return Health(status=State.UNAVAILABLE, checks=checks)
        return Health(status=worst(list(states.values())), checks=checks)

    async def require_ready(self) -> None:
        """Raises Unavailable until the database answers, its schema fits and privileges are synchronised.

        And while requests can't be logged: then those that change something are refused.
        """
        is_logging = self.repository.audit() is not State.UNAVAILABLE
        if not self.platform.ready or not is_logging or await self.repository.migrations() is not State.OK:
            raise Unavailable("The server is not ready.", retry_after_seconds=5)

    async def require_schema(self) -> None:
        """Raises Unavailable unless the schema is this program's, or a later one's."""
        if await self.repository.migrations() is not State.OK:
            raise SchemaNotCurrent

    def require_metrics(self, *, is_local: bool) -> None:
        """Raises NotFound where metrics are off, or for a request from beyond the local network."""
        if not self.platform.settings.metrics or not is_local:
            raise NotFound("There is nothing at this path.")

    async def info(self) -> Info:
        """Versions and modules."""
        settings: Settings = self.platform.settings
        return Info(
            version=app.__version__,
            python=interpreter.python_version(),
            environment=settings.environment.value,
            database={
                "kind": self.platform.database.url.get_backend_name(),
                "version": await self.repository.version(),
            },
            cache="memory" if isinstance(self.platform.cache, MemoryCache) else "redis",
            revision=await self.repository.revision(),
            modules=[
                {
                    "name": module.name,
                    "path": f"{self.prefix}{module.path}",
                    "depends_on": list(module.depends_on),
                    "privileges": [privilege.code for privilege in module.privileges],
                }
                for module in self.platform.catalog.modules
            ],
        )

    def editable_resources(self, caller: Principal) -> list[EditableResource]:
        """The editable tables that the caller may read, with the fields of their API."""
        return [
            EditableResource(
                name=resource.name,
                module=module.name,
                table=table_of(resource.model).name,
                path=f"{self.prefix}{resource.path}",
                operations=dict(resource.operations),
                fields=list(_fields(resource)),
            )
            for module, resource in self._resources()
            if caller.can(resource.operations["read"])
        ]

    def _resources(self) -> Iterator[tuple[Module, Resource]]:
        for module in self.platform.catalog.modules:
            for resource in module.resources:
                yield module, resource


def _fields(resource: Resource) -> Iterator[EditableField]:
    writable: dict[str, type[BaseModel]] = {}
    for shape in (resource.update, resource.create):
        if shape is not None:
            writable |= dict.fromkeys(shape.model_fields, shape)
    names = dict.fromkeys([*resource.read.model_fields, *writable])
    for name in names:
        shape = writable.get(name, resource.read)
        yield _field(resource, name, shape, read_only=name not in writable)


def _field(resource: Resource, name: str, shape: type[BaseModel], *, read_only: bool) -> EditableField:
    info = shape.model_fields[name]
    plain, nullable = _schema(shape, name)
    return EditableField(
        name=name,
        type=_type_name(plain),
        required=not read_only and resource.create is shape and info.is_required(),
        nullable=nullable,
        read_only=read_only,
        max_length=plain.get("maxLength"),
        choices=plain.get("enum"),
        references=_references(resource, name),
        default=None if info.is_required() or read_only else info.get_default(call_default_factory=True),
    )


def _schema(shape: type[BaseModel], name: str) -> tuple[dict[str, Any], bool]:
    """The field's JSON schema without null, references followed; and whether null is allowed."""
    whole = _schema_of(shape)
    schema: dict[str, Any] = whole["properties"][name]
    options = schema.get("anyOf", [schema])
    plain = [option for option in options if option.get("type") != "null"]
    found = plain[0] if plain else {}
    if "$ref" in found:
        found = whole["$defs"][found["$ref"].rpartition("/")[2]]
    return {**schema, **found}, len(plain) < len(options)


@cache
def _schema_of(shape: type[BaseModel]) -> dict[str, Any]:
    return shape.model_json_schema()


def _type_name(schema: dict[str, Any]) -> str:
    """The format where there is one (`uuid`, `date-time`, `email`), else the type."""
    return str(schema.get("format") or schema.get("type") or "object")


def _references(resource: Resource, name: str) -> str | None:
    column = table_of(resource.model).c.get(f"{name.removesuffix('_id')}_pk")
    if column is None:
        return None
    return str(next(iter(column.foreign_keys)).column.table.name)
