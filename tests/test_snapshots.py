"""What each module promises is kept beside its tests: its routes with their guards, its part of the document.

A change of either shows in the review. `UPDATE_SNAPSHOTS=1 pytest tests/test_snapshots.py` writes them anew.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from app.registry import discover
from blueprint_tool.migrating.snapshots import Json, document_of_program, document_text, part_of, routes_text

FOLDER = Path(__file__).parent / "modules"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"
COMMAND = "UPDATE_SNAPSHOTS=1 python -m pytest tests/test_snapshots.py"
MODULES = sorted(module.name for module in discover().modules)


@pytest.fixture(scope="module")
def document() -> Json:
    """The whole OpenAPI document."""
    return document_of_program()


def compare(path: Path, now: str) -> None:
    if UPDATE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(now, encoding="utf-8")
    assert path.exists(), f"{path.relative_to(FOLDER.parent)} is missing; write it with: {COMMAND}"
    kept = path.read_text(encoding="utf-8")
    assert now == kept, f"what the module promises has changed; if that is meant: {COMMAND}"


@pytest.mark.parametrize("module", MODULES)
def test_routes_are_as_they_were(module: str) -> None:
    compare(FOLDER / module / "routes.txt", routes_text(module))


@pytest.mark.parametrize("module", MODULES)
def test_document_is_as_it_was(module: str, document: Json) -> None:
    compare(FOLDER / module / "openapi.json", document_text(document, module))


def test_snapshots_belong_to_modules_that_are_there() -> None:
    kept = {path.parent.name for name in ("routes.txt", "openapi.json") for path in FOLDER.glob(f"*/{name}")}
    assert kept <= set(MODULES)


def test_every_operation_is_in_the_snapshot_of_one_module(document: Json) -> None:
    whole = {(path, method) for path, item in document["paths"].items() for method in item}
    parts = [part_of(document, module)["paths"] for module in MODULES]
    assert whole == {(path, method) for part in parts for path, item in part.items() for method in item}


def test_operation_ids_are_the_names_of_the_endpoints(document: Json) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    names = Counter(operation["operationId"] for operation in operations)
    assert [name for name, count in names.items() if count > 1] == []
    assert all(name.isidentifier() and "__" not in name for name in names)
    assert {"login", "list_users", "read_role"} <= names.keys()


def test_bounds_are_written_in_the_words_of_json_schema(document: Json) -> None:
    """Of every query parameter, also where a validator of our own looks at it first."""
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    parameters = [one["schema"] for operation in operations for one in operation.get("parameters", ())]
    own = [one for schema in parameters for one in (schema, *schema.get("anyOf", ()))]
    assert [one for one in own if {"ge", "gt", "le", "lt"} & one.keys()] == []
    assert {"minimum": 1, "maximum": 1000} in [{k: one.get(k) for k in ("minimum", "maximum")} for one in own]


@pytest.mark.skipif(UPDATE, reason="the planted file would be written")
def test_changed_promise_is_told(tmp_path: Path) -> None:
    (tmp_path / "routes.txt").write_text("GET    /elsewhere  public\n")
    with pytest.raises(AssertionError, match="has changed"):
        compare(tmp_path / "routes.txt", routes_text(MODULES[0]))


@pytest.mark.skipif(UPDATE, reason="the planted file would be written")
def test_missing_snapshot_is_told_with_the_command_that_writes_it() -> None:
    with pytest.raises(AssertionError, match="UPDATE_SNAPSHOTS=1 python -m pytest"):
        compare(FOLDER / "ghosts" / "routes.txt", "")
