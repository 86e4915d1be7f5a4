"""The program in the forms that the audit suite compares: whole, and with one of its two logs taken out.

The program has no switch for that and gets none: its parts are put together differently here. One process takes all
forms in turn, since two processes of the same code differ by more than a log costs.
"""

import gc
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.core.audit.access import Exchange
from app.core.database import Database, Recorder
from app.core.middleware.access_log import AccessLogMiddleware
from app.main import create_app
from bench_tool.forms import CHANGE, NO_ACCESS, NO_CHANGES, WHOLE


@dataclass(frozen=True, slots=True)
class Engines:
    """What a change log hangs on."""

    recorder: Recorder | None
    writer: AsyncEngine
    reader: AsyncEngine

    @classmethod
    def of(cls, database: Database) -> "Engines":
        """Those that the database has now."""
        return cls(database.recorder, database.writer, database.reader)

    def put_into(self, database: Database) -> None:
        """The database works with these from now on."""
        database.rest_none()
        database.recorder, database.writer, database.reader = self.recorder, self.writer, self.reader


class _Switched(AccessLogMiddleware):
    """Writes access rows, or looks at a request and its answer only as far as the line in `activity.log` needs it."""

    writes_rows = True

    async def _watch(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        if self.writes_rows:
            await super()._watch(exchange, receive, send)
        else:
            await self._tell_only(exchange, receive, send)

    async def _tell_only(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if exchange.say(message):
                exchange.finish()
            await send(message)

        try:
            await self.app(exchange.scope, receive, answer)
        finally:
            self._tell(exchange)


class Forms:
    """The program, whole until it is told otherwise."""

    def __init__(self) -> None:
        """Put together, not started."""
        self._app = create_app()
        self._app.user_middleware = [_switched(middleware) for middleware in self._app.user_middleware]
        self._app.router.lifespan_context = partial(self._lifespan, self._app.router.lifespan_context)
        self._engines: Mapping[str, Engines] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the program does it; changes the form besides."""
        if scope["type"] != "http" or not scope["path"].startswith(CHANGE):
            await self._app(scope, receive, send)
            return
        form = scope["path"].removeprefix(CHANGE)
        self._engines[form].put_into(self._app.state.platform.database)
        _Switched.writes_rows = form != NO_ACCESS
        await Response(status_code=204)(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, started: Callable[[FastAPI], Any], app: FastAPI) -> AsyncIterator[None]:
        """Takes the change log out only once the program has started: without one it refuses to.

        Its guard stands at the engines for ever, so there are others without it.
        """
        async with started(app):
            database: Database = app.state.platform.database
            pool_size = app.state.settings.database_pool_size
            unwatched = Database(database.url, database.lists, pool_size=pool_size)
            whole = Engines.of(database)
            self._engines = {WHOLE: whole, NO_ACCESS: whole, NO_CHANGES: Engines.of(unwatched)}
            gc.collect()
            gc.freeze()
            yield
            whole.put_into(database)
            await unwatched.dispose()


def _switched(middleware: Middleware) -> Middleware:
    kind: object = middleware.cls
    arguments: dict[str, Any] = dict(middleware.kwargs)
    return Middleware(_Switched, **arguments) if kind is AccessLogMiddleware else middleware
