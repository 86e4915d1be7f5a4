"""The bus port and its twins: Redis (or Dragonfly) for all workers, and this process alone.

What goes over it is a hint that something was committed, never the thing itself: who hears one reads the database.
So a lost event costs time only, a forged one shows nobody anything, and nothing needs to be kept.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, Protocol

import orjson
from redis.asyncio.client import PubSub

from app.core.cache import FAILURES, MAX_VALUE_BYTES, NAMESPACE, Breaker, connect
from app.core.logging import logger

CHANNEL = f"{NAMESPACE}bus"
_QUIET_SECONDS = 5.0  # then a heartbeat is sent; as long again without one, and the connection counts as dead
_RETRY_SECONDS = 0.5
_FIRST_SECONDS = 1.0
# What workers say to each other: that they are there, or that they could not send something.
_OWN, _HEARTBEAT, _GAP = "", "heartbeat", "gap"
# Called with each event of a topic, and with None where some may have been missed. Must not wait.
Listener = Callable[[Any | None], None]


class Bus(Protocol):
    """Tells whoever listens to a topic. Never raises: what can't be sent is lost."""

    is_shared: bool

    async def publish(self, topic: str, event: Any) -> None:
        """Sends a JSON value to every listener of the topic, in this process too."""

    async def listen(self, topic: str, listener: Listener) -> None:
        """Adds a listener, for the life of the process; returns when it hears, or when there is nothing to hear."""

    async def close(self) -> None:
        """Ends its connections."""


class MemoryBus:
    """The twin without a server: it ends where the process does."""

    is_shared = False

    def __init__(self) -> None:
        """Nobody listens yet."""
        self._listeners: dict[str, list[Listener]] = defaultdict(list)

    async def publish(self, topic: str, event: Any) -> None:
        """Tells the listeners at once, in this task."""
        self.tell(topic, event)

    async def listen(self, topic: str, listener: Listener) -> None:
        """Adds a listener."""
        self._listeners[topic].append(listener)

    def tell(self, topic: str, event: Any) -> None:
        """Calls the listeners of a topic."""
        for listener in self._listeners.get(topic, ()):
            try:
                listener(event)
            except Exception:  # noqa: BLE001  a fault in one must not make all deaf, nor fail who published
                logger("server").exception("bus.listener_failed", topic=topic)

    def tell_of_a_gap(self) -> None:
        """Calls every listener: events may have been missed."""
        for topic in list(self._listeners):
            self.tell(topic, None)

    async def close(self) -> None:
        """Nothing to end."""


class RedisBus:
    """One channel for all topics. Events come back to their sender, so that all hear them in one order.

    While the channel can't be heard, those of this process are told directly. Who could not hear tells its own
    listeners of a gap when it can again; who could not send tells everybody's.
    """

    is_shared = True

    def __init__(self, url: str) -> None:
        """Opens no connection. Two clients: one speaks, in a hurry; the other one waits."""
        self._speaker = connect(url)
        self._hearer = connect(url)
        self._breaker = Breaker("bus")
        self._here = MemoryBus()
        self._hears = asyncio.Event()
        self._owes_gap = False
        self._task: asyncio.Task[None] | None = None

    async def publish(self, topic: str, event: Any) -> None:
        """Through Redis; where that fails, to this process at least."""
        is_sent = await self._send(topic, event)
        if not is_sent or not self._hears.is_set():
            self._here.tell(topic, event)
        self._owes_gap = self._owes_gap or not is_sent
        if is_sent:
            await self._settle()

    async def listen(self, topic: str, listener: Listener) -> None:
        """Adds a listener. The first one opens the channel, and waits a second for it at most."""
        await self._here.listen(topic, listener)
        if self._task is None:
            # In a context of its own: it outlives the request that came first, and is no part of it.
            hearing = self._keep_hearing()
            self._task = asyncio.get_running_loop().create_task(hearing, name="bus", context=Context())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hears.wait(), _FIRST_SECONDS)

    async def close(self) -> None:
        """Ends the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._speaker.aclose()
        await self._hearer.aclose()

    async def _send(self, topic: str, event: Any) -> bool:
        if not self._breaker.lets_through():
            return False
        try:
            await self._speaker.publish(CHANNEL, orjson.dumps([topic, event]))
        except FAILURES as error:
            self._breaker.failed(error)
            return False
        self._breaker.succeeded()
        return True

    async def _settle(self) -> None:
        """Tells everybody of what could not be sent."""
        if self._owes_gap:
            self._owes_gap = not await self._send(_OWN, _GAP)

    async def _keep_hearing(self) -> None:
        """Opens the channel, again and again; the log is told when it is lost and when it is back."""
        was_lost = False
        while True:
            try:
                async with self._hearer.pubsub() as channel:
                    await channel.subscribe(CHANNEL)
                    await self._hear(channel, was_lost=was_lost)
            except Exception as error:  # noqa: BLE001  whatever it is: who gives up is deaf for good, and nobody knows
                if self._hears.is_set() or not was_lost:
                    log = logger("server")
                    tell = log.warning if isinstance(error, FAILURES) else log.exception
                    tell("bus.deaf", error=type(error).__name__)
                was_lost = True
                self._hears.clear()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _hear(self, channel: PubSub, *, was_lost: bool) -> None:
        """Passes on what comes. Raises one of FAILURES when the channel is lost, or silent for too long."""
        has_asked = False
        while True:
            message = await channel.get_message(timeout=_QUIET_SECONDS)
            if message is None:
                if has_asked:
                    raise TimeoutError
                has_asked = True
                await self._send(_OWN, _HEARTBEAT)
                await self._settle()
                continue
            has_asked = False
            if message["type"] == "subscribe":
                self._hears.set()
                self._breaker.succeeded()  # the server is there: no need to wait until it is looked at again
                self._here.tell_of_a_gap()
                await self._settle()
                if was_lost:
                    logger("server").info("bus.hears_again")
            elif message["type"] == "message":
                self._pass_on(message["data"])

    def _pass_on(self, raw: object) -> None:
        """What is no event of ours is dropped: others may write to that Redis."""
        if not isinstance(raw, bytes) or len(raw) > MAX_VALUE_BYTES:
            return
        try:
            found = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return
        match found:
            case ["", event]:
                if event == _GAP:
                    self._here.tell_of_a_gap()
            case [str(topic), event] if event is not None:
                self._here.tell(topic, event)


def open_bus(url: str) -> Bus:
    """The bus of a cache's URL; empty: this process alone."""
    return RedisBus(url) if url else MemoryBus()
