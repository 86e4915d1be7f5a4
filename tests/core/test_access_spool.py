"""Rows of the access log while the database is away: into a file, and home again, each of them once."""

import asyncio
import fcntl
import os
import stat
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.core.audit import spool as spools
from app.core.audit.access_store import ROW_COLUMNS, AccessStore
from app.core.audit.spool import Spool, SpoolFull, left_behind
from app.core.clock import now
from app.core.identifiers import uuid7
from tests.backend import Backend, RunningApp
from tests.conftest import FULL
from tests.core.access_logs import row, rows, serving, settled, stored_rows, writer_of
from tests.core.people import ask
from tests.core.test_access_writer import Store, is_whole, of_boot

AWAY_SECONDS = 5.0 if FULL else 2.0


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    return Store(monkeypatch)


def a_row(seq: int, boot_id: str = "b" * 32) -> tuple[Any, ...]:
    values = dict.fromkeys(ROW_COLUMNS) | {
        "boot_id": boot_id,
        "seq": seq,
        "occurred_at": now(),
        "duration_us": 1,
        "request_id": f"r{seq}",
        "method": "GET",
        "path": "/spooled",
        "status": 200,
        "outcome": "ok",
        "actor_type": "user",
        "session_id": uuid7(),
        "is_probe": False,
        "query": '{"a": "b"}',
    }
    return tuple(values[name] for name in ROW_COLUMNS)


async def ask_for_a_while(app: RunningApp, seconds: float) -> list[str]:
    """Requests one after the other; asserts that each is answered. Returns their ids."""
    ids, until = [], asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        answer = await ask(app, "GET", "/health/live")
        assert answer.status_code == 200
        ids.append(answer.headers["x-request-id"])
        await asyncio.sleep(0.01)
    return ids


async def assert_each_once(app: RunningApp, ids: list[str]) -> None:
    found = [one["request_id"] for one in await rows(app, path="/health/live")]
    assert sorted(found) == sorted(ids)
    assert found == ids  # in their order, too


async def test_rows_come_home_when_the_database_does(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    async with serving(backend.new_database(), tmp_path, monkeypatch) as app:
        ids = await ask_for_a_while(app, 0.3)
        store.fault = OSError("gone")
        ids += await ask_for_a_while(app, AWAY_SECONDS)
        assert writer_of(app).is_spooling
        (file,) = tmp_path.glob("access-*.jsonl")  # noqa: ASYNC240
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        health = await ask(app, "GET", "/health")
        assert (health.status_code, health.json()["checks"]["audit"]) == (200, "degraded")
        assert (await ask(app, "GET", "/health/ready")).status_code == 200
        before = now()
        store.fault = None
        ids += await ask_for_a_while(app, 0.3)
        await assert_each_once(app, ids)
        spooled = await row(app, ids[len(ids) // 2])
        assert spooled["occurred_at"].replace(tzinfo=before.tzinfo) < before
        assert not file.exists()
        assert (await ask(app, "GET", "/health")).json()["checks"]["audit"] == "ok"
        assert is_whole(of_boot(await rows(app), writer_of(app).boot_id))


async def test_locked_table_holds_up_no_reader(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real lock by somebody else, as long as it lasts; reads are answered, rows arrive afterwards."""
    url = backend.new_database()
    async with serving(url, tmp_path, monkeypatch) as app, serving(url, tmp_path / "2", monkeypatch) as other:
        await settled(app)
        await settled(other)
        await writer_of(other).stop()
        async with other.platform.database.writer.begin() as lock:
            if backend.name == "postgres":
                await lock.exec_driver_sql("LOCK TABLE audit_access IN ACCESS EXCLUSIVE MODE")
            else:
                await lock.exec_driver_sql("CREATE TABLE held (x INTEGER)")
            ids = await ask_for_a_while(app, AWAY_SECONDS + 2)
            assert writer_of(app).is_spooling
        await assert_each_once(app, ids)


async def test_batch_of_unknown_fate_is_there_once(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database took it, and the connection broke before it could say so."""
    real = AccessStore.add
    failures = iter([OSError("after the commit")] * 2)

    async def add(store: AccessStore, batch: Any) -> None:
        await real(store, batch)
        for failure in failures:
            raise failure

    monkeypatch.setattr(AccessStore, "add", add)
    async with serving(backend.new_database(), tmp_path, monkeypatch) as app:
        await assert_each_once(app, await ask_for_a_while(app, 1))
        assert is_whole(of_boot(await rows(app), writer_of(app).boot_id))


async def test_rows_of_an_ended_process_are_brought_home(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    """By the next one on the same database, by one of two, and never while the owner lives."""
    url = backend.new_database()
    async with serving(url, tmp_path, monkeypatch) as app:
        await settled(app)
        boot_id = writer_of(app).boot_id
        store.fault = OSError("gone")
        ids = await ask_for_a_while(app, 0.5)
        await writer_of(app).settle()
        (file,) = tmp_path.glob("access-*.jsonl")  # noqa: ASYNC240
        key = file.name.split("-")[1]
        assert list(left_behind(tmp_path, key)) == []
    assert file.exists()
    store.fault = None
    async with serving(backend.new_database(), tmp_path, monkeypatch):
        assert file.exists()  # of another database
    async with serving(url, tmp_path, monkeypatch) as app, serving(url, tmp_path, monkeypatch):
        while file.exists():  # noqa: ASYNC110  the file is what is waited for
            await asyncio.sleep(0.05)
        found = of_boot(await stored_rows(app), boot_id)
        assert [one["request_id"] for one in found if one["path"] == "/health/live"] == ids
        assert found[-1]["path"] == "audit.stop"
        assert is_whole(found)


async def test_without_any_place_nothing_that_matters_is_done(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    """Full spool, or no spool: not ready, changes are refused before they happen, reads go on."""
    async with serving(backend.new_database(), tmp_path, monkeypatch) as app:
        await settled(app)
        store.fault = OSError("gone")
        monkeypatch.setattr(spools, "LIMIT_BYTES", 10)
        await ask(app, "GET", "/health/live")
        while not writer_of(app).is_blocked:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert (await ask(app, "GET", "/health/ready")).status_code == 503
        health = await ask(app, "GET", "/health")
        assert (health.status_code, health.json()["checks"]["audit"]) == (503, "unavailable")
        assert (await ask(app, "GET", "/api/v1/system/ping")).status_code == 200
        refused = [
            await ask(app, "POST", "/api/v1/ends/change", json={"a": 1}),
            await ask(app, "GET", "/api/v1/auth/me"),
        ]
        for answer in refused:
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["x-content-type-options"] == "nosniff"
        store.fault = None
        monkeypatch.undo()
        found = [await row(app, answer.headers["x-request-id"]) for answer in refused]
        assert [(one["status"], one["outcome"]) for one in found] == [(503, "rejected")] * 2
        assert (await ask(app, "GET", "/health/ready")).status_code == 200
        assert (await ask(app, "POST", "/api/v1/ends/change", json={"a": 1})).status_code == 200
        assert is_whole(of_boot(await rows(app), writer_of(app).boot_id))


# the file alone


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    spool, given = Spool(tmp_path / "new" / "access-k-b.jsonl"), [a_row(n) for n in range(5)]
    spool.append(given[:3])
    spool.append(given[3:])
    first, place = spool.read(2)
    assert first == given[:2]
    spool.forget(place)
    rest, place = spool.read(100)
    assert rest == given[2:]
    assert spool.has_rows
    spool.append([a_row(5)])
    spool.forget(place)
    assert spool.has_rows
    spool.forget(spool.read(100)[1])
    assert not spool.has_rows
    assert not spool.path.exists()
    spool.append(given)  # and may begin anew
    assert spool.read(100)[0] == given
    spool.close()


def test_torn_line_costs_its_own_row_only(tmp_path: Path) -> None:
    path = tmp_path / "access-k-b.jsonl"
    owner, given = Spool(path), [a_row(1), a_row(2)]
    owner.append(given)
    owner.close()
    with path.open("ab") as file:
        file.write(path.read_bytes()[:100])
    (spool,) = left_behind(tmp_path, "k")
    found, place = spool.read(10)
    assert found == given
    spool.forget(place)
    assert not path.exists()


def test_file_has_one_owner(tmp_path: Path) -> None:
    owner = Spool(tmp_path / "access-k-b.jsonl")
    owner.append([a_row(1)])
    assert list(left_behind(tmp_path, "k")) == []
    owner.close()
    assert list(left_behind(tmp_path, "other")) == []
    (taken,) = left_behind(tmp_path, "k")
    assert list(left_behind(tmp_path, "k")) == []
    taken.close()


def test_file_that_is_full_or_gone_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And keeps what it had: a row is in it whole or not at all."""
    spool = Spool(tmp_path / "access-k-b.jsonl")
    spool.append([a_row(1)])
    size = spool.path.stat().st_size
    monkeypatch.setattr(spools, "LIMIT_BYTES", size * 2)
    with pytest.raises(SpoolFull):
        spool.append([a_row(2), a_row(3)])
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:10], at))
    with pytest.raises(OSError, match="can't be written"):
        spool.append([a_row(2)])
    assert spool.path.stat().st_size == size
    spool.close()
    with pytest.raises(OSError, match="access-k"):
        Spool(tmp_path / "access-k-b.jsonl" / f"access-k-{uuid4().hex}.jsonl").append([a_row(1)])


def test_file_that_somebody_looks_at_is_made_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "access-k-b.jsonl")
    with spool.path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="looked at"):
            spool.append([a_row(1)])
    spool.append([a_row(1)])
    assert spool.has_rows
    spool.close()
