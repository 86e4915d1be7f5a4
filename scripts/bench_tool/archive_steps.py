"""The commands of `archive_audit.py` as processes of their own, and what the kernel says they took."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from dev_tool.processes import ROOT, DevError
from tests.server_process import server_environment

SCRIPT = ROOT / "scripts" / "archive_audit.py"
OLD_ENOUGH = ("--older-than", "0s")


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended well. `told`: the last document that it printed. `peak_mib`: its resident set."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """Work on the rows of one log, or of both. Memory in MiB, above what the program takes for nothing.

    Processor time for a row, in microseconds: of the command, and of PostgreSQL meanwhile.
    """

    name: str
    stream: str
    rows: int
    seconds: float
    cpu_us: float
    database_us: float
    growth_mib: float

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds

    @property
    def both_us(self) -> float:
        """Processor time for a row, wherever it was used."""
        return self.cpu_us + self.database_us

    @classmethod
    def of(cls, name: str, stream: str, rows: int, done: Done, idle: Done, database: float = 0.0) -> "Step":
        """`idle`: the same program with nothing to do; what starting it takes is no part of the step.

        `database`: PostgreSQL's processor seconds.
        """
        seconds = max(done.seconds - idle.seconds, 0.001)
        cpu = max(done.cpu_seconds - idle.cpu_seconds, 0.0)
        a_row = 1e6 / max(rows, 1)
        growth = done.peak_mib - idle.peak_mib
        return cls(name, stream, rows, seconds, cpu * a_row, database * a_row, growth)


def command(variables: Mapping[str, str], *words: str) -> Done:
    """Runs one to its end. Raises DevError where it fails."""
    line = [sys.executable, str(SCRIPT), *words, "--json"]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as fault:
        started = perf_counter()
        process = subprocess.Popen(
            line, cwd=ROOT, env={**server_environment(), **variables}, stdout=out, stderr=fault
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        fault.seek(0)
        if process.returncode != 0:
            said = fault.read().decode(errors="replace").strip()[-500:]
            raise DevError(f"`archive_audit.py {' '.join(words)}` ended with {process.returncode}: {said}")
        return Done(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, last_document(out.read()))


def last_document(printed: bytes) -> dict[str, Any]:
    """The result, which comes behind the lines of progress; empty where there is none."""
    lines = printed.splitlines()
    return dict(json.loads(lines[-1])) if lines else {}
