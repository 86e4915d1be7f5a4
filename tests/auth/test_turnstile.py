"""One at a time for each key, in order, whoever gives up or fails; and never more than so many in all."""

import asyncio
from collections.abc import Sequence

import pytest

from app.auth.turnstile import Turnstile
from app.core.errors import Unavailable


class Visit:
    """Somebody passing; stays inside until told to leave."""

    def __init__(self, turnstile: Turnstile, *keys: tuple[str, int], fails: bool = False) -> None:
        self._turnstile, self._keys, self._fails = turnstile, keys, fails
        self._leave = asyncio.Event()
        self.is_inside = False
        self.task = asyncio.create_task(self._pass())

    async def _pass(self) -> None:
        async with self._turnstile.passing(*self._keys):
            self.is_inside = True
            try:
                await self._leave.wait()
                if self._fails:
                    raise LookupError
            finally:
                self.is_inside = False

    async def leave(self) -> None:
        self._leave.set()
        await asyncio.wait([self.task])
        await settled()


async def settled() -> None:
    """Everybody has gone as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


def inside(visits: Sequence[Visit]) -> list[int]:
    return [number for number, visit in enumerate(visits) if visit.is_inside]


async def empty(turnstile: Turnstile, visits: Sequence[Visit]) -> None:
    """Lets everybody leave; asserts that nothing is remembered of them."""
    for visit in visits:
        await visit.leave()
        assert visit.task.done()
    assert (turnstile._lanes, turnstile._inside) == ({}, 0)


async def test_one_at_a_time_in_the_order_of_arrival() -> None:
    turnstile = Turnstile()
    visits = [Visit(turnstile, ("ann", 1)) for _ in range(5)]
    for number, visit in enumerate(visits):
        await settled()
        assert inside(visits) == [number]
        await visit.leave()
    await empty(turnstile, visits)


async def test_as_many_as_there_are_places() -> None:
    turnstile = Turnstile()
    visits = [Visit(turnstile, ("network", 4)) for _ in range(6)]
    await settled()
    assert inside(visits) == [0, 1, 2, 3]
    await visits[2].leave()
    assert inside(visits) == [0, 1, 3, 4]
    await empty(turnstile, visits)


async def test_other_keys_do_not_wait() -> None:
    turnstile = Turnstile()
    visits = [Visit(turnstile, (name, 1)) for name in ("ann", "ben", "ann", "cid")]
    await settled()
    assert inside(visits) == [0, 1, 3]
    await empty(turnstile, visits)


async def test_without_a_key_nobody_waits() -> None:
    turnstile = Turnstile()
    visits = [Visit(turnstile) for _ in range(3)]
    await settled()
    assert inside(visits) == [0, 1, 2]
    await empty(turnstile, visits)


async def test_two_keys_named_in_either_order_never_block_each_other() -> None:
    turnstile = Turnstile()
    keys = (("ann", 1), ("network", 1))
    visits = [Visit(turnstile, *(keys if number % 2 else reversed(keys))) for number in range(20)]
    for number, visit in enumerate(visits):
        await settled()
        assert inside(visits) == [number]
        await visit.leave()
    await empty(turnstile, visits)


async def test_who_gives_up_leaves_the_place_to_the_next() -> None:
    turnstile = Turnstile()
    visits = [Visit(turnstile, ("ann", 1)) for _ in range(4)]
    await settled()
    visits[1].task.cancel()  # while waiting
    visits[0].task.cancel()  # inside
    await settled()
    assert inside(visits) == [2]
    assert [visit.task.cancelled() for visit in visits] == [True, True, False, False]
    await empty(turnstile, visits)


async def test_who_gives_up_just_when_the_place_is_free_does_not_take_it_along() -> None:
    turnstile = Turnstile()
    visits = [Visit(turnstile, ("ann", 1)) for _ in range(3)]
    await settled()
    visits[0]._leave.set()
    await asyncio.sleep(0)  # the first one is out, the second one has not run yet
    visits[1].task.cancel()
    await settled()
    assert inside(visits) == [2]
    await empty(turnstile, visits)


async def test_who_gives_up_between_two_keys_gives_the_first_one_back() -> None:
    turnstile = Turnstile()
    holder = Visit(turnstile, ("network", 1))
    await settled()
    waiting = Visit(turnstile, ("ann", 1), ("network", 1))
    await settled()
    behind = Visit(turnstile, ("ann", 1))
    await settled()
    assert inside([holder, waiting, behind]) == [0]
    waiting.task.cancel()
    await settled()
    assert inside([holder, waiting, behind]) == [0, 2]
    await empty(turnstile, [holder, waiting, behind])


async def test_who_fails_inside_leaves_too() -> None:
    turnstile = Turnstile()
    visits = [Visit(turnstile, ("ann", 1), fails=True) for _ in range(2)]
    await settled()
    await visits[0].leave()
    assert isinstance(visits[0].task.exception(), LookupError)
    assert inside(visits) == [1]
    await empty(turnstile, visits)
    assert isinstance(visits[1].task.exception(), LookupError)


async def test_too_many_are_turned_away_at_once_and_take_no_place() -> None:
    turnstile = Turnstile(max_waiting=3)
    visits = [Visit(turnstile, ("ann", 1)) for _ in range(3)]
    await settled()
    for key in ("ann", "ben"):
        with pytest.raises(Unavailable) as caught:
            async with turnstile.passing((key, 1)):
                pytest.fail("let in")
        assert caught.value.headers["Retry-After"] == "1"
    await visits[0].leave()
    late = Visit(turnstile, ("ben", 1))
    await settled()
    assert inside([*visits, late]) == [1, 3]
    await empty(turnstile, [*visits, late])
