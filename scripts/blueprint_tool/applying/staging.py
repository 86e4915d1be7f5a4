"""A copy of the program in which everything is made and proved first: until then the repository is not touched."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.config import Settings
from blueprint_tool.applying.planning import FileChange
from blueprint_tool.refusals import Refused

_COPIED = ("app", "alembic")
_REASON = re.compile(r"[A-Za-z_][\w.]*: ")  # `ValueError: …`
_SCRIPTS = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the staged program answered.

    `revision` is the text of the migration, None where the tables are right already; `slug` its part of a file's
    name. `tables` by module, `snapshots` by path. `notices` say what the revision does to rows.
    """

    revision: str | None
    slug: str
    tables: Mapping[str, list[str]]
    snapshots: Mapping[str, str]
    notices: list[str]


@contextmanager
def staged(root: Path, changes: Iterable[FileChange]) -> Iterator[Path]:
    """The copy with these changes, while the block runs."""
    with tempfile.TemporaryDirectory(prefix="tessera-stage-") as name:
        stage = Path(name)
        for folder in _COPIED:
            shutil.copytree(root / folder, stage / folder)
        shutil.copy2(root / "alembic.ini", stage)
        for change in changes:
            path = stage / change.path
            if change.after is None:
                path.unlink(missing_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(change.after.encode(errors="surrogateescape"))
        for module in (stage / "app" / "modules").iterdir():
            if module.is_dir() and not any(module.glob("*.py")):
                shutil.rmtree(module)  # only what Python compiled is left of it
        yield stage


def ask(stage: Path, job: Mapping[str, Any]) -> Outcome:
    """Lets the staged program write its migration and promises. Raises Refused with its own words."""
    done = subprocess.run(
        [sys.executable, "-m", "blueprint_tool.migrating.process"],
        cwd=stage,
        env=_environment(stage),
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"the program ended with {done.returncode}"]
        # Faults of declarations come one a line, anything else as a traceback with its reason behind.
        reasons = [line for line in lines if _REASON.match(line)]
        told = lines if not lines[0].startswith("Traceback") else (reasons or lines)[-1:]
        raise Refused([f"the generated program does not start: {line}" for line in told])
    return Outcome(**json.loads(done.stdout))


def _environment(stage: Path) -> dict[str, str]:
    """Nothing of the developer's settings, and no database of theirs."""
    kept = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    path = os.pathsep.join([str(stage), str(_SCRIPTS)])
    return {**kept, "ENVIRONMENT": "test", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
