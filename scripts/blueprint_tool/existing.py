"""The modules that are there already, read from their files: a module that does not start can be read too."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Existing:
    """A module that is there.

    `path`: below the API; `entities`: class and table of each that has calls of its own; `operations`: names of its
    calls, which are ids in the OpenAPI document.
    """

    module: str
    path: str = ""
    entities: Mapping[str, str] = field(default_factory=dict)
    tables: frozenset[str] = frozenset()
    depends_on: tuple[str, ...] = ()
    is_generated: bool = False
    operations: frozenset[str] = frozenset()


def existing_modules(root: Path) -> tuple[Existing, ...]:
    """The modules of the program in this folder, by name; `core` stands for the tables that no module has."""
    folders = sorted(path.parent for path in (root / "app" / "modules").glob("*/module.py"))
    core = _tables(_trees(root / "app" / "core", "models.py"))
    return (Existing("core", tables=frozenset(core.values())), *map(_read, folders))


def _read(folder: Path) -> Existing:
    trees = _trees(folder)
    tables = _tables(trees)
    models = [_word(value) for call in _calls(trees, "Resource") for value in _given(call, "model")]
    routers = [call for call in _calls(trees, "ModuleRouter") if call.args]
    needs = [value for call in _calls(trees, "Module") for value in _given(call, "depends_on")]
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


def _calls(trees: list[ast.Module], name: str) -> Iterator[ast.Call]:
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _word(node.func) == name:
                yield node


def _given(call: ast.Call, name: str) -> list[ast.expr]:
    return [keyword.value for keyword in call.keywords if keyword.arg == name]


def _word(node: ast.expr) -> str:
    """A name or a text of the code; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
