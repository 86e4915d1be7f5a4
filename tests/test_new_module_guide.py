"""The guide to a new module, run as it is written: its files and commands, in a copy of the tree, and out again."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.config import ROOT
from tests.documents import Block, blocks_of, clone_variables, copy_tree, serving, steps_of, walk

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
    folder = copy_tree(tmp_path_factory.mktemp("guide"))
    if (ROOT / ".mypy_cache").exists():  # what mypy knows of the libraries holds here too
        shutil.copytree(ROOT / ".mypy_cache", folder / ".mypy_cache")
    write(FILES, folder)
    assert walk(steps_of(BLOCKS, "step"), folder, clone_variables()) == []
    return folder


@pytest.fixture
def clone(prepared: Path, tmp_path: Path) -> Path:
    """The same for one test."""
    copy = tmp_path / "tessera"
    shutil.copytree(prepared, copy, ignore=shutil.ignore_patterns(".mypy_cache"))
    return copy


def test_module_answers_and_goes_out_again(clone: Path) -> None:
    variables, calls = clone_variables(), steps_of(BLOCKS, "call")
    with serving(clone, variables) as address:
        assert walk(calls, clone, variables, address) == []

    assert walk(steps_of(BLOCKS, "removal"), clone, variables) == []

    with serving(clone, variables) as address:
        # Logging in works, making a note does not: its answer has no id.
        assert "KeyError: 'id'" in "\n".join(walk(calls, clone, variables, address))


def test_module_goes_before_it_is_deployed(clone: Path) -> None:
    assert walk(steps_of(BLOCKS, "undo"), clone, clone_variables()) == []


@pytest.mark.parametrize(
    ("path", "old", "new", "told"),
    [
        ("router.py", "service: Service, _: CanRead", "service: Service", "has 0 guards instead of one"),
        ("permissions.py", "PermissionChecker(UPDATE)", "PermissionChecker(READ)", "no route asks for"),
    ],
)
def test_planted_fault_in_the_guide_is_told(tmp_path: Path, path: str, old: str, new: str, told: str) -> None:
    folder = copy_tree(tmp_path)
    (file,) = (file for file in FILES if file.mark.endswith(path))
    assert old in file.text
    write([*FILES, replace(file, text=file.text.replace(old, new))], folder)
    listing = steps_of(BLOCKS, "step")[1:2]

    faults = walk(listing, folder, clone_variables(ENVIRONMENT="development"))

    assert told in "\n".join(faults)
