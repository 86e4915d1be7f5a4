"""What a running program consists of, below its modules; and how a request gets at it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

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


async def platform(request: Request) -> Platform:
    """The platform of the app that got this request."""
    found: Platform = request.app.state.platform
    return found


async def unit_of_work(request: Request) -> UnitOfWork:
    """One for each request: FastAPI gives every service of the request the same."""
    return UnitOfWork(request.app.state.platform.database)


Uow = Annotated[UnitOfWork, Depends(unit_of_work)]
ThePlatform = Annotated[Platform, Depends(platform)]
