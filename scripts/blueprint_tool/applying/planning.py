"""What has to become of each file: compares what is wanted with what is remembered and what is there."""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from blueprint_tool.applying.memory import Memory, digest
from blueprint_tool.applying.merging import merged, patch
from blueprint_tool.model import Entity
from blueprint_tool.refusals import Refused


class Verdict(StrEnum):
    """What becomes of a file. The first four are written."""

    NEW = "new"
    REPLACED = "replaced"
    MERGED = "merged"
    REMOVED = "removed"
    SAME = "same"
    KEPT = "kept as edited"
    ABSENT = "deleted by hand, stays away"
    CONFLICT = "not merged"


WRITTEN = frozenset({Verdict.NEW, Verdict.REPLACED, Verdict.MERGED, Verdict.REMOVED})


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file: what is there, what shall be (None: no file). `wish` is the patch of what could not be merged."""

    path: str
    verdict: Verdict
    before: str | None
    after: str | None
    wish: str = ""

    @property
    def is_written(self) -> bool:
        """Whether the file on the disk becomes another one."""
        return self.verdict in WRITTEN


@dataclass(frozen=True, slots=True)
class ModulePlan:
    """One module: `memory` is what was remembered (None for a new one), `files` what will be."""

    entity: Entity
    memory: Memory | None
    changes: tuple[FileChange, ...]
    files: Mapping[str, str]

    @property
    def conflicts(self) -> list[FileChange]:
        """What could not be merged. If there is any, nothing of the module is written."""
        return [change for change in self.changes if change.verdict is Verdict.CONFLICT]

    @property
    def is_due(self) -> bool:
        """Whether anything has to be done, if only to remember it."""
        return (
            self.memory is None
            or self.memory.entity != self.entity.source
            or dict(self.memory.files) != dict(self.files)
            or any(change.is_written for change in self.changes)
        )


Bases = Callable[[], Mapping[str, str]]


def plan(
    root: Path,
    entity: Entity,
    wanted: Mapping[str, str],
    memory: Memory | None,
    bases: Bases,
    keep: Sequence[str],
) -> ModulePlan:
    """The plan for one module. `bases` gives the texts of the last run; `keep` are paths whose files stay.

    Raises Refused where a new module would lie upon files that nobody generated.
    """
    remembered = memory.files if memory else {}
    changes = []
    for path in sorted(wanted.keys() | remembered.keys()):
        change = _decide(path, remembered.get(path), text_of(root / path), wanted.get(path), bases)
        if change.verdict is Verdict.CONFLICT and path in keep:
            change = replace(change, verdict=Verdict.KEPT, after=change.before, wish="")
        changes.append(change)
    if memory is None and (taken := [c.path for c in changes if c.verdict is Verdict.CONFLICT]):
        raise Refused(
            [f"{path}: is there already and was not generated; it is not overwritten" for path in taken]
        )
    files = {path: digest(text) for path, text in wanted.items()}
    return ModulePlan(entity, memory, tuple(changes), files)


def _decide(
    path: str, remembered: str | None, there: str | None, wanted: str | None, bases: Bases
) -> FileChange:
    if there == wanted:
        return FileChange(path, Verdict.SAME, there, there)
    if remembered is None and there is None:
        return FileChange(path, Verdict.NEW, None, wanted)
    if there is None:
        return FileChange(path, Verdict.ABSENT, None, None)
    if wanted is not None and digest(wanted) == remembered:
        return FileChange(path, Verdict.KEPT, there, there)
    if digest(there) == remembered:
        verdict = Verdict.REMOVED if wanted is None else Verdict.REPLACED
        return FileChange(path, verdict, there, wanted)
    return _merge(path, remembered, there, wanted, bases)


def _merge(path: str, remembered: str | None, there: str, wanted: str | None, bases: Bases) -> FileChange:
    """A file that was edited by hand, and that the blueprint wants to be another one."""
    base = bases().get(path) if remembered is not None else None
    if base is None or digest(base) != remembered:
        return FileChange(path, Verdict.CONFLICT, there, wanted, patch(path, there, wanted))
    text = merged(base, there, wanted) if wanted is not None else None
    if text is None or not is_readable(path, text):
        return FileChange(path, Verdict.CONFLICT, there, wanted, patch(path, base, wanted))
    return FileChange(path, Verdict.KEPT if text == there else Verdict.MERGED, there, text)


def is_readable(path: str, text: str) -> bool:
    """Whether it is a program, where it has to be one: lines can fit together and still be none."""
    try:
        return not path.endswith(".py") or bool(ast.parse(text))
    except SyntaxError:
        return False


def text_of(path: Path) -> str | None:
    """The file with its line ends as they are; bytes that are no UTF-8 are kept apart, and never match anything."""
    if not path.exists():
        return None
    return path.read_bytes().decode("utf-8", errors="surrogateescape")
