"""Routers of modules: found by prefix, strict about what they read.

FastAPI asks one router after the other, and of each one route after the other, twice: at 300 routes that costs more
than the request. `ModuleTable` looks a path's module up; what it does not know, each router turns away by its prefix.
"""

import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, get_origin

import orjson
from fastapi import APIRouter, Request, Response
from fastapi._compat.v2 import get_model_fields
from fastapi.dependencies import utils as dependencies
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette._utils import get_route_path
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from app.core.errors import FieldError, Invalid, UnsupportedMediaType

MAX_REPORTED = 20
_fields_of = cache(get_model_fields)


def remember_queries() -> None:
    """Lets FastAPI remember the fields of every model of queries. By itself it remembers 128 models.

    With more of them, which fifty modules have, it can't write its document any more (KeyError: fields are told apart
    by identity), and makes the fields anew for each request.
    """
    dependencies.get_cached_model_fields = _fields_of  # type: ignore[attr-defined]


class JsonRequest(Request):
    """Reads bodies with one meaning: UTF-8 only, no NaN, no lone surrogates, bounded depth (RFC 8259)."""

    async def json(self) -> Any:
        """The parsed body. Raises json.JSONDecodeError, which orjson's own error is a subclass of.

        None for what isn't JSON by its own account: the guard refuses it, once the caller is let in.
        """
        if not hasattr(self, "_json"):
            self._json = None if is_foreign(self) or is_encoded(self) else orjson.loads(await self.body())
        return self._json


class ModuleRoute(APIRoute):
    """A route that knows its module, its whole path and the names of its query parameters."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """As FastAPI's; an answer without content has no type of content (RFC 9110 8.3)."""
        if options.get("status_code") == HTTPStatus.NO_CONTENT:
            options["response_class"] = Response
        super().__init__(path, endpoint, **options)
        self.query_names = dict(_query_names(self.dependant))
        self.reads_json = self.body_field is not None
        self.template = self.path_format
        self.module: str | None = None

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with our reading of bodies."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_strictly(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_strictly


def _query_names(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Each query parameter by the name that clients send, with whether it may be sent more than once."""
    for parameter in dependant.query_params:
        annotation = parameter.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, field in annotation.model_fields.items():
                alias = field.validation_alias or field.alias
                yield alias if isinstance(alias, str) else name, get_origin(field.annotation) is list
        else:
            yield parameter.alias, get_origin(annotation) is list
    for inner in dependant.dependencies:
        yield from _query_names(inner)


def refuse_malformed(request: Request) -> None:
    """Raises `UnsupportedMediaType` for a body of another kind, `Invalid` for query parameters that aren't known.

    Called by the guards: after who and may they (401, 403), before anything is done.
    """
    if is_encoded(request):
        raise UnsupportedMediaType("Encoded bodies are not read here.")
    if getattr(request.scope["route"], "reads_json", False) and is_foreign(request):
        raise UnsupportedMediaType("The body must be application/json.")
    if request.scope["query_string"]:
        _refuse_unknown_query(request)


def is_foreign(request: Request) -> bool:
    """Whether a body was sent that calls itself something else than JSON in UTF-8 (RFC 8259 8.1)."""
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    kind = kind.strip()
    is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    charset = re.search(r"charset\s*=\s*\"?([^\";\s]*)", parameters)
    return _has_body(request) and not (is_json and (charset is None or charset[1] in {"utf-8", "utf8"}))


def is_encoded(request: Request) -> bool:
    """Whether a compressed body was sent: a small one may unfold to anything (CWE-409)."""
    encodings = request.headers.getlist("content-encoding")
    return _has_body(request) and any(e.strip().lower() not in {"", "identity"} for e in encodings)


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _refuse_unknown_query(request: Request) -> None:
    known: dict[str, bool] = getattr(request.scope["route"], "query_names", {})
    faults, seen = [], set()
    for name, value in request.query_params.multi_items():
        if name not in known:
            faults.append(_fault(name, "unknown", "This query parameter is not known here."))
        elif name in seen and not known[name]:
            faults.append(_fault(name, "repeated", "This query parameter was sent more than once."))
        elif "\x00" in value:
            faults.append(_fault(name, "nul", "A text must not contain NUL."))
        seen.add(name)
    if faults:
        raise Invalid("The query is not valid.", errors=faults[:MAX_REPORTED])


def _fault(name: str, code: str, message: str) -> FieldError:
    return FieldError(loc=["query", name[:100]], code=code, message=message)


class ModuleRouter(APIRouter):
    """The router of one module. It may be included once only, since it has one prefix to look at."""

    gate = ""
    module: str | None = None

    def __init__(self, prefix: str, *, tags: Sequence[str]) -> None:
        """`prefix`: the module's path below the API's, such as `/users`."""
        super().__init__(prefix=prefix, tags=list(tags), route_class=ModuleRoute)

    def open(self, prefix: str, module: str) -> None:
        """Tells the router, and its routes, where it is included and whose it is."""
        self.gate, self.module = prefix + self.prefix, module
        for route in self.routes:
            if isinstance(route, ModuleRoute):
                route.template, route.module = prefix + route.path_format, module

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Nothing where the path doesn't begin with the gate; else as FastAPI does."""
        if get_route_path(scope).startswith(self.gate):
            if scope["type"] == "websocket":
                # FastAPI makes routes of WebSockets anew: on them it would be lost.
                scope["module"] = self.module
            return super().matches(scope)
        return Match.NONE, {}


class ModuleTable(BaseRoute):
    """Finds the router of a path at one look, so that a request costs the same however many modules there are.

    It stands before all other routes. What it does not know is left to them: paths of nobody, pages, and routers
    that share their place with another one.
    """

    def __init__(self, included: Sequence[tuple[BaseRoute, ModuleRouter]], prefix: str) -> None:
        """`included`: routes of the app, each with its router; `prefix`: where the API is."""
        self._depth = prefix.count("/") + 1
        places = Counter(self._place(router.gate) for _, router in included)
        self._routes = {
            router.gate: route
            for route, router in included
            if router.gate.count("/") == self._depth and places[router.gate] == 1
        }

    def _place(self, path: str) -> str:
        """`/api/v1/users` for everything below it."""
        return "/".join(path.split("/", self._depth + 1)[: self._depth + 1])

    def find(self, scope: Scope) -> BaseRoute | None:
        """The route that everything below the path's first part belongs to, if it is known."""
        return self._routes.get(self._place(get_route_path(scope)))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the one route does that can; nothing where none can."""
        route = self.find(scope)
        return (Match.NONE, {}) if route is None else route.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands over what matched."""
        route = self.find(scope)
        if route is not None:
            await route.handle(scope, receive, send)


def route_of(scope: Scope) -> BaseRoute | None:
    """The route that was found for the path; None where there is none.

    FastAPI's routes leave themselves in the scope; of a plain one, such as a page, only its endpoint is there.
    """
    found: BaseRoute | None = scope.get("route")
    if found is None and "endpoint" in scope:
        plain = (r for r in scope["app"].routes if getattr(r, "endpoint", None) is scope["endpoint"])
        found = next(plain, None)
    return found


def allowed_methods(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """Every method that some route has for this path, HEAD with GET (RFC 9110 15.5.6)."""
    from fastapi.routing import iter_route_contexts  # noqa: PLC0415  only for a 405

    path, found = get_route_path(scope), set[str]()
    near = [route for route in routes if path.startswith(_gate_of(route))]
    for context in iter_route_contexts(near):
        pattern = getattr(context, "path_regex", None)
        if pattern is not None and context.methods and pattern.match(path):
            found |= set(context.methods)
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


def _gate_of(route: BaseRoute) -> str:
    """Where the paths of an included router begin; empty for everything else."""
    return str(getattr(getattr(route, "original_router", None), "gate", ""))
