"""People in threads, and their sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.api import Api, Caller
from tests.backend import RunningApp
from tests.socket_client import SocketClient

LIVE = "/api/v1/messenger/live"
NOBODY = "0198c0de-0000-7000-8000-000000000000"


async def person(api: Api) -> Caller:
    """Somebody who may write."""
    return await api.user("messenger:write", modules=["messenger"])


async def begin(caller: Caller, *others: Caller, subject: str = "Lunch") -> str:
    """The id of a new thread with these members."""
    answer = await caller.post(
        "messenger/threads", {"subject": subject, "member_ids": [other.id for other in others]}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def post(caller: Caller, thread: str, text: str = "Soup?") -> dict[str, Any]:
    """A new message."""
    answer = await caller.post(f"messenger/threads/{thread}/messages", {"text": text})
    assert answer.status_code == 201, answer.text
    message: dict[str, Any] = answer.json()
    return message


async def texts(caller: Caller, thread: str, **query: Any) -> list[str]:
    """The texts of a thread's messages, as the list gives them."""
    answer = await caller.get(f"messenger/threads/{thread}/messages", params=query)
    assert answer.status_code == 200, answer.text
    return [row["text"] for row in answer.json()["items"]]


@asynccontextmanager
async def following(app: RunningApp, token: str) -> AsyncIterator[SocketClient]:
    """A socket that is ready, of whoever has the token."""
    async with SocketClient(app, LIVE) as socket:
        socket.say({"type": "auth", "token": token})
        assert (await socket.heard())["type"] == "ready"
        yield socket
