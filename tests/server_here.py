"""A uvicorn in this process and its loop, for tests that look at both ends of a real connection."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

PATIENCE = 10.0


@asynccontextmanager
async def serving_here(
    program: Any, *, buffers: int | None = None, **options: Any
) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """The server and its port. `buffers`: bytes of the kernel's for each connection. `options`: uvicorn's.

    Runs no life cycle. Raises TimeoutError where the server neither starts nor ends in ten seconds.
    """
    with socket.socket() as listener:
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF) if buffers else ():
            listener.setsockopt(socket.SOL_SOCKET, buffer, buffers or 0)  # connections inherit it
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(program, lifespan="off", log_config=None, access_log=False, **options)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        async with asyncio.timeout(PATIENCE):
            while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
                await asyncio.sleep(0.01)
        yield server, listener.getsockname()[1]
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task
