"""CORS for the configured origins; what it refuses is a problem document, like every other error."""

from http import HTTPStatus

from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.errors import BadRequest
from app.core.handlers import problem_response


class CorsMiddleware(CORSMiddleware):
    """Starlette's, whose refusals are plain text."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers preflights; lets everything else pass with the origin's headers."""
        try:
            await super().__call__(scope, receive, send)
        except BadRequest as problem:
            await problem_response(problem, scope["path"])(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a preflight. Raises BadRequest for what is not allowed."""
        response = super().preflight_response(request_headers)
        if response.status_code != HTTPStatus.OK:
            raise BadRequest(
                "This origin, method or header is not allowed here.",
                headers={"Vary": response.headers["vary"]},
            )
        return response
