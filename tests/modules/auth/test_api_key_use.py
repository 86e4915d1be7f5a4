"""A key in use: where it is read, what refusing costs, what is noted, what is logged."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
import time_machine
from sqlalchemy import event

from app.auth.api_keys import mint
from app.core.clock import now
from app.core.config import Environment
from app.core.database import Database
from app.core.logging import CHANNELS, configure
from tests.api import Api, Caller, KeyCaller, assert_problem
from tests.auth.test_api_keys import signed
from tests.backend import RunningApp
from tests.core.people import give_back, take_all
from tests.modules.auth.support import write
from tests.modules.auth.test_api_key_ends import at
from tests.modules.auth.test_api_keys import works

Workers = tuple[Api, Api]
Headers = list[tuple[str, str]]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked through the read door, on every app."""
    seen: list[str] = []
    run = Database._run

    async def counting(self: Database, sql: str, arguments: list[Any]) -> Any:
        if "audit_" not in sql:  # the sealing may look at the logs at any time
            seen.append(sql)
        return await run(self, sql, arguments)

    monkeypatch.setattr(Database, "_run", counting)
    return seen


def watch(api: Api, counts: list[int]) -> None:
    """Appends how many rows each statement about a last use changes."""

    @event.listens_for(api.app.platform.database.writer.sync_engine, "after_cursor_execute")
    def _note(_connection: object, cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE api_keys"):
            counts.append(cursor.rowcount)


async def ask(api: Api, headers: Headers, **options: Any) -> httpx2.Response:
    return await api.call("GET", "auth/me", headers=headers, **options)


async def last_use(caller: Caller, key: KeyCaller) -> str | None:
    found: str | None = (await caller.get(f"auth/api-keys/{key.key_id}")).json()["last_used_at"]
    return found


# where it is read


async def test_key_is_read_from_either_header_and_only_one(api: Api) -> None:
    user = await api.user()
    key = await user.with_key()
    mine, bearer = ("X-API-Key", key.key), ("Authorization", f"Bearer {key.key}")
    for headers in (
        [mine],
        [("x-api-key", f" {key.key} ")],
        [bearer],
        [("authorization", f"bearer {key.key}")],
    ):
        assert (await ask(api, headers)).json()["api_key_id"] == key.key_id
    login = ("Authorization", f"Bearer {user.access_token}")
    for pair in ([mine, bearer], [mine, login], [mine, mine], [bearer, bearer], [mine, ("X-API-Key", "")]):
        problem = assert_problem(await ask(api, pair), 400, "bad_request")
        assert key.key not in str(problem)


async def test_what_is_no_key_is_refused_as_one(api: Api) -> None:
    user = await api.user()
    key = await user.with_key()
    for headers in (
        [("X-API-Key", user.access_token)],
        [("X-API-Key", "")],
        [("X-API-Key", "x" * 5000)],
        [("X-API-Key", f"Bearer {key.key}")],
        [("X-API-Key", key.key.upper())],
        [("Authorization", f"Bearer {key.key[:-1]}")],
        [("Authorization", "Bearer tessera_")],
    ):
        answer = await ask(api, headers)
        assert_problem(answer, 401, "api_key_invalid")
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    for scheme in ("Basic", "ApiKey", "Token"):
        assert_problem(await ask(api, [("Authorization", f"{scheme} {key.key}")]), 401, "unauthenticated")
    assert await works(key)


@pytest.mark.parametrize("name", ["api_key", "key", "x-api-key", "X-API-Key", "access_token"])
async def test_key_is_not_read_from_elsewhere(api: Api, name: str) -> None:
    user = await api.user()
    key = await user.with_key()
    assert_problem(await ask(api, [], params={name: key.key}), 401, "unauthenticated")
    assert_problem(await ask(api, [("Cookie", f"{name}={key.key}")]), 401, "unauthenticated")
    assert_problem(await api.post("auth/logout-all", {name: key.key}), 401, "unauthenticated")
    for caller in (user, key):
        problem = assert_problem(await caller.get("auth/me", params={name: key.key}), 422, "validation_error")
        assert key.key not in str(problem)
    assert_problem(await api.get("system/ping", params={name: key.key}), 422, "validation_error")


# what refusing costs


async def test_mistyped_key_costs_no_query(api: Api, reads: list[str]) -> None:
    user = await api.user()
    key, counts = await user.with_key(), [0]
    watch(api, counts)
    reads.clear()
    for wrong in (
        key.key[:-1] + ("a" if key.key[-1] != "a" else "b"),
        key.key[:-6] + "000000",
        "tessera_test_x",
    ):
        for headers in ([("X-API-Key", wrong)], [("Authorization", f"Bearer {wrong}")]):
            assert_problem(await ask(api, headers), 401, "api_key_invalid")
    assert (reads, counts) == ([], [0])
    assert await works(key)
    assert reads
    assert counts == [0, 1]
    reads.clear()
    assert await works(key)
    assert len(reads) == 1, "a key that was seen before costs the one query that tells whether it is alive"


async def test_unknown_key_and_wrong_secret_are_told_apart_by_nothing(
    api: Api, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await api.user()
    key, compared = await user.with_key(), []
    right = key.key.rpartition("_")[0]
    unknown, stolen = mint(Environment.TEST).text, signed(f"{right}_{'s' * 43}")

    def compare(a: str, b: str) -> bool:
        compared.append((len(a), len(b)))
        return a == b

    monkeypatch.setattr("app.modules.auth.service_principals.hmac", SimpleNamespace(compare_digest=compare))
    seen = []
    for wrong in (unknown, stolen):
        reads.clear()
        compared.clear()
        answer = await ask(api, [("X-API-Key", wrong)])
        problem = assert_problem(answer, 401, "api_key_invalid")
        del problem["request_id"]
        seen.append((problem, answer.headers["www-authenticate"], list(reads), list(compared)))
    assert seen[0] == seen[1]
    assert len(reads) == 1
    assert compared == [(64, 64)]
    assert await works(key)


# what is noted


async def test_last_use_is_written_once_a_minute_by_all_workers_together(
    workers: Workers, clock: time_machine.Traveller
) -> None:
    here, there = workers
    user = await here.user()
    key, counts = await user.with_key(), list[int]()
    for api in workers:
        watch(api, counts)
    assert await last_use(user, key) is None
    for minute in (1, 2):
        await asyncio.gather(*(works(at(key, api)) for api in workers for _ in range(10)))
        first = await last_use(user, key)
        assert sum(counts) == minute
        assert len(counts) <= 2 * minute
        clock.shift(timedelta(seconds=50))
        assert [await works(at(key, api)) for api in (there, here, there)] == [True] * 3
        assert await last_use(user, key) == first
        assert sum(counts) == minute
        clock.shift(timedelta(seconds=10))
    assert first is not None
    assert first <= now().isoformat()


async def test_refused_use_is_no_use(api: Api, app: RunningApp) -> None:
    user, admin = await api.user(), await api.superuser()
    revoked, ended, blocked = [await user.with_key() for _ in range(3)]
    stolen = KeyCaller(api, "", "", "", "", key=signed(f"{ended.key.rpartition('_')[0]}_{'s' * 43}"))
    assert not await works(stolen)
    await user.post(f"auth/api-keys/{revoked.key_id}/revoke")
    await write(
        app, "UPDATE api_keys SET expires_at = created_at WHERE prefix = :p", p=ended.key.rpartition("_")[0]
    )
    assert [await works(key) for key in (revoked, ended)] == [False, False]
    await admin.post(f"users/{user.id}/block")
    assert not await works(blocked)
    await admin.post(f"users/{user.id}/unblock")
    owner = await api.login(user.email)
    assert [await last_use(owner, key) for key in (revoked, ended, blocked)] == [None] * 3
    assert await works(blocked)
    assert await last_use(owner, blocked) is not None


async def test_use_that_can_t_be_noted_is_a_use(
    api: Api, app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await api.user()
    key, gate = await user.with_key(), app.platform.database.write_gate
    monkeypatch.setattr("app.core.database.GATE_SECONDS", 0.05)
    places = await take_all(gate)
    assert await works(key)
    await give_back(gate, places)
    assert await last_use(user, key) is None


# what is logged


@pytest.fixture
def logs(app: RunningApp, tmp_path: Path) -> Iterator[Path]:
    """Everything is logged, into files of this test."""
    configure(level="DEBUG", json_console=True, folder=tmp_path)
    yield tmp_path
    settings = app.settings
    configure(level=settings.log_level, json_console=settings.json_console, folder=settings.log_path)


def content(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.iterdir())


async def test_logs_tell_of_keys_and_never_a_key(
    api: Api, logs: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "httpx2")  # the client's own log tells the addresses that it asks
    user = await api.user()
    key, other = await user.with_key(), await user.with_key()
    assert await works(key)
    await api.get("auth/me", headers={"Authorization": f"Bearer {key.key}"})
    await api.get("auth/me", params={"api_key": key.key})
    await key.get("auth/me", params={"api_key": key.key})
    await user.post("auth/api-keys/revoke", {"key": key.key})
    await user.post("auth/api-keys", {"name": "x", "key": key.key})
    assert not await works(key)
    await user.delete(f"auth/api-keys/{other.key_id}")
    CHANNELS["activity"].flush()
    for place in (content(logs), "".join(capsys.readouterr()), caplog.text):
        for secret in (key.key, key.key.split("_")[3][:43], other.key.split("_")[3][:43]):
            assert secret not in place
    assert key.key_id in content(logs)
    lines = [json.loads(line) for line in (logs / "activity.log").read_text().splitlines()]
    used = [
        (line["status"], line["actor_type"], line["actor_id"])
        for line in lines
        if line.get("path", "").endswith("/me")
    ]
    login, by_key, nobody = (200, "user", user.id), ("api_key", user.id), ("anonymous", None)
    assert used == [login, (200, *by_key), (200, *by_key), (401, *nobody), (422, *by_key), (401, *nobody)]
    told = [(line["event"], line["key_id"], line["actor_id"]) for line in lines if "key_id" in line]
    assert told == [
        ("auth.key_created", key.key_id, user.id),
        ("auth.key_created", other.key_id, user.id),
        ("auth.key_revoked", key.key_id, user.id),
        ("auth.key_deleted", other.key_id, user.id),
    ]
