"""The JSON Schema for editors: as the code says, and of the reader's opinion wherever one place tells."""

import json
import os

import pytest

from app.core.config import ROOT
from blueprint_tool.reading.lines import JsonFault, parse
from blueprint_tool.reading.schema import document
from tests.blueprint.blueprints import ATTRIBUTE, attribute, entity, relations
from tests.blueprint.schema_check import Validator
from tests.blueprint.test_reading_faults import WRONG

PATH = ROOT / "docs" / "blueprint.schema.json"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"
OLDER_ID = '{"name": "id", "type": "int", "primary_key": true, "nullable": false}, '
VALIDATOR = Validator(document())
# What compares two places, or a value with more than its JSON type, is the reader's alone.
BEYOND = (
    "collides with",
    "in a circle",
    "is there already",
    "of an entity above",
    "is what a class of",
    "there is no entity",
    "own table needs",
    "own name",
    "would be called",
    "would be a name",
    "would be the name of two things",
    "would be called as one of",
    "which was written by hand: relations",
    "no field that can be unique",
    "these fields stand",
    "stands twice",
    "is more than precision",
    "is greater than",
    "is less than",
    "needs a max_length",
    "have a parameter",
    "attributes[0].default: ",
    "attributes[0].min: ",
    "beside the id",
    "in Python or in this program",
    "that the code of every module uses",
    "would hide something else",
    "would take its code for tests",
)


def test_schema_is_as_the_code_says() -> None:
    text = json.dumps(document(), indent=2) + "\n"
    if UPDATE:
        PATH.write_text(text, encoding="utf-8")
    assert PATH.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "text",
    [
        (ROOT / "docs" / "examples" / "shop.json").read_text(encoding="utf-8"),
        f"[{entity()}, {entity(name='Wall', table='walls')}]",
        attribute('"type": "decimal", "default": "1.5", "min": 0, "searchable": false, "primary_key": false'),
        attribute('"type": "int", "nullable": true, "default": null'),
        attribute('"type": "enum", "choices": ["in progress", "C++"], "searchable": true'),
        relations(
            '{"name": "user", "type": "many_to_one", "target": "User", "nullable": true, "on_delete": "set_null"}'
        ),
        relations('{"name": "user", "type": "many_to_many", "target": "User"}'),
        f"""[{entity(more='"privileges": ["close", {"action": "dredge", "description": "Dredge it."}]')}]""",
        f"[{entity(OLDER_ID + ATTRIBUTE)}]",
    ],
)
def test_what_is_read_is_accepted(text: str) -> None:
    assert VALIDATOR.accepts(json.loads(text))


def test_what_is_wrong_in_one_place_is_refused() -> None:
    accepted = []
    for text, line in WRONG:
        try:
            plain = parse(text).plain
        except JsonFault:
            continue  # no editor asks a schema about it
        if VALIDATOR.accepts(plain) and not any(words in line for words in BEYOND):
            accepted.append(line)
    assert accepted == []


def test_most_of_what_is_wrong_is_refused() -> None:
    refused = [text for text, _ in WRONG if not _is_accepted(text)]
    assert len(refused) > len(WRONG) * 2 / 3


def _is_accepted(text: str) -> bool:
    try:
        return VALIDATOR.accepts(parse(text).plain)
    except JsonFault:
        return False
