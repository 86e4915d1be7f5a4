"""The request id joins header, error body, log lines, access row and change rows, however a request ends."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest

from app.core.logging import CHANNELS
from tests.api import ADMIN, Api, Caller, assert_problem
from tests.backend import Backend, RunningApp
from tests.core import thread
from tests.core.access_logs import CHUNK, CHUNKS, Leaving, changes, converse, row, serving
from tests.core.people import ask

UNKNOWN_ID = "0198c0de-0000-7000-8000-000000000000"
FAILURES = 3
LATER = thread.Afterwards()


@pytest.fixture(scope="module")
async def joined(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApp]:
    patch, folder = pytest.MonkeyPatch(), tmp_path_factory.mktemp("spool")
    limits: dict[str, Any] = {"log_level": "INFO", "login_max_failures": FAILURES}
    async with serving(backend.new_database(), folder, patch, thread.module(LATER), **limits) as app:
        app.app.router.add_websocket_route("/thread", thread.socket)
        app.app.router.add_websocket_route("/thread/closed", thread.closed_socket)
        yield app
    patch.undo()


@pytest.fixture(scope="module")
async def root(joined: RunningApp) -> Caller:
    return await Api(joined).superuser()


@pytest.fixture(scope="module")
async def nobody(joined: RunningApp) -> Caller:
    return await Api(joined).user()


def lines(app: RunningApp, channel: str, request_id: str) -> list[str]:
    """The program's own events of the request in the file of this log."""
    CHANNELS["activity"].flush()
    written = (app.settings.log_path / f"{channel}.log").read_bytes().splitlines()
    found = [line for line in map(orjson.loads, written) if line.get("request_id") == request_id]
    return [line["event"] for line in found if "logger" not in line]


@dataclass(frozen=True)
class End:
    """A request and how it ends. `changed`: the tables whose rows it changes; `told`: events in `server.log`."""

    status: int
    method: str
    path: str
    who: str = "root"
    options: dict[str, Any] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


WRONG = {"json": {"email": "throttled@example.com", "password": "wrong password 77"}}
ENDS = {
    "200": End(200, "PATCH", "users/me", options={"json": {"full_name": "Joined"}}, changed=("users",)),
    "201": End(201, "POST", "roles", options={"json": {"name": "joined"}}, changed=("roles",)),
    "401": End(401, "PATCH", "users/me", "", {"json": {"full_name": "x"}}),
    "403": End(403, "POST", "roles", "nobody", {"json": {"name": "x"}}),
    "404": End(404, "PATCH", f"roles/{UNKNOWN_ID}", options={"json": {"name": "x"}}),
    "404 without a route": End(404, "POST", "nothing"),
    "405": End(405, "PUT", "users"),
    "409": End(409, "POST", "roles", options={"json": {"name": "auditor"}}),
    "413": End(413, "POST", "roles", options={"content": b"x" * 2**21}),
    "422": End(422, "POST", "roles", options={"json": {"name": ""}}),
    "429": End(429, "POST", "auth/login", "", WRONG),
    "500": End(500, "POST", "thread/unseen?name=x", told=("request.failed",)),
    "crash": End(500, "POST", "thread/crash?name=crash", changed=("roles",), told=("request.failed",)),
}


async def send(app: RunningApp, caller: Caller | None, end: End, request_id: str) -> httpx2.Response:
    headers = {**(caller.headers if caller else {}), "X-Request-ID": request_id}
    return await ask(app, end.method, f"/api/v1/{end.path}", headers=headers, **end.options)


@pytest.mark.parametrize("name", ENDS)
async def test_one_id_joins_all_that_a_request_leaves(
    joined: RunningApp, root: Caller, nobody: Caller, name: str
) -> None:
    end, request_id = ENDS[name], f"thread-{uuid4().hex}"
    caller = {"root": root, "nobody": nobody}.get(end.who)
    for _ in range(FAILURES if end.status == 429 else 0):
        assert (await send(joined, caller, end, uuid4().hex)).status_code == 401
    answer = await send(joined, caller, end, request_id)
    assert (answer.status_code, answer.headers["x-request-id"]) == (end.status, request_id)
    if end.status >= 400:
        assert assert_problem(answer, end.status)["request_id"] == request_id
    assert lines(joined, "activity", request_id).count("request") == 1
    assert tuple(lines(joined, "server", request_id)) == end.told
    found, changed = await row(joined, request_id), await changes(joined, request_id)
    assert found["status"] == end.status
    assert tuple(one["entity"] for one in changed) == end.changed
    for one in changed:
        assert caller is not None
        assert (one["origin"], one["actor_type"], one["actor_id"]) == ("request", "user", caller.id)
        assert (found["actor_type"], found["actor_id"]) == ("user", caller.id)
    await LATER.finish()


@pytest.mark.parametrize(
    ("path", "chunks", "names"),
    [("write", 0, {"before": "request"}), ("stream", 3, {"before": "request", "after": "background"})],
)
async def test_one_id_joins_what_a_client_leaves_that_hangs_up(
    joined: RunningApp, root: Caller, path: str, chunks: int, names: dict[str, str]
) -> None:
    """Before the answer of a write that was committed, and in the middle of a download that goes on to work."""
    headers = [(name.lower().encode(), value.encode()) for name, value in root.headers.items()]
    client, name = Leaving(joined), uuid4().hex
    request_id = await client.call(
        "POST", f"/api/v1/thread/{path}", query=f"name={name}", chunks=chunks, headers=headers
    )
    assert (client.status, client.headers[b"x-request-id"].decode()) == (200, request_id)
    assert lines(joined, "activity", request_id) == ["request"]
    assert (await row(joined, request_id))["outcome"] == "aborted"
    told = await changes(joined, request_id)
    assert {one["new"]["name"]: one["origin"] for one in told} == {f"{name}-{k}": v for k, v in names.items()}
    assert {one["actor_id"] for one in told} == {root.id}


async def test_one_id_joins_what_a_download_leaves(joined: RunningApp) -> None:
    request_id = uuid4().hex
    answer = await ask(joined, "GET", "/api/v1/ends/stream", headers={"X-Request-ID": request_id})
    assert answer.headers["x-request-id"] == request_id
    assert lines(joined, "activity", request_id) == ["request"]
    found = await row(joined, request_id)
    assert (found["outcome"], found["response_bytes"]) == ("ok", len(CHUNK) * CHUNKS)


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/thread", 101, "websocket.accept"),
        ("/thread/closed", 403, "websocket.http.response.start"),
        ("/nothing", 403, None),  # closed without a word: the server makes the answer, and knows no id
    ],
)
async def test_one_id_joins_what_a_websocket_leaves(
    joined: RunningApp, path: str, status: int, kind: str | None
) -> None:
    request_id, said = await converse(joined, path)
    if kind is not None:
        assert (said[0]["type"], dict(said[0]["headers"])[b"x-request-id"]) == (kind, request_id.encode())
    assert lines(joined, "activity", request_id) == ["request"]
    found = await row(joined, request_id)
    assert (found["method"], found["status"], found["path"]) == ("WS", status, path)
    told = await changes(joined, request_id)
    names = [(one["new"]["name"], one["origin"]) for one in told]
    expected = [(f"{request_id}-before", "request"), (f"{request_id}-after", "background")]
    assert names == (expected if status == 101 else [])


# what the program does when its answer is sent


@pytest.mark.parametrize("path", ["background", "task", "stream", "crash"])
async def test_work_after_the_answer_is_told_as_such(joined: RunningApp, nobody: Caller, path: str) -> None:
    """In the same request, by the same user. What a task writes before the answer is part of the request."""
    name, target = uuid4().hex, f"/api/v1/thread/{path}"
    answer = await ask(joined, "POST", target, headers=nobody.headers, params={"name": name})
    assert answer.status_code == (500 if path == "crash" else 200)
    await LATER.finish()
    before, after = await changes(joined, answer.headers["x-request-id"])
    assert (before["new"]["name"], before["origin"]) == (f"{name}-before", "request")
    assert (after["new"]["name"], after["origin"]) == (f"{name}-after", "background")
    for one in (before, after):
        assert (one["actor_type"], one["actor_id"], one["client_ip"]) == ("user", nobody.id, "127.0.0.1")
    auditor = await Api(joined).login(*ADMIN)
    late = await auditor.get("audit/changes", params={"origin": "background", "actor_id": nobody.id})
    assert late.json()["items"][0]["new"]["name"] == f"{name}-after"


# names of the query


async def test_query_is_shown_by_the_names_that_clients_send(joined: RunningApp, root: Caller) -> None:
    """Not by those that Python has for them."""
    answer = await root.get("thread/aliased?from=2026-01-01&in=a&in=b")
    assert answer.json() == {"from": "2026-01-01", "in": "a,b"}
    shown = await row(joined, answer.headers["x-request-id"])
    assert shown["query"] == {"from": "2026-01-01", "in": ["a", "b"]}
    refused = await root.get("thread/aliased?since=2026-01-01")
    assert_problem(refused, 422, "validation_error")
    assert (await row(joined, refused.headers["x-request-id"]))["query"] == {"since": "[redacted]"}
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
    asked = await root.get("audit/changes", params=span)
    assert (await row(joined, asked.headers["x-request-id"]))["query"] == span
