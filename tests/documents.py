"""Makes documents provable: takes the marked blocks out of Markdown and runs them in a copy of the tree.

A fence says after its language what the block is: `bash tour` is run, `text answer` is what the block before it
must print (`…` stands for anything), `python app/x.py` is the content of that file.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from app.core.config import ROOT, Settings
from tests.server_process import free_port

FENCE = re.compile(r"^```(?P<language>\w+) (?P<mark>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"
START_SECONDS = 60
NOT_COPIED = (".venv", ".git", ".cache", ".*_cache", "__pycache__", "data", "logs", ".env", "bench")
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


def walk(
    steps: Sequence[tuple[Block, str | None]],
    folder: Path,
    variables: Mapping[str, str],
    address: str = ADDRESS,
) -> list[str]:
    """Runs the blocks in one shell, as if pasted one after the other; what went wrong, one text for each block."""
    script = "\n".join(f"{block.text}\necho; echo '{_BORDER}'" for block, _ in steps)
    result = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script.replace(ADDRESS, address)],
        cwd=folder,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
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


def copy_tree(folder: Path) -> Path:
    """A copy of the repo, as a fresh clone has it: no environment, no data, no settings of this machine."""
    copy = folder / "tessera"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return copy


def clone_variables(**more: str) -> dict[str, str]:
    """Variables of a shell with the environment active; no setting of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "TEST_NO_SERVICES": "1", "PYTHONDONTWRITEBYTECODE": "1", **more}


@contextmanager
def serving(folder: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """A server in that copy of the tree, on a free port; its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = folder / "serve.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
        process = subprocess.Popen(command, cwd=folder, env=dict(variables), stdout=out, stderr=out)
    with process:
        try:
            _wait_until_ready(address, process, log)
            yield address
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urlopen(f"{address}/health/ready", timeout=5):  # noqa: S310  our own server
                return
        except (URLError, OSError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
