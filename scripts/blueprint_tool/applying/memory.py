"""What the generator remembers of a module, in `app/modules/<module>/blueprint.json`.

It is how a file that was edited by hand is told from one that was not, and what a later change is compared with.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blueprint_tool.refusals import Refused

FORMAT = 1
FILE = "blueprint.json"
MODULES = Path("app/modules")
SNAPSHOTS = ("openapi.json", "routes.txt")


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one module: the entity as its blueprint said it, its tables, and the sha256 of each generated file."""

    module: str
    entity: Mapping[str, Any]
    tables: tuple[str, ...]
    files: Mapping[str, str]

    @property
    def text(self) -> str:
        """The content of the file."""
        kept = {
            "format": FORMAT,
            "entity": self.entity,
            "tables": sorted(self.tables),
            "files": dict(sorted(self.files.items())),
        }
        return json.dumps(kept, indent=2, ensure_ascii=False) + "\n"


def memory_path(module: str) -> str:
    """Where the memory of a module lies, from the root of the repository."""
    return (MODULES / module / FILE).as_posix()


def snapshot_paths(module: str) -> tuple[str, ...]:
    """Where the promises of a module lie."""
    return tuple(f"tests/modules/{module}/{name}" for name in SNAPSHOTS)


def digest(text: str) -> str:
    """The sha256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def memories(root: Path) -> dict[str, Memory]:
    """Everything that is remembered, by module. Raises Refused for a damaged file."""
    found = sorted((root / MODULES).glob(f"*/{FILE}"))
    return {path.parent.name: _read(path, root) for path in found}


def _read(path: Path, root: Path) -> Memory:
    name = path.relative_to(root).as_posix()
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["format"] != FORMAT:
            raise Refused([f"{name}: has format {kept['format']}; this generator reads {FORMAT}"])
        return Memory(path.parent.name, dict(kept["entity"]), tuple(kept["tables"]), dict(kept["files"]))
    except (ValueError, KeyError, TypeError) as error:
        told = f"{name}: is damaged ({type(error).__name__}: {error}); take it from version control again"
        raise Refused([told]) from None
