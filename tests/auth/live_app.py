"""A program with a WebSocket of its own, for tests of what all sockets have in common."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends

from app.auth.principal import Principal
from app.auth.sockets import LiveSocket, SocketGuard
from app.core.module import Catalog, Module, Privilege
from app.core.routing import ModuleRouter
from app.main import create_app
from app.registry import catalog_of, discover
from app.startup import seed
from tests.backend import Backend, RunningApp
from tests.conftest import settings_for
from tests.socket_client import SocketClient

FEED = "/api/v1/feeds/live"
READ = "feeds:read"
OPEN: list[LiveSocket] = []


def catalog() -> Catalog:
    """The program's modules, and one that keeps its sockets where tests find them."""
    router = ModuleRouter("/feeds", tags=["feeds"])

    @router.websocket("/live")
    async def follow(socket: Annotated[LiveSocket, Depends(SocketGuard(READ))]) -> None:
        OPEN.append(socket)
        socket.offer_text('{"type":"ready"}')
        try:
            await socket.run()
        finally:
            OPEN.remove(socket)

    feeds = Module(name="feeds", router=router, privileges=(Privilege(READ, "See the feed."),))
    return catalog_of([*discover().modules, feeds])


@asynccontextmanager
async def feeding(backend: Backend, **changes: Any) -> AsyncIterator[RunningApp]:
    """The program, started on a database of its own."""
    made = catalog()
    settings = settings_for(backend.new_database(), "", **changes)
    app = create_app(settings, made)
    async with app.router.lifespan_context(app):
        running = RunningApp(app, settings)
        await seed(running.platform.database, made, running.kernel.hasher, settings)
        running.platform.ready = True
        yield running


@asynccontextmanager
async def following(app: RunningApp, token: str) -> AsyncIterator[SocketClient]:
    """A socket that is ready, of whoever has the token."""
    async with SocketClient(app, FEED) as socket:
        socket.say({"type": "auth", "token": token})
        assert await socket.heard() == {"type": "ready"}
        yield socket


def numbered(number: int) -> str:
    """An event."""
    return f'{{"number":{number}}}'


async def to_itself(caller: Principal) -> str:
    """An event that is made when it is sent: it names whom it is sent to."""
    return f'{{"user":"{caller.user_id}"}}'
