"""One query for many who ask at once, and never an answer that is older than its question."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from app.core.coalesce import Coalescer
from app.core.errors import Unavailable

Keys = Sequence[str]


class Store:
    """A slow store: each query notes what it was asked, reads at its start, and answers when it is let go."""

    def __init__(self) -> None:
        self.values = {"a": 1, "b": 2}
        self.asked: list[set[str]] = []
        self.error: BaseException | None = None
        self.gate = asyncio.Event()

    async def load(self, keys: Keys) -> Mapping[str, int]:
        self.asked.append(set(keys))
        assert len(set(keys)) == len(keys)
        found = {key: self.values[key] for key in keys if key in self.values}
        error = self.error
        await asyncio.sleep(0)
        await self.gate.wait()
        if error is not None:
            raise error
        return found


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def coalescer(store: Store) -> Coalescer[str, int]:
    return Coalescer(store.load, 0.1)


async def started(*questions: "asyncio.Task[int | None]") -> None:
    """Lets every task run until it waits."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(task.done() for task in questions)


def asking(coalescer: Coalescer[str, int], keys: str) -> list["asyncio.Task[int | None]"]:
    return [asyncio.create_task(coalescer.get(key)) for key in keys]


async def test_who_is_alone_asks_alone(store: Store, coalescer: Coalescer[str, int]) -> None:
    store.gate.set()
    assert [await coalescer.get(key) for key in ("a", "b", "c", "a")] == [1, 2, None, 1]
    assert store.asked == [{"a"}, {"b"}, {"c"}, {"a"}]


async def test_those_who_come_meanwhile_share_the_next_query(
    store: Store, coalescer: Coalescer[str, int]
) -> None:
    (first,) = asking(coalescer, "a")
    await started(first)
    others = asking(coalescer, "abcabc")
    await started(*others)
    assert store.asked == [{"a"}]
    store.gate.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [1, 2, None, 1, 2, None]
    assert store.asked == [{"a"}, {"a", "b", "c"}]


async def test_nobody_joins_a_query_that_was_sent_before(
    store: Store, coalescer: Coalescer[str, int]
) -> None:
    (first,) = asking(coalescer, "a")
    await started(first)
    store.values["a"] = 99
    (second,) = asking(coalescer, "a")
    await started(second)
    store.gate.set()
    assert (await first, await second) == (1, 99)


async def test_batches_follow_each_other_until_nobody_waits(
    store: Store, coalescer: Coalescer[str, int]
) -> None:
    store.gate.set()

    async def client(number: int) -> list[int | None]:
        found = []
        for turn in range(20):
            found.append(await coalescer.get("ab"[(number + turn) % 2]))
            await asyncio.sleep(0)
        return found

    answers = await asyncio.gather(*(client(number) for number in range(20)))
    assert all(sorted(filter(None, found)) == [1] * 10 + [2] * 10 for found in answers)
    assert len(store.asked) < 400
    assert await coalescer.get("a") == 1


async def test_error_reaches_everybody_who_asked_and_nobody_else(
    store: Store, coalescer: Coalescer[str, int]
) -> None:
    (first,) = asking(coalescer, "a")
    await started(first)
    store.error = Unavailable("down")
    others = asking(coalescer, "ab")
    await started(*others)
    store.gate.set()
    assert await first == 1
    errors = await asyncio.gather(*others, return_exceptions=True)
    assert [type(error) for error in errors] == [Unavailable, Unavailable]
    assert errors[0] is not errors[1]
    assert [str(error) for error in errors] == ["down", "down"]
    with pytest.raises(Unavailable):
        await coalescer.get("a")
    store.error = None
    assert await coalescer.get("a") == 1


async def test_stuck_query_is_given_up_for_all(store: Store, coalescer: Coalescer[str, int]) -> None:
    (first,) = asking(coalescer, "a")
    await started(first)
    others = asking(coalescer, "ab")
    results = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(result) for result in results] == [TimeoutError] * 3
    store.gate.set()
    assert await coalescer.get("a") == 1


@pytest.mark.parametrize("leaving", [0, 1, 2])
async def test_who_leaves_takes_nobody_along(
    store: Store, coalescer: Coalescer[str, int], leaving: int
) -> None:
    (first,) = asking(coalescer, "a")
    await started(first)
    tasks = [first, *asking(coalescer, "bb")]
    await started(*tasks)
    tasks[leaving].cancel()
    await asyncio.sleep(0)
    store.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results.pop(leaving), asyncio.CancelledError)
    assert results == [value for index, value in enumerate([1, 2, 2]) if index != leaving]
    assert await coalescer.get("a") == 1


async def test_all_may_leave(store: Store, coalescer: Coalescer[str, int]) -> None:
    (first,) = asking(coalescer, "a")
    await started(first)
    others = asking(coalescer, "bb")
    await started(*others)
    for task in (*others, first):
        task.cancel()
    await asyncio.gather(first, *others, return_exceptions=True)
    store.gate.set()
    assert await coalescer.get("a") == 1
    assert {"b"} not in store.asked


async def test_end_of_the_server_leaves_nobody_waiting(store: Store, coalescer: Coalescer[str, int]) -> None:
    (first,) = asking(coalescer, "a")
    await started(first)
    batch = asking(coalescer, "b")
    await started(*batch)
    gate, store.gate = store.gate, asyncio.Event()
    gate.set()
    assert await first == 1
    await started(*batch)
    late = asking(coalescer, "a")
    await started(*batch, *late)
    assert coalescer._drain is not None
    coalescer._drain.cancel()
    results = await asyncio.wait_for(asyncio.gather(*batch, *late, return_exceptions=True), 30)
    assert [type(result) for result in results] == [TimeoutError, TimeoutError]
    store.gate.set()
    assert await coalescer.get("a") == 1
