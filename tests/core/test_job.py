"""The loop in the background: when it works, what doesn't end it, and how it is ended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from app.core.context import acting_as, current
from app.core.errors import Unavailable
from app.core.job import Job

FOREVER = 3600.0
PATIENCE_SECONDS = 10.0
Work = Callable[[], Awaitable[bool]]


@dataclass
class Pieces:
    """Work that is done piece by piece; `left` are the answers it gives or the errors it raises, then False."""

    left: list[bool | Exception] = field(default_factory=list)
    done: int = 0
    origins: list[tuple[str, str]] = field(default_factory=list)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self) -> bool:
        async with self._moved:
            self.done += 1
            self.origins.append((current().origin, current().actor_type))
            self._moved.notify_all()
        answer = self.left.pop(0) if self.left else False
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def reach(self, count: int) -> None:
        """Waits until so many pieces were begun."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._moved:
            await self._moved.wait_for(lambda: self.done >= count)


@asynccontextmanager
async def running(work: Work, every_seconds: float = FOREVER) -> AsyncIterator[Job]:
    job = Job("probe", work, every_seconds)
    job.start()
    try:
        yield job
    finally:
        await job.stop()


async def rounds() -> None:
    """Lets everything run that can; whoever waits for a timer or a wake goes on waiting."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_first_look_is_taken_at_once_and_all_there_is_is_worked_off() -> None:
    pieces = Pieces([True, True, False])
    async with running(pieces):
        await pieces.reach(3)
        await rounds()
        assert pieces.done == 3


async def test_wake_makes_it_look_now() -> None:
    pieces = Pieces()
    async with running(pieces) as job:
        await pieces.reach(1)
        for count in (2, 3):
            await rounds()
            assert pieces.done == count - 1
            job.wake()
            await pieces.reach(count)


async def test_wake_in_the_middle_of_a_piece_is_not_lost() -> None:
    begun, go, seen = asyncio.Event(), asyncio.Event(), Pieces()

    async def work() -> bool:
        begun.set()
        await go.wait()
        return await seen()

    async with running(work) as job:
        await begun.wait()
        job.wake()
        go.set()
        await seen.reach(2)
        await rounds()
        assert seen.done == 2


async def test_wake_before_the_start_is_no_error() -> None:
    pieces = Pieces()
    job = Job("probe", pieces, FOREVER)
    job.wake()
    job.start()
    await pieces.reach(1)
    await job.stop()
    assert pieces.done == 1


async def test_many_wakes_at_once_are_one_look() -> None:
    pieces = Pieces()
    async with running(pieces) as job:
        await pieces.reach(1)
        await rounds()
        for _ in range(100):
            job.wake()
        await pieces.reach(2)
        await rounds()
        assert pieces.done == 2


async def test_it_looks_again_by_itself_at_its_rhythm() -> None:
    pieces = Pieces()
    async with running(pieces, every_seconds=0.001):
        await pieces.reach(5)
    assert pieces.done >= 5


@pytest.mark.parametrize("fault", [ValueError("planted"), Unavailable("planted"), TimeoutError()])
async def test_error_in_one_piece_does_not_end_it(fault: Exception) -> None:
    pieces = Pieces([True, fault])
    async with running(pieces) as job:
        await pieces.reach(2)
        await rounds()
        assert pieces.done == 2, "what failed is not tried again at once, and again, and again"
        job.wake()
        await pieces.reach(3)


async def test_error_is_told_and_a_foreseen_one_is_no_failure() -> None:
    pieces = Pieces([ValueError("planted"), Unavailable("asleep")])
    with capture_logs() as logs:
        async with running(pieces) as job:
            await pieces.reach(1)
            await rounds()
            job.wake()
            await pieces.reach(2)
            await rounds()
    failed, waiting = logs
    assert (failed["event"], failed["log_level"], failed["exc_info"]) == ("job.failed", "error", True)
    assert (waiting["event"], waiting["log_level"]) == ("job.waiting", "warning")
    assert (failed["job"], waiting["reason"]) == ("probe", "asleep")


async def test_stop_in_the_middle_of_a_piece_ends_it_there() -> None:
    begun, trace = asyncio.Event(), []

    async def work() -> bool:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            trace.append("cut off")
            raise
        return True

    async with running(work) as job:
        await begun.wait()
        await job.stop()
        assert trace == ["cut off"]
        job.wake()
        await rounds()
    assert trace == ["cut off"]
    assert "probe" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_stop_ends_also_a_piece_that_swallows_the_first_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.job._PATIENCE_SECONDS", 0.01)
    begun = asyncio.Event()
    swallowed: list[str] = []

    async def work() -> bool:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.append("cancelled")
        return False

    async with running(work) as job:
        await begun.wait()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await job.stop()
    assert swallowed == ["cancelled"]


async def test_stop_while_it_waits_and_stop_twice_and_stop_before_the_start() -> None:
    pieces = Pieces()
    await Job("probe", pieces, FOREVER).stop()
    async with running(pieces) as job:
        await pieces.reach(1)
        await job.stop()
        await job.stop()
        job.wake()
        await rounds()
    assert pieces.done == 1


async def test_it_acts_as_the_system_whoever_started_it() -> None:
    pieces = Pieces([True])
    with acting_as("user", origin="request"):
        async with running(pieces) as job:
            await pieces.reach(2)
            job.wake()
            await pieces.reach(3)
            assert (current().origin, current().actor_type) == ("request", "user")
    assert pieces.origins == [("job", "system")] * 3
