"""Makes documents provable: takes the marked blocks out of Markdown and runs them in a copy of the tree.

A fence says after its language what the block is: `bash tour` is run, `text answer` is what the block before it
must print (`…` stands for anything), `python app/x.py` is the content of that file.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.program import Program

FENCE = re.compile(r"^```(?P<language>\w+) (?P<mark>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"
_BORDER = "--- end of block ---"


@dataclass(frozen=True)
class Block:
    """A marked block; `line` is where it begins in its document."""

    language: str
    mark: str
    text: str
    line: int = 0


def blocks_of(document: str) -> list[Block]:
    """All marked blocks, in order."""
    return [
        Block(match["language"], match["mark"], match["text"], document[: match.start()].count("\n") + 1)
        for match in FENCE.finditer(document)
    ]


def steps_of(blocks: Sequence[Block], *marks: str) -> list[tuple[Block, str | None]]:
    """The commands marked so, each with the answer that its document promises, or None."""
    followers = [*blocks[1:], Block("", "", "")]
    return [
        (block, after.text if after.mark == "answer" else None)
        for block, after in zip(blocks, followers, strict=True)
        if block.language == "bash" and block.mark in marks
    ]


def fits(printed: str, promised: str) -> bool:
    """Whether the text is the promised one, `…` being anything; trailing blanks don't count."""
    parts = [re.escape(part) for part in _trimmed(promised).split("…")]
    return re.fullmatch(".*?".join(parts), _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def walk(steps: Sequence[tuple[Block, str | None]], program: Program, address: str = ADDRESS) -> list[str]:
    """Runs the blocks in one shell, as if pasted one after the other; what went wrong, one text for each block.

    The shell has the environment active, and leaves PostgreSQL and Redis out of tests that it is told to run.
    """
    script = "\n".join(f"{block.text}\necho; echo '{_BORDER}'" for block, _ in steps)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    result = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script.replace(ADDRESS, address)],
        cwd=program.root,
        env={**program.environment, "PATH": path, "TEST_NO_SERVICES": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    *printed, rest = result.stdout.split(f"{_BORDER}\n")
    faults = [
        f"line {block.line}: printed\n{text}\ninstead of\n{promised}"
        for (block, promised), text in zip(steps, printed, strict=False)
        if promised is not None and not fits(text, promised)
    ]
    if result.returncode != 0:
        at = steps[min(len(printed), len(steps) - 1)][0].line
        faults.append(f"line {at}: exit code {result.returncode}\n{rest}\n{result.stderr}")
    return faults
