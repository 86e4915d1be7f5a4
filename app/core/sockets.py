"""WebSockets, below who may use them: frames that are read with bounds, refusals, and how many may be open.

A refusal before the handshake is an answer of HTTP, with a problem document. After it, the socket is closed with
4000 and the status that an answer would have: 4401, 4403, 4429.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeGuard
from urllib.parse import urlsplit

import orjson
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from app.core.config import Settings
from app.core.errors import (
    AppError,
    BadRequest,
    Forbidden,
    PayloadTooLarge,
    RateLimited,
    UnsupportedMediaType,
)

MAX_FRAME_BYTES = 16 * 1024
# What a server may let pass: beyond it, it closes by itself (1009), before all of a frame is in memory.
SERVER_FRAME_BYTES = 4 * MAX_FRAME_BYTES
_CLOSE_SECONDS = 5.0
_PRIVATE = 4000
_MAX_REASON = 120  # RFC 6455 5.5: 125 bytes with the code


class OpenSockets:
    """How many sockets are open in this process, by whom they are counted for."""

    def __init__(self) -> None:
        """None are."""
        self._open: Counter[str] = Counter()

    @contextmanager
    def place(self, whose: str, limit: int) -> Iterator[None]:
        """One of `limit` places while the block runs. Raises RateLimited where all are taken."""
        if self._open[whose] >= limit:
            raise RateLimited(f"More than {limit} sockets at once.", retry_after_seconds=5)
        self._open[whose] += 1
        try:
            yield
        finally:
            self._open[whose] -= 1
            if not self._open[whose]:
                del self._open[whose]


def refuse_foreign(socket: HTTPConnection, settings: Settings) -> None:
    """Raises Forbidden for the page of another site: browsers ask nobody before they open a socket (RFC 6455 10.2).

    This host's own pages may, those of `PUBLIC_BASE_URL` and `CORS_ORIGINS`, and programs, which send no `Origin`.
    """
    own = {*settings.cors_origins, _origin(settings.base_url)}
    hosts = socket.headers.getlist("host")
    for origin in socket.headers.getlist("origin"):
        if origin not in own and _host(origin) not in hosts:
            raise Forbidden("Pages of this origin may not connect.")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _host(origin: str) -> str | None:
    """The host and port of a web page's origin; None for any other, and for what is none (RFC 6454 7)."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc if parts.scheme in {"http", "https"} else None


async def hear(socket: WebSocket) -> dict[str, Any]:
    """The next frame, a JSON object. Raises WebSocketDisconnect.

    Raises BadRequest for other JSON or none, UnsupportedMediaType for bytes, PayloadTooLarge.
    """
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    text = message.get("text")
    if text is None:
        raise UnsupportedMediaType("Frames must be texts.")
    raw = text.encode()
    if len(raw) > MAX_FRAME_BYTES:
        raise PayloadTooLarge(f"The frame is larger than {MAX_FRAME_BYTES} bytes.")
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadRequest("The frame is no valid JSON.") from None
    if not isinstance(found, dict):
        raise BadRequest("The frame must be an object.")
    return found


def is_accepted(connection: HTTPConnection) -> TypeGuard[WebSocket]:
    """Whether it is a socket past its handshake, to which no answer of HTTP can be sent any more."""
    return isinstance(connection, WebSocket) and connection.application_state is not WebSocketState.CONNECTING


async def dismiss(socket: WebSocket, error: AppError) -> None:
    """Closes with the error's code. Who reads nothing doesn't hold it up; who is gone needs none."""
    with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await socket.close(_PRIVATE + error.status, error.detail[:_MAX_REASON])
