"""The modules that are there already, read from their files: a module that does not start can be read too."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blueprint_tool.identifiers import table_identifiers

_TELLING = ("Resource", "ModuleRouter", "Module", "Index", "live_index")


@dataclass(frozen=True, slots=True)
class Existing:
    """A module that is there.

    `path`: below the API; `entities`: class and table of each that has calls of its own; `operations`: names of its
    calls, which are ids in the OpenAPI document; `classes`: all of them; `identifiers`: names of tables and indexes.
    """

    module: str
    path: str = ""
    entities: Mapping[str, str] = field(default_factory=dict)
    tables: frozenset[str] = frozenset()
    depends_on: tuple[str, ...] = ()
    is_generated: bool = False
    operations: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    identifiers: frozenset[str] = frozenset()


def existing_modules(root: Path) -> tuple[Existing, ...]:
    """The modules of the program in this folder, by name; `core` stands for the tables that no module has."""
    folders = sorted(path.parent for path in (root / "app" / "modules").glob("*/module.py"))
    core = _tables(_trees(root / "app" / "core", "models.py"))
    return (Existing("core", tables=frozenset(core.values())), *map(_read, folders))


def _read(folder: Path) -> Existing:
    trees = _trees(folder)
    tables, calls = _tables(trees), _calls(trees)
    models = [_word(value) for call in calls["Resource"] for value in _given(call, "model")]
    routers = [call for call in calls["ModuleRouter"] if call.args]
    needs = [value for call in calls["Module"] for value in _given(call, "depends_on")]
    return Existing(
        module=folder.name,
        path=next((_word(call.args[0]) for call in routers), f"/{folder.name}"),
        entities={model: tables[model] for model in models if model in tables},
        tables=frozenset(tables.values()),
        depends_on=tuple(_word(part) for value in needs for part in getattr(value, "elts", [])),
        is_generated=(folder / "blueprint.json").is_file(),
        operations=frozenset(
            node.name for tree in trees for node in tree.body if isinstance(node, ast.AsyncFunctionDef)
        ),
        classes=frozenset(
            node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)
        ),
        identifiers=frozenset(
            [
                *(name for table in tables.values() for name in table_identifiers(table)),
                *(
                    _word(call.args[0])
                    for kind in ("Index", "live_index")
                    for call in calls[kind]
                    if call.args
                ),
            ]
        ),
    )


def _trees(folder: Path, pattern: str = "*.py") -> list[ast.Module]:
    """The files that can be read as Python."""
    found = []
    for path in sorted(folder.rglob(pattern)):
        try:
            found.append(ast.parse(path.read_bytes()))
        except (SyntaxError, ValueError):
            continue  # someone is at work on it; what it says can't be known
    return found


def _tables(trees: list[ast.Module]) -> dict[str, str]:
    """Tables by their class."""
    return {
        node.name: _word(statement.value)
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.Assign)
        and [_word(target) for target in statement.targets] == ["__tablename__"]
    }


def _calls(trees: list[ast.Module]) -> dict[str, list[ast.Call]]:
    """The calls of the classes that tell of a module, by name. One walk: with many modules there is much to walk."""
    found: dict[str, list[ast.Call]] = {name: [] for name in _TELLING}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := _word(node.func)) in found:
                found[name].append(node)
    return found


def _given(call: ast.Call, name: str) -> list[ast.expr]:
    return [keyword.value for keyword in call.keywords if keyword.arg == name]


def _word(node: ast.expr) -> str:
    """A name or a text of the code; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
