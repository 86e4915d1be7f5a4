"""Adding a module is adding a folder, and removing it deleting the folder: nothing else may name it."""

import ast
import re
from collections.abc import Iterator

from app.core.pagination import Page
from tests.architecture.import_rules import removable_modules
from tests.architecture.sources import Source, Sources

# `items` is also what the rows of a page are called: there a bare word names the field and not the module.
PAGE_FIELDS = set(Page.model_fields)
Listed = ast.Set | ast.List | ast.Tuple


# The benchmark measures one module by its name, as the seeds sow it; no test of the program runs it.
MEASURES = ("tests/scripts/test_bench.py",)


def removable_modules_are_unnamed(sources: Sources) -> Iterator[str]:
    """No path, privilege, table or bare name of a removable module outside of its own folders."""
    for module in removable_modules(sources):
        own = (f"app/modules/{module}/", f"tests/modules/{module}/", "alembic/versions/")
        for source in sources.values():
            if not source.path.startswith(own) and source.path not in MEASURES:
                yield from (
                    f"{source.path} names {module}: {found}" for found in sorted(_names(source, module))
                )


def _names(source: Source, module: str) -> set[str]:
    found: set[str] = set()
    if module not in source.text:
        return found
    # A path, a privilege, a column, a call: never English, whatever the module is called.
    written = re.compile(rf"/{module}\b|(?:^|[\s'\"]){module}(?:[/.?]\w|:\w)")
    excused = _excused(source) if module in PAGE_FIELDS else set()
    for node, text in _texts(source):
        if written.search(text) or (text == module and id(node) not in excused):
            found.add(text)
    return found


def _texts(source: Source) -> Iterator[tuple[ast.Constant, str]]:
    """Every text of the code, without docstrings."""
    statements = {id(node.value) for node in source.nodes(ast.Expr)}
    for node in source.nodes(ast.Constant):
        if isinstance(node.value, str) and id(node) not in statements:
            yield node, node.value


def _excused(source: Source) -> set[int]:
    """Bare words that are keys: in a subscript, a dictionary, a comparison, or among other fields of a page."""
    keys: list[ast.expr | None] = [node.slice for node in source.nodes(ast.Subscript)]
    for literal in source.nodes(ast.Dict):
        keys += literal.keys
    for comparison in source.nodes(ast.Compare):
        keys += [comparison.left, *comparison.comparators]
    listed: list[Listed] = [*source.nodes(ast.Set), *source.nodes(ast.List), *source.nodes(ast.Tuple)]
    for several in listed:
        if len(_words(several) & PAGE_FIELDS) > 1:
            keys += several.elts
    for call in source.nodes(ast.Call):
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"get", "pop"}:
            keys += call.args[:1]
    return {id(key) for key in keys}


def _words(node: Listed) -> set[str]:
    return {str(element.value) for element in node.elts if isinstance(element, ast.Constant)}


RULES = (removable_modules_are_unnamed,)
