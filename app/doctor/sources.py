"""The program as text: its files, what each of them imports, and copies of it with something planted."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from app.core.config import ROOT

Node = TypeVar("Node", bound=ast.AST)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """One imported name: `module` is where it comes from, `name` is None for `import module`."""

    module: str
    name: str | None


class Source:
    """One Python file; `path` is relative to the project's root, with slashes."""

    def __init__(self, path: str, text: str) -> None:
        """Reads nothing yet."""
        self.path = path
        self.text = text

    @property
    def folder(self) -> str:
        """Its folder, `app/core`."""
        return self.path.rpartition("/")[0]

    @property
    def file(self) -> str:
        """Its name in the folder, `clock.py`."""
        return self.path.rpartition("/")[2]

    @property
    def name(self) -> str:
        """The module's dotted name."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def tree(self) -> ast.Module:
        """As Python reads it. Raises SyntaxError."""
        return ast.parse(self.text, self.path)

    @cached_property
    def _nodes(self) -> dict[type[ast.AST], list[Any]]:
        """By their kinds: many rules look at few nodes of many files."""
        found: dict[type[ast.AST], list[Any]] = {}
        for node in ast.walk(self.tree):
            found.setdefault(type(node), []).append(node)
        return found

    def nodes(self, kind: type[Node]) -> list[Node]:
        """All of one kind, wherever they stand."""
        return self._nodes.get(kind, [])

    @cached_property
    def imports(self) -> list[Import]:
        """Every import, also those inside of functions and for type checkers only."""
        found = [Import(alias.name, None) for node in self.nodes(ast.Import) for alias in node.names]
        for node in self.nodes(ast.ImportFrom):
            found += [Import(self._origin(node), alias.name) for alias in node.names]
        return found

    @cached_property
    def imported_of_ours(self) -> set[tuple[str, str]]:
        """Modules of the program that something is imported from, each with the name that may be a module too."""
        ours = [one for one in self.imports if one.module == "app" or one.module.startswith("app.")]
        return {(one.module, f"{one.module}.{one.name}") for one in ours}

    def _origin(self, node: ast.ImportFrom) -> str:
        """Relative imports made absolute."""
        if not node.level:
            return node.module or ""
        package = self.name.split(".") if self.file == "__init__.py" else self.name.split(".")[:-1]
        base = package[: len(package) - node.level + 1]
        return ".".join([*base, node.module] if node.module else base)

    @property
    def functions(self) -> list[Function]:
        """All functions, those in classes and in other functions too."""
        return [*self.nodes(ast.FunctionDef), *self.nodes(ast.AsyncFunctionDef)]


class Sources(Mapping[str, Source]):
    """Files by path."""

    def __init__(self, files: Mapping[str, Source]) -> None:
        """Knows no other files than these."""
        self._files = dict(files)
        self._names = {source.name for source in self._files.values()}

    def __getitem__(self, path: str) -> Source:
        return self._files[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def below(self, folder: str) -> Iterator[Source]:
        """The files in a folder, and below it."""
        return (source for source in self.values() if source.path.startswith(f"{folder}/"))

    def targets(self, source: Source) -> set[str]:
        """The names of our own modules that a file imports."""
        return {whole if whole in self._names else module for module, whole in source.imported_of_ours}

    def planted(self, plants: Mapping[str, str]) -> "Sources":
        """A copy: a text that begins with `+` is added at the file's end, another one is the whole file."""
        files = dict(self._files)
        for path, text in plants.items():
            added = text.startswith("+")
            files[path] = Source(path, files[path].text + text[1:] if added else text)
        return Sources(files)


def read_sources(*folders: str, root: Path = ROOT) -> Sources:
    """The Python files in these folders of the project. Raises SyntaxError only when one is looked into."""
    paths = [path for folder in folders for path in (root / folder).rglob("*.py")]
    files = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}
    return Sources({path: Source(path, text) for path, text in files.items()})
