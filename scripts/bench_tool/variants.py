"""The program in the forms that the audit suite compares: whole, and with one of its two logs taken out.

The program has no switch for that and gets none: its parts are put together differently here.
"""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import Message, Receive, Send

from app.core.audit.access import Exchange
from app.core.database import Database
from app.core.middleware.access_log import AccessLogMiddleware
from app.main import create_app


def whole() -> FastAPI:
    """As it is."""
    return create_app()


def without_access_rows() -> FastAPI:
    """The line in `activity.log` stays; nothing else is noted of a request."""
    app = create_app()
    app.user_middleware = [_line_only(middleware) for middleware in app.user_middleware]
    return app


def _line_only(middleware: Middleware) -> Middleware:
    kind: object = middleware.cls
    arguments: dict[str, Any] = dict(middleware.kwargs)
    return Middleware(_LineOnly, **arguments) if kind is AccessLogMiddleware else middleware


class _LineOnly(AccessLogMiddleware):
    """Looks at the answer as far as the line needs it, and not at the request."""

    async def _watch(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if exchange.say(message):
                exchange.finish()
            await send(message)

        try:
            await self.app(exchange.scope, receive, answer)
        finally:
            self._tell(exchange)


def without_change_rows() -> FastAPI:
    """No capture, no guard. Only once it has started: without a change log the program refuses to."""
    app = create_app()
    started = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with started(app):
            await _take_recorder(app.state.platform.database, app.state.settings.database_pool_size)
            gc.collect()
            gc.freeze()
            yield

    app.router.lifespan_context = lifespan
    return app


async def _take_recorder(database: Database, pool_size: int) -> None:
    """The guard stands at the engines for ever, so they are exchanged for others."""
    await database.dispose()
    unwatched = Database(database.url, database.lists, pool_size=pool_size)
    database.recorder, database.writer, database.reader = None, unwatched.writer, unwatched.reader
