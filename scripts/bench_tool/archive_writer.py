"""Somebody who writes at a modest pace while an archive works, and how long each of the answers takes."""

import http.client
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from threading import Event, Thread
from time import perf_counter

from bench_tool.operations import Load

EVERY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Wait:
    """What the writer met, in milliseconds. `failed`: requests that were refused or not answered."""

    requests: int
    failed: int
    p50_ms: float
    p99_ms: float
    longest_ms: float

    @classmethod
    def of(cls, times: Sequence[float], failed: int) -> "Wait":
        """Of the times of all answers, in seconds."""
        ordered = sorted(times) or [math.inf]
        middle, late = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99))
        return cls(len(times), failed, middle * 1000, late * 1000, ordered[-1] * 1000)


class Writer:
    """One client with one connection; sends the next request when it is due, or when the last one is answered."""

    def __init__(self, port: int, load: Load, status: int = HTTPStatus.CREATED) -> None:
        """`load`: its first path is written to. `status`: what a good answer has."""
        self._port = port
        self._load = load
        self._status = status
        self._times: list[float] = []
        self._failed = 0
        self._is_over = Event()

    @property
    def wait(self) -> Wait:
        """So far."""
        return Wait.of(self._times, self._failed)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Writes for as long as the block lasts."""
        thread = Thread(target=self._work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join(timeout=30)

    def _work(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        due = perf_counter()
        while not self._is_over.wait(max(0.0, due - perf_counter())):
            started = perf_counter()
            due = max(due + EVERY_SECONDS, started)
            try:
                connection.request(
                    self._load.method, self._load.paths[0], self._load.body, self._load.headers
                )
                answer = connection.getresponse()
                answer.read()
                is_good = answer.status == self._status
            except (OSError, http.client.HTTPException):
                connection.close()
                is_good = False
            self._times.append(perf_counter() - started)
            self._failed += not is_good
        connection.close()
