"""How rows of the access log are written: in batches, in order, all of them, and where asked before the answer."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.core.audit import access_store, writer
from app.core.audit.access import own_fields
from app.core.audit.access_store import AccessStore
from tests.api import ADMIN, Api
from tests.backend import Backend
from tests.conftest import FULL
from tests.core.access_logs import Rows, rows, serving, settled, stored_rows, writer_of
from tests.core.people import ask


class Store:
    """Stands before the real one: counts batches, fails or waits when told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        self.fault: Exception | None = None
        self.is_open = asyncio.Event()
        self.is_open.set()
        real = AccessStore.add

        async def add(store: AccessStore, batch: Any) -> None:
            await self.is_open.wait()
            if self.fault is not None:
                raise self.fault
            await real(store, batch)
            self.batches.append(len(batch))

        patch.setattr(AccessStore, "add", add)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    return Store(monkeypatch)


def of_boot(found: Rows, boot_id: str) -> Rows:
    return [row for row in found if row["boot_id"] == boot_id]


def is_whole(found: Rows) -> bool:
    """Whether the numbers run from 1 without a hole, and nothing is there twice."""
    return [row["seq"] for row in found] == list(range(1, len(found) + 1))


async def test_many_requests_at_once_have_a_row_each(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    async with serving(backend.new_database(), tmp_path, monkeypatch) as app:
        await settled(app)
        before = len(store.batches)
        answers = await asyncio.gather(*(ask(app, "GET", "/health/live") for _ in range(500)))
        found = await rows(app, path="/health/live")
        assert {row["request_id"] for row in found} == {a.headers["x-request-id"] for a in answers}
        assert len(found) == 500
        assert len(store.batches) - before < 50
        assert is_whole(of_boot(await rows(app), writer_of(app).boot_id))


async def test_batches_stay_as_large_however_long_it_goes_on(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    """Full batches leave no timers behind that would cut later ones short."""
    async with serving(backend.new_database(), tmp_path, monkeypatch) as app:
        of, before = writer_of(app), len(store.batches)
        await settled(app)
        for _ in range(10):
            for _ in range(writer.FLUSH_ROWS):
                of.add(own_fields("test", {}))
            await of.settle()
        full, begun = len(store.batches), asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - begun < 3 * writer.FLUSH_SECONDS:
            of.add(own_fields("test", {}))
            await asyncio.sleep(writer.FLUSH_SECONDS / 50)
        assert full - before <= 12
        assert len(store.batches) - full <= 4


async def test_a_run_begins_and_ends_with_a_row(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was answered before the stop is written by it."""
    url = backend.new_database()
    async with serving(url, tmp_path, monkeypatch, audit_access_exclude=("/nowhere",)) as app:
        boot_id = writer_of(app).boot_id
        await asyncio.gather(*(ask(app, "GET", "/health/live") for _ in range(300)))
    async with serving(url, tmp_path, monkeypatch) as app:
        await settled(app)
        found = of_boot(await stored_rows(app), boot_id)
        assert writer_of(app).boot_id != boot_id
    assert is_whole(found)
    assert len(found) == 302
    first, last = found[0], found[-1]
    assert (first["path"], last["path"]) == ("audit.start", "audit.stop")
    for row in (first, last):
        assert (row["method"], row["actor_type"], row["outcome"]) == ("AUDIT", "system", "ok")
        assert row["query"]["durability"] == "batched"
        assert row["query"]["exclude"] == ["/nowhere"]
        assert row["query"]["guard"] == "refuse"
    assert last["query"]["last_seq"] == last["seq"] == 302


@pytest.mark.parametrize(
    ("method", "path", "is_held"),
    [("GET", "/health/live", False), ("HEAD", "/health/live", False), ("GET", "/nothing", True),
     ("GET", "/api/v1/ends/crash", True), ("GET", "/api/v1/auth/me", True), ("POST", "/api/v1/ends/change", True),
     ("OPTIONS", "/health", True)],
)  # fmt: skip
async def test_durable_answers_wait_for_their_row(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store, method: str, path: str,
    *, is_held: bool,
) -> None:  # fmt: skip
    async with serving(
        backend.new_database(), tmp_path, monkeypatch, audit_access_durability="durable"
    ) as app:
        await settled(app)
        store.is_open.clear()
        body = {"json": {"a": 1}} if method == "POST" else {}
        asking = asyncio.create_task(ask(app, method, path, **body))
        await asyncio.wait([asking], timeout=0.3 if is_held else 5)
        assert asking.done() is not is_held
        store.is_open.set()
        answer = await asking
        found = await stored_rows(app, request_id=answer.headers["x-request-id"])
        assert len(found) == 1 or not is_held
        assert len(await rows(app, request_id=answer.headers["x-request-id"])) == 1


async def test_durable_answers_share_a_batch(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    async with serving(
        backend.new_database(), tmp_path, monkeypatch, audit_access_durability="durable"
    ) as app:
        await settled(app)
        store.is_open.clear()
        asking = [asyncio.create_task(ask(app, "GET", "/nothing")) for _ in range(50)]
        await asyncio.wait(asking, timeout=0.5)
        store.batches.clear()
        store.is_open.set()
        answers = await asyncio.gather(*asking)
        stored = {row["request_id"] for row in await stored_rows(app)}
        assert {answer.headers["x-request-id"] for answer in answers} <= stored
        assert len(store.batches) <= 5


async def test_answer_is_held_for_two_seconds_at_most(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setattr(writer, "HELD_SECONDS", 0.2)
    async with serving(
        backend.new_database(), tmp_path, monkeypatch, audit_access_durability="durable"
    ) as app:
        await settled(app)
        store.is_open.clear()
        answer = await asyncio.wait_for(ask(app, "GET", "/nothing"), 10)
        assert answer.status_code == 404
        store.is_open.set()
        assert len(await rows(app, request_id=answer.headers["x-request-id"])) == 1


async def test_full_queue_makes_wait_and_drops_nothing(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setattr(writer, "QUEUE_ROWS", 20)
    async with serving(backend.new_database(), tmp_path, monkeypatch) as app:
        await settled(app)
        store.is_open.clear()
        asking = [asyncio.create_task(ask(app, "GET", "/health/live")) for _ in range(60)]
        done, waiting = await asyncio.wait(asking, timeout=2)
        assert (len(done), len(waiting)) == (20, 40)
        next(iter(waiting)).cancel()
        await asyncio.sleep(0)
        store.is_open.set()
        await asyncio.gather(*asking, return_exceptions=True)
        assert len(await rows(app, path="/health/live")) == 60
        assert is_whole(of_boot(await rows(app), writer_of(app).boot_id))


async def test_row_that_the_database_refuses_holds_up_no_other(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(backend.new_database(), tmp_path, monkeypatch) as app:
        mine = writer_of(app)
        await settled(app)
        good = await ask(app, "GET", "/health/live")
        status = access_store.ROW_COLUMNS.index("status") - 2
        bad = list(mine._queue[-1][1])
        bad[status] = None
        mine.add(tuple(bad))
        later = await ask(app, "GET", "/health/live")
        stored = [row["request_id"] for row in await rows(app, path="/health/live")]
        assert stored == [good.headers["x-request-id"], later.headers["x-request-id"]]
        (kept,) = tmp_path.glob("*.refused")  # noqa: ASYNC240
        assert len(kept.read_bytes().splitlines()) == 1


async def test_audit_metrics_count(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(backend.new_database(), tmp_path, monkeypatch) as app:

        async def count() -> float:
            await settled(app)
            text = (await ask(app, "GET", "/metrics")).text
            (line,) = [
                line for line in text.splitlines() if line.startswith('audit_rows_total{stream="access"}')
            ]
            return float(line.split()[1])

        before = await count()
        await asyncio.gather(*(ask(app, "GET", "/health/live") for _ in range(10)))
        assert await count() - before == 11


async def test_readers_and_writers_at_once_are_whole(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers and readers at once: nothing is missing, nothing is there twice, whatever waited for the gate."""
    async with serving(backend.new_database(), tmp_path, monkeypatch, database_pool_size=3) as app:
        api = Api(app)
        admin = await api.login(*ADMIN)
        count = 400 if FULL else 40
        answers = await asyncio.gather(
            *(admin.post("roles", {"name": f"role-{n}"}) for n in range(count)),
            *(admin.get("users") for _ in range(count)),
        )
        assert {answer.status_code for answer in answers} <= {200, 201, 503}
        found = of_boot(await rows(app), writer_of(app).boot_id)
        assert {answer.headers["x-request-id"] for answer in answers} <= {row["request_id"] for row in found}
        assert sorted(row["seq"] for row in found) == list(range(1, len(found) + 1))
