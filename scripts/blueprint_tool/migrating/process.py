"""Run inside of a staged copy of the program, as a process of its own: writes the migration, and tells the promises.

Reads its job as JSON from standard input and prints an `Outcome`. No database of the developer's is asked: a new
SQLite file is migrated to the head, which is the state before, and compared with the models, the state after. The
revision is then proved on that file: up, down, up, and nothing left to do.
"""

import gc
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import Script
from sqlalchemy import Table
from sqlalchemy.engine import URL

from app.core.config import ROOT, RefusedStart
from app.migrations import configuration
from app.registry import FaultyModules, discover
from blueprint_tool.applying.memory import snapshot_paths
from blueprint_tool.migrating.revising import Reviser
from blueprint_tool.migrating.snapshots import document_of_program, document_text, routes_text


def main() -> int:
    """The exit code: 1 where the program would not start, with its own lines on stderr."""
    gc.disable()  # all that is made here is needed to the end, which comes soon: a fifth of the time is saved
    job = json.load(sys.stdin)
    try:
        with redirect_stdout(StringIO()):  # Alembic talks
            outcome = _work(job)
    except (FaultyModules, RefusedStart) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump(outcome, sys.stdout)
    return 0


def _work(job: Mapping[str, Any]) -> dict[str, Any]:
    discover()
    modules: list[str] = job["modules"]
    tables = {module: tables_of(sys.modules[f"app.modules.{module}.models"]) for module in modules}
    ours = frozenset([*job["tables"], *(name for names in tables.values() for name in names)])
    reviser = Reviser(ours, **job["rows"])
    with tempfile.TemporaryDirectory(prefix="tessera-scratch-") as folder:
        made = write(Path(folder), reviser, job["message"])
        revision = Path(made.path).read_text(encoding="utf-8") if made else None
    document = document_of_program()
    return {
        "revision": revision,
        "slug": Path(made.path).stem if made else "",
        "tables": tables,
        "snapshots": {
            path: text
            for module in modules
            for path, text in zip(
                snapshot_paths(module), (document_text(document, module), routes_text(module)), strict=True
            )
        },
        "notices": reviser.notices,
    }


def tables_of(models: ModuleType) -> list[str]:
    """The tables that a file of models defines, also those without a class."""
    found = [getattr(value, "__table__", value) for value in vars(models).values()]
    return sorted({value.name for value in found if isinstance(value, Table)})


def write(folder: Path, reviser: Reviser, message: str) -> Script | None:
    """The revision, proved, in that folder; None where models and revisions agree. Raises what Alembic raises."""
    config = _configuration(folder)
    command.upgrade(config, "head")
    made = _revision(config, folder, reviser, message)
    if made is not None:
        for way, where in ((command.upgrade, "head"), (command.downgrade, "-1"), (command.upgrade, "head")):
            way(config, where)
        rest = Reviser(reviser.tables)
        if _revision(config, folder, rest, "rest") is not None:
            raise RuntimeError(f"the revision does not reach the models; write it by hand: {message}")
    return made


def _configuration(folder: Path) -> Config:
    config = configuration(URL.create("sqlite+aiosqlite", database=str(folder / "scratch.db")))
    config.set_main_option("version_locations", f"{ROOT / 'alembic' / 'versions'}{os.pathsep}{folder}")
    config.set_main_option("path_separator", "os")
    config.stdout = StringIO()
    return config


def _revision(config: Config, folder: Path, reviser: Reviser, message: str) -> Script | None:
    made = command.revision(
        config,
        message,
        autogenerate=True,
        version_path=str(folder),
        process_revision_directives=reviser,
    )
    return made if isinstance(made, Script) else None


if __name__ == "__main__":
    sys.exit(main())
