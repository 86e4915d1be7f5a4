"""What a blueprint becomes: files that read as if they were written by hand, and say what the blueprint says."""

import ast
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.core.config import ROOT
from blueprint_tool.rendering.formatting import formatted
from blueprint_tool.rendering.module import render
from tests.architecture.code_rules import MAX_FILE_LINES, MAX_FUNCTION_LINES
from tests.blueprint.blueprints import read_it

TARGETS = """{"name": "Quay", "table": "quays", "attributes": [{"name": "title", "type": "string", "unique": true}]},
{"name": "Crane", "table": "cranes", "owned": true, "attributes": [{"name": "load", "type": "int"}]}"""
FIELDS = """[
  {"name": "title", "type": "string", "unique": true, "searchable": true, "sortable": true},
  {"name": "text", "type": "text", "nullable": true, "searchable": true},
  {"name": "price", "type": "decimal", "min": "0", "default": "1.50", "filterable": true, "sortable": true},
  {"name": "state", "type": "enum", "choices": ["new", "old"], "default": "new", "filterable": true},
  {"name": "code_word", "type": "string", "secret": true},
  {"name": "made_on", "type": "date", "index": true},
  {"name": "seen_at", "type": "datetime", "nullable": true, "filterable": true},
  {"name": "papers", "type": "json"}
]"""
RELATIONS = """[
  {"name": "quay", "type": "many_to_one", "target": "Quay"},
  {"name": "crane", "type": "many_to_one", "target": "Crane", "nullable": true, "on_delete": "set_null"},
  {"name": "parent", "type": "many_to_one", "target": "Boat", "nullable": true, "on_delete": "cascade"},
  {"name": "pilot", "type": "many_to_many", "target": "User"},
  {"name": "winch", "type": "many_to_many", "target": "Crane"}
]"""
RICH = f'"attributes": {FIELDS}, "relations": {RELATIONS}, "unique_together": [["quay_id", "state"]]'
PLAIN = '"attributes": [{"name": "load", "type": "int", "nullable": true}]'
TITLED = '"attributes": [{"name": "title", "type": "string"}]'
VARIANTS = {
    "plain": PLAIN,
    "plain, owned": f'{PLAIN}, "owned": true',
    "plain, final": f'{PLAIN}, "soft_delete": false',
    "plain, owned, final": f'{PLAIN}, "owned": true, "soft_delete": false',
    "rich": f'{RICH}, "privileges": [{{"action": "moor", "description": "Moor boats."}}]',
    "rich, owned": f'{RICH}, "owned": true',
    "rich, final": f'{RICH}, "soft_delete": false',
    "rich, owned, final": f'{RICH}, "owned": true, "soft_delete": false',
}


def files_of(variant: str) -> dict[str, str]:
    return files_that(VARIANTS[variant])


def files_that(say: str) -> dict[str, str]:
    blueprint = read_it(f'[{TARGETS}, {{"name": "Boat", "table": "boats", {say}}}]')
    (entity,) = (one for one in blueprint.entities if one.name == "Boat")
    return formatted(render(entity, blueprint), ROOT)


def module_file(files: Mapping[str, str], name: str) -> str:
    return files[f"app/modules/boats/{name}.py"]


def fields_of(source: str, name: str) -> set[str]:
    """The annotated names of a class."""
    (found,) = (n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == name)
    return {
        n.target.id for n in found.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_files_are_those_of_a_module_and_in_its_style(variant: str, tmp_path: Path) -> None:
    files = files_of(variant)
    named = ("__init__", "models", "schemas", "permissions", "repository", "service", "router", "module")
    assert files.keys() == {
        *(f"app/modules/boats/{name}.py" for name in named),
        *("tests/modules/boats/__init__.py", "tests/modules/boats/test_boats.py", "docs/modules/boats.md"),
    }
    assert formatted(files, ROOT) == files
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        if path.endswith(".py") and path.startswith("app"):
            assert text.count("\n") < MAX_FILE_LINES
            functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.AsyncFunctionDef)]
            assert all((n.end_lineno or 0) - n.lineno + 1 < MAX_FUNCTION_LINES for n in functions)
    (tmp_path / "ruff.toml").write_text((ROOT / "ruff.toml").read_text())
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "."]
    done = subprocess.run(ruff, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_same_blueprint_gives_the_same_text() -> None:
    assert files_of("rich, owned") == files_of("rich, owned")


@pytest.mark.parametrize("variant", ["rich", "rich, owned"])
def test_secret_is_written_only(variant: str) -> None:
    files = files_of(variant)
    schemas = module_file(files, "schemas")
    for name in ("BoatSummary", "BoatColumns", "BoatRow", "BoatRead", "BoatQuery"):
        assert "code_word" not in fields_of(schemas, name)
    assert all("code_word" in fields_of(schemas, name) for name in ("BoatCreate", "BoatUpdate"))
    assert "sa_column_kwargs=hidden()" in module_file(files, "models")


@pytest.mark.parametrize(
    ("say", "message", "clash"),
    [
        (
            f'{TITLED}, "owned": true',
            "A boat with this title exists already.",
            ("title",),
        ),
        (
            '"attributes": [{"name": "title", "type": "string"}, {"name": "owner_id", "type": "url"}]',
            "A boat with this owner id and title exists already.",
            ("owner_id", "title"),
        ),
        (
            f'{TITLED}, "relations": [{{"name": "owner", "type": "many_to_one", "target": "User"}}]',
            "A boat with this owner and title exists already.",
            ("owner_id", "title"),
        ),
    ],
    ids=["owned", "an attribute", "a relation"],
)
def test_owner_is_sent_where_nobody_sets_it(say: str, message: str, clash: tuple[str, ...]) -> None:
    """`owner_id` is the server's in what is owned; elsewhere it is a field like others."""
    files = files_that(f'{say}, "unique_together": [["owner_id", "title"]]')
    assert f'taken("{clash[0]}", "{message}")' in module_file(files, "models")
    fields = ", ".join(f'"{name}"' for name in clash) + ("," if len(clash) == 1 else "")
    expected = f"clash = {{name: first[name] for name in ({fields})}}"
    assert expected in files["tests/modules/boats/test_boats.py"]


def test_long_values_and_links_stay_out_of_lists() -> None:
    schemas = module_file(files_of("rich"), "schemas")
    assert not {"text", "papers", "pilot_ids", "winch_ids"} & fields_of(schemas, "BoatSummary")
    assert {"quay_id", "crane_id", "parent_id", "price", "state"} <= fields_of(schemas, "BoatSummary")
    assert {"text", "papers"} <= fields_of(schemas, "BoatColumns")
    assert fields_of(schemas, "BoatRead") == {"pilot_ids", "winch_ids"}


def test_final_deletion_knows_no_purge_and_no_restore() -> None:
    for variant in ("plain, final", "plain, owned, final"):
        files = files_of(variant)
        assert "PURGE" not in module_file(files, "permissions")
        assert "restore" not in module_file(files, "router")
        assert "live_index" not in module_file(files, "models")
        assert "class Boat(Stamped, table=True)" in module_file(files, "models")
        assert "Query(RecordQuery)" in module_file(files, "schemas")


def test_only_what_belongs_to_somebody_is_given_to_who_registers() -> None:
    assert 'grants={"regular": (CREATE,)}' in module_file(files_of("plain, owned"), "module")
    for variant in ("plain", "plain, owned"):
        assert "assigned_to" not in module_file(files_of(variant), "module")
    assert "grants" not in module_file(files_of("plain"), "module")


def test_search_is_there_where_something_is_searchable() -> None:
    assert '"/search"' in module_file(files_of("rich"), "router")
    for name in ("router", "service", "schemas", "models"):
        assert "search" not in module_file(files_of("plain"), name).lower()


def test_privilege_beyond_the_usual_is_declared_ahead_of_its_route() -> None:
    permissions = module_file(files_of("rich"), "permissions")
    assert 'MOOR = "boats:moor"' in permissions
    assert 'Privilege(MOOR, "Moor boats.", reserved=True)' in permissions


def test_what_belongs_to_somebody_is_referred_to_by_who_may_see_it() -> None:
    service = module_file(files_of("rich"), "service")
    assert 'self.cranes.key_of(id, "crane_id", caller)' in service
    assert 'self.cranes.keys_of(data.winch_ids, "winch_ids", caller)' in service
    assert 'self.quays.key_of(id, "quay_id")' in service
    assert 'self.users.keys_of(data.pilot_ids, "pilot_ids")' in service
    assert 'self.key_of(id, "parent_id")' in service
    assert 'depends_on=("cranes", "quays", "users")' in module_file(files_of("rich"), "module")


def test_keys_and_uniqueness_are_in_the_table() -> None:
    models = module_file(files_of("rich"), "models")
    assert 'foreign_key="quays.pk", ondelete="RESTRICT"' in models
    assert 'foreign_key="cranes.pk", ondelete="SET NULL"' in models
    assert 'foreign_key="boats.pk", ondelete="CASCADE"' in models
    assert '"uq_boats_title_live"' in models
    assert '"uq_boats_quay_id_state_live"' in models
    assert 'taken("quay_id", "A boat with this quay and state exists already.")' in models
    assert 'live_index("ix_boats_live_made_on_id", "made_on", "id")' in models
    assert {f"class Boat{name}(SQLModel, table=True)" in models for name in ("Pilot", "Winch")} == {True}


def test_fields_hide_nothing_that_later_lines_need() -> None:
    attributes = [
        '{"name": "hidden", "type": "bool", "default": false}',
        '{"name": "replaced_whole", "type": "int", "default": 1}',
        '{"name": "code_word", "type": "string", "secret": true}',
        '{"name": "papers", "type": "json", "secret": true}',
        '{"name": "finite_filter", "type": "string"}',
        '{"name": "none", "type": "string"}',
        '{"name": "timeout_error", "type": "string"}',
    ]
    blueprint = read_it(f'[{{"name": "Boat", "table": "boats", "attributes": [{", ".join(attributes)}]}}]')
    files = formatted(render(blueprint.entities[0], blueprint), ROOT)
    models, schemas = (module_file(files, name) for name in ("models", "schemas"))
    assert "sa_column_kwargs=_hidden()" in models
    assert "hidden as _hidden" in models
    assert "replaced_whole as _replaced_whole" in models
    assert "BoatFiniteFilter = Annotated" in schemas
    assert "BoatNone = Annotated" in schemas
    assert "BoatTimeoutError = Annotated" in schemas


def test_entity_that_is_referred_to_must_be_in_the_blueprint() -> None:
    blueprint = read_it(f'[{TARGETS}, {{"name": "Boat", "table": "boats", {VARIANTS["rich"]}}}]')
    boat = blueprint.entities[-1]
    assert boat.name == "Boat"
    alone = type(blueprint)((boat,))
    with pytest.raises(KeyError, match="Quay"):
        render(boat, alone)
