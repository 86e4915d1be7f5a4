"""What a running program consists of, below its modules; and how a request gets at it."""

from dataclasses import dataclass

from fastapi import Request

from app.core.cache import Cache
from app.core.config import Settings
from app.core.database import Database
from app.core.module import Catalog
from app.core.transaction import UnitOfWork


@dataclass(slots=True)
class Platform:
    """Made once by `main`. `ready` turns true when the schema is current and privileges are synchronised."""

    settings: Settings
    database: Database
    cache: Cache
    catalog: Catalog
    ready: bool = False


def platform_of(request: Request) -> Platform:
    """The platform of the app that got this request."""
    found: Platform = request.app.state.platform
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
