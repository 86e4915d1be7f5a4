"""How the server speaks WebSocket: as uvicorn does, but never without bounds for a peer that reads nothing.

uvicorn ends a connection when all that it has written is taken, which such a peer puts off for as long as it likes,
and answers its pings into a buffer that grows with them.
"""

import socket
import struct
from asyncio import TimerHandle

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

UNREAD_SECONDS = 10.0  # as long as uvicorn waits for the answer to a close
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: what was not taken is thrown away, by the kernel too


class SocketProtocol(WebSocketsSansIOProtocol):
    """Reads nothing of a peer that reads nothing, and cuts off what has ended and was not taken in time."""

    _end: TimerHandle | None = None

    def pause_writing(self) -> None:
        """The peer has left so much unread that it is not heard meanwhile."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer has read nearly all."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    async def receive(self) -> ASGIReceiveEvent:
        """What the peer says next."""
        message = await super().receive()
        if not self.writable.is_set():
            self.transport.pause_reading()
        return message

    async def run_asgi(self) -> None:
        """The program's part, until it has closed the socket or the peer is gone."""
        try:
            await super().run_asgi()
        finally:
            self._end_in_time()

    def keepalive_timeout(self) -> None:
        """The peer answers no ping. The program hears of it when the connection is gone."""
        super().keepalive_timeout()
        self._end_in_time()

    def shutdown(self) -> None:
        """The server stops."""
        super().shutdown()
        self._end_in_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to be cut off."""
        super().connection_lost(exc)
        if self._end is not None:
            self._end.cancel()

    def _end_in_time(self) -> None:
        if self._end is None and not self.disconnected:
            self._end = self.loop.call_later(UNREAD_SECONDS, self._cut_off)

    def _cut_off(self) -> None:
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()
