"""The innermost middleware: whatever nothing else handled becomes a problem document, never a bare 500."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.handlers import problem_response, unexpected


class FaultsMiddleware:
    """Sits inside of the headers, so that failures carry them too."""

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
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            problem = unexpected(error)
            if begun:
                raise
            await problem_response(problem, scope["path"])(scope, receive, send)
