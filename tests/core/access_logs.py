"""An app whose access log is looked at: its rows, a client below HTTP, and routes that end in every way."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi import BackgroundTasks, WebSocket
from sqlalchemy import Table, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from starlette.responses import StreamingResponse

from app import main
from app.auth.dependencies import public
from app.core.audit.models import AuditAccess, AuditChange
from app.core.audit.writer import AccessWriter
from app.core.entity import table_of
from app.core.errors import RateLimited
from app.core.module import Catalog, Module
from app.core.routing import ModuleRouter
from app.main import create_app
from app.registry import catalog_of, discover
from app.startup import seed
from tests.backend import RunningApp
from tests.conftest import settings_for

CHUNK = b"x" * 1000
CHUNKS = 5
Rows = Sequence[dict[str, Any]]
_TABLE, _CHANGES = table_of(AuditAccess), table_of(AuditChange)


def catalog(*further: Module) -> Catalog:
    """All modules, one whose routes end in every way, and a test's own."""
    router = ModuleRouter("/ends", tags=["ends"])
    reason = public("A probe.")

    @router.get("/stream", dependencies=[reason])
    async def stream_down(*, fails: bool = False) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(CHUNKS):
                if fails and number == 2:
                    raise ValueError("s3cret-internals")
                yield CHUNK
                await asyncio.sleep(0)

        return StreamingResponse(chunks())

    @router.get("/crash", dependencies=[reason])
    async def crash() -> None:
        raise LookupError("s3cret-internals")

    @router.get("/limited", dependencies=[reason])
    async def limit() -> None:
        raise RateLimited(retry_after_seconds=1)

    @router.get("/found", dependencies=[reason])
    async def find_it(q: str = "", access_token: str = "") -> dict[str, str]:
        return {"q": q, "kept": str(bool(access_token))}

    @router.post("/change", dependencies=[reason])
    async def change_it(data: dict[str, Any]) -> dict[str, Any]:
        return data

    @router.get("/background", dependencies=[reason])
    async def answer_then_work(tasks: BackgroundTasks) -> dict[str, str]:
        tasks.add_task(asyncio.sleep, 1.0)
        return {}

    return catalog_of([*discover().modules, Module(name="ends", router=router), *further])


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.receive_text()
    await socket.close()


@asynccontextmanager
async def serving(
    url: str, spool: Path, patch: pytest.MonkeyPatch, *further: Module, **changes: Any
) -> AsyncIterator[RunningApp]:
    """The app on this database, with these modules besides, its spool in this folder."""
    patch.setattr(main, "SPOOL", spool)
    settings = settings_for(url, "", docs_enabled=True, log_dir=spool / "logs", **changes)
    made = catalog(*further)
    app = create_app(settings, made)
    app.router.add_websocket_route("/socket", _socket)
    async with app.router.lifespan_context(app):
        running = RunningApp(app, settings)
        await seed(running.platform.database, made, running.kernel.hasher, settings)
        running.platform.ready = True
        yield running


def writer_of(app: RunningApp) -> AccessWriter:
    found: AccessWriter = app.app.state.access_writer
    return found


async def stored_rows(app: RunningApp, *, table: Table = _TABLE, **equal: Any) -> Rows:
    """What is in the table of a log, in the order in which it was written."""
    statement = select(table).order_by(table.c.id)
    for name, value in equal.items():
        statement = statement.where(table.c[name] == value)
    engine = create_async_engine(app.platform.database.url, poolclass=NullPool)
    async with engine.connect() as connection:
        found = [dict(row._mapping) for row in await connection.execute(statement)]
    await engine.dispose()
    return found


async def stored(url: str, statement: str) -> Sequence[Any]:
    """What a database holds whose server is another process, or is gone."""
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        found = (await connection.execute(text(statement))).all()
    await engine.dispose()
    return found


async def rows(app: RunningApp, **equal: Any) -> Rows:
    """The same, once all that happened so far is written."""
    await settled(app)
    return await stored_rows(app, **equal)


async def settled(app: RunningApp) -> None:
    """Returns when all rows so far are in the table; a busy machine may have sent some through the spool."""
    await writer_of(app).settle()
    while writer_of(app).is_spooling:  # noqa: ASYNC110  the file is what is waited for
        await asyncio.sleep(0.02)


async def changes(app: RunningApp, request_id: str) -> Rows:
    """The change rows of a request."""
    return await stored_rows(app, table=_CHANGES, request_id=request_id)


async def row(app: RunningApp, request_id: str) -> dict[str, Any]:
    """The one row of a request. Asserts that there is exactly one."""
    (found,) = await rows(app, request_id=request_id)
    return found


async def converse(
    app: RunningApp, path: str, *, code: int = 1000, request_id: str | None = None
) -> tuple[str, Rows]:
    """Connects, says something and closes. Returns the id of the request, and what the program said."""
    request_id = request_id or uuid4().hex
    heard: list[dict[str, Any]] = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "ab"}]
    heard.append({"type": "websocket.disconnect", "code": code})
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return heard.pop(0)

    async def send(message: Any) -> None:
        said.append(message)
        await asyncio.sleep(0)

    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "scheme": "ws",
        "path": path,
        "query_string": b"",
        "raw_path": path.encode(),
        "client": ("127.0.0.1", 5),
        "server": ("test", 80),
        "root_path": "",
        "headers": [(b"host", b"test"), (b"x-request-id", request_id.encode())],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    await app.app(scope, receive, send)
    return request_id, said


class Leaving:
    """A client below HTTP that goes away: before the answer, or after some of its chunks."""

    def __init__(self, app: RunningApp) -> None:
        self.app = app
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.chunks = 0
        self._has_asked = False
        self._gone = asyncio.Event()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes = b"",
        chunks: int = 0,
        headers: Any = (),
    ) -> str:
        """Returns the id of the request. `chunks`: how many it waits for before it leaves."""
        request_id = uuid4().hex
        self._leaves_after, self._body = chunks, body
        length = [(b"content-length", str(len(body)).encode())] if body else []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "client": ("127.0.0.1", 5),
            "server": ("test", 80),
            "root_path": "",
            "headers": [(b"host", b"test"), (b"x-request-id", request_id.encode()), *length, *headers],
        }
        await self.app.app(scope, self._receive, self._send)
        return request_id

    async def _receive(self) -> dict[str, Any]:
        if not self._has_asked:
            self._has_asked = True
            if self._leaves_after == 0:
                self._gone.set()
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        elif message.get("body"):
            self.chunks += 1
            if self.chunks == self._leaves_after:
                self._gone.set()
                await asyncio.sleep(0)
