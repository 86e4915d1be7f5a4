"""What every WebSocket promises: who may open one, how long it lives, and what ends it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.auth import sockets
from app.core.errors import Unavailable
from app.core.sockets import MAX_FRAME_BYTES
from app.modules.auth.service_principals import PrincipalService
from tests.api import Api, Caller
from tests.auth.live_app import FEED, OPEN, READ, feeding, following, numbered, to_itself
from tests.backend import Backend, RunningApp
from tests.socket_client import SocketClient

ORIGIN = "https://console.example.com"


@pytest.fixture(scope="module")
async def feed(backend: Backend) -> AsyncIterator[RunningApp]:
    async with feeding(backend, cors_origins=(ORIGIN,), allowed_hosts=("test", "good.example.com")) as app:
        yield app


@pytest.fixture
def api(feed: RunningApp) -> Api:
    return Api(feed)


@pytest.fixture
async def ann(api: Api) -> Caller:
    return await api.user(READ)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stamp is asked for ten times a second."""
    monkeypatch.setattr(sockets, "STAMP_SECONDS", 0.1)


async def access_row(api: Api, request_id: str) -> dict[str, Any]:
    root = await api.superuser()
    for _ in range(100):
        found = (await root.get("audit/access", params={"request_id": request_id})).json()["items"]
        if found:
            row: dict[str, Any] = found[0]
            return row
        await asyncio.sleep(0.05)
    raise AssertionError("there is no row")


# opening


async def test_socket_has_one_row_with_its_caller(feed: RunningApp, api: Api, ann: Caller) -> None:
    async with following(feed, ann.access_token) as socket:
        OPEN[-1].offer(to_itself)
        assert await socket.heard() == {"user": ann.id}
    row = await access_row(api, socket.request_id)
    told = {name: row[name] for name in ("method", "status", "route", "privilege", "error_class", "outcome")}
    assert told == {
        "method": "WS",
        "status": 101,
        "route": FEED,
        "privilege": READ,
        "error_class": None,
        "outcome": "ok",
    }
    assert (row["actor"]["type"], row["actor"]["id"], row["auth_method"]) == ("user", ann.id, "jwt")
    assert (row["module"], row["operation"]) == ("feeds", "follow")


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        "[]",
        '"auth"',
        b"\x00\x01",
        "x" * (MAX_FRAME_BYTES + 1),
        {"type": "ping"},
        {"type": "auth"},
        {"type": "auth", "token": 5},
        {"type": "auth", "token": ""},
        {"type": "auth", "token": "a.b.c"},
        {"type": "auth", "token": "tsr_live_nothing"},
        {"type": "auth", "token": "{access}", "more": 1},
        {"type": "login", "token": "{access}"},
        {"type": "auth", "token": "{refresh}"},
    ],
    ids=str,
)
async def test_other_first_frame_is_4401(feed: RunningApp, api: Api, ann: Caller, frame: Any) -> None:
    if isinstance(frame, dict) and isinstance(frame.get("token"), str):
        frame = {**frame, "token": frame["token"].format(access=ann.access_token, refresh=ann.refresh_token)}
    async with SocketClient(feed, FEED) as socket:
        assert socket.status == 101
        socket.say(frame)
        assert await socket.closed() == 4401
    row = await access_row(api, socket.request_id)
    assert (row["status"], row["error_class"], row["actor"]["type"]) == (101, "close 4401", "anonymous")


async def test_silence_is_4401(feed: RunningApp, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sockets.FIRST_FRAME_SECONDS == 5
    monkeypatch.setattr(sockets, "FIRST_FRAME_SECONDS", 0.1)
    async with SocketClient(feed, FEED) as socket:
        assert await socket.closed() == 4401


async def test_client_that_leaves_early_is_no_fault(feed: RunningApp, api: Api) -> None:
    async with SocketClient(feed, FEED) as socket:
        pass
    row = await access_row(api, socket.request_id)
    assert (row["status"], row["error_class"]) == (101, None)


async def test_credentials_of_the_handshake_count_for_nothing(feed: RunningApp, ann: Caller) -> None:
    headers = {"authorization": f"Bearer {ann.access_token}"}
    async with SocketClient(feed, FEED, headers=headers, query=f"token={ann.access_token}") as socket:
        socket.say({"type": "ping"})
        assert await socket.closed() == 4401


async def test_privilege_is_asked_for(feed: RunningApp, api: Api) -> None:
    nobody = await api.user()
    async with SocketClient(feed, FEED) as socket:
        socket.say({"type": "auth", "token": nobody.access_token})
        assert await socket.closed() == 4403


async def test_key_is_a_credential(feed: RunningApp, api: Api, ann: Caller) -> None:
    key = await ann.with_key()
    async with following(feed, key.key) as socket:
        OPEN[-1].offer(to_itself)
        assert await socket.heard() == {"user": ann.id}
    assert (await access_row(api, socket.request_id))["actor"]["type"] == "api_key"


async def test_temporary_password_opens_no_socket(feed: RunningApp, api: Api, ann: Caller) -> None:
    root = await api.superuser()
    reset = (await root.post(f"users/{ann.id}/reset-password")).json()
    tokens = (
        await api.post("auth/login", {"email": ann.email, "password": reset["temporary_password"]})
    ).json()
    async with SocketClient(feed, FEED) as socket:
        socket.say({"type": "auth", "token": tokens["access_token"]})
        assert await socket.closed() == 4403


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example.com", "null", "http://test.evil.com", "", "//test", "evil://test"),
        *("http://[", "http://a@test", "http://test:81", "test"),
    ],
)
async def test_page_of_another_site_is_refused(feed: RunningApp, api: Api, origin: str) -> None:
    async with SocketClient(feed, FEED, headers={"origin": origin}) as socket:
        assert (socket.status, socket.problem["code"]) == (403, "forbidden")
    row = await access_row(api, socket.request_id)
    told = {name: row[name] for name in ("status", "route", "module", "operation", "privilege")}
    assert told == {
        "status": 403,
        "route": FEED,
        "module": "feeds",
        "operation": "follow",
        "privilege": READ,
    }


@pytest.mark.parametrize("origin", [ORIGIN, "http://test", "https://test", "http://localhost:8000"])
async def test_page_of_this_site_or_of_a_configured_one_may(
    feed: RunningApp, ann: Caller, origin: str
) -> None:
    async with SocketClient(feed, FEED, headers={"origin": origin}) as socket:
        assert socket.status == 101


async def test_foreign_host_is_refused(feed: RunningApp) -> None:
    headers = {"host": "evil.example.com", "origin": "http://evil.example.com"}
    async with SocketClient(feed, FEED, headers=headers) as socket:
        assert (socket.status, socket.problem["code"]) == (400, "bad_request")


# while it is open


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", 4400),
        ("[1]", 4400),
        ("5", 4400),
        ({"type": "subscribe"}, 4400),
        ({}, 4400),
        ({"type": "auth", "token": None}, 4400),
        ({"type": "auth", "token": "a.b.c"}, 4401),
        (b'{"type":"ping"}', 4415),
        ('{"type":"ping","a":"' + "x" * MAX_FRAME_BYTES + '"}', 4413),
    ],
)
async def test_frame_that_is_none_closes(feed: RunningApp, ann: Caller, frame: Any, code: int) -> None:
    async with following(feed, ann.access_token) as socket:
        socket.say({"type": "ping"})
        assert await socket.heard() == {"type": "pong"}
        socket.say(frame)
        assert await socket.closed() == code


async def test_events_come_in_order(feed: RunningApp, ann: Caller) -> None:
    async with following(feed, ann.access_token) as socket:
        for number in range(50):
            OPEN[-1].offer_text(numbered(number))
        assert [(await socket.heard())["number"] for _ in range(50)] == list(range(50))


async def test_slow_reader_loses_the_socket_and_holds_up_nobody(feed: RunningApp, ann: Caller) -> None:
    async with following(feed, ann.access_token) as slow, following(feed, ann.access_token) as quick:
        slow.hold(True)
        seen = []
        for number in range(sockets.MAX_WAITING_EVENTS + 20):
            for socket in OPEN:
                socket.offer_text(numbered(number))
            seen.append((await quick.heard())["number"])
        assert seen == list(range(sockets.MAX_WAITING_EVENTS + 20))
        assert len(OPEN) == 1
        slow.hold(False)
        assert await slow.closed() == 4503
        await quick.silent(0)


# its end


@pytest.mark.parametrize("way", ["logout", "logout-all", "block", "delete", "password"])
async def test_dead_session_closes(feed: RunningApp, api: Api, ann: Caller, often: None, way: str) -> None:
    root = await api.superuser()
    async with following(feed, ann.access_token) as socket:
        if way.startswith("logout"):
            answer = await ann.post(f"auth/{way}")
        elif way == "password":
            answer = await root.post(f"users/{ann.id}/reset-password")
        else:
            call = ("POST", "/block") if way == "block" else ("DELETE", "")
            answer = await root.call(call[0], f"users/{ann.id}{call[1]}")
        assert answer.is_success
        assert await socket.closed(2) == 4401


async def test_dead_session_closes_within_five_seconds(feed: RunningApp, ann: Caller) -> None:
    async with following(feed, ann.access_token) as socket:
        await ann.post("auth/logout")
        ended = time.monotonic()
        assert await socket.closed() == 4401
        assert time.monotonic() - ended < 5


async def test_nothing_is_told_to_a_dead_session(feed: RunningApp, ann: Caller) -> None:
    async with following(feed, ann.access_token) as socket:
        await ann.post("auth/logout")
        OPEN[-1].offer_text(numbered(1))
        with pytest.raises(AssertionError, match=r"websocket\.close.*4401"):
            await socket.heard()


async def test_right_that_is_taken_closes(feed: RunningApp, api: Api, ann: Caller, often: None) -> None:
    root = await api.superuser()
    async with following(feed, ann.access_token) as socket:
        assert (await root.put(f"users/{ann.id}/roles", {"role_ids": []})).status_code == 200
        assert await socket.closed(2) == 4403


async def test_revoked_key_closes(feed: RunningApp, ann: Caller, often: None) -> None:
    key = await ann.with_key()
    async with following(feed, key.key) as socket:
        await ann.post(f"auth/api-keys/{key.key_id}/revoke")
        assert await socket.closed(2) == 4401


async def test_socket_lives_on_with_a_newer_token(
    feed: RunningApp, api: Api, ann: Caller, often: None
) -> None:
    again = await api.login(ann.email)
    async with following(feed, ann.access_token) as socket:
        socket.say({"type": "auth", "token": again.access_token})
        socket.say({"type": "ping"})
        assert await socket.heard() == {"type": "pong"}
        await ann.post("auth/logout")
        await socket.silent(0.5)
        await again.post("auth/logout")
        assert await socket.closed(2) == 4401


async def test_socket_stays_with_its_user(feed: RunningApp, api: Api, ann: Caller) -> None:
    other = await api.user(READ)
    async with following(feed, ann.access_token) as socket:
        socket.say({"type": "auth", "token": other.access_token})
        assert await socket.closed() == 4403


async def test_what_can_not_be_checked_is_not_told(
    feed: RunningApp, ann: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(_self: object, _token: str) -> None:
        raise Unavailable("The database can't answer at the moment.")

    async with following(feed, ann.access_token) as socket:
        monkeypatch.setattr(PrincipalService, "authenticate", down)
        OPEN[-1].offer_text(numbered(1))
        with pytest.raises(AssertionError, match=r"websocket\.close.*4503"):
            await socket.heard()


# limits


async def test_user_has_so_many_sockets(
    feed: RunningApp, ann: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MAX_SOCKETS", 1)
    async with following(feed, ann.access_token), SocketClient(feed, FEED) as second:
        second.say({"type": "auth", "token": ann.access_token})
        assert await second.closed() == 4429
    async with following(feed, ann.access_token) as again:
        await again.silent(0)


async def test_strangers_have_so_many_sockets(
    feed: RunningApp, ann: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MAX_STRANGERS", 1)
    async with following(feed, ann.access_token), SocketClient(feed, FEED) as first:
        assert first.status == 101
        async with SocketClient(feed, FEED) as second:
            assert (second.status, second.problem["code"]) == (429, "rate_limited")


async def test_frames_count_towards_the_general_limit(backend: Backend) -> None:
    async with feeding(backend, rate_limit="20/minute") as app:
        caller = await Api(app).user(READ)
        async with following(app, caller.access_token) as socket:
            for _ in range(20):
                socket.say({"type": "ping"})
            assert await socket.closed() == 4429
        async with SocketClient(app, FEED) as socket:
            socket.say({"type": "auth", "token": caller.access_token})
            assert await socket.closed() == 4429
