"""A client that hangs up before its answer is ready: over a real connection, with uvicorn's both readers of HTTP."""

import asyncio
import socket
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.core.audit.access import COLUMNS, Fields
from app.core.audit.writer import AccessWriter
from app.core.context import RequestContext
from app.core.middleware.access_log import AccessLogMiddleware
from tests.server_here import PATIENCE, serving_here

READERS = ["httptools", "h11"]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"


class Kept(AccessWriter):
    """Keeps the outcomes of requests, and nothing else of them."""

    def __init__(self, folder: Path) -> None:
        """Never started."""
        super().__init__(folder)
        self.outcomes: list[str] = []

    def add(self, fields: Fields) -> None:
        self.outcomes.append(fields[COLUMNS.index("outcome")])


class Slow:
    """Answers when it is told to, and looks neither at the request's body nor for the client. Outermost and inside."""

    def __init__(self, writer: AccessWriter) -> None:
        """Below the middleware."""
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.knows: object = None
        self._log = AccessLogMiddleware(self._answer, writer, api_prefix="/api/v1", is_durable=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["request_context"] = RequestContext(request_id="x")
        self.knows = getattr(getattr(receive, "__self__", None), "disconnected", None)
        await self._log(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.set()
        await self.may_answer.wait()
        await PlainTextResponse("done")(scope, receive, send)


@pytest.mark.parametrize("sent", [GET, POST], ids=["GET", "POST"])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("leaves", [True, False], ids=["leaves", "stays"])
async def test_who_hangs_up_is_aborted(tmp_path: Path, reader: str, sent: bytes, *, leaves: bool) -> None:
    writer = Kept(tmp_path)
    program = Slow(writer)
    async with serving_here(program, http=reader, ws="none") as (server, port), asyncio.timeout(PATIENCE):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(sent)
            await program.asked.wait()
            if leaves:
                client.close()
            while leaves and server.server_state.connections:  # noqa: ASYNC110  uvicorn has no event for it
                await asyncio.sleep(0.01)
            program.may_answer.set()
            while not writer.outcomes:  # noqa: ASYNC110  nobody waits for rows but this test
                await asyncio.sleep(0.01)
    assert writer.outcomes == ["aborted" if leaves else "ok"]
    assert program.knows is False, (
        "uvicorn tells it elsewhere now, and every answer looks for it in a costly way"
    )
