"""WebSockets of callers: who they are is said in the first frame, and asked again as long as the socket is open."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from app.auth.api_keys import looks_like_key
from app.auth.callers import caller_of, introduce
from app.auth.ports import Kernel
from app.auth.principal import Credential, Principal
from app.core.clients import network_of
from app.core.context import RequestContext
from app.core.errors import (
    AppError,
    BadRequest,
    Forbidden,
    PasswordChangeRequired,
    PayloadTooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from app.core.handlers import unexpected
from app.core.platform import platform_of
from app.core.routing import route_of
from app.core.sockets import OpenSockets, hear, refuse_foreign

FIRST_FRAME_SECONDS = 5.0
# What is dead is closed within their sum: looks begin so often, and each has so long for its answer.
STAMP_SECONDS, ANSWER_SECONDS = 3.0, 2.0
MAX_WAITING_EVENTS = 256
MAX_STRANGERS = 50  # sockets of one network that have not said yet whose they are
MAX_SOCKETS = 20  # of one user, in one process
PONG = '{"type":"pong"}'
# What is sent, made when it is sent, for whoever the caller is then; None where there is nothing to tell them.
Event = Callable[[Principal], Awaitable[str | None]]


class LiveSocket:
    """An open socket of a known caller: events go out in order, frames come in, the credential stays alive."""

    def __init__(self, socket: WebSocket, credential: Credential, privilege: str) -> None:
        """An accepted socket; `admit` makes out whose it is. `privilege`: what the caller needs all the time."""
        self._socket = socket
        self._credential = credential
        self._privilege = privilege
        self._kernel = _kernel_of(socket)
        self._events: asyncio.Queue[Event] = asyncio.Queue(MAX_WAITING_EVENTS)
        self._is_too_slow = asyncio.Event()
        self.caller: Principal

    async def admit(self) -> None:
        """Asks for the stamp, here and now. Raises 401s, Forbidden, PasswordChangeRequired, Unavailable."""
        caller = await caller_of(self._kernel, self._credential)
        if caller.must_change_password:
            raise PasswordChangeRequired("Change your password first: POST /users/me/change-password.")
        caller.require(self._privilege)
        self.caller = caller

    def offer(self, event: Event) -> None:
        """Puts an event behind those that wait. Never waits itself: a reader that is too slow loses the socket."""
        if not self._is_too_slow.is_set():
            try:
                self._events.put_nowait(event)
            except asyncio.QueueFull:
                self._is_too_slow.set()

    def offer_text(self, text: str) -> None:
        """The same for what is the same for everybody."""
        self.offer(_saying(text))

    async def run(self) -> None:
        """Until it ends. Raises WebSocketDisconnect, or the `AppError` for which the caller has to go."""
        with _open_sockets(self._socket).place(f"user:{self.caller.user_id}", MAX_SOCKETS):
            try:
                await self._run_parts()
            except (AppError, WebSocketDisconnect):
                raise
            except Exception as error:
                raise unexpected(error) from error

    async def _run_parts(self) -> None:
        """Whatever ends first ends the others."""
        parts = [
            asyncio.create_task(part()) for part in (self._listen, self._tell, self._watch, self._overflow)
        ]
        try:
            ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
        for one in ended:
            one.result()

    async def _tell(self) -> None:
        """One event after the other, each behind a look whether the caller still may."""
        while True:
            event = await self._events.get()
            await self.admit()
            text = await event(self.caller)
            if text is not None:
                await self._socket.send_text(text)

    async def _watch(self) -> None:
        """Looks also while there is nothing to tell. Raises Unavailable where the answer is late."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        while True:
            await asyncio.sleep(begun + STAMP_SECONDS - clock())
            begun = clock()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self.admit()
            except TimeoutError:
                raise Unavailable("The database can't answer at the moment.") from None

    async def _overflow(self) -> None:
        await self._is_too_slow.wait()
        raise Unavailable("Events came faster than they were read.")

    async def _listen(self) -> None:
        while True:
            frame = await hear(self._socket)
            if self._kernel.limiter is not None:
                await self._kernel.limiter.admit(f"user:{self.caller.user_id}")
            if frame == {"type": "ping"}:
                # Waits for a place: who sends more pings than it reads answers is read no further.
                await self._events.put(_saying(PONG))
            else:
                await self._renew(frame)

    async def _renew(self, frame: dict[str, Any]) -> None:
        """A newer credential of the same user: access tokens live shorter than sockets. Raises BadRequest."""
        credential = _credential_of(frame)
        if credential is None:
            raise BadRequest("There is no such frame.")
        if (await caller_of(self._kernel, credential)).user_id != self.caller.user_id:
            raise Forbidden("A socket stays with the user who opened it.")
        self._credential = credential


class SocketGuard:
    """The guard of a WebSocket: asks for a credential in the first frame, and for a privilege."""

    def __init__(self, privilege: str) -> None:
        """`privilege`: asked for at the beginning, and before each event."""
        self.privilege = privilege
        self.privileges = (privilege,)

    async def __call__(self, socket: WebSocket) -> LiveSocket:
        """The socket, accepted, of a caller who may. Raises what it is refused or closed with."""
        context: RequestContext = socket.scope["request_context"]
        context.privilege, context.route = self.privilege, route_of(socket.scope)
        kernel, stranger = _kernel_of(socket), f"address:{network_of(context.client_ip)}"
        refuse_foreign(socket, platform_of(socket).settings)
        if kernel.limiter is not None:
            await kernel.limiter.admit(stranger)
        with _open_sockets(socket).place(stranger, MAX_STRANGERS):
            await socket.accept()
            live = LiveSocket(socket, await _first_credential(socket), self.privilege)
            await live.admit()
        introduce(live.caller, context)
        if kernel.limiter is not None:
            await kernel.limiter.admit(f"user:{live.caller.user_id}")
        return live


async def _first_credential(socket: WebSocket) -> Credential:
    """What the first frame says, in time. Raises Unauthenticated for everything else."""
    try:
        async with asyncio.timeout(FIRST_FRAME_SECONDS):
            found = _credential_of(await hear(socket))
    except (TimeoutError, BadRequest, UnsupportedMediaType, PayloadTooLarge):
        found = None
    if found is None:
        raise Unauthenticated('The first frame must be {"type": "auth", "token": …}, within 5 seconds.')
    return found


def _saying(text: str) -> Event:
    async def event(_caller: Principal) -> str:
        return text

    return event


def _kernel_of(socket: WebSocket) -> Kernel:
    found: Kernel = socket.app.state.kernel
    return found


def _open_sockets(socket: WebSocket) -> OpenSockets:
    return platform_of(socket).only(OpenSockets, OpenSockets)


def _credential_of(frame: dict[str, Any]) -> Credential | None:
    """The credential of `{"type": "auth", "token": …}`; None for any other frame."""
    token = frame.get("token")
    if frame.keys() != {"type", "token"} or frame["type"] != "auth" or not isinstance(token, str):
        return None
    return Credential(token, looks_like_key(token))
