"""One run from start to end: both programs on stage, the same load for each in turn."""

import json
import platform
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from os import sched_getaffinity
from pathlib import Path
from typing import Any

from bench_tool import accounting, wrk
from bench_tool.figures import Report, Result, Turn
from bench_tool.operations import BARE, OURS, Operation, chosen
from bench_tool.plan import WARM_UP_SECONDS, Cores, Plan, started_on
from bench_tool.population import ITEMS
from bench_tool.stage import Stage, ask, prepared, running, version_of
from dev_tool.processes import DevError
from tests.services import PostgresServer

PROGRAMS = (BARE, OURS)
# A server may go on with requests whose sender has left: the next turn must not pay for them.
SETTLE_SECONDS, LOOK_SECONDS, IDLE_SHARE = 10.0, 0.1, 0.1


def run(plan: Plan) -> Report:
    """Starts, measures, ends. Raises DevError, ServerError, ServerMissingError."""
    cores = Cores.divide(sorted(sched_getaffinity(0)), plan.workers)
    tell(f"starting PostgreSQL and both programs; then about {plan.expected_seconds} s of load")
    with (
        prepared(cores) as ground,
        running(ground, plan.workers) as stage,
        tempfile.TemporaryDirectory(prefix="tessera-bench-") as folder,
    ):
        results = []
        for operation in chosen(plan.operations):
            require_same_answer(stage, operation)
            for clients in plan.concurrency:
                tell(f"{operation.name}, {clients} at a time")
                results += _measure(Bench(stage, cores, Path(folder)), operation, clients, plan)
        memory = {name: accounting.memory_mib(stage.programs[name].pid) for name in PROGRAMS}
        return Report(plan, facts(cores, stage.postgres), results, memory)


def tell(line: str) -> None:
    """How far it is, for who watches."""
    sys.stderr.write(f"bench.py: {line}\n")


def facts(cores: Cores, postgres: PostgresServer) -> dict[str, str]:
    """On what it was measured."""
    return {
        "python": platform.python_version(),
        "postgresql": version_of(postgres),
        "processors": str(len(cores.programs | cores.others)),
        "divided": "yes" if cores.are_divided else "no",
        "items": str(ITEMS),
    }


def require_same_answer(stage: Stage, operation: Operation) -> None:
    """Whatever the bare app answers, ours must answer too. Raises DevError: else two things are compared."""
    answers = {}
    for name in PROGRAMS:
        load = operation.load(name, stage.subject, stage.token)
        status, body = ask(stage.programs[name].port, load)
        if status != operation.status:
            raise DevError(f"{name} answered `{operation.name}` with {status}: {body[:300]!r}")
        answers[name] = json.loads(body)
    if operation.body is None and not contains(answers[OURS], answers[BARE]):
        raise DevError(
            f"the two programs answer `{operation.name}` differently; is the bare app out of date?"
        )


def contains(ours: Any, bare: Any) -> bool:
    """Whether every value of the bare answer is in ours, at the same place."""
    if isinstance(bare, dict) and isinstance(ours, dict):
        return all(name in ours and contains(ours[name], value) for name, value in bare.items())
    if isinstance(bare, list) and isinstance(ours, list):
        return len(ours) == len(bare) and all(map(contains, ours, bare))
    return bool(ours == bare)


def settle(pid: int, seconds: float = SETTLE_SECONDS) -> None:
    """Waits until the process has nothing to do, at most so long."""
    deadline = time.monotonic() + seconds
    used = accounting.seconds_of(accounting.processes(), pid)
    while time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        before, used = used, accounting.seconds_of(accounting.processes(), pid)
        if used - before <= LOOK_SECONDS * IDLE_SHARE:
            return


@dataclass(frozen=True, slots=True)
class Bench:
    """What a turn needs. `folder`: for wrk's scripts."""

    stage: Stage
    cores: Cores
    folder: Path

    def turn(self, program: str, operation: Operation, clients: int, seconds: int) -> Turn:
        """One run of wrk with what everybody used meanwhile."""
        process = self.stage.programs[program]
        script = self.folder / f"{program}-{operation.name}.lua"
        if not script.exists():
            script.write_text(wrk.script(operation.load(program, self.stage.subject, self.stage.token)))
        before = self._used(process.pid)
        with started_on(self.cores.others):
            result = wrk.send(script, process.port, clients, seconds)
        after = self._used(process.pid)
        server, database, client, machine = (late - early for late, early in zip(after, before, strict=True))
        settle(process.pid)
        return Turn(result, server, database, client, max(0.0, machine - server - database - client))

    def _used(self, server: int) -> tuple[float, float, float, float]:
        found, ended = accounting.processes(), resource.getrusage(resource.RUSAGE_CHILDREN)
        return (
            accounting.seconds_of(found, server),
            accounting.seconds_of(found, self.stage.postgres.process.pid),
            ended.ru_utime + ended.ru_stime,
            accounting.machine_seconds(),
        )


def _measure(bench: Bench, operation: Operation, clients: int, plan: Plan) -> list[Result]:
    """Warm up, then bare, ours, bare, ours …, so that a busy minute of the machine meets both."""
    turns: dict[str, list[Turn]] = {name: [] for name in PROGRAMS}
    for name in PROGRAMS:
        bench.turn(name, operation, clients, WARM_UP_SECONDS)
    for _ in range(plan.rounds):
        for name in PROGRAMS:
            seconds = max(plan.seconds, operation.least_seconds)
            turns[name].append(bench.turn(name, operation, clients, seconds))
    return [Result.of(operation.name, clients, name, turns[name]) for name in PROGRAMS]
