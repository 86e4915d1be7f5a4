"""The outermost middleware: the request's id and its context."""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.clients import ClientAddress
from app.core.context import RequestContext, enter
from app.core.identifiers import uuid7_hex

_ACCEPTED = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_AGENT_LENGTH = 256
_BEGINNINGS = {"http.response.start", "websocket.accept", "websocket.http.response.start"}


class RequestIdMiddleware:
    """Keeps a client's `X-Request-ID` that is well-formed, else makes one; answers with it in every case."""

    def __init__(self, app: ASGIApp, address: ClientAddress) -> None:
        """`address` tells who the client is behind configured proxies."""
        self.app = app
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sets up the context of this request for everything inside."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        sent, agent = b"", b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                sent = value
            elif name == b"user-agent":
                agent = value
        request_id = sent if _ACCEPTED.fullmatch(sent) else uuid7_hex().encode()
        context = RequestContext(
            request_id=request_id.decode(),
            client_ip=self._address.of(scope),
            user_agent=agent.decode("latin-1")[:_AGENT_LENGTH] or None,
        )
        enter(context)
        scope["request_context"] = context

        async def send_with_id(message: Message) -> None:
            if message["type"] in _BEGINNINGS:
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        await self.app(scope, receive, send_with_id)
