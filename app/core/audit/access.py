"""From a request that has ended to its row in the access log: no body, no headers but two, no value of a secret."""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.types import Message, Scope

from app.core.audit.values import REDACTED, is_secret_name
from app.core.clients import ClientAddress
from app.core.clock import now
from app.core.context import RequestContext
from app.core.routing import route_of

# What a row consists of, in the order of its tuple; the writer adds `boot_id` and `seq` in front.
COLUMNS = (
    *("occurred_at", "duration_us", "request_id", "method", "path", "route", "query", "status", "outcome"),
    *("error_class", "actor_type", "actor_id", "auth_method", "session_id", "api_key_id", "client_ip"),
    *("peer_ip", "forwarded_for", "user_agent", "request_bytes", "response_bytes", "is_probe"),
    *("module", "operation", "privilege"),
)
Fields = tuple[Any, ...]
MAX_QUERY_BYTES = 2048
_MAX_PATH, _MAX_FORWARDED, _MAX_METHOD, _MAX_VALUE = 1024, 256, 16, 256
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# A name that no route declares may be anything, a token for one: only what looks like a name is kept.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]-]{0,31}")
_SWITCHING, _FORBIDDEN, _CLIENT_ERROR, _SERVER_ERROR = 101, 403, 400, 500
_DENIED = {401, _FORBIDDEN}
_NORMAL_CLOSURE = 1000  # RFC 6455 7.4.1
_PEER = ClientAddress(())
_NO_NAMES: Mapping[str, bool] = {}
_is_secret = lru_cache(maxsize=1000)(
    is_secret_name
)  # asked of names that routes declare, never of a client's


@dataclass(slots=True)
class Exchange:
    """A request under way, and what is known of its answer.

    `ended`: when the last chunk of the answer was ready. `is_read`: all of the request's body has come.
    """

    scope: Scope
    context: RequestContext
    occurred_at: datetime = field(default_factory=now)
    started: float = field(default_factory=time.perf_counter)
    ended: float = 0.0
    status: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    is_read: bool = False
    has_left: bool = False
    is_rejected: bool = False

    @property
    def method(self) -> str:
        """Of the request."""
        found: str = self.scope["method"]
        return found

    def hear(self, message: Message) -> None:
        """What the client sent."""
        if message["type"] == "http.request":
            self.request_bytes += len(message.get("body", b""))
            self.is_read = not message.get("more_body", False)
        elif not self.ended:
            self.has_left = True
            if self.status:  # what follows a download that broke off is not part of it
                self.context.origin = "background"

    def say(self, message: Message) -> bool:
        """What the program answers. Returns whether this ends it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.response_bytes += len(message.get("body", b""))
            return not message.get("more_body", False)
        return False

    def finish(self) -> None:
        """The clock stops here, at the first call."""
        self.ended = self.ended or time.perf_counter()

    def fail(self, error: BaseException) -> None:
        """An exception came through. Kept by its class only: the message may quote what was sent."""
        if self.context.error_class is None and not isinstance(error, asyncio.CancelledError):
            self.context.error_class = type(error).__name__

    @property
    def final_status(self) -> int:
        """What was answered; 500 where an exception left the client without an answer."""
        return self.status or _SERVER_ERROR

    @property
    def seconds(self) -> float:
        """From the first look at the request to the last chunk, or until now."""
        return (self.ended or time.perf_counter()) - self.started

    @property
    def outcome(self) -> str:
        """How it ended, in one word."""
        if self.is_rejected:
            return "rejected"
        if self.has_left or (self.status and not self.ended):
            return "aborted"
        return outcome_of(self.final_status)

    def fields(self) -> Fields:
        """The row, without the numbers that the writer gives."""
        scope, context, method = self.scope, self.context, self.method
        route = context.route
        query = scope["query_string"]
        return (
            self.occurred_at,
            int(self.seconds * 1_000_000),
            context.request_id,
            method[:_MAX_METHOD] if method.isascii() and method.isprintable() else "?",
            _path(scope),
            template_of(route),
            orjson.dumps(logged_query(query, getattr(route, "query_names", _NO_NAMES))).decode()
            if query
            else None,
            self.final_status,
            self.outcome,
            context.error_class,
            context.actor_type,
            None if context.actor_id is None else str(context.actor_id),
            context.auth_method,
            context.session_id,
            context.api_key_id,
            context.client_ip,
            _PEER.of(scope),
            _forwarded(scope),
            None if context.user_agent is None else _fit(context.user_agent),
            self.request_bytes,
            self.response_bytes,
            is_probe(scope["path"]),
            getattr(route, "module", None) or (route and scope.get("module")),
            getattr(route, "name", None),
            context.privilege,
        )


class Conversation(Exchange):
    """A websocket: one row when it is closed, with 101 or the status of the refusal.

    A close code that is not the normal one stands where exceptions do.
    """

    @property
    def method(self) -> str:
        """Not one of HTTP's."""
        return "WS"

    def hear(self, message: Message) -> None:
        """What the client sent; that it closed, too."""
        self.request_bytes += _size(message)
        if message["type"] == "websocket.disconnect":
            self._close(message.get("code", _NORMAL_CLOSURE))

    def say(self, message: Message) -> bool:
        """What the program says. Never an end that could be held up."""
        self.response_bytes += _size(message)
        if message["type"] == "websocket.accept":
            self.status, self.context.route = _SWITCHING, route_of(self.scope)
        elif message["type"] == "websocket.http.response.start":
            self.status = message["status"]
        elif message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.finish()
        elif message["type"] == "websocket.close":
            self._close(message.get("code", _NORMAL_CLOSURE))
        return False

    def _close(self, code: int) -> None:
        self.status = self.status or _FORBIDDEN  # closed before it was accepted: servers answer that
        if code != _NORMAL_CLOSURE and not self.ended and self.context.error_class is None:
            self.context.error_class = f"close {code}"
        self.finish()


def _size(message: Message) -> int:
    return len(message.get("bytes") or (message.get("text") or "").encode())


def outcome_of(status: int) -> str:
    """The word for an answer that was sent whole."""
    if status < _CLIENT_ERROR:
        return "ok"
    if status in _DENIED:
        return "denied"
    return "client_error" if status < _SERVER_ERROR else "server_error"


def own_fields(path: str, query: Mapping[str, Any]) -> Fields:
    """A row of the log about itself: that it begins or ends, and under which settings."""
    own = {
        "occurred_at": now(),
        "duration_us": 0,
        "request_id": path,
        "method": "AUDIT",
        "path": path,
        "query": orjson.dumps(query).decode(),
        "status": 200,
        "outcome": "ok",
        "actor_type": "system",
        "is_probe": False,
    }
    return tuple(own.get(column) for column in COLUMNS)


def is_probe(path: str) -> bool:
    """Whether a machine asks how this one is, again and again."""
    return path == "/metrics" or path.startswith("/health")


def template_of(route: object) -> str | None:
    """`/api/v1/users/{user_id}`; None where no route was found."""
    found: str | None = getattr(route, "template", None) or getattr(route, "path", None)
    return found


def logged_query(query: bytes, known: Mapping[str, bool]) -> dict[str, Any]:
    """Each parameter with its value or values. Shown where the route declares it and its name is no secret's.

    Ends with `"…": true` where the rest was too long.
    """
    found: dict[str, Any] = {}
    room = MAX_QUERY_BYTES - 16
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        is_shown = name in known and not _is_secret(name)
        key = name if _NAME.fullmatch(name) else REDACTED
        text = _fit(value[:_MAX_VALUE]) if is_shown else REDACTED
        room -= len(orjson.dumps((key, text)))
        if room < 0:
            found["…"] = True
            break
        if key not in found:
            found[key] = text
        elif is_shown or found[key] != REDACTED:
            found[key] = [*(found[key] if isinstance(found[key], list) else [found[key]]), text]
    return found


def _path(scope: Scope) -> str:
    """As it was sent, still percent-encoded."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    return _fit(raw[:_MAX_PATH].decode("latin-1"))


def _fit(text: str) -> str:
    """Without what no log may hold. Nearly all texts are plain: looking costs a tenth of replacing."""
    return text if text.isascii() and text.isprintable() else _UNFIT.sub("\ufffd", text)


def _forwarded(scope: Scope) -> str | None:
    """The chain of proxies as it was sent; what it claims counts for nothing but a look later on."""
    chain = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return _fit(b",".join(chain)[:_MAX_FORWARDED].decode("latin-1")) if chain else None
