"""Peers that read nothing: their connections end all the same, and cost no memory meanwhile."""

import asyncio
import os
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app import cli
from app.core import socket_protocol
from tests.conftest import settings_for
from tests.server_here import PATIENCE, serving_here

SMALL = 8192  # of the kernel's buffers: nobody has to fill megabytes
TOO_MUCH = 1 << 20
TEXT, PING = 1, 9


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not taken in time is cut off soon."""
    assert socket_protocol.UNREAD_SECONDS == 10
    monkeypatch.setattr(socket_protocol, "UNREAD_SECONDS", 0.3)


class Chatty:
    """A program that sends more than any buffer holds, and keeps what became of its sockets."""

    def __init__(self, *, patience: float) -> None:
        """`patience`: how long it tries to send."""
        self.patience = patience
        self.ended: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        web = WebSocket(scope, receive, send)
        await web.accept()
        assert await web.receive_text() == "go"
        try:
            async with asyncio.timeout(self.patience):
                await web.send_text("x" * TOO_MUCH)
                await web.send_text("and more")
            await web.close(4000)
            self.ended.append("said all")
        except (WebSocketDisconnect, TimeoutError) as error:
            self.ended.append(type(error).__name__)


class Quiet:
    """A program that says nothing, and keeps what it hears."""

    def __init__(self) -> None:
        """Has heard nothing."""
        self.heard: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        web = WebSocket(scope, receive, send)
        await web.accept()
        async for text in web.iter_text():
            self.heard.append(text)


def serving(program: Any, **options: Any) -> AbstractAsyncContextManager[tuple[uvicorn.Server, int]]:
    """A server of this process that speaks the protocol, with small buffers, and its port."""
    return serving_here(program, buffers=SMALL, ws="app.core.socket_protocol:SocketProtocol", **options)


@asynccontextmanager
async def reading_nothing(port: int) -> AsyncIterator[socket.socket]:
    """A connection past the handshake, of a peer that takes nothing more."""
    loop, key = asyncio.get_running_loop(), b64encode(os.urandom(16)).decode()
    with socket.socket() as peer:
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            peer.setsockopt(socket.SOL_SOCKET, buffer, SMALL)
        peer.setblocking(False)
        await loop.sock_connect(peer, ("127.0.0.1", port))
        asked = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        asked += f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        await loop.sock_sendall(peer, asked.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await loop.sock_recv(peer, 1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        yield peer


async def say(peer: socket.socket, kind: int, data: bytes, times: int = 1) -> None:
    """Sends a frame, masked with zeros (RFC 6455 5.2)."""
    frame = bytes([0x80 | kind, 0x80 | len(data)]) + bytes(4) + data
    await asyncio.get_running_loop().sock_sendall(peer, frame * times)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  servers have no event for it
            await asyncio.sleep(0.01)


async def test_peer_that_reads_gets_everything_and_the_code() -> None:
    program = Chatty(patience=PATIENCE)
    async with serving(program) as (_, port), connect(f"ws://127.0.0.1:{port}", max_size=None) as peer:
        await peer.send("go")
        assert len(await peer.recv()) == TOO_MUCH
        assert await peer.recv() == "and more"
        with pytest.raises(ConnectionClosed) as closed:
            await peer.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, program.ended) == (4000, ["said all"])


async def test_socket_that_the_program_has_left_is_cut_off() -> None:
    program = Chatty(patience=0.2)
    async with serving(program) as (server, port), reading_nothing(port) as peer:
        await say(peer, TEXT, b"go")
        await until(lambda: program.ended == ["TimeoutError"])
        assert server.server_state.connections
        await until(lambda: not server.server_state.connections)


async def test_peer_that_answers_no_ping_is_cut_off_and_the_program_hears_of_it() -> None:
    program = Chatty(patience=PATIENCE)
    often = {"ws_ping_interval": 0.1, "ws_ping_timeout": 0.1}
    async with serving(program, **often) as (server, port), reading_nothing(port) as peer:
        await say(peer, TEXT, b"go")
        await until(lambda: program.ended == ["WebSocketDisconnect"])
        assert not server.server_state.connections


async def test_stopping_server_waits_for_nobody_who_reads_nothing() -> None:
    program = Chatty(patience=PATIENCE)
    async with (
        serving(program, timeout_graceful_shutdown=60) as (server, port),
        reading_nothing(port) as peer,
    ):
        await say(peer, TEXT, b"go")
        await until(lambda: _waiting(server) > SMALL)
        server.should_exit = True
        await until(lambda: program.ended == ["WebSocketDisconnect"])


async def test_peer_that_reads_no_answer_to_its_pings_is_read_no_further() -> None:
    program = Quiet()
    async with serving(program) as (server, port), reading_nothing(port) as peer:
        flood = asyncio.create_task(say(peer, PING, b"x" * 125, times=3 * TOO_MUCH // 131))
        await until(lambda: _waiting(server) > SMALL)
        for _ in range(100):
            await asyncio.sleep(0.01)
            assert _waiting(server) < TOO_MUCH
        assert not flood.done()

        read = asyncio.create_task(_read_all(peer))
        async with asyncio.timeout(PATIENCE):
            await flood
        await say(peer, TEXT, b"done")
        await until(lambda: program.heard == ["done"])
        read.cancel()


async def _read_all(peer: socket.socket) -> None:
    while await asyncio.get_running_loop().sock_recv(peer, TOO_MUCH):
        pass


async def test_pings_are_answered() -> None:
    async with serving(Quiet()) as (_, port), connect(f"ws://127.0.0.1:{port}") as peer:
        for _ in range(3):
            async with asyncio.timeout(PATIENCE):
                await (await peer.ping())


def test_serve_speaks_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _app, **options: told.update(options))
    monkeypatch.setattr(cli, "get_settings", lambda: settings_for(f"sqlite+aiosqlite:///{tmp_path}/x.db", ""))
    cli.serve("127.0.0.1", 0, 1)
    assert told["ws"] == "app.core.socket_protocol:SocketProtocol"


def _waiting(server: uvicorn.Server) -> int:
    """How many bytes the server keeps for the one who is connected."""
    (connection,) = server.server_state.connections
    size: int = connection.transport.get_write_buffer_size()
    return size
