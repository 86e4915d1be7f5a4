"""Every request leaves a row in the access log, a line in `activity.log` and a count, whatever came of it."""

from collections.abc import Coroutine, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.audit.access import Conversation, Exchange, template_of
from app.core.audit.writer import AccessWriter
from app.core.errors import Unavailable
from app.core.handlers import problem_response
from app.core.logging import CHANNELS
from app.core.telemetry import observe

_READING = {"GET", "HEAD"}
_BODY_HEADERS = {b"content-length", b"transfer-encoding"}
_CLIENT_ERROR = 400


class AccessLogMiddleware:
    """Watches a request until its last chunk is sent; what the program does after that doesn't count."""

    def __init__(
        self,
        app: ASGIApp,
        writer: AccessWriter,
        *,
        api_prefix: str,
        is_durable: bool,
        excluded: Sequence[str] = (),
    ) -> None:
        """Sits outside of all that refuses. `is_durable`: answers wait for their row. `excluded`: paths without one."""
        self.app = app
        self._writer = writer
        self._is_durable = is_durable
        self._excluded = frozenset(excluded)
        self._sensitive = (f"{api_prefix}/auth", f"{api_prefix}/audit")
        self._channel = CHANNELS["activity"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on everything; of the life cycle nothing is logged."""
        if scope["type"] == "http":
            await self._watch(Exchange(scope, scope["request_context"]), receive, send)
        elif scope["type"] == "websocket":
            await self._watch(Conversation(scope, scope["request_context"]), receive, send)
        else:
            await self.app(scope, receive, send)

    async def _watch(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        must_record = exchange.scope["path"] not in self._excluded

        async def listen() -> Message:
            message = await receive()
            exchange.hear(message)
            return message

        async def answer(message: Message) -> None:
            nonlocal must_record
            if exchange.say(message):
                exchange.has_left = exchange.has_left or _has_left(exchange, receive)
                exchange.finish()
                if self._is_durable and must_record and not self._is_plain(exchange):
                    must_record = False
                    await self._writer.record_durably(exchange.fields())
            await send(message)
            if exchange.ended:
                exchange.context.origin = "background"

        try:
            await self._app_for(exchange)(exchange.scope, listen, answer)
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            exchange.context.origin = "background"  # of tasks that outlive an answer that broke off
            if must_record:
                await self._writer.record(exchange.fields())
            self._tell(exchange)

    def _app_for(self, exchange: Exchange) -> ASGIApp:
        """The program; or a refusal, where nothing that must leave a trace could leave one."""
        if not self._writer.is_blocked or self._only_reads(exchange):
            return self.app
        exchange.is_rejected = True
        problem = Unavailable("The access log can't be written at the moment.", retry_after_seconds=5)
        return problem_response(problem, exchange.scope["path"])

    def _is_plain(self, exchange: Exchange) -> bool:
        """Whether its row may be written after the answer."""
        return exchange.status < _CLIENT_ERROR and self._only_reads(exchange)

    def _only_reads(self, exchange: Exchange) -> bool:
        """Whether it looks at something that isn't delicate."""
        return exchange.method in _READING and not exchange.scope["path"].startswith(self._sensitive)

    def _tell(self, exchange: Exchange) -> None:
        """The line in `activity.log`, without the query, which may hold secrets; and the metrics."""
        context, status, seconds = exchange.context, exchange.final_status, exchange.seconds
        method = exchange.method
        if self._channel.takes_requests:
            self._channel.emit_request(
                {
                    "timestamp": exchange.occurred_at.isoformat(),
                    "level": "info",
                    "event": "request",
                    "request_id": context.request_id,
                    "method": method,
                    "path": exchange.scope["path"],
                    "status": status,
                    "outcome": exchange.outcome,
                    "duration_ms": round(seconds * 1000, 2),
                    "client_ip": context.client_ip,
                    "actor_type": context.actor_type,
                    "actor_id": context.actor_id,
                }
            )
        observe(method, template_of(context.route), status, seconds)


def _has_left(exchange: Exchange, receive: Receive) -> bool:
    """Whether the client is known to be gone, at the moment when its answer is ready.

    uvicorn's cycle, whose method `receive` is, knows. Of another server it is found out without waiting: by one step
    of `receive`, which says "disconnected" at once or begins to wait and is dropped. Only where no part of a body can
    be taken away from anybody: it has come, or there is none.
    """
    known = getattr(getattr(receive, "__self__", None), "disconnected", None)
    if isinstance(known, bool):
        return known
    if not exchange.is_read and any(name in _BODY_HEADERS for name, _ in exchange.scope["headers"]):
        return False
    for _ in range(2):  # the empty body may come first
        step = receive()
        if not isinstance(step, Coroutine):
            return False
        try:
            step.send(None)
        except StopIteration as found:
            if found.value["type"] == "http.disconnect":
                return True
        else:
            step.close()
            return False
    return False
