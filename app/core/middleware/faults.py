"""The innermost middleware: whatever nothing else handled becomes a problem document, never a bare 500."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.handlers import problem_response, unexpected
from app.core.routing import route_of


class FaultsMiddleware:
    """Sits inside of the headers, so that failures carry them too.

    Tells the request's context which route was found: a HEAD is answered in a copy of the scope, which nobody
    outside of it sees.
    """

    def __init__(self, app: ASGIApp) -> None:
        """`app`: the framework's own stack."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers for an exception unless the answer has begun; then it can only be broken off."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            if not begun:
                begun = True
                scope["request_context"].route = route_of(scope)
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            problem = unexpected(error)
            if begun:
                raise
            scope["request_context"].route = route_of(scope)
            await problem_response(problem, scope["path"])(scope, receive, send)
