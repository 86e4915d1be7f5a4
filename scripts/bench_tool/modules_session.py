"""The modules suite: what a blueprint of so many entities costs to generate, to start, to keep and to call."""

import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from os import sched_getaffinity
from pathlib import Path
from statistics import median

from bench_tool import accounting, wrk
from bench_tool.modules_blueprint import blueprint, path_of
from bench_tool.operations import OURS, Load
from bench_tool.plan import WARM_UP_SECONDS, Cores, Plan, started_on
from bench_tool.session import settle, tell
from bench_tool.stage import ask, log_in, run_command, settings_for, started
from dev_tool.processes import DevError
from tests.program import copy_project
from tests.server_process import ServerProcess, server_environment

STARTS = 5
GENERATE_SECONDS = 600
# Where no module is generated, the same is called twice: how far two equal things differ.
_OWN_PATHS = ("/api/v1/roles", "/api/v1/roles")


@dataclass(frozen=True, slots=True)
class Spent:
    """By the clock, and of processors; children count too."""

    seconds: float
    cpu: float

    @classmethod
    def of(cls, several: Sequence["Spent"]) -> "Spent":
        """The median by the clock, and the least of the processor: neighbours can only add to it."""
        return cls(median(one.seconds for one in several), min(one.cpu for one in several))


@dataclass(frozen=True, slots=True)
class Calls:
    """Lists of one entity, asked for by several clients: medians of the turns; `errors` is the sum."""

    rate: float
    cpu_us: float
    errors: int


@dataclass(frozen=True, slots=True)
class Grown:
    """The program with so many modules more than it has. `generated`, `checked`: None where there are none.

    `memory_mib`: once it is ready, before anybody logs in. `first`, `last`: calls of the first entity of the
    blueprint, and of the last, which is like it.
    """

    modules: int
    generated: Spent | None
    checked: Spent | None
    migrated: Spent
    start: Spent
    memory_mib: float
    first: Calls
    last: Calls


@dataclass(frozen=True, slots=True)
class ModulesReport:
    """What one run found; the first has no modules of a blueprint."""

    plan: Plan
    facts: Mapping[str, str]
    grown: Sequence[Grown]


def run(plan: Plan, sizes: Sequence[int]) -> ModulesReport:
    """Generates, starts, measures; each size in a copy of the project. Raises DevError, ServerError."""
    cores = Cores.divide(sorted(sched_getaffinity(0)), 1)
    facts = {
        "python": platform.python_version(),
        "processors": str(len(cores.programs | cores.others)),
        "divided": "yes" if cores.are_divided else "no",
    }
    return ModulesReport(plan, facts, [_grown(size, plan, cores) for size in sorted({0, *sizes})])


def _grown(size: int, plan: Plan, cores: Cores) -> Grown:
    with tempfile.TemporaryDirectory(prefix="tessera-bench-") as name:
        root = copy_project(Path(name) / "project")
        paths, generated, checked = _OWN_PATHS, None, None
        if size:
            entities = blueprint(size)
            paths = path_of(entities[0]), path_of(entities[-1])
            config = Path(name) / "entities.json"
            config.write_text(json.dumps(entities))
            tell(f"generating {size} modules")
            generated, checked = _generate(root, config), _generate(root, config, "--check")
        tell(f"starting with {size} modules, {STARTS} times")
        url = f"sqlite+aiosqlite:///{name}/bench.db"
        variables = {**settings_for(url, root), "ALLOW_SQLITE_IN_PRODUCTION": "true"}
        migrated = _spent(lambda: _migrate(variables, root))
        starts = [_start(variables, cores) for _ in range(STARTS)]
        start, memory = Spent.of([spent for spent, _ in starts]), median(mib for _, mib in starts)
        with started(OURS, variables, cores) as program:
            first, last = _called(Callers(program, cores, Path(name)), plan, paths)
    return Grown(size, generated, checked, migrated, start, memory, first, last)


def _migrate(variables: Mapping[str, str], root: Path) -> None:
    for command in ("init-db", "seed"):
        run_command(command, variables, root)


def _generate(root: Path, config: Path, *words: str) -> Spent:
    """The real command. Raises DevError with its words."""

    def command() -> None:
        done = subprocess.run(
            [sys.executable, str(root / "scripts" / "generate_entities.py"), "--config", str(config), *words],
            env=server_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=GENERATE_SECONDS,
        )
        if done.returncode != 0:
            raise DevError(f"the generator ended with {done.returncode}: {done.stderr.strip()[-500:]}")

    return _spent(command)


def _spent(work: Callable[[], object]) -> Spent:
    """What processes that end meanwhile take."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    return Spent(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _start(variables: Mapping[str, str], cores: Cores) -> tuple[Spent, float]:
    """From the start of the process until /health/ready says yes; the memory that it then has, in MiB."""
    began = time.perf_counter()
    with started(OURS, variables, cores) as program:
        seconds = time.perf_counter() - began
        cpu = accounting.seconds_of(accounting.processes(), program.pid)
        return Spent(seconds, cpu), accounting.memory_mib(program.pid)


@dataclass(frozen=True, slots=True)
class Callers:
    """Who asks. `folder`: for wrk's scripts."""

    program: ServerProcess
    cores: Cores
    folder: Path

    def turn(self, script: Path, clients: int, seconds: int) -> Calls:
        """One run of wrk."""
        before = accounting.seconds_of(accounting.processes(), self.program.pid)
        with started_on(self.cores.others):
            result = wrk.send(script, self.program.port, clients, seconds)
        used = accounting.seconds_of(accounting.processes(), self.program.pid) - before
        settle(self.program.pid)
        requests = max(result.requests, 1)
        return Calls(result.requests / max(result.seconds, 1e-9), used / requests * 1e6, result.errors)

    def scripts(self, paths: Sequence[str]) -> list[Path]:
        """One for each path. Raises DevError where a call of one is no list."""
        headers = {"Authorization": f"Bearer {log_in(self.program.port)}"}
        made = []
        for number, path in enumerate(paths):
            load = Load("GET", (path,), headers)
            status, body = ask(self.program.port, load)
            if status != HTTPStatus.OK:
                raise DevError(f"{path} was answered with {status}: {body[:300]!r}")
            made.append(self.folder / f"{number}.lua")
            made[-1].write_text(wrk.script(load))
        return made


def _called(callers: Callers, plan: Plan, paths: Sequence[str]) -> tuple[Calls, Calls]:
    """First, last, first, last …, so that a busy minute of the machine meets both."""
    turns: tuple[list[Calls], list[Calls]] = [], []
    (clients,) = plan.concurrency
    scripts = callers.scripts(paths)
    for script in scripts:
        callers.turn(script, clients, WARM_UP_SECONDS)
    for _ in range(plan.rounds):
        for script, found in zip(scripts, turns, strict=True):
            found.append(callers.turn(script, clients, plan.seconds))
    first, last = (
        Calls(
            median(one.rate for one in found),
            median(one.cpu_us for one in found),
            sum(one.errors for one in found),
        )
        for found in turns
    )
    return first, last
