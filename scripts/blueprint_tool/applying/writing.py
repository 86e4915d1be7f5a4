"""Puts files into the repository, all of them or none."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from blueprint_tool.applying.planning import FileChange

_MADE = ".blueprint-new"


def write(root: Path, changes: Iterable[FileChange]) -> None:
    """Writes and removes; whatever goes wrong, an interruption too, all is put back first. Raises OSError.

    Everything is written beside its place before the first file is moved there.
    """
    due = [change for change in changes if change.is_written]
    folders: list[Path] = []
    done: list[FileChange] = []
    try:
        _make_folders(root, due, folders)
        for change in due:
            if change.after is not None:
                _beside(root, change).write_bytes(_bytes(change.after))
        for change in due:
            done.append(change)  # first, so that one that is interrupted is put back too
            if change.after is None:
                (root / change.path).unlink()
            else:
                _move(_beside(root, change), root / change.path)
    except BaseException:
        _undo(root, due, done, folders)
        raise
    _tidy(root, due)


def _make_folders(root: Path, due: Iterable[FileChange], made: list[Path]) -> None:
    """Makes what is missing, and notes it in `made`, the deepest last."""
    for change in due:
        missing = [folder for folder in (root / change.path).parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir()
            made.append(folder)


def _undo(root: Path, due: Iterable[FileChange], done: Iterable[FileChange], folders: Iterable[Path]) -> None:
    for change in done:
        if change.before is None:
            (root / change.path).unlink(missing_ok=True)
        else:
            (root / change.path).write_bytes(_bytes(change.before))
    for change in due:
        with contextlib.suppress(OSError):  # what could not be written need not be there
            _beside(root, change).unlink()
    for folder in reversed(list(folders)):
        folder.rmdir()


def _tidy(root: Path, due: Iterable[FileChange]) -> None:
    """Folders in which nothing is left but what Python compiled."""
    for folder in {(root / change.path).parent for change in due if change.after is None}:
        left = list(folder.iterdir()) if folder.exists() else [folder]
        if {path.name for path in left} <= {"__pycache__"}:
            for path in (compiled for cache in left for compiled in cache.iterdir()):
                path.unlink()
            for cache in left:
                cache.rmdir()
            folder.rmdir()


def _beside(root: Path, change: FileChange) -> Path:
    path = root / change.path
    return path.with_name(path.name + _MADE)


def _move(source: Path, target: Path) -> None:
    """In one step: nobody sees half of a file. What may be done with the old one may be done with the new one."""
    if target.exists():
        source.chmod(target.stat().st_mode)
    os.replace(source, target)  # noqa: PTH105  its name is what tests stand in for


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogateescape")
