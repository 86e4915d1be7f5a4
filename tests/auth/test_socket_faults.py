"""What goes wrong in a socket ends that socket: with a code, in time, and with a word in the log."""

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from app.auth import sockets, tokens
from app.auth.principal import Principal
from app.modules.auth.service_principals import PrincipalService
from tests.api import PASSWORD, Api, Caller
from tests.auth.live_app import OPEN, READ, feeding, following
from tests.auth.test_sockets import access_row
from tests.backend import Backend, RunningApp


@pytest.fixture(scope="module")
async def feed(backend: Backend) -> AsyncIterator[RunningApp]:
    async with feeding(backend) as app:
        yield app


@pytest.fixture
async def ann(feed: RunningApp) -> Caller:
    return await Api(feed).user(READ)


async def broken(_caller: Principal) -> str:
    raise ZeroDivisionError


async def test_fault_of_the_program_has_a_code_and_is_logged(feed: RunningApp, ann: Caller) -> None:
    with capture_logs() as logs:
        async with following(feed, ann.access_token) as socket:
            OPEN[-1].offer(broken)
            assert await socket.closed() == 4500
    assert [type(line["exc_info"]) for line in logs if line["event"] == "request.failed"] == [
        ZeroDivisionError
    ]
    row = await access_row(Api(feed), socket.request_id)
    assert (row["status"], row["error_class"]) == (101, "ZeroDivisionError")


async def test_burst_of_pings_is_answered(feed: RunningApp, ann: Caller) -> None:
    """However many are read at once: who reads the answers loses nothing."""
    burst = sockets.MAX_WAITING_EVENTS * 2
    async with following(feed, ann.access_token) as socket:
        for _ in range(burst):
            socket.say({"type": "ping"})
        for _ in range(burst):
            assert await socket.heard() == {"type": "pong"}


async def test_pings_of_who_reads_no_answer_are_not_read(feed: RunningApp, ann: Caller) -> None:
    async with following(feed, ann.access_token) as socket:
        socket.hold(True)
        for _ in range(sockets.MAX_WAITING_EVENTS * 2):
            socket.say({"type": "ping"})
        async with asyncio.timeout(10):
            while not OPEN[-1]._events.full():  # noqa: ASYNC110  queues have no event for it
                await asyncio.sleep(0.01)
        assert socket._to_app.qsize() > 0
        socket.hold(False)
        assert await socket.heard() == {"type": "pong"}


async def test_answer_that_is_late_closes(
    feed: RunningApp, ann: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that hangs must not keep sockets open: nobody knows whether they may be."""

    async def hang(_self: object, _token: str) -> None:
        await asyncio.sleep(3600)

    assert sockets.STAMP_SECONDS + sockets.ANSWER_SECONDS == 5
    monkeypatch.setattr(sockets, "STAMP_SECONDS", 0.1)
    monkeypatch.setattr(sockets, "ANSWER_SECONDS", 0.1)
    async with following(feed, ann.access_token) as socket:
        monkeypatch.setattr(PrincipalService, "authenticate", hang)
        assert await socket.closed() == 4503


async def test_own_new_password_ends_the_other_sockets(feed: RunningApp, ann: Caller, often: None) -> None:
    other = await Api(feed).login(ann.email)
    async with following(feed, ann.access_token) as stays, following(feed, other.access_token) as ends:
        body = {"current_password": PASSWORD, "new_password": "another long walk in the rain"}
        assert (await ann.post("users/me/change-password", body)).status_code == 204
        assert await ends.closed(2) == 4401
        await stays.silent()


async def test_token_that_expires_closes(
    feed: RunningApp, ann: Caller, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(feed, ann.access_token) as socket:
        await socket.silent()
        monkeypatch.setattr(tokens, "time", SimpleNamespace(time=lambda: time.time() + 3600))
        assert await socket.closed(2) == 4401


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stamp is asked for ten times a second."""
    monkeypatch.setattr(sockets, "STAMP_SECONDS", 0.1)
