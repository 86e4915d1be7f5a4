"""The OpenAPI document: what FastAPI derives, plus what every call has in common."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from app.auth.dependencies import AnyGuard, Guard
from app.core.handlers import MEDIA_TYPE, PROBLEM_SCHEMA
from app.registry import API_PREFIX, guards_at

DESCRIPTION = """\
Identity, fine-grained privileges and the team's own modules, under `/api/v1`.

Errors are problem documents (RFC 9457) with a stable `code`; every answer carries `X-Request-ID`. Times are UTC.
Lists are paged by `page` and `per_page`, or walked by `cursor`.
"""
_PROBLEMS = {
    400: "The request can't be read.",
    401: "No credential, or one that is not valid (any more).",
    403: "The caller may not do this.",
    404: "There is no such thing, or the caller may not know of it.",
    409: "The change contradicts the present state.",
    413: "The body is too large.",
    415: "The body is not of a type that this call reads.",
    422: "Single fields are at fault.",
    429: "Too many requests; `Retry-After` says how many seconds to wait.",
    503: "A part that this call needs is down or overloaded.",
}
_API_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": "X-API-Key",
    "description": "A key made by POST /auth/api-keys; taken as a bearer token too.",
}
_METHODS = ("get", "post", "put", "patch", "delete")


def describe(app: FastAPI) -> None:
    """Replaces the app's document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def operation_id(route: APIRoute) -> str:
    """The name of the endpoint function; start-up checks that no two have the same."""
    return route.name


def document(app: FastAPI) -> dict[str, Any]:
    """The document, with problems as answers of every call."""
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        openapi_version="3.1.0",
    )
    components = schema.setdefault("components", {})
    components.setdefault("securitySchemes", {})["api_key"] = _API_KEY
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    guards = {
        context.name: guard for context in iter_route_contexts(app.routes) for guard in guards_at(context)
    }
    for path, item in schema["paths"].items():
        for method in _METHODS:
            if method in item:
                _admit_keys(item[method], guards.get(item[method]["operationId"]))
                _complete(path, item[method])
    return schema


def _admit_keys(operation: dict[str, Any], guard: AnyGuard | None) -> None:
    """The API key beside the login, where the guard takes either."""
    if isinstance(guard, Guard) and not guard.in_person:
        operation["security"].append({"api_key": []})


def _complete(path: str, operation: dict[str, Any]) -> None:
    """Every problem that the call can answer."""
    responses = operation["responses"]
    guarded = "security" in operation
    for status, description in _PROBLEMS.items():
        if not _applies(status, path, operation, guarded=guarded):
            continue
        if status != 422 and str(status) in responses:  # noqa: PLR2004  FastAPI's own shape of it is replaced
            continue
        responses[str(status)] = {
            "description": description,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }


def _applies(status: int, path: str, operation: dict[str, Any], *, guarded: bool) -> bool:
    has_body = "requestBody" in operation
    if status in {401, 403}:
        return guarded or path.startswith(f"{API_PREFIX}/auth/")
    if status == 429:  # noqa: PLR2004  probes are never turned away
        return path.startswith(API_PREFIX)
    if status in {413, 415}:
        return has_body
    if status == 404:  # noqa: PLR2004
        return "{" in path
    if status == 409:  # noqa: PLR2004
        return has_body or "{" in path
    return True
