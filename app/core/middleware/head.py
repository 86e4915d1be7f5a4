"""HEAD is GET without the body (RFC 9110 9.3.2); FastAPI's routes know GET only."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """Asks for the same with GET and keeps the headers."""

    def __init__(self, app: ASGIApp) -> None:
        """Sits inside of the log, which tells HEAD from GET."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Everything but HEAD passes untouched."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, send_without_body)
