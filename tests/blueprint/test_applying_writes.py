"""All files or none: whatever fails on the way, the folders are as they were."""

import os
from pathlib import Path

import pytest

from blueprint_tool.applying.planning import FileChange, Verdict
from blueprint_tool.applying.writing import write

CHANGES = [
    FileChange("a/new.py", Verdict.NEW, None, "new\n"),
    FileChange("deep/er/new.py", Verdict.NEW, None, "new\n"),
    FileChange("old.py", Verdict.REPLACED, "old\n", "newer\n"),
    FileChange("gone/gone.py", Verdict.REMOVED, "gone\n", None),
    FileChange("kept.py", Verdict.KEPT, "kept\n", "kept\n"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "gone" / "__pycache__").mkdir(parents=True)
    (tmp_path / "gone" / "__pycache__" / "gone.pyc").touch()
    for change in CHANGES:
        if change.before is not None:
            (tmp_path / change.path).write_text(change.before)
    (tmp_path / "old.py").chmod(0o755)
    return tmp_path


def content(root: Path) -> dict[str, str | None]:
    return {
        path.relative_to(root).as_posix(): path.read_text() if path.is_file() else None
        for path in root.rglob("*")
    }


def test_everything_is_written(root: Path) -> None:
    write(root, CHANGES)
    assert {path: text for path, text in content(root).items() if text is not None} == {
        "a/new.py": "new\n",
        "deep/er/new.py": "new\n",
        "old.py": "newer\n",
        "kept.py": "kept\n",
    }
    assert not (root / "gone").exists()
    assert (root / "old.py").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("broken", [1, 2, 3])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_fault_half_way_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, broken: int, error: BaseException
) -> None:
    before, calls, replace = content(root), [0], os.replace

    def failing(source: Path, target: Path) -> None:
        calls[0] += 1
        if calls[0] == broken:
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(type(error)):
        write(root, CHANGES)
    assert content(root) == before
    assert calls == [broken]


def test_folder_that_can_not_be_made_leaves_nothing(root: Path) -> None:
    before = content(root)
    blocked = FileChange("kept.py/below.py", Verdict.NEW, None, "")
    with pytest.raises(OSError, match="kept"):
        write(root, [*CHANGES, blocked])
    assert content(root) == before
