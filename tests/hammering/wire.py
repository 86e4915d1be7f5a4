"""One connection to one worker that stays open, and asks as fast as it is answered."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and when it was asked for and was there: `time.monotonic` of this process."""

    start: float
    end: float
    status: int
    body: bytes = field(repr=False, default=b"")

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        return json.loads(self.body)


def request(method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a request. `path` is below `/api/v1` unless it begins with a slash."""
    target = path if path.startswith("/") else f"/api/v1/{path}"
    content = b"" if body is None else json.dumps(body).encode()
    lines = {"Host": "127.0.0.1", **(headers or {})}
    if body is not None:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + content


class Wire:
    """HTTP/1.1 by hand: a general client would take longer than the server does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, asked: bytes) -> Answer:
        """The answer, read to its end. The clock is read before the first byte leaves, and after the last came."""
        reader, writer = self._streams or await self._open()
        async with asyncio.timeout(ANSWER_SECONDS):
            start = time.monotonic()
            writer.write(asked)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            status, length = int(head[9:12]), 0
            if (at := head.find(b"\r\ncontent-length:")) >= 0:
                length = int(head[at + 17 : head.index(b"\r\n", at + 17)])
            body = await reader.readexactly(length)
        end = time.monotonic()
        if b"\r\nconnection: close" in head:
            await self.close()
        return Answer(start, end, status, body)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        return self._streams

    async def close(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            await writer.wait_closed()
