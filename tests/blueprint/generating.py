"""The generator in a copy of the project, as it is typed."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.program import Program, files_of

HARBOUR = Path(__file__).parent / "harbour.json"
Entities = list[dict[str, Any]]


def harbour() -> Entities:
    """Three entities that refer to each other; each call gives new ones, to be changed."""
    made: Entities = json.loads(HARBOUR.read_text())
    return made


@dataclass
class Generator:
    """One copy with its blueprint, which lies outside of it."""

    program: Program

    @property
    def root(self) -> Path:
        return self.program.root

    @property
    def config(self) -> Path:
        return self.root.parent / "entities.json"

    def write(self, entities: Entities) -> None:
        self.config.write_text(json.dumps(entities))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """With the blueprint, from another folder."""
        return self.bare("--config", str(self.config), *words)

    def bare(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Without it."""
        script = str(self.root / "scripts" / "generate_entities.py")
        return self.program.python(script, *words, cwd=self.root.parent, timeout=120)

    def must(self, *words: str) -> str:
        """Asserts that it works; what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def edit(self, path: str, change: Callable[[str], str]) -> str:
        """What somebody does by hand; the text as it is now."""
        text = change(self.read(path))
        (self.root / path).write_text(text)
        return text

    def contents(self) -> dict[str, bytes]:
        """Every file, without what Python compiles and the linter keeps."""
        names = [name for name in files_of(self.root) if ".ruff_cache" not in name]
        return {name: (self.root / name).read_bytes() for name in names}
