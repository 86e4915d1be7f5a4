"""The guide to a new module, run as it is written: its files and commands, in a copy of the tree, and out again."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.config import ROOT
from tests.documents import Block, blocks_of, steps_of, walk
from tests.program import Program, copy_project

GUIDE = (ROOT / "docs" / "NEW_MODULE_GUIDE.md").read_text(encoding="utf-8")
BLOCKS = blocks_of(GUIDE)
FILES = [block for block in BLOCKS if block.language == "python"]


def write(files: list[Block], folder: Path) -> None:
    for file in files:
        path = folder / file.mark
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")


# One test, because workers that share tests would each make the whole module first.
def test_module_comes_answers_and_goes_both_ways(tmp_path: Path) -> None:
    program = Program(copy_project(tmp_path / "tessera"))
    write(FILES, program.root)
    calls = steps_of(BLOCKS, "call")
    if (ROOT / ".mypy_cache").exists():  # what mypy knows of the libraries holds here too
        shutil.copytree(ROOT / ".mypy_cache", program.root / ".mypy_cache")

    assert walk(steps_of(BLOCKS, "step"), program) == []
    undone = Program(tmp_path / "undone")
    shutil.copytree(program.root, undone.root, ignore=shutil.ignore_patterns(".mypy_cache"))
    with program.serving(path="/health/ready") as served:
        assert walk(calls, program, served.url) == []

    assert walk(steps_of(BLOCKS, "undo"), undone) == []

    assert walk(steps_of(BLOCKS, "removal"), program) == []
    with program.serving(path="/health/ready") as served:
        # Logging in works, making a note does not: its answer has no id.
        assert "KeyError: 'id'" in "\n".join(walk(calls, program, served.url))


@pytest.mark.parametrize(
    ("path", "old", "new", "told"),
    [
        ("router.py", "service: Service, _: CanRead", "service: Service", "has 0 guards instead of one"),
        ("permissions.py", "PermissionChecker(UPDATE)", "PermissionChecker(READ)", "no route asks for"),
    ],
)
def test_planted_fault_in_the_guide_is_told(tmp_path: Path, path: str, old: str, new: str, told: str) -> None:
    root = copy_project(tmp_path / "tessera")
    (file,) = (file for file in FILES if file.mark.endswith(path))
    assert old in file.text
    write([*FILES, replace(file, text=file.text.replace(old, new))], root)

    faults = walk(steps_of(BLOCKS, "step")[1:2], Program(root, {"ENVIRONMENT": "development"}))

    assert told in "\n".join(faults)
