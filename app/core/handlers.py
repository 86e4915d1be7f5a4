"""Every failure becomes one problem document (RFC 9457); what was sent is never echoed."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.core.context import current
from app.core.errors import (
    AppError,
    BadRequest,
    FieldError,
    Invalid,
    MethodNotAllowed,
    by_status,
)
from app.core.faults import translate
from app.core.logging import logger
from app.core.routing import MAX_REPORTED, allowed_methods
from app.core.sockets import dismiss, is_accepted

MEDIA_TYPE = "application/problem+json"
_UNREADABLE = {"json_invalid"}
_CODES = {"missing": "required", "extra_forbidden": "unknown"}


def problem_document(error: AppError, instance: str) -> dict[str, Any]:
    """The members of the document; `instance` is the path that was asked for."""
    document: dict[str, Any] = {
        "type": f"/docs/errors#{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "instance": instance,
        "request_id": current().request_id,
        **error.extensions,
    }
    if error.errors:
        document["errors"] = error.errors
    return document


def problem_response(error: AppError, instance: str) -> Response:
    """The answer to a failure, whose name the access log is told."""
    _note(error)
    body = orjson.dumps(problem_document(error, instance.encode("utf-8", "replace").decode()), default=str)
    return Response(body, error.status, {**error.headers}, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Replaces the handlers of FastAPI and Starlette. Other exceptions reach the faults middleware."""

    async def on_app_error(request: Request | WebSocket, error: Exception) -> Any:
        assert isinstance(error, AppError)  # noqa: S101  registered for it
        _tell_operators(error)
        if is_accepted(request):
            return await dismiss(request, error)
        return problem_response(error, request.url.path)

    async def on_gone(_socket: WebSocket, _error: Exception) -> None:
        """The client closed the socket: nothing is left to be said."""

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return problem_response(_of_validation(error), request.url.path)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return problem_response(_of_framework(app, request, error), request.url.path)

    app.add_exception_handler(AppError, on_app_error)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(WebSocketDisconnect, on_gone)


def unexpected(error: Exception) -> AppError:
    """What to answer to an exception that nothing else handled; logged here unless the client is meant."""
    _note(error)
    problem = translate(error)
    if problem is None:
        logger("server").error("request.failed", exc_info=error)
        return AppError("The request failed. The request id finds it in the logs.")
    _tell_operators(problem, error)
    return problem


def _note(error: Exception) -> None:
    """The class of the first exception that ends a request; what it was turned into later says less."""
    context = current()
    if context.request_id is not None and context.error_class is None:
        context.error_class = type(error).__name__


def _tell_operators(problem: AppError, cause: BaseException | None = None) -> None:
    """A line in the server's log for what is not the client's doing; the cause by its name, never its values."""
    if problem.status >= 500:  # noqa: PLR2004
        why = type(cause or problem.__cause__).__name__
        logger("server").warning("request.unavailable", reason=problem.detail, cause=why)


def _of_framework(app: FastAPI, request: Request, error: HTTPException) -> AppError:
    if error.status_code == MethodNotAllowed.status:
        allowed = ", ".join(allowed_methods(app.routes, request.scope))
        return MethodNotAllowed("This resource has no such method.", headers={"Allow": allowed})
    kind = by_status(error.status_code)
    headers: Mapping[str, str] = error.headers or {}
    detail = "The body can't be read." if kind is BadRequest else None
    if error.status_code == 404:  # noqa: PLR2004
        detail = "There is nothing at this path."
    return kind(detail, headers=headers)


def _of_validation(error: RequestValidationError) -> AppError:
    faults: Sequence[Mapping[str, Any]] = error.errors()
    if any(fault["type"] in _UNREADABLE for fault in faults):
        return BadRequest("The body is no valid JSON.")
    errors = [_field_error(fault) for fault in faults[:MAX_REPORTED]]
    return Invalid("The request is not valid.", errors=errors)


def _field_error(fault: Mapping[str, Any]) -> FieldError:
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"].endswith("_parsing"):
        message = message.partition(",")[0]  # what follows quotes characters that were sent
    return FieldError(
        loc=[str(part)[:100] if isinstance(part, str) else part for part in fault["loc"]],
        code=_CODES.get(fault["type"], fault["type"]),
        message=message,
    )


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `code` is stable; `errors` names the fields at fault.",
    "required": ["type", "title", "status", "code", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "required": {"type": "string", "description": "The privilege that is missing (403)."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "loc": {"type": "array", "items": {}},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
