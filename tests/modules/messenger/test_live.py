"""What reaches the sockets of those in a thread, and of nobody else."""

from typing import Any
from uuid import UUID

import pytest

from app.core.context import acting_as
from app.core.errors import Conflict
from app.core.transaction import UnitOfWork
from app.modules.messenger.repository_members import MemberRepository
from app.modules.messenger.schemas import MessageWrite
from app.modules.messenger.service_live import TOPIC, Hint, LiveThreads
from app.modules.messenger.service_messages import MessageService
from tests.api import Api, assert_problem
from tests.backend import RunningApp
from tests.modules.messenger.support import begin, following, person, post, texts
from tests.socket_client import SocketClient

MESSAGE = {"id", "thread_id", "number", "author_id", "author", "text", "created_at", "updated_at", "version"}


async def test_ready_says_whose_socket_it_is(app: RunningApp, api: Api) -> None:
    ann = await person(api)
    async with SocketClient(app, "/api/v1/messenger/live") as socket:
        socket.say({"type": "auth", "token": ann.access_token})
        assert await socket.heard() == {"type": "ready", "user_id": ann.id}


async def test_message_reaches_every_socket_of_every_member(app: RunningApp, api: Api) -> None:
    ann, bob, eve = await person(api), await person(api), await person(api)
    thread = await begin(ann, bob)
    async with (
        following(app, ann.access_token) as mine,
        following(app, bob.access_token) as one,
        following(app, bob.access_token) as two,
        following(app, eve.access_token) as stranger,
    ):
        message = await post(ann, thread, "Soup? Ünïcødé 🍲")
        for socket in (mine, one, two):
            assert await socket.heard() == {"type": "message", "message": message}
        assert set(message) == MESSAGE
        await stranger.silent()


async def test_messages_come_in_their_order(app: RunningApp, api: Api) -> None:
    ann, bob = await person(api), await person(api)
    thread = await begin(ann, bob)
    async with following(app, bob.access_token) as socket:
        for number in range(20):
            await post((ann, bob)[number % 2], thread, f"{number}")
        heard = [(await socket.heard())["message"] for _ in range(20)]
    assert [message["number"] for message in heard] == list(range(1, 21))
    assert [message["text"] for message in heard] == [f"{number}" for number in range(20)]


async def test_everything_that_happens_in_a_thread_is_told(app: RunningApp, api: Api) -> None:
    ann, bob = await person(api), await person(api)
    async with following(app, bob.access_token) as socket:
        thread = await begin(ann, bob)
        assert members(await socket.heard(), thread) == {ann.id, bob.id}
        message = await post(ann, thread)
        path = f"messenger/threads/{thread}"
        await socket.heard()
        changed = (await ann.patch(f"{path}/messages/{message['id']}", {"text": "Stew?"})).json()
        assert await socket.heard() == {"type": "message", "message": changed}
        await bob.post(f"{path}/read", {"number": 1})
        assert await socket.heard() == {"type": "read", "thread_id": thread, "user_id": bob.id, "number": 1}
        await ann.delete(f"{path}/messages/{message['id']}")
        assert await socket.heard() == {
            "type": "deleted",
            "thread_id": thread,
            "message_id": message["id"],
            "number": 1,
        }
        restored = (await ann.post(f"{path}/messages/{message['id']}/restore")).json()
        assert await socket.heard() == {"type": "message", "message": restored}
        await ann.post(f"{path}/leave")
        assert members(await socket.heard(), thread) == {bob.id}


async def test_what_changes_nothing_is_not_told(app: RunningApp, api: Api) -> None:
    ann, bob = await person(api), await person(api)
    thread = await begin(ann, bob)
    message = await post(ann, thread)
    async with following(app, bob.access_token) as socket:
        await ann.post(f"messenger/threads/{thread}/read", {"number": 1})
        await ann.patch(f"messenger/threads/{thread}/messages/{message['id']}", {"text": message["text"]})
        await ann.post(f"messenger/threads/{thread}/members", {"user_ids": [bob.id]})
        await ann.post(f"messenger/threads/{thread}/messages", {"text": ""})
        await socket.silent()


async def test_who_was_taken_out_hears_nothing_more(app: RunningApp, api: Api) -> None:
    ann, bob = await person(api), await person(api)
    thread = await begin(ann, bob)
    async with following(app, ann.access_token) as inside, following(app, bob.access_token) as outside:
        await ann.delete(f"messenger/threads/{thread}/members/{bob.id}")
        await post(ann, thread, "Now we are alone")
        assert members(await inside.heard(), thread) == {ann.id}
        assert (await inside.heard())["message"]["text"] == "Now we are alone"
        await outside.silent()


async def test_event_that_waits_is_not_told_to_who_was_taken_out_meanwhile(app: RunningApp, api: Api) -> None:
    ann, bob = await person(api), await person(api)
    thread = await begin(ann, bob)
    async with following(app, bob.access_token) as socket:
        socket.hold(True)
        await post(ann, thread, "sent, and on its way")
        await post(ann, thread, "waits behind it")
        await ann.delete(f"messenger/threads/{thread}/members/{bob.id}")
        socket.hold(False)
        assert (await socket.heard())["message"]["text"] == "sent, and on its way"
        await socket.silent()


async def test_hint_is_no_way_in(app: RunningApp, api: Api) -> None:
    """Whoever can write to the bus makes sockets look, and see nothing that their callers may not see."""
    ann, bob, eve = await person(api), await person(api), await person(api)
    private, shared = await begin(ann, bob), await begin(ann, eve)
    message = await post(ann, private)
    bus = app.platform.bus

    async def forge(**hint: Any) -> None:
        await bus.publish(TOPIC, {"hint": {"about": None, **hint}, "to": [eve.id]})

    async with following(app, eve.access_token) as socket:
        await forge(kind="message", thread_id=private, about=message["id"])
        await forge(kind="message", thread_id=shared, about=message["id"])
        await forge(kind="message", thread_id=shared)
        await forge(kind="read", thread_id=shared, about=bob.id)
        await forge(kind="members", thread_id=private)
        await forge(kind="nonsense", thread_id=private)
        events: list[Any] = ["text", 5, [], {"hint": {}, "to": []}, {"to": [eve.id]}]
        for event in events:
            await bus.publish(TOPIC, event)
        await socket.silent()


async def test_nothing_is_told_that_was_not_committed(
    app: RunningApp, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await person(api)
    thread = await begin(ann)
    told: list[Hint] = []

    async def tell(_self: LiveThreads, _uow: UnitOfWork, hint: Hint) -> None:
        assert (await ann.get(f"messenger/threads/{thread}/messages/{hint.about}")).status_code == 200
        told.append(hint)

    monkeypatch.setattr(LiveThreads, "tell", tell)
    message = await post(ann, thread)
    assert [str(hint.about) for hint in told] == [message["id"]]


async def test_what_was_rolled_back_is_not_told(
    app: RunningApp, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await person(api)
    thread = await begin(ann)

    async def fails(*_arguments: object) -> bool:
        raise Conflict("After the message, before the commit.")

    monkeypatch.setattr(MemberRepository, "mark_read", fails)
    async with following(app, ann.access_token) as socket:
        refused = await ann.post(f"messenger/threads/{thread}/messages", {"text": "Soup?"})
        assert_problem(refused, 409, "conflict")
        await socket.silent()
    assert await texts(ann, thread) == []


async def test_part_of_a_larger_transaction_is_not_told(app: RunningApp, api: Api) -> None:
    """Whoever joins writes of this module to others has to tell of them behind the commit."""
    ann = await person(api)
    thread = UUID(await begin(ann))
    uow, live = UnitOfWork(app.platform.database), LiveThreads(app.platform)
    caller = await app.kernel.authenticator.authenticate(ann.access_token)
    data = MessageWrite(text="Soup?")
    with acting_as("test", origin="job"), pytest.raises(RuntimeError, match="not committed"):
        async with uow.transaction():
            await MessageService(uow, live).post(thread, data, caller)
    assert await texts(ann, str(thread)) == []


async def test_gap_is_told_to_everybody(app: RunningApp, api: Api) -> None:
    ann = await person(api)
    async with following(app, ann.access_token) as socket:
        app.platform.only(LiveThreads, lambda: LiveThreads(app.platform))._hear(None)
        assert await socket.heard() == {"type": "missed"}


async def test_leaving_sockets_leave_nothing_behind(app: RunningApp, api: Api) -> None:
    ann = await person(api)
    live = app.platform.only(LiveThreads, lambda: LiveThreads(app.platform))
    async with following(app, ann.access_token):
        assert len(live._sockets) == 1
    assert live._sockets == {}


def members(frame: dict[str, Any], thread: str) -> set[str]:
    """Who is in the thread, as a frame says."""
    assert (frame["type"], frame["thread_id"]) == ("members", thread), frame
    return {member["id"] for member in frame["members"]}
