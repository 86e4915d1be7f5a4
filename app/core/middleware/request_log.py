"""One line in `activity.log` for every request: who, what, how it ended, how long it took."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.clock import now
from app.core.logging import CHANNELS
from app.core.telemetry import observe

_SERVER_ERROR = 500


class RequestLogMiddleware:
    """Times a request up to its last body chunk. The path is logged without its query, which may hold secrets."""

    def __init__(self, app: ASGIApp) -> None:
        """Sits inside of the request id, outside of all that may refuse."""
        self.app = app
        self._channel = CHANNELS["activity"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on, then logs; also where the client went away or the answer broke off."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status, ended = 0, 0.0

        async def watch(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
            elif not message.get("more_body", False):
                ended = time.perf_counter()
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            seconds = (ended or time.perf_counter()) - started
            context = scope["request_context"]
            self._channel.emit_request(
                {
                    "timestamp": now().isoformat(),
                    "level": "info",
                    "event": "request",
                    "request_id": context.request_id,
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status or _SERVER_ERROR,
                    "outcome": "ok" if ended else "aborted",
                    "duration_ms": round(seconds * 1000, 2),
                    "client_ip": context.client_ip,
                    "actor_type": context.actor_type,
                    "actor_id": context.actor_id,
                }
            )
            observe(scope, status or _SERVER_ERROR, seconds)
