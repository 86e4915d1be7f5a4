"""The socket over a real connection: what the server makes of frames before the program sees them."""

import asyncio
import json
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.core.sockets import SERVER_FRAME_BYTES
from tests.api import Api, Caller
from tests.backend import RunningApp
from tests.modules.messenger.support import LIVE, begin, person, post
from tests.program import Program, copy_project
from tests.server_here import serving_here


@pytest.fixture
async def url(app: RunningApp) -> AsyncIterator[str]:
    """The socket's address at a server of this process."""
    protocol = "app.core.socket_protocol:SocketProtocol"
    async with serving_here(app.app, ws=protocol, ws_max_size=SERVER_FRAME_BYTES) as (_, port):
        yield f"ws://127.0.0.1:{port}{LIVE}"


@asynccontextmanager
async def ready(url: str, caller: Caller) -> AsyncIterator[ClientConnection]:
    async with connect(url) as socket:
        await socket.send(json.dumps({"type": "auth", "token": caller.access_token}))
        assert json.loads(await socket.recv())["type"] == "ready"
        yield socket


async def close_code(socket: ClientConnection) -> int:
    """The code that the server closes with. Asserts that it does, and says nothing before."""
    with pytest.raises(ConnectionClosed) as found:
        await asyncio.wait_for(socket.recv(), 10)
    assert found.value.rcvd is not None
    return found.value.rcvd.code


async def test_message_goes_over_the_wire(url: str, api: Api) -> None:
    ann = await person(api)
    thread = await begin(ann)
    async with ready(url, ann) as socket:
        message = await post(ann, thread, "Soup? 🍲")
        assert json.loads(await socket.recv()) == {"type": "message", "message": message}


@pytest.mark.parametrize(
    ("frame", "code"),
    [("{", 4400), (b"\x00", 4415), ("x" * 20_000, 4413), ("x" * 70_000, 1009), (b"x" * 70_000, 1009)],
    ids=["garbage", "binary", "large", "too large for the server", "too large and binary"],
)
async def test_frame_that_is_none_closes(url: str, api: Api, frame: str | bytes, code: int) -> None:
    async with ready(url, await person(api)) as socket:
        await socket.send(frame)
        assert await close_code(socket) == code


async def test_text_that_is_no_utf_8_closes(url: str, api: Api) -> None:
    async with ready(url, await person(api)) as socket:
        await socket.send(b"\xff\xfe", text=True)
        assert await close_code(socket) == 1007


async def test_frame_in_parts_is_one(url: str, api: Api) -> None:
    async with ready(url, await person(api)) as socket:
        await socket.send(['{"type":', '"ping"}'])
        assert json.loads(await socket.recv()) == {"type": "pong"}


async def test_refused_handshake_is_a_problem(url: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers={"Origin": "https://evil.example.com"})
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["code"] == "forbidden"


async def test_program_bounds_frames_logs_no_query_and_says_that_it_stops(tmp_path: Path) -> None:
    """As `python -m app serve` starts it. A frame that is too large is cut off before it is in memory."""
    root = copy_project(tmp_path / "tessera")
    program = Program(root, {"ENVIRONMENT": "development", "DATABASE_URL": "sqlite+aiosqlite:///./x.db"})
    program.must("init-db")
    with program.serving(path="/health/ready") as served:
        url = served.url.replace("http://", "ws://") + LIVE
        async with connect(f"{url}?token=9f3c-not-for-the-log") as socket:
            await socket.send("x" * (SERVER_FRAME_BYTES + 1))
            assert await close_code(socket) == 1009
        log = (root / "logs" / "server.log").read_text()
        assert "9f3c" not in log + served.output
        (event,) = [one for one in map(json.loads, log.splitlines()) if one["event"] == "bus.local"]
        assert "CACHE_URL is empty" in event["reason"]

        async with connect(url) as stranger:
            served.process.send_signal(signal.SIGTERM)
            assert await close_code(stranger) == 1012
        assert await asyncio.to_thread(served.process.wait, 10) == -signal.SIGTERM
    assert sockets_of(root / "x.db") == [(101, "close 1009"), (101, "close 1012")]


def sockets_of(file: Path) -> list[tuple[int, str]]:
    """Status and end of each socket, as the access log has them."""
    with closing(sqlite3.connect(file)) as database:
        query = "SELECT status, error_class FROM audit_access WHERE method = 'WS' ORDER BY occurred_at"
        return database.execute(query).fetchall()
