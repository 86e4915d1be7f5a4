"""What is left of the caller's general limit, on every answer that was counted."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.rate_limit import Allowance

_FIRST = b"ratelimit-limit"


class RateLimitMiddleware:
    """Adds the `RateLimit-*` headers of what a guard left in `scope["rate_allowance"]`.

    A refusal has its own already.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Sits inside of whatever copies the scope (HEAD), for the guards write into it; outside of the faults."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Looks when the answer begins: by then the guard has run, if there is one."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_allowance(message: Message) -> None:
            if message["type"] == "http.response.start":
                allowance: Allowance | None = scope.get("rate_allowance")
                headers = list(message.get("headers", ()))
                if allowance is not None and all(name != _FIRST for name, _ in headers):
                    headers += [(k.lower().encode(), v.encode()) for k, v in allowance.headers().items()]
                    message["headers"] = headers
            await send(message)

        await self.app(scope, receive, send_with_allowance)
