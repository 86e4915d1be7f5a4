"""The log suite: two large logs, the auditor's usual questions over HTTP, and both logs as files."""

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from os import sched_getaffinity
from pathlib import Path
from statistics import median
from typing import Any

from bench_tool import accounting, plans
from bench_tool.log_population import LogSubject, fill
from bench_tool.log_questions import QUESTIONS, Question, path_of
from bench_tool.operations import OURS, Load
from bench_tool.plan import Cores
from bench_tool.session import facts, settle, tell
from bench_tool.stage import Ground, ask, log_in, prepared, served
from dev_tool.processes import DevError

# PostgreSQL decides after five executions of a prepared statement whether to plan it once and for all.
TIMES = 9
# Whatever a server does by itself with so many new rows is not what is measured.
BACKLOG_SECONDS = 300
EXPORT_SECONDS, CHUNK = 600, 65536
EMAIL, PASSWORD = "auditor@example.com", "asks-and-is-thrown-away"
STREAMS = ("access", "changes")


@dataclass(frozen=True, slots=True)
class Answer:
    """How a question was answered: the median time, and the ways to the rows in all its answers."""

    question: Question
    ms: float
    status: int
    ways: Sequence[str]


@dataclass(frozen=True, slots=True)
class Export:
    """A log as a file. Memory is the server's resident set in MiB: before, and at its highest meanwhile."""

    stream: str
    rows: int
    seconds: float
    first_byte_ms: float
    mib: float
    before_mib: float
    peak_mib: float
    is_whole: bool


@dataclass(frozen=True, slots=True)
class LogReport:
    """What one run found over logs of so many rows each."""

    rows: int
    facts: Mapping[str, str]
    answers: Sequence[Answer]
    exports: Sequence[Export]


def run(rows: int) -> LogReport:
    """Fills, asks, exports. Raises DevError, ServerError, ServerMissingError."""
    cores = Cores.divide(sorted(sched_getaffinity(0)), 1)
    tell(f"starting PostgreSQL and filling both logs with {rows} rows each")
    with prepared(cores) as ground:
        subject = fill(ground.driver_url, rows)
        _explain(ground)
        with served(ground, OURS) as program:
            token = _auditor(program.port)
            settle(program.pid, BACKLOG_SECONDS)
            tell(f"asking {len(QUESTIONS)} questions, {TIMES} times each")
            log = ground.postgres.process.folder / "server.log"
            answers = [_answer(program.port, token, log, question, subject) for question in QUESTIONS]
            tell("writing both logs to files")
            exports = [_export(program.port, program.pid, token, stream) for stream in STREAMS]
        return LogReport(rows, facts(cores, ground.postgres), answers, exports)


def _explain(ground: Ground) -> None:
    """From now on every plan is in PostgreSQL's log. Raises DevError where its build can't do that."""
    try:
        ground.query("LOAD 'auto_explain'")
    except Exception as error:
        raise DevError(f"this PostgreSQL has no auto_explain, which tells its plans: {error}") from error
    for name, value in plans.SETTINGS.items():
        ground.query(f"ALTER DATABASE bench SET {name} = '{value}'")


def _auditor(port: int) -> str:
    """The token of a new user with the role `auditor`. Raises DevError."""
    headers = {"Authorization": f"Bearer {log_in(port)}", "Content-Type": "application/json"}
    roles = _json(port, Load("GET", ("/api/v1/roles?per_page=100",), headers), HTTPStatus.OK)
    role = next(one["id"] for one in roles["items"] if one["name"] == "auditor")
    body = json.dumps({"email": EMAIL, "password": PASSWORD, "role_ids": [role]})
    _json(port, Load("POST", ("/api/v1/users",), headers, body), HTTPStatus.CREATED)
    return log_in(port, EMAIL, PASSWORD)


def _json(port: int, load: Load, expected: HTTPStatus) -> Any:
    status, body = ask(port, load)
    if status != expected:
        raise DevError(f"{load.method} {load.paths[0]} was answered with {status}: {body[:300]!r}")
    return json.loads(body)


def _answer(port: int, token: str, log: Path, question: Question, subject: LogSubject) -> Answer:
    path = f"/api/v1/audit/{path_of(question, subject)}"
    load = Load("GET", (path,), {"Authorization": f"Bearer {token}"})
    begin, times, statuses = log.stat().st_size, [], set()
    for _ in range(TIMES):
        started = time.perf_counter()
        status, _body = ask(port, load)
        times.append((time.perf_counter() - started) * 1000)
        statuses.add(status)
    with log.open("rb") as file:
        file.seek(begin)
        ways = plans.ways_to_the_logs(file.read().decode(errors="replace"))
    return Answer(question, median(times), max(statuses), ways)


def _export(port: int, pid: int, token: str, stream: str) -> Export:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=EXPORT_SECONDS)
    accounting.forget_peak(pid)
    before, started = accounting.resident_mib(pid), time.perf_counter()
    try:
        headers = {"Authorization": f"Bearer {token}"}
        connection.request("GET", f"/api/v1/audit/export?stream={stream}", headers=headers)
        answer = connection.getresponse()
        chunk = answer.read1(CHUNK)
        first, size, tail = time.perf_counter() - started, 0, b""
        while chunk:
            size, tail = size + len(chunk), (tail + chunk)[-1000:]
            chunk = answer.read1(CHUNK)
    finally:
        connection.close()
    seconds = time.perf_counter() - started
    rows, is_whole = last_line(tail)
    peak = accounting.peak_mib(pid)
    return Export(stream, rows, seconds, first * 1000, size / 2**20, before, peak, is_whole)


def last_line(tail: bytes) -> tuple[int, bool]:
    """How many rows the end of a file says it has; 0 and False where that line is missing."""
    try:
        said = json.loads(tail.rstrip(b"\n").rpartition(b"\n")[2])
    except ValueError:
        return 0, False
    return int(said.get("rows", 0)), said.get("$end") is True
