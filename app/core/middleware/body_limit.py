"""Bodies over the limit are refused before anything reads them (413)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import PayloadTooLarge
from app.core.handlers import problem_response

_DIGITS = 18


class BodyLimitMiddleware:
    """By `Content-Length` at once; a chunked body is read up to the limit first, then handed on whole."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        """`max_bytes`: the largest body that is let in."""
        self.app = app
        self._max = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Everything but HTTP passes untouched."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length, chunked = b"0", False
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"transfer-encoding":
                chunked = True
        if chunked:
            body = await self._read(receive)
            if body is None:
                await self._refuse(scope, receive, send)
                return
            receive = _replay(body, receive)
        elif len(length) > _DIGITS or (length.isdigit() and int(length) > self._max):
            await self._refuse(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body, or None if it is larger than allowed. A client that left leaves an empty one."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b""
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max:
                return None
            if not message.get("more_body", False):
                return b"".join(parts)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = PayloadTooLarge(
            f"The body is larger than {self._max} bytes.", headers={"Connection": "close"}
        )
        await problem_response(problem, scope["path"])(scope, receive, send)


def _replay(body: bytes, receive: Receive) -> Receive:
    handed_on = False

    async def replay() -> Message:
        nonlocal handed_on
        if handed_on:
            return await receive()
        handed_on = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
