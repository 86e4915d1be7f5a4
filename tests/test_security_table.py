"""docs/security.md: every requirement has one row, and every row tests that exist, or the reason why there are none."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from app.core.config import ROOT
from app.registry import discover

DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
# A requirement is given up here too, or not at all.
REQUIRED = """
    A01-A06 A08-A12 A14-A15 A17-A21 A23-A25 A27-A29 A31
    S01 S03-S06 S08-S13 S16-S18 S20-S22 S24-S26 S28-S34
    K01-K05 K08-K15
    Z01-Z03 Z05 Z07-Z08 Z11-Z12 Z14-Z19 Z21-Z24
    L03 L06-L07 L09 L11 L13-L18
    W01-W08
"""
COLUMNS = ["Id", "What must hold", "From", "Shown by", "Differently, and why"]
REFERENCE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)(?:\[[^`]+\])?`")
# Modules whose tests a team may have taken out with them.
VISITED = re.compile(r"<!-- shown with modules that may be removed: (.*) -->")


def required(ranges: str) -> list[str]:
    """Every id of such ranges."""
    found = []
    for word in ranges.split():
        first, _, last = word.partition("-")
        numbers = range(int(first[1:]), int((last or first)[1:]) + 1)
        found += [f"{first[0]}{number:02}" for number in numbers]
    return found


def rows_of(document: str) -> list[list[str]]:
    """The cells of every line of a table, without headings and rules."""
    lines = [line.strip() for line in document.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.removesuffix("|").split("|")[1:]] for line in lines]
    return [row for row in rows if row != COLUMNS and set("".join(row)) != {"-"}]


def faults_of(document: str) -> list[str]:
    """What is wrong with the tables, one line each."""
    rows, ids = rows_of(document), required(REQUIRED)
    seen = Counter(row[0] for row in rows)
    faults = [f"{id} has {seen[id]} rows" for id in ids if seen[id] != 1]
    faults += [f"{id} is no requirement" for id in seen.keys() - set(ids)]
    visited = VISITED.search(document)
    gone = set(visited[1].split() if visited else ()) - {module.name for module in discover().modules}
    for row in rows:
        faults += [f"{row[0]}: {fault}" for fault in _faults_of_row(row, gone)]
    return sorted(faults)


def _faults_of_row(row: list[str], gone: set[str]) -> list[str]:
    if len(row) != len(COLUMNS):
        return [f"{len(row)} columns"]
    _, what, source, shown, reason = row
    references = REFERENCE.findall(shown)
    faults = [] if what and source else ["says not what, or not where from"]
    if REFERENCE.sub("", shown).replace("<br>", ""):
        faults.append("what shows it is not a list of tests")
    if not references and not reason:
        faults.append("neither a test nor a reason")
    for path, name in references:
        is_gone = any(path.startswith(f"tests/modules/{module}/") for module in gone)
        if not is_gone and name not in names_in(ROOT / path):
            faults.append(f"{path} has no {name}")
    return faults


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of the functions of a file; none where there is no file."""
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_requirement_has_its_row_and_every_row_its_tests() -> None:
    assert faults_of(DOCUMENT) == []


def test_tables_are_read_in_full() -> None:
    ids = required(REQUIRED)
    assert [row[0] for row in rows_of(DOCUMENT)] == ids
    assert len(ids) == len(set(ids)) == 102
    assert [id for id in ids if id[0] == "Z"][-6:] == ["Z18", "Z19", "Z21", "Z22", "Z23", "Z24"]
    assert len(REFERENCE.findall(DOCUMENT)) == DOCUMENT.count(".py::") - 1  # the command of the introduction


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (r"^\| A01 .*\n", "", "A01 has 0 rows"),
        (r"^(\| K15 .*\n)", r"\1\1", "K15 has 2 rows"),
        (r"^\| Z24 ", "| Z25 ", "Z25 is no requirement"),
        (r"test_every_character_counts", "test_characters_count", "A04: tests/modules/auth/test_login.py has no"),
        (r"tests/test_rbac_property\.py", "tests/test_rbac.py", "Z08: tests/test_rbac.py has no test_nobody_climbs"),
        (r"^(\| S34 .* \|) [^|]+ \|$", r"\1 |", "S34: neither a test nor a reason"),
        (r"^(\| S31 .* \|) `[^|]+ \| \|$", r"\1 | |", "S31: neither a test nor a reason"),
        (r"^(\| S31 .*) `[^|]+` \|", r"\1 by the review |", "S31: what shows it is not a list of tests"),
        (r"^(\| K10 .*) API2 \|", r"\1 |", "K10: says not what, or not where from"),
        (r"^(\| K10 .*) \| \|$", r"\1 |", "K10: 4 columns"),
    ],
)  # fmt: skip
def test_planted_fault_is_told(old: str, new: str, told: str) -> None:
    planted, count = re.subn(old, new, DOCUMENT, count=1, flags=re.MULTILINE)
    assert count == 1

    assert told in "\n".join(faults_of(planted))


def test_parameters_of_a_test_may_be_named() -> None:
    name = "test_privilege_is_matched_exactly"
    assert f"{name}`" in DOCUMENT

    assert faults_of(DOCUMENT.replace(f"{name}`", f"{name}[users:*]`")) == []


def test_tests_of_a_removed_module_are_missed_only_where_nobody_announced_it() -> None:
    away = re.sub(r"`tests/modules/system/", "`tests/modules/no_such_module/", DOCUMENT)
    assert any("no_such_module" in fault for fault in faults_of(away))

    assert faults_of(VISITED.sub(lambda found: found[0].replace(" -->", " no_such_module -->"), away)) == []
