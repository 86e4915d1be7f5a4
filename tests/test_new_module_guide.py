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

pytestmark = pytest.mark.xdist_group("new_module_guide")


def write(files: list[Block], folder: Path) -> None:
    for file in files:
        path = folder / file.mark
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with the module in it, its table made, its tests passed."""
    root = copy_project(tmp_path_factory.mktemp("guide") / "tessera")
    if (ROOT / ".mypy_cache").exists():  # what mypy knows of the libraries holds here too
        shutil.copytree(ROOT / ".mypy_cache", root / ".mypy_cache")
    write(FILES, root)
    assert walk(steps_of(BLOCKS, "step"), Program(root)) == []
    return root


@pytest.fixture
def clone(prepared: Path, tmp_path: Path) -> Program:
    """The same for one test."""
    root = tmp_path / "tessera"
    shutil.copytree(prepared, root, ignore=shutil.ignore_patterns(".mypy_cache"))
    return Program(root)


def test_module_answers_and_goes_out_again(clone: Program) -> None:
    calls = steps_of(BLOCKS, "call")
    with clone.serving(path="/health/ready") as served:
        assert walk(calls, clone, served.url) == []

    assert walk(steps_of(BLOCKS, "removal"), clone) == []

    with clone.serving(path="/health/ready") as served:
        # Logging in works, making a note does not: its answer has no id.
        assert "KeyError: 'id'" in "\n".join(walk(calls, clone, served.url))


def test_module_goes_before_it_is_deployed(clone: Program) -> None:
    assert walk(steps_of(BLOCKS, "undo"), clone) == []


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
