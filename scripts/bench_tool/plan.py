"""What is to be measured, and on which processors."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench_tool.operations import chosen

WARM_UP_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of a run."""

    operations: tuple[str, ...]
    concurrency: tuple[int, ...]
    rounds: int
    seconds: int
    workers: int = 1

    @property
    def expected_seconds(self) -> int:
        """How long the load lasts, without what starting takes."""
        lengths = [max(self.seconds, operation.least_seconds) for operation in chosen(self.operations)]
        turns = sum(self.rounds * seconds + WARM_UP_SECONDS for seconds in lengths)
        return turns * len(self.concurrency) * 2


@dataclass(frozen=True, slots=True)
class Cores:
    """The programs' processors, and those of PostgreSQL and wrk. Where there are too few, nothing is pinned."""

    programs: frozenset[int]
    others: frozenset[int]

    @classmethod
    def divide(cls, available: Sequence[int], workers: int) -> "Cores":
        """The first ones, one for each worker, to the programs; all to all where none would be left."""
        cores = sorted(available)
        if workers >= len(cores):
            return cls(frozenset(cores), frozenset(cores))
        return cls(frozenset(cores[:workers]), frozenset(cores[workers:]))

    @property
    def are_divided(self) -> bool:
        """Whether the programs have processors of their own."""
        return not self.programs & self.others


@contextmanager
def started_on(cores: frozenset[int]) -> Iterator[None]:
    """Whatever this thread starts meanwhile runs on these processors, for ever."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
