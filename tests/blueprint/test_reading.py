"""Blueprints that are right, and what becomes of them."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.core.config import ROOT
from blueprint_tool.existing import Existing, existing_modules
from blueprint_tool.reading.document import MAX_BYTES, read, read_text
from blueprint_tool.reading.faults import BlueprintFault
from tests.blueprint.blueprints import THERE, attribute, entity, only, only_attribute, read_it, relations
from tests.documents import blocks_of

SHOP = ROOT / "docs" / "examples" / "shop.json"
OLDER = """{"name": "Quay", "table": "quays", "attributes": [
    {"name": "id", "type": "int", "primary_key": true, "nullable": false},
    {"name": "title", "type": "string", "nullable": false}
]}"""


def test_shipped_blueprint_is_right_beside_the_modules_that_are_there() -> None:
    shop = read(SHOP, existing_modules(ROOT))
    assert [one.name for one in shop.entities] == ["Customer", "Product", "Task"]
    task = shop.entities[2]
    assert [(one.field, one.target_module) for one in task.relations] == [
        ("customer_id", shop.entities[0].module),
        ("assignee_id", "users"),
        ("product_ids", shop.entities[1].module),
    ]
    assert [one.source for one in shop.entities] == json.loads(SHOP.read_text(encoding="utf-8"))


def test_example_of_the_guide_is_right() -> None:
    guide = (ROOT / "docs" / "BLUEPRINT_GUIDE.md").read_text(encoding="utf-8")
    (example,) = (block for block in blocks_of(guide) if block.mark == "example")
    made = only(example.text)
    assert f"becomes the module `{made.module}` below `/api/v1{made.path}`" in guide
    for action in ("read", "create", "update", "delete", "purge"):
        assert f"`{made.module}:{action}`" in guide


def test_contract_of_names() -> None:
    made = only(f"[{entity(name='QuayWall', table='quay_walls')}]")
    assert (made.module, made.path) == ("quay_walls", "/quay-walls")


def test_what_is_left_out_has_its_default() -> None:
    made = only(f"[{entity()}]")
    assert (made.owned, made.soft_delete, made.unique_together, made.privileges) == (False, True, (), ())
    (title,) = made.attributes
    assert (title.nullable, title.unique, title.has_default, title.max_length) == (False, False, False, 255)


def test_older_form_is_accepted_as_it_stands() -> None:
    made = only(f"[{OLDER}]")
    assert [one.name for one in made.attributes] == ["title"]
    assert [one["name"] for one in made.source["attributes"]] == ["title"]


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ('"type": "int", "default": -2147483648', -(2**31)),
        ('"type": "bigint", "default": 9223372036854775807', 2**63 - 1),
        ('"type": "float", "default": 1', 1.0),
        ('"type": "float", "default": -1.5e-3', -0.0015),
        ('"type": "decimal", "default": "12.5"', Decimal("12.50")),
        ('"type": "decimal", "default": 0.1', Decimal("0.10")),
        ('"type": "decimal", "default": "9999999999999999.99"', Decimal("9999999999999999.99")),
        (
            '"type": "decimal", "precision": 18, "scale": 18, "default": "0.000000000000000001"',
            Decimal("1E-18"),
        ),
        ('"type": "bool", "default": false', False),
        ('"type": "string", "default": ""', ""),
        ('"type": "string", "default": "\\"\\\\ \'; DROP TABLE x"', "\"\\ '; DROP TABLE x"),
        ('"type": "text", "default": "two\\nlines"', "two\nlines"),
        ('"type": "date", "default": "2024-02-29"', date(2024, 2, 29)),
        ('"type": "datetime", "default": "2025-01-31T12:00:00+02:00"', datetime(2025, 1, 31, 10, tzinfo=UTC)),
        (
            '"type": "uuid", "default": "018f3e2a-0000-7000-8000-00000000000a"',
            UUID(int=0x018F3E2A00007000800000000000000A),
        ),
        ('"type": "json", "default": {"a": [1, null, "b"]}', {"a": [1, None, "b"]}),
        ('"type": "email", "default": " Ada@Example.com"', "ada@example.com"),
        ('"type": "url", "default": "https://example.com/a"', "https://example.com/a"),
        ('"type": "enum", "choices": ["in progress", "C++"], "default": "C++"', "C++"),
    ],
)
def test_default_is_of_the_python_type(options: str, value: Any) -> None:
    made = only_attribute(options)
    assert made.has_default
    assert (type(made.default), made.default) == (type(value), value)


def test_null_is_no_default() -> None:
    assert not only_attribute('"type": "int", "nullable": true, "default": null').has_default


def test_limits_are_of_the_python_type() -> None:
    made = only_attribute('"type": "decimal", "scale": 1, "min": 0, "max": "9.5"')
    assert (made.min, made.max) == (Decimal("0.0"), Decimal("9.5"))


@pytest.mark.parametrize(
    "options",
    [
        '"type": "int", "searchable": false, "secret": false, "primary_key": false',
        '"type": "string", "secret": true, "nullable": true',
        '"type": "email", "unique": true, "searchable": true, "sortable": true, "filterable": true',
        '"type": "url", "max_length": 1300, "unique": true, "sortable": true',
        '"type": "datetime", "index": true, "min": "2000-01-01T00:00:00Z"',
        '"type": "enum", "choices": ["a"], "searchable": true, "index": true',
        '"type": "text", "max_length": 100000, "searchable": true',
    ],
)
def test_options_that_fit_are_accepted(options: str) -> None:
    assert only_attribute(options).name == "size"


def test_relations_find_their_targets() -> None:
    made = only(
        relations(
            '{"name": "lamp", "type": "many_to_one", "target": "Lamp"}',
            '{"name": "user", "type": "many_to_one", "target": "User", "nullable": true, "on_delete": "set_null"}',
            '{"name": "above", "type": "many_to_one", "target": "Quay", "nullable": true, "on_delete": "cascade"}',
            '{"name": "warden", "type": "many_to_many", "target": "User"}',
        )
    )
    assert [(one.field, one.target_table, one.on_delete) for one in made.relations] == [
        ("lamp_id", "lamps", "restrict"),
        ("user_id", "users", "set_null"),
        ("above_id", made.table, "cascade"),
        ("warden_ids", "users", "restrict"),
    ]


def test_fields_are_unique_together_under_the_names_of_bodies() -> None:
    made = only(
        f"""[{
            entity(
                more='"owned": true, "relations": [{"name": "lamp", "type": "many_to_one", "target": "Lamp"}],'
                '"unique_together": [["title", "lamp"], ["owner", "title"], ["lamp_id", "owner_id"]]'
            )
        }]"""
    )
    assert made.unique_together == (("title", "lamp_id"), ("owner_id", "title"), ("lamp_id", "owner_id"))


def test_privilege_has_an_action_and_is_told() -> None:
    made = only(
        f"""[{entity(more='"privileges": ["close", {"action": "dredge", "description": "Dredge it."}]')}]"""
    )
    assert [(one.action, one.description) for one in made.privileges] == [
        ("close", "Close quays."),
        ("dredge", "Dredge it."),
    ]


def test_module_that_was_generated_is_read_again_and_keeps_its_needs_to_the_file() -> None:
    text = f"[{entity(name='Buoy', table='buoys')}, {entity(name='Wharf', table='wharfs', more=BUOY)}]"
    assert [one.name for one in read_it(text).entities] == ["Buoy", "Wharf"]


BUOY = '"relations": [{"name": "buoy", "type": "many_to_one", "target": "Buoy"}]'


def test_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "made.json"
    path.write_bytes(b"\xef\xbb\xbf" + f"[{entity()}]".encode())
    assert len(read(path, THERE).entities) == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, ": there is no such file"),
        (b'[\n"\xff"]', ":2: is not UTF-8"),
        (b"[" + b" " * MAX_BYTES, f": is larger than {MAX_BYTES} bytes"),
        (b"", ":1: column 1: a value is expected here"),
    ],
)
def test_file_that_can_not_be_read_is_told(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "made.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BlueprintFault) as refused:
        read(path, THERE)
    assert refused.value.lines == [f"{path}{told}"]


def test_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BlueprintFault) as refused:
        read(tmp_path)
    assert refused.value.lines == [f"{tmp_path}: can't be read: Is a directory"]


def test_modules_are_read_from_their_files() -> None:
    found = {one.module: one for one in existing_modules(ROOT)}
    assert found["users"].entities == {"User": "users"}
    assert found["users"].depends_on == ("roles",)
    assert "sessions" in found["auth"].tables
    assert "audit_change" in found["core"].tables
    assert found["roles"].path == "/roles"
    assert {"list_roles", "create_role"} <= found["roles"].operations
    assert not found["roles"].is_generated


def test_module_with_a_memory_was_generated_and_a_broken_file_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "app" / "modules" / "quays"
    folder.mkdir(parents=True)
    (folder / "module.py").write_text("MODULE = Module(resources=(Resource(model=Quay),))")
    (folder / "models.py").write_text('class Quay(Entity, table=True):\n    __tablename__ = "quays"\n')
    (folder / "service.py").write_text("def (:")
    (folder / "blueprint.json").write_text("{}")
    found = existing_modules(tmp_path)[1]
    assert (found.path, found.entities, found.is_generated) == ("/quays", {"Quay": "quays"}, True)


def test_broken_circle_of_modules_that_are_there_is_not_the_blueprints_fault() -> None:
    there = (Existing("locks", depends_on=("gates",)), Existing("gates", depends_on=("locks",)))
    assert read_text(f"[{entity()}]", "made.json", there).entities[0].name == "Quay"


def test_attribute_of_the_older_form_may_say_that_it_is_no_key() -> None:
    assert only(attribute('"type": "int", "primary_key": false')).attributes[0].type == "int"
