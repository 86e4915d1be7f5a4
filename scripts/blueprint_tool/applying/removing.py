"""Takes a generated module away: what goes, and what stands in the way."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from blueprint_tool.applying.blueprints import Blueprints
from blueprint_tool.applying.memory import MODULES, Memory, digest, memory_path, snapshot_paths
from blueprint_tool.applying.planning import FileChange, Verdict, text_of
from blueprint_tool.refusals import Refused


def named(name: str, memories: Mapping[str, Memory]) -> Memory:
    """The module of an entity's or a module's own name. Raises Refused."""
    for memory in memories.values():
        if name in {memory.module, memory.entity.get("name")}:
            return memory
    known = ", ".join(sorted(memories)) or "none"
    raise Refused([f"--remove {name}: no module was generated under this name (generated: {known})"])


def removal(
    blueprints: Blueprints, memory: Memory, leaving: Collection[str], *, force: bool
) -> list[FileChange]:
    """Every file that goes. Raises Refused where another module needs this one, or where work of hands would be lost.

    `leaving`: modules that go in the same run, and so need nothing any more. `force` takes what was made or edited
    by hand along.
    """
    root = blueprints.root
    needed = [f"--remove {memory.module}: {line}" for line in _dependants(blueprints, memory, leaving)]
    if needed:
        raise Refused(needed)
    handmade = sorted(_handmade(root, memory))
    if handmade and not force:
        lines = [f"--remove {memory.module}: {path} {what}" for path, what in handmade]
        raise Refused([*lines, "nothing was removed; --force takes them along"])
    paths = {*memory.files, memory_path(memory.module), *snapshot_paths(memory.module)}
    paths |= {path for path, _ in handmade}
    return [
        FileChange(path, Verdict.REMOVED, text, None)
        for path in sorted(paths)
        if (text := text_of(root / path)) is not None
    ]


def _dependants(blueprints: Blueprints, memory: Memory, leaving: Collection[str]) -> Iterator[str]:
    """Modules that list this one, or refer to its tables."""
    key = re.compile(rf"[\"'](?:{'|'.join(map(re.escape, memory.tables))})\.\w+[\"']")
    for other in blueprints.existing:
        if other.module in {memory.module, *leaving}:
            continue
        folder = blueprints.root / MODULES / other.module
        if memory.module in other.depends_on:
            yield f"{other.module} needs it: its module.py lists it in depends_on"
        for path in sorted(folder.glob("models*.py")):
            if found := key.search(path.read_text(encoding="utf-8")):
                yield f"{other.module} needs it: {path.relative_to(blueprints.root).as_posix()} has {found.group()}"


def _handmade(root: Path, memory: Memory) -> Iterator[tuple[str, str]]:
    known = {*memory.files, memory_path(memory.module), *snapshot_paths(memory.module)}
    for folder in (MODULES / memory.module, Path("tests/modules") / memory.module):
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and "__pycache__" not in path.parts and name not in known:
                yield name, "was made by hand"
    for name, remembered in memory.files.items():
        text = text_of(root / name)
        if text is not None and digest(text) != remembered:
            yield name, "was edited by hand"
