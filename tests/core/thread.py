"""A throw-away module whose routes write roles: in time, after their answer, before they fail."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import BackgroundTasks, Query, Request, Response, WebSocket
from pydantic import BaseModel, Field
from sqlalchemy import text
from starlette.background import BackgroundTask
from starlette.requests import HTTPConnection
from starlette.responses import StreamingResponse

from app.auth.dependencies import Caller
from app.core.module import Module
from app.core.routing import ModuleRouter
from app.core.transaction import UnitOfWork
from app.modules.roles.models import Role


class Aliased(BaseModel):
    """Query parameters whose names are words of Python's."""

    since: Annotated[str, Field(alias="from")] = ""
    several: Annotated[list[str], Field(validation_alias="in")] = []


class Afterwards:
    """Tasks that handlers have started and that write once they are told to."""

    def __init__(self) -> None:
        self.may_write = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    def write(self, request: Request, name: str) -> None:
        """Starts a task of a request."""

        async def go_on() -> None:
            await self.may_write.wait()
            await write(request, name)

        self.tasks.add(asyncio.create_task(go_on()))

    async def finish(self) -> None:
        """Lets them write, and waits for them."""
        self.may_write.set()
        await asyncio.gather(*self.tasks)
        self.may_write.clear()
        self.tasks.clear()


async def write(connection: HTTPConnection, name: str) -> None:
    """A role, in a transaction of its own."""
    async with UnitOfWork(connection.app.state.platform.database).transaction() as session:
        session.add(Role(name=name))


def module(afterwards: Afterwards) -> Module:
    """The module. Names of roles end with when they were written: `before`, or `after` the answer."""
    router = ModuleRouter("/thread", tags=["thread"])

    @router.post("/write")
    async def write_thread(request: Request, name: str, _: Caller) -> dict[str, str]:
        await write(request, f"{name}-before")
        return {"made": name}

    @router.post("/background")
    async def write_in_background(request: Request, name: str, tasks: BackgroundTasks, _: Caller) -> None:
        tasks.add_task(write, request, f"{name}-after")
        await write(request, f"{name}-before")

    @router.post("/task")
    async def write_in_tasks(request: Request, name: str, _: Caller) -> None:
        await asyncio.create_task(write(request, f"{name}-before"))
        afterwards.write(request, f"{name}-after")

    @router.post("/stream", response_class=Response)
    async def write_while_streaming(request: Request, name: str, _: Caller) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            await write(request, f"{name}-before")
            for _ in range(5):
                yield b"next"
                await asyncio.sleep(0)

        return StreamingResponse(chunks(), background=BackgroundTask(write, request, f"{name}-after"))

    @router.post("/crash")
    async def write_and_crash(request: Request, name: str, _: Caller) -> None:
        await write(request, f"{name}-before")
        afterwards.write(request, f"{name}-after")
        raise LookupError("s3cret-internals")

    @router.post("/unseen")
    async def write_past_the_log(request: Request, name: str, _: Caller) -> None:
        async with UnitOfWork(request.app.state.platform.database).transaction() as session:
            session.add(Role(name=name))
            await session.exec(text("UPDATE roles SET description = 'unseen'"))  # type: ignore[call-overload]

    @router.get("/aliased")
    async def read_aliased(query: Annotated[Aliased, Query()], _: Caller) -> dict[str, str]:
        return {"from": query.since, "in": ",".join(query.several)}

    return Module(name="thread", router=router)


async def socket(socket: WebSocket) -> None:
    """Writes while it is open, and once it is closed."""
    await socket.accept()
    await write(socket, f"{socket.headers['x-request-id']}-before")
    await socket.close()
    await write(socket, f"{socket.headers['x-request-id']}-after")


async def closed_socket(socket: WebSocket) -> None:
    """Is refused with an answer of HTTP."""
    await socket.send_denial_response(Response("not here", 403))
