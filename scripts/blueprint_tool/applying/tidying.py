"""Merged files in the style of the house: what the generator adds to a file may ask for another order of imports.

Lines that were written by hand stay byte for byte. So a file is brought into style only if it was in it before, and
if that leaves these lines as they are.
"""

import ast
import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

from blueprint_tool.applying.planning import Bases, FileChange, ModulePlan, Verdict, is_readable
from blueprint_tool.rendering.formatting import formatted


@dataclass(frozen=True, slots=True)
class Tidied:
    """Plans whose merged files are in style; `left`: the paths of those that could not be brought into it."""

    plans: list[ModulePlan]
    left: list[str]


def tidied(plans: list[ModulePlan], bases: Bases, root: Path) -> Tidied:
    """The plans with other texts for what was merged. `bases`: the texts of the last run."""
    merged = [c for plan in plans for c in plan.changes if c.verdict is Verdict.MERGED and _is_text(c)]
    if not merged:
        return Tidied(plans, [])
    made = {change.path: _with_imports(change) for change in merged}
    there = {change.path: change.before or "" for change in merged}
    styled = formatted(made, root)
    clean = formatted({path: text for path, text in there.items() if is_readable(path, text)}, root)

    def may_be_styled(path: str) -> bool:
        return clean.get(path) == there[path] and _keeps(styled[path], bases()[path], there[path])

    chosen = {path: styled[path] if may_be_styled(path) else text for path, text in made.items()}
    done = [replace(one, changes=tuple(_with_text(c, chosen) for c in one.changes)) for one in plans]
    return Tidied(done, [path for path, text in chosen.items() if text != styled[path]])


def _is_text(change: FileChange) -> bool:
    """Bytes that are no UTF-8 are kept apart in texts, and no program reads them."""
    try:
        f"{change.before}{change.after}".encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_text(change: FileChange, chosen: Mapping[str, str]) -> FileChange:
    return replace(change, after=chosen.get(change.path, change.after))


def _keeps(text: str, base: str, by_hand: str) -> bool:
    """Whether the lines that are in `by_hand` and not in `base` are all there, in their order."""
    old, new = base.splitlines(), by_hand.splitlines()
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    written = [line for kind, _, _, start, end in blocks if kind != "equal" for line in new[start:end]]
    lines = iter(text.splitlines())
    return all(line in lines for line in written)


def _with_imports(change: FileChange) -> str:
    """The merged text, with imports that the generator needs no more and hand-written lines do."""
    before, text = change.before or "", change.after or ""
    if not change.path.endswith(".py"):
        return text
    known = dict(_imports(before))
    tree = ast.parse(text)
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    missing = sorted((named & known.keys()) - _bound(tree) - set(dir(builtins)))
    if not missing:
        return text
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    lines = text.splitlines(keepends=True)
    place = imports[-1].end_lineno if imports else _after_docstring(tree)
    return "".join([*lines[:place], *(f"{known[name]}\n" for name in missing), *lines[place:]])


def _imports(text: str) -> Iterator[tuple[str, str]]:
    """Names that a file imports, each with a line that does so."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return
    for node in body:
        for name in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            said = f"{name.name} as {name.asname}" if name.asname else name.name
            if isinstance(node, ast.ImportFrom):
                yield name.asname or name.name, f"from {'.' * node.level}{node.module or ''} import {said}"
            elif isinstance(node, ast.Import):
                yield name.asname or name.name.partition(".")[0], f"import {said}"


def _bound(tree: ast.Module) -> set[str]:
    """Names that are something anywhere in the file."""
    found = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {name.asname or name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
    return found


def _after_docstring(tree: ast.Module) -> int:
    is_said = (
        tree.body and isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant)
    )
    return (tree.body[0].end_lineno or 0) if is_said else 0
