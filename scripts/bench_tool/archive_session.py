"""The archive suite: how fast old rows are sealed, copied and removed, and how long others wait meanwhile."""

import sqlite3
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from os import sched_getaffinity
from pathlib import Path
from time import perf_counter, process_time

import asyncpg

from app.core.evidence.canonical import FORMS, LOGS, NEWEST_FORM, STREAMS, Stream
from bench_tool import accounting
from bench_tool.archive_steps import OLD_ENOUGH, Done, Step, command
from bench_tool.archive_writer import Wait, Writer
from bench_tool.log_population import fill
from bench_tool.operations import OURS, chosen
from bench_tool.plan import Cores, started_on
from bench_tool.session import facts, tell
from bench_tool.stage import Ground, log_in, prepared, run_command, served

COPIES, ALONE_SECONDS = 3, 10
MEASURED: Stream = "changes"
BUSY: Stream = "access"  # is archived while somebody writes
SQLITE_ROWS = 50_000
_SQLITE_FILL = """
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
INSERT INTO audit_change (occurred_at, tx_id, tx_seq, request_id, origin, actor_type, actor_id, action, entity,
    entity_id, changed, old, new, truncated, redacted)
SELECT strftime('%Y-%m-%d %H:%M:%f000', 'now', '-2 days'), printf('%032x', n), 1, printf('%032x', n), 'request', 'user',
    printf('%032x', n % 2000), 'UPDATE', 'items', printf('%032x', n % 10000), '["title", "updated_at", "version"]',
    json_object('title', 'A text before change ' || n, 'updated_at', '2026-01-01T00:00:00.000000Z', 'version', n),
    json_object('title', 'A text after change ' || n, 'updated_at', '2026-01-02T00:00:00.000000Z', 'version', n + 1),
    0, 0 FROM number
"""


@dataclass(frozen=True, slots=True)
class Beside:
    """A whole run while somebody writes; `alone`: the same writer before it."""

    database: str
    step: Step
    wait: Wait
    alone: Wait


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What one run found over logs of so many rows each. `limit`: COPY, discarded."""

    rows: int
    facts: Mapping[str, str]
    limit: Step
    steps: Sequence[Step]
    beside: Sequence[Beside]

    @property
    def whole_rate(self) -> float:
        """Rows per second of sealing, archiving and pruning, one after the other."""
        return 1 / sum(1 / step.rate for step in self.steps)

    @property
    def whole_us(self) -> float:
        """Processor time for a row in all three."""
        return sum(step.both_us for step in self.steps)


def run(rows: int) -> ArchiveReport:
    """Fills, measures. Raises DevError, ServerError, ServerMissingError."""
    cores = Cores.divide(sorted(sched_getaffinity(0)), 1)
    tell(f"starting PostgreSQL and filling both logs with {rows} rows each")
    with prepared(cores) as ground, tempfile.TemporaryDirectory(prefix="tessera-bench-") as folder:
        place = ("--dest", f"{folder}/archive")
        fill(ground.driver_url, rows)
        with started_on(cores.programs):
            limit = _limit(ground)
            idle = command(ground.variables, "list")
            steps = _steps(ground, idle, place)
        tell(f"archiving {rows} rows while somebody writes")
        beside = [_beside("PostgreSQL", ground, idle, [*place, "--stream", BUSY])]
        tell(f"the same with {SQLITE_ROWS} rows on SQLite")
        beside.append(_on_sqlite(ground, Path(folder)))
        return ArchiveReport(rows, facts(cores, ground.postgres), limit, steps, beside)


def _steps(ground: Ground, idle: Done, place: Sequence[str]) -> list[Step]:
    """Of one log, one after the other, with nobody else there; sealing is of both."""
    both = sum(_rows(ground, stream) for stream in STREAMS)
    commands: Sequence[tuple[str, str, Sequence[str], int]] = (
        ("seal", "all", [], both),
        ("archive", MEASURED, [*place, *OLD_ENOUGH, "--stream", MEASURED], _rows(ground, MEASURED)),
        ("prune", MEASURED, [*place, "--stream", MEASURED], _rows(ground, MEASURED)),
    )
    steps = []
    for name, stream, words, rows in commands:
        tell(f"{name}, {rows} rows")
        before = _database_seconds(ground)
        done = command(ground.variables, name, *words)
        steps.append(Step.of(name, stream, rows, done, idle, _database_seconds(ground) - before))
    return steps


def _rows(ground: Ground, stream: Stream) -> int:
    statement = f"SELECT count(*) FROM {LOGS[stream].name}"  # noqa: S608  names of ours
    return int(ground.query(statement)[0][0])


def _database_seconds(ground: Ground) -> float:
    return accounting.seconds_of(accounting.processes(), ground.postgres.process.pid)


def _limit(ground: Ground) -> Step:
    """How fast PostgreSQL hands over a log's columns to who throws them away: the best of a few."""
    tell("COPY, discarded")
    found, nothing = [], Done(0.0, 0.0, 0.0, {})
    for _ in range(COPIES):
        before, started, used = _database_seconds(ground), perf_counter(), process_time()
        ground.work(_copy)
        done = Done(perf_counter() - started, process_time() - used, 0.0, {})
        database = _database_seconds(ground) - before
        found.append(Step.of("COPY", MEASURED, _rows(ground, MEASURED), done, nothing, database))
    return max(found, key=lambda step: step.rate)


async def _copy(connection: asyncpg.Connection) -> None:
    async def discard(_data: bytes) -> None:
        """Nothing is kept."""

    names = FORMS[NEWEST_FORM][MEASURED]
    await connection.copy_from_table(LOGS[MEASURED].name, columns=names, output=discard)


def _beside(database: str, ground: Ground, idle: Done, words: Sequence[str]) -> Beside:
    """A run with all its steps, while the program serves somebody who writes."""
    with served(ground, OURS) as program:
        (create,) = chosen(("create",))
        load = create.load(OURS, ground.subject, log_in(program.port))
        alone, writer = Writer(program.port, load), Writer(program.port, load)
        with alone.at_work():
            time.sleep(ALONE_SECONDS)
        with writer.at_work(), started_on(ground.cores.others):
            done = command(ground.variables, "run", *OLD_ENOUGH, *words)
    step = Step.of("run", database, int(done.told["pruned_rows"]), done, idle)
    return Beside(database, step, writer.wait, alone.wait)


def _on_sqlite(ground: Ground, folder: Path) -> Beside:
    """With batches of the usual size, the largest that writers have to wait for."""
    file = folder / "bench.db"
    url = f"sqlite+aiosqlite:///{file}"
    variables = {**ground.variables, "DATABASE_URL": url, "ALLOW_SQLITE_IN_PRODUCTION": "true"}
    for name in ("init-db", "seed"):
        run_command(name, variables)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(_SQLITE_FILL, (SQLITE_ROWS,))
    place = ["--dest", str(folder / "sqlite-archive"), "--stream", MEASURED]
    return _beside("SQLite", replace(ground, variables=variables), command(variables, "list"), place)
