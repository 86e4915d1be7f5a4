"""Figures of single turns, and their medians."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench_tool.plan import Plan
from bench_tool.wrk import WrkResult


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of wrk against one program, with the processor seconds that each party used."""

    wrk: WrkResult
    server: float
    database: float
    client: float
    others: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.wrk.requests / self.wrk.seconds if self.wrk.seconds else 0.0

    @property
    def cpu_us(self) -> float:
        """The server's processor time for one request, in microseconds."""
        return self.server / self.wrk.requests * 1e6 if self.wrk.requests else 0.0

    @property
    def database_us(self) -> float:
        """PostgreSQL's processor time for one request, in microseconds."""
        return self.database / self.wrk.requests * 1e6 if self.wrk.requests else 0.0

    def share(self, seconds: float) -> float:
        """Processor seconds as a part of one processor for the length of the turn."""
        return seconds / self.wrk.seconds if self.wrk.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """The medians of one program's turns; `errors` is the sum. Shares are parts of one processor."""

    operation: str
    clients: int
    program: str
    rate: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_us: float
    database_us: float
    server: float
    database: float
    client: float
    others: float

    @classmethod
    def of(cls, operation: str, clients: int, program: str, turns: Sequence[Turn]) -> "Result":
        """The medians of these turns."""

        def middle(value: Callable[[Turn], float]) -> float:
            return median(map(value, turns))

        return cls(
            operation=operation,
            clients=clients,
            program=program,
            rate=middle(lambda turn: turn.rate),
            p50_ms=middle(lambda turn: turn.wrk.p50_ms),
            p99_ms=middle(lambda turn: turn.wrk.p99_ms),
            errors=sum(turn.wrk.errors for turn in turns),
            cpu_us=middle(lambda turn: turn.cpu_us),
            database_us=middle(lambda turn: turn.database_us),
            server=middle(lambda turn: turn.share(turn.server)),
            database=middle(lambda turn: turn.share(turn.database)),
            client=middle(lambda turn: turn.share(turn.client)),
            others=middle(lambda turn: turn.share(turn.others)),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run found; `memory` is MiB by program, after the last turn."""

    plan: Plan
    facts: Mapping[str, str]
    results: Sequence[Result]
    memory: Mapping[str, float]
