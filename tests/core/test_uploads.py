"""Large bodies: counted and forgotten, and those that are too large not even read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.backend import Backend
from tests.conftest import SECRET
from tests.core.access_logs import row, serving, stored
from tests.core.people import ask
from tests.program import Program, Served, copy_project

MIB = 1024 * 1024
MARK = b"s3cret-in-a-body"
PART = MARK * (64 * 1024 // len(MARK))
UPLOAD = 100 * MIB
GROWTH = 50 * MIB
SERVER = ("-m", "uvicorn", "--factory", "tests.core.upload_server:make", "--port", "{port}")
TARGET = "/api/v1/uploads/swallow"


def memory(served: Served, what: str) -> int:
    """Bytes of the server: `VmRSS` now, `VmHWM` at most so far."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith(what)]
    return int(line.split()[1]) * 1024


class Body:
    """A body that is made while it is sent; `sent` counts what was asked for."""

    def __init__(self, size: int) -> None:
        self.size, self.sent = size, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.sent < self.size:
            self.sent += len(PART)
            yield PART


async def refused_by_its_length(url: str, request_id: str) -> bytes:
    """The answer to a head that announces too much; nothing of the body is sent."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    head = f"POST {TARGET} HTTP/1.1\r\nHost: {where.netloc}\r\nX-Request-ID: {request_id}\r\n"
    writer.write(f"{head}Content-Length: {UPLOAD + 1}\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


async def test_large_upload_is_counted_and_kept_nowhere(backend: Backend, tmp_path: Path) -> None:
    """100 MB through a server of its own: its memory hardly grows. One byte more is refused by the head alone."""
    url, logs = backend.new_database(), tmp_path / "logs"
    given = {"ENVIRONMENT": "test", "DATABASE_URL": url, "SECRET_KEY": SECRET, "LOG_DIR": str(logs)}
    program = Program(copy_project(tmp_path / "program"), {**given, "MAX_BODY_BYTES": str(UPLOAD)})
    with program.serving(*SERVER) as served:
        async with httpx2.AsyncClient(base_url=served.url, timeout=60) as client:
            warm = await client.post(TARGET, content=PART)
            assert warm.json()["size"] == len(PART)
            before = memory(served, "VmRSS")
            headers = {"X-Request-ID": "whole", "Content-Length": str(UPLOAD)}
            answer = await client.post(TARGET, content=Body(UPLOAD), headers=headers)
        assert answer.json()["size"] == UPLOAD
        assert answer.json()["largest"] < MIB
        assert memory(served, "VmHWM") - before < GROWTH
        refusal = await refused_by_its_length(served.url, "refused")
        assert refusal.startswith(b"HTTP/1.1 413 ")
        assert b"x-request-id: refused\r\n" in refusal
    rows = await stored(url, "SELECT * FROM audit_access ORDER BY id")
    told = {one.request_id: (one.status, one.outcome, one.request_bytes) for one in rows}
    assert told["whole"] == (200, "ok", UPLOAD)
    assert told["refused"] == (413, "client_error", 0)
    assert MARK.decode() not in repr([*rows, *await stored(url, "SELECT * FROM audit_change")])
    assert all(MARK not in file.read_bytes() for file in logs.iterdir())


async def test_endless_upload_is_read_up_to_the_limit(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a body whose length nobody tells, not much more than what would be let in."""
    async with serving(backend.new_database(), tmp_path, monkeypatch, max_body_bytes=MIB) as app:
        body = Body(UPLOAD)
        chunked = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
        answer = await ask(app, "POST", "/api/v1/ends/change", content=body, headers=chunked)
        assert answer.status_code == 413
        assert MIB < body.sent <= MIB + 2 * len(PART)
        found = await row(app, answer.headers["x-request-id"])
        assert (found["status"], found["error_class"]) == (413, "PayloadTooLarge")
        assert MIB < found["request_bytes"] <= body.sent
