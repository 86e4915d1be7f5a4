"""A WebSocket client for tests, below any server: it speaks ASGI with an app of this process."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import orjson

from tests.backend import RunningApp

PATIENCE = 10.0


class SocketClient:
    """Connects when the block begins, and leaves at its end.

    `status`: 101, or of the answer that refused the handshake, with `problem`. `held`: nothing that is sent is taken
    any more, as with a client that reads nothing while all buffers are full.
    """

    def __init__(
        self, app: RunningApp, path: str, *, headers: Mapping[str, str] | None = None, query: str = ""
    ) -> None:
        self._app = app
        self.request_id = uuid4().hex
        sent = {"host": "test", "x-request-id": self.request_id, **(headers or {})}
        self._scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "scheme": "ws",
            "http_version": "1.1",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "client": ("127.0.0.1", 50000),
            "server": ("test", 80),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._may_send = asyncio.Event()
        self._may_send.set()
        self._task: asyncio.Task[None] | None = None
        self.status = 0
        self.problem: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._app.app(self._scope, self._to_app.get, self._take))
        self._to_app.put_nowait({"type": "websocket.connect"})
        first = await self._next()
        if first["type"] == "websocket.accept":
            self.status = 101
        else:
            self.status = first.get("status", 403)
            if first["type"] == "websocket.http.response.start":
                self.problem = orjson.loads((await self._next())["body"])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        self.hold(False)
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1000})
        assert self._task is not None
        await asyncio.wait_for(self._task, PATIENCE)

    def say(self, frame: object) -> None:
        """Sends an object as JSON, a text as it is, bytes as bytes."""
        if isinstance(frame, bytes):
            self._to_app.put_nowait({"type": "websocket.receive", "bytes": frame})
        else:
            text = frame if isinstance(frame, str) else orjson.dumps(frame).decode()
            self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def heard(self, seconds: float = PATIENCE) -> dict[str, Any]:
        """The next frame. Asserts that there is one."""
        message = await self._next(seconds)
        assert message["type"] == "websocket.send", message
        frame: dict[str, Any] = orjson.loads(message["text"])
        return frame

    async def silent(self, seconds: float = 0.3) -> None:
        """Asserts that nothing comes, and that the socket is still open: it answers."""
        await asyncio.sleep(seconds)
        self.say({"type": "ping"})
        assert await self.heard() == {"type": "pong"}

    async def closed(self, seconds: float = PATIENCE) -> int:
        """The code with which the program closes it, whatever was said before."""
        async with asyncio.timeout(seconds):
            while True:
                message = await self._next(seconds)
                if message["type"] == "websocket.close":
                    return int(message["code"])

    def hold(self, is_held: bool) -> None:
        """Whether the client stops reading."""
        if is_held:
            self._may_send.clear()
        else:
            self._may_send.set()

    async def _take(self, message: Any) -> None:
        await self._may_send.wait()
        self._from_app.put_nowait(message)

    async def _next(self, seconds: float = PATIENCE) -> dict[str, Any]:
        return await asyncio.wait_for(self._from_app.get(), seconds)
