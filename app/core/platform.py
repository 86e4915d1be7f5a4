"""What a running program consists of, below its modules; and how a request gets at it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import HTTPConnection

from app.core.bus import Bus
from app.core.cache import Cache
from app.core.config import Settings
from app.core.database import Database
from app.core.module import Catalog
from app.core.transaction import UnitOfWork

P = TypeVar("P")


@dataclass(slots=True)
class Platform:
    """Made once by `main`. `ready` turns true when the schema is current and privileges are synchronised."""

    settings: Settings
    database: Database
    cache: Cache
    bus: Bus
    catalog: Catalog
    ready: bool = False
    _parts: dict[type[Any], Any] = field(default_factory=dict)

    def only(self, kind: type[P], make: Callable[[], P]) -> P:
        """The one `kind` of this process, made when it is first asked for."""
        if kind not in self._parts:
            self._parts[kind] = make()
        found: P = self._parts[kind]
        return found


def platform_of(connection: HTTPConnection) -> Platform:
    """The platform of the app that got this request."""
    found: Platform = connection.app.state.platform
    return found


def uow_of(request: Request) -> UnitOfWork:
    """The request's unit of work: every service of one request gets the same.

    A function and not a dependency: each further `Depends` costs as much as building ten services.
    """
    scope = request.scope
    if "unit_of_work" not in scope:
        scope["unit_of_work"] = UnitOfWork(platform_of(request).database)
    found: UnitOfWork = scope["unit_of_work"]
    return found
