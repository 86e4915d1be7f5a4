"""Credentials that never rest, and what is to be said of the answers once something was taken away.

The rule: a request that starts after the answer to the taking away has arrived is refused. What is not taken
away goes on being accepted.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice

from tests.hammering.sizes import PAUSE_SECONDS
from tests.hammering.wire import Answer, Wire, request

CLEAN = {200, 201, 202, 204, 401, 403, 404, 409, 429, 503}
OVERLOADED = 503
WAIT_SECONDS = 60.0
LOOK_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Fate:
    """How a credential is answered once the deed is done: the status, and whether that lets it do what it did."""

    status: int
    is_accepted: bool


DEAD = Fate(401, is_accepted=False)
FORBIDDEN = Fate(403, is_accepted=False)
STRIPPED = Fate(200, is_accepted=False)  # goes on, without what `proof` looks for
ALIVE = Fate(200, is_accepted=True)


@dataclass
class Probe(ABC):
    """One credential on some connections. `proof` is in every answer that accepts it."""

    name: str
    fate: Fate
    wires: Sequence[Wire]
    proof: bytes = b""
    answers: list[Answer] = field(default_factory=list, init=False)

    @abstractmethod
    async def hammer(self) -> None:
        """Asks until it is cancelled."""

    def accepts(self, answer: Answer) -> bool:
        return answer.is_success and self.proof in answer.body

    async def _ask(self, wire: Wire, asked: bytes) -> Answer:
        answer = await wire.ask(asked)
        self.answers.append(answer)
        return answer


@dataclass
class Bearer(Probe):
    """An access token or API key. Each connection asks by itself."""

    asked: bytes = b""

    async def hammer(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for wire in self.wires:
                tasks.create_task(self._go_on(wire))

    async def _go_on(self, wire: Wire) -> None:
        while True:
            await self._ask(wire, self.asked)
            await asyncio.sleep(PAUSE_SECONDS)


@dataclass
class Family(Probe):
    """A refresh token and its successors. An honest client: copies only at once, and then the one successor."""

    token: str = ""

    async def hammer(self) -> None:
        while True:
            asked = request("POST", "auth/refresh", {"refresh_token": self.token})
            copies = await asyncio.gather(*(self._ask(wire, asked) for wire in self.wires))
            for answer in copies:
                if answer.is_success:
                    self.token = answer.json()["refresh_token"]


@dataclass
class Deed:
    """When what was taken away was asked for, and when the answer that it is done had arrived."""

    began: float
    done: float


@asynccontextmanager
async def hammering(probes: Sequence[Probe]) -> AsyncIterator[None]:
    """All probes ask while the block runs. Raises what goes wrong with a connection."""
    tasks = [asyncio.create_task(probe.hammer()) for probe in probes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for probe in probes:
            for wire in probe.wires:
                await wire.close()
        for error in ended:
            if error is not None and not isinstance(error, asyncio.CancelledError):
                raise error


async def until(reached: Callable[[], bool], missing: Callable[[], object]) -> None:
    """Goes on once it is so. Asserts that this comes in time, else says what is `missing`."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not reached():
        assert time.monotonic() < deadline, f"still waiting for {missing()}"
        await asyncio.sleep(LOOK_SECONDS)


async def enough_after(probes: Sequence[Probe], moment: float, number: int) -> None:
    """Waits until each probe has so many answers to requests that started later than `moment`."""

    def reached() -> bool:
        return all(len(list(islice(_telling_after(probe, moment), number))) == number for probe in probes)

    await until(reached, lambda: f"{number} answers each: {_counts(probes, moment)}")


def _telling_after(probe: Probe, moment: float) -> Iterator[Answer]:
    """The newest answers, without those of an overloaded server, which say nothing."""
    for answer in reversed(probe.answers):
        if answer.end <= moment:
            return
        if answer.start > moment and answer.status != OVERLOADED:
            yield answer


def _counts(probes: Sequence[Probe], moment: float) -> dict[str, int]:
    return {probe.name: sum(answer.start > moment for answer in probe.answers) for probe in probes}


def faults(probe: Probe, deed: Deed, enough: int) -> list[str]:
    """What contradicts the rule, one line each; also that there were too few answers to tell."""
    found = [fault for answer in probe.answers if (fault := _fault(probe, answer, deed))]
    telling = [answer for answer in probe.answers if answer.status != OVERLOADED]
    before = sum(answer.end < deed.began for answer in telling)
    after = sum(answer.start > deed.done for answer in telling)
    if min(before, after) < enough:
        found.append(f"only {before} answers before and {after} after")
    return [f"{probe.name}: {fault}" for fault in found]


def _fault(probe: Probe, answer: Answer, deed: Deed) -> str | None:
    is_accepted, late = probe.accepts(answer), answer.start - deed.done
    if answer.status not in CLEAN:
        return f"answered {answer.status}"
    if answer.status == OVERLOADED:
        return None
    if late > 0:
        expected = probe.fate
        if is_accepted and not expected.is_accepted:
            return f"accepted {late * 1000:.1f} ms after the deed was done"
        if (answer.status, is_accepted) != (expected.status, expected.is_accepted):
            return f"answered {answer.status} and not {expected.status}, {late * 1000:.1f} ms after the deed"
    elif not is_accepted and (answer.end < deed.began or probe.fate.is_accepted):
        return f"answered {answer.status} before anything was taken from it"
    return None
