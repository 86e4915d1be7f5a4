"""What lies in the folders of modules, and beside their tests."""

import json
from collections.abc import Iterator
from pathlib import Path

from app.core.module import Module

SNAPSHOTS = ("openapi.json", "routes.txt")
BLUEPRINT = "blueprint.json"
_COMMAND = "UPDATE_SNAPSHOTS=1 python -m pytest tests/test_snapshots.py"


def faults_of_folders(root: Path) -> Iterator[str]:
    """Folders with code that nobody loads."""
    for folder in sorted((root / "app" / "modules").iterdir()):
        if not any(folder.glob("*.py")):
            continue
        for name in ("__init__.py", "module.py"):
            if not (folder / name).exists():
                yield f"app/modules/{folder.name} has no {name}"


def faults_of_snapshots(root: Path, modules: list[Module]) -> Iterator[str]:
    """Promises that nobody wrote down. Nothing where the tests are not shipped."""
    tests = root / "tests" / "modules"
    for module in modules if tests.is_dir() else ():
        for name in SNAPSHOTS:
            if not (tests / module.name / name).exists():
                yield f"tests/modules/{module.name}/{name} is missing: {_COMMAND}"
    for path in sorted(path for name in SNAPSHOTS for path in tests.glob(f"*/{name}")):
        if not (root / "app" / "modules" / path.parent.name).is_dir():
            yield f"{path.relative_to(root).as_posix()} belongs to no module"


def faults_of_blueprints(root: Path, modules: list[Module]) -> Iterator[str]:
    """Where what the generator remembers is not what is there. Files that were edited by hand are fine."""
    tables = {module.name: {str(e.__tablename__) for e in module.entities} for module in modules}
    for path in sorted((root / "app" / "modules").glob(f"*/{BLUEPRINT}")):
        name, module = path.relative_to(root).as_posix(), path.parent.name
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            files, remembered = list(kept["files"]), {str(table) for table in kept["tables"]}
        except (ValueError, KeyError, TypeError):
            yield f"{name} is damaged: take it from version control again"
            continue
        for file in files:
            if (root / file.partition("/")[0]).is_dir() and not (root / file).exists():
                yield f"{name} lists {file}, which is not there"
        for table in sorted(tables.get(module, remembered) - remembered):
            yield f"{name} does not know the table {table}"
