"""The program as a process, in a copy of the project that has no `.env` and no data of anybody's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx2

from app.core.config import ROOT, Settings
from tests.server_process import free_port

LEFT_OUT = {".venv", ".git", ".env", "data", "logs"}
CACHES = {".cache", ".hypothesis", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
START_SECONDS = 30.0
STRONG = "V3ry-l0ng-and-random-8f2a7c51d9e04b36"
GOOD_PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": STRONG,
    "ADMIN_PASSWORD": "walrus drinks seven cold teas",
    "ALLOWED_HOSTS": "127.0.0.1,localhost",
    "ALLOW_SQLITE_IN_PRODUCTION": "true",
}


def copy_project(target: Path) -> Path:
    """The whole project. Compiled files come along and stay good: their sources keep their times."""
    target.mkdir(parents=True)
    entries = [entry for entry in ROOT.iterdir() if entry.name not in LEFT_OUT | CACHES]
    subprocess.run(["cp", "-Rp", *entries, target], check=True)  # five times as fast as shutil
    return target


@dataclass
class Program:
    """Commands of one copy of the project, with nothing of our environment but these settings."""

    root: Path
    settings: dict[str, str] = field(default_factory=dict)

    def but(self, **settings: str) -> "Program":
        """The same with other settings besides."""
        return Program(self.root, {**self.settings, **settings})

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields
        }
        return {**kept, "PYTHONPATH": str(self.root), **self.settings}

    def python(
        self, *arguments: str, given: str | None = None, cwd: Path | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Runs to the end."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd or self.root,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """`python -m app …`"""
        return self.python("-m", "app", *arguments, given=given)

    def must(self, *arguments: str, given: str | None = None) -> str:
        """As `run`; asserts that it works, and returns what it printed."""
        done = self.run(*arguments, given=given)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def serving(self, *command: str, path: str = "/health/live") -> Iterator["Served"]:
        """A server while the block runs, once it answers; by default `python -m app serve` on a free port."""
        port = free_port()
        words = [word.format(port=port) for word in command or ("-m", "app", "serve", "--port", "{port}")]
        log = (self.root / f"server-{port}.txt").open("w+")
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=self.root,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        served = Served(process, log, f"http://127.0.0.1:{port}")
        try:
            served.wait_for(path, 200)
            yield served
        finally:
            served.end()


@dataclass
class Served:
    """A server that runs, with all processes it has started."""

    process: subprocess.Popen[bytes]
    log: IO[str]
    url: str

    @property
    def output(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def get(self, path: str) -> httpx2.Response:
        return httpx2.get(self.url + path, timeout=10)

    def wait_for(self, path: str, status: int, seconds: float = START_SECONDS) -> httpx2.Response:
        """Asks until the answer has this status. Asserts that it comes in time."""
        deadline, last = time.monotonic() + seconds, "no answer"
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the server ended with {self.process.poll()}:\n{self.output}"
            try:
                answer = self.get(path)
                if answer.status_code == status:
                    return answer
                last = str(answer.status_code)
            except httpx2.TransportError as error:
                last = repr(error)
            time.sleep(0.1)
        raise AssertionError(f"{path} never answered {status} (last: {last}):\n{self.output}")

    def end(self) -> None:
        """Ends the process and its children, which are a group of their own."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(5)
        self.log.close()


def files_of(root: Path) -> Mapping[str, Any]:
    """Every file below a folder with its size, without what Python compiles."""
    return {
        str(p.relative_to(root)): p.stat().st_size
        for p in root.rglob("*")
        if p.is_file() and p.suffix != ".pyc"
    }
