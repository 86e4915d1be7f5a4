"""Adding a module is adding a folder, and removing it deleting the folder: nothing else may name it."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.import_rules import removable_modules
from tests.architecture.sources import Source, Sources

# The benchmark measures one module by its name, as the seeds sow it; no test of the program runs it.
# The generator is tried with modules that are nowhere, and one of them may be called like the team's.
EXCUSED = ("tests/scripts/test_bench.py", "tests/blueprint/")
CALLS = {"get", "post", "put", "patch", "delete", "call", "request"}
# What names a module, or a table of one, where such a key stands before a bare word.
KEYS = {"entity", "entities", "module", "modules", "only", "table", "tables"}
Keyed = tuple[ast.expr | None, ast.expr]


def removable_modules_are_unnamed(sources: Sources) -> Iterator[str]:
    """No path, privilege, table or name of a removable module outside of its own folders.

    A bare word is a name where something is asked for by it. Elsewhere it is a word: a team may call its module
    `notes` or `keys`, whatever texts the program has.
    """
    for module in removable_modules(sources):
        own = (f"app/modules/{module}/", f"tests/modules/{module}/", "alembic/versions/")
        written = _written(module, _privileges(sources, module))
        asked = re.compile(rf"/?{module.replace('_', '[_-]')}([/?].*)?", re.DOTALL)
        for source in sources.values():
            if source.path.startswith((*own, *EXCUSED)) or module not in source.text:
                continue
            named = _named(source)
            for node, text in _texts(source):
                if written.search(text) or (id(node) in named and asked.fullmatch(text)):
                    yield f"{source.path} names {module}: {text}"


def _privileges(sources: Sources, module: str) -> set[str]:
    """The codes that the module's own files hold."""
    code = re.compile(rf"{module}:\w+")
    own = sources.below(f"app/modules/{module}")
    return {text for source in own for _, text in _texts(source) if code.fullmatch(text)}


def _written(module: str, privileges: set[str]) -> re.Pattern[str]:
    """What is no English, whatever the module is called: paths of calls and files, keys of tables, privileges."""
    path = module.replace("_", "-")
    signs = [rf"/api/v1/{path}\b", rf"\bmodules[./]{module}\b", rf"^{module}\.pk$"]
    return re.compile("|".join([*signs, *(rf"\b{code}\b" for code in privileges)]))


def _texts(source: Source) -> Iterator[tuple[ast.Constant, str]]:
    """Every text of the code, without docstrings and the examples of a documentation."""
    skipped = {id(node.value) for node in source.nodes(ast.Expr)}
    for keyword in source.nodes(ast.keyword):
        if keyword.arg == "examples":
            skipped |= {id(node) for node in ast.walk(keyword.value)}
    for node in source.nodes(ast.Constant):
        if isinstance(node.value, str) and id(node) not in skipped:
            yield node, node.value


def _named(source: Source) -> set[int]:
    """The texts by which something is asked for: paths of awaited calls, and values under such a key."""
    # A path, or a method and a path; of an f-string how it begins. Dictionaries are not awaited.
    asked = [
        _beginning(argument)
        for call in (node.value for node in source.nodes(ast.Await))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in CALLS
        for argument in call.args[:2]
    ]
    keyed = [keyword.value for keyword in source.nodes(ast.keyword) if keyword.arg in KEYS]
    for literal in source.nodes(ast.Dict):
        pairs: list[Keyed] = list(zip(literal.keys, literal.values, strict=True))
        keyed += [value for key, value in pairs if isinstance(key, ast.Constant) and key.value in KEYS]
    for assigned in source.nodes(ast.Assign):
        names = {target.id.lower() for target in assigned.targets if isinstance(target, ast.Name)}
        keyed += [assigned.value] if names & KEYS else []
    return {id(node) for node in asked} | {id(node) for value in keyed for node in ast.walk(value)}


def _beginning(node: ast.expr) -> ast.expr:
    return node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node


RULES = (removable_modules_are_unnamed,)
