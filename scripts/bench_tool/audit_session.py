"""The audit suite: the program with both logs beside the same program without one of them."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from os import sched_getaffinity
from pathlib import Path
from statistics import median

from bench_tool import bulk
from bench_tool.figures import Result, Turn
from bench_tool.forms import CHANGE, NO_ACCESS, NO_CHANGES, WHOLE
from bench_tool.operations import Load, Operation, chosen
from bench_tool.plan import WARM_UP_SECONDS, Cores, Plan
from bench_tool.session import Bench, facts, tell
from bench_tool.stage import Ground, Stage, ask, log_in, prepared, served
from dev_tool.processes import ROOT, DevError

# Which log an operation is measured for: reads leave no change rows.
WITHOUT: Mapping[str, str] = {
    "one": NO_ACCESS,
    "list": NO_ACCESS,
    "create": NO_CHANGES,
    "update": NO_CHANGES,
}
ROW_SECONDS = 1.0  # within which a request is in the log
PAIRS = 6  # of turns, of an operation in a round


@dataclass(frozen=True, slots=True)
class Comparison:
    """The form without a log beside the whole program, and the whole as a part of it.

    `rate`, `cpu`, `database` are medians of the ratios of turns that followed each other: a busy minute of the
    machine meets both, but not all minutes are alike. None where nothing was answered.
    """

    without: Result
    whole: Result
    rate: float | None
    cpu: float | None
    database: float | None

    @classmethod
    def of(cls, operation: str, clients: int, without: Sequence[Turn], whole: Sequence[Turn]) -> "Comparison":
        """Of the turns of both, in the order in which they were taken."""

        def middle(value: Callable[[Turn], float]) -> float | None:
            found = [
                value(one) / value(other) for one, other in zip(whole, without, strict=True) if value(other)
            ]
            return median(found) if found else None

        return cls(
            Result.of(operation, clients, WITHOUT[operation], without),
            Result.of(operation, clients, WHOLE, whole),
            rate=middle(lambda turn: turn.rate),
            cpu=middle(lambda turn: turn.cpu_us),
            database=middle(lambda turn: turn.database_us),
        )


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What one run found."""

    plan: Plan
    facts: Mapping[str, str]
    results: Sequence[Comparison]
    bulk: Sequence[bulk.BulkResult]


def run(plan: Plan) -> AuditReport:
    """Starts, measures, ends. Raises DevError, ServerError, ServerMissingError."""
    cores = Cores.divide(sorted(sched_getaffinity(0)), 1)
    tell(
        f"starting PostgreSQL; then about {plan.expected_seconds * PAIRS} s of load and half as much around it"
    )
    with prepared(cores) as ground, tempfile.TemporaryDirectory(prefix="tessera-bench-") as folder:
        turns: dict[tuple[str, int, str], list[Turn]] = {}
        for number in range(plan.rounds):
            tell(f"round {number + 1} of {plan.rounds}, with a process of its own")
            with on_stage(ground) as stage:
                _require_difference(ground, stage)
                _round(Bench(stage, cores, Path(folder)), plan, number, turns)
        tell("many rows in one transaction")
        rows = bulk.measure(ground, plan.rounds)
        return AuditReport(plan, facts(cores, ground.postgres), list(_results(plan, turns)), rows)


@contextmanager
def on_stage(ground: Ground) -> Iterator[Stage]:
    """One process that takes every form of the program."""
    with served(ground, WHOLE, _serve) as process:
        yield Stage(
            dict.fromkeys((WHOLE, NO_ACCESS, NO_CHANGES), process),
            ground.postgres,
            ground.subject,
            log_in(process.port),
        )


def _serve(port: int) -> list[str]:
    """What serves the forms, in the way that `serve` serves the whole."""
    return [
        "uvicorn", "bench_tool.variants:Forms", "--factory", "--app-dir", str(ROOT / "scripts"),
        "--port", str(port), "--no-access-log", "--no-proxy-headers", "--no-server-header",
        "--log-level", "warning", "--timeout-keep-alive", "20",
    ]  # fmt: skip


def _take_form(stage: Stage, name: str) -> None:
    """Raises DevError."""
    status, body = ask(stage.programs[name].port, Load("POST", (CHANGE + name,), {}))
    if status != HTTPStatus.NO_CONTENT:
        raise DevError(f"the form `{name}` was answered with {status}: {body[:300]!r}")


def _require_difference(ground: Ground, stage: Stage) -> None:
    """Each form must leave just the rows that it says: else the same is compared with the same. Raises DevError."""
    (create,) = chosen(("create",))
    for name, expected in ((WHOLE, (1, 1)), (NO_ACCESS, (0, 1)), (NO_CHANGES, (1, 0))):
        _take_form(stage, name)
        load = create.load(name, stage.subject, stage.token)
        request_id = f"bench-{name}-{time.monotonic_ns()}"
        load.headers["X-Request-ID"] = request_id
        status, body = ask(stage.programs[name].port, load)
        if status != HTTPStatus.CREATED:
            raise DevError(f"`{name}` answered with {status}: {body[:300]!r}")
        time.sleep(ROW_SECONDS)
        found = ground.query(
            "SELECT (SELECT count(*) FROM audit_access WHERE request_id = $1), "
            "(SELECT count(*) FROM audit_change WHERE request_id = $1)",
            request_id,
        )
        require_rows(name, tuple(found[0]), expected)


def require_rows(name: str, found: Sequence[int], expected: Sequence[int]) -> None:
    """Raises DevError where a request left other rows: of access, of changes."""
    if tuple(found) != tuple(expected):
        raise DevError(
            f"a request to the form `{name}` left {found[0]} access and {found[1]} change row(s) "
            f"instead of {expected[0]} and {expected[1]}; is bench_tool/variants.py out of date?"
        )


def _round(bench: Bench, plan: Plan, number: int, turns: dict[tuple[str, int, str], list[Turn]]) -> None:
    """Pairs of turns, one with and one without; who begins changes from pair to pair."""
    for operation in chosen(plan.operations):
        forms = [WITHOUT[operation.name], WHOLE]
        for clients in plan.concurrency:
            for name in forms:
                _turn(bench, name, operation, clients, WARM_UP_SECONDS)
            for pair in range(PAIRS):
                for name in forms[:: 1 if (number + pair) % 2 == 0 else -1]:
                    turn = _turn(bench, name, operation, clients, plan.seconds)
                    turns.setdefault((operation.name, clients, name), []).append(turn)


def _turn(bench: Bench, name: str, operation: Operation, clients: int, seconds: int) -> Turn:
    _take_form(bench.stage, name)
    return bench.turn(name, operation, clients, seconds)


def _results(plan: Plan, turns: Mapping[tuple[str, int, str], Sequence[Turn]]) -> Iterator[Comparison]:
    for operation in [operation.name for operation in chosen(plan.operations)]:
        for clients in plan.concurrency:
            without, whole = (turns[operation, clients, name] for name in (WITHOUT[operation], WHOLE))
            yield Comparison.of(operation, clients, without, whole)
