"""Processes that have imported everything already: a new interpreter takes two seconds.

There is one server of forks for all tests of a process, so everybody's preparations stand here.
"""

import multiprocessing
import subprocess
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests import forked_command
from tests.program import Program

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        *("archive_tool.commands", "tests.core.evidence.killed_archiver"),
        *("tests.forked_command", "tests.migrations.migrator"),
    ]
)


@dataclass(frozen=True)
class Forked:
    """Commands of a program that need nothing of its folder."""

    program: Program
    folder: Path

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """To the end."""
        texts = [self.folder / f"{uuid4().hex}.txt" for _ in range(2)]
        process = FORKS.Process(
            target=forked_command.run, args=(words, self.program.environment, given, texts)
        )
        process.start()
        process.join(60)
        assert process.exitcode is not None
        out, error = (text.read_text() for text in texts)
        return subprocess.CompletedProcess(words, process.exitcode, out, error)

    def must(self, *words: str) -> str:
        """As `run`; asserts that it works, and returns what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout
