import asyncio
from collections.abc import AsyncIterator

import pytest

from app.core import database
from app.core.database import Gate
from app.core.errors import Unavailable


async def _inside(gate: Gate, name: str, order: list[str], leave: asyncio.Event) -> None:
    async with gate:
        order.append(name)
        await leave.wait()


@pytest.fixture
async def full() -> AsyncIterator[tuple[Gate, asyncio.Event, "asyncio.Task[None]"]]:
    """A gate with one place, taken; setting the event frees it."""
    gate, leave = Gate(1), asyncio.Event()
    holder = asyncio.create_task(_inside(gate, "holder", [], leave))
    await asyncio.sleep(0)
    yield gate, leave, holder
    leave.set()
    await holder


async def test_waiters_enter_in_the_order_in_which_they_came(
    full: tuple[Gate, asyncio.Event, "asyncio.Task[None]"],
) -> None:
    gate, leave, _ = full
    order: list[str] = []
    tasks = [asyncio.create_task(_inside(gate, str(i), order, leave)) for i in range(20)]
    await asyncio.sleep(0)
    assert order == []
    leave.set()
    await asyncio.gather(*tasks)
    assert order == [str(i) for i in range(20)]


async def test_nobody_is_inside_beyond_the_places() -> None:
    gate, inside, most = Gate(3), 0, 0

    async def visit() -> None:
        nonlocal inside, most
        async with gate:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(visit() for _ in range(50)))
    assert (inside, most) == (0, 3)


async def test_a_waiter_that_gave_up_does_not_take_a_place(
    full: tuple[Gate, asyncio.Event, "asyncio.Task[None]"],
) -> None:
    gate, leave, holder = full
    order: list[str] = []
    quitter = asyncio.create_task(_inside(gate, "quitter", order, leave))
    patient = asyncio.create_task(_inside(gate, "patient", order, leave))
    await asyncio.sleep(0)
    quitter.cancel()
    leave.set()
    await asyncio.gather(holder, patient)
    assert order == ["patient"]
    async with asyncio.timeout(30), gate:
        order.append("free again")
    assert order[-1] == "free again"


async def test_a_place_handed_to_a_cancelled_waiter_is_handed_on() -> None:
    gate = Gate(1)
    order: list[str] = []
    leave = asyncio.Event()
    leave.set()
    await gate.__aenter__()
    first = asyncio.create_task(_inside(gate, "first", order, leave))
    second = asyncio.create_task(_inside(gate, "second", order, leave))
    await asyncio.sleep(0)
    await gate.__aexit__()  # the place is the first one's now, who has not run yet
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert order == ["second"]


async def test_waiting_too_long_is_unavailable(
    full: tuple[Gate, asyncio.Event, "asyncio.Task[None]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, leave, holder = full
    monkeypatch.setattr(database, "GATE_SECONDS", 0.05)
    answers = await asyncio.gather(
        *(_inside(gate, "late", [], leave) for _ in range(3)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    leave.set()
    await holder
    entered: list[str] = []
    await _inside(gate, "in time", entered, leave)
    assert entered == ["in time"]
