"""Values that attributes allow, and three rows that may live side by side; where there is no room, that is told."""

from itertools import combinations
from typing import Any

import pytest

from blueprint_tool.model import Entity
from blueprint_tool.reading.faults import BlueprintFault
from blueprint_tool.variety import rows, values
from tests.blueprint.blueprints import FILE, entity, only, only_attribute, read_it

FLAG = '{{"name": "{}", "type": "bool"{}}}'


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ('"type": "enum", "choices": ["b", "a"]', ["b", "a"]),
        ('"type": "bool"', [True, False]),
        ('"type": "int", "min": 5, "max": 5', [5]),
        ('"type": "int", "min": 5, "max": 6', [5, 6]),
        ('"type": "int", "max": 6', [4, 5, 6]),
        ('"type": "int", "max": -2147483647', [-(2**31), -(2**31) + 1]),
        ('"type": "string", "max_length": 1', ["A", "B", "C"]),
        ('"type": "float", "min": 2, "max": 2', [2.0]),
        ('"type": "float", "min": 1, "max": 3', [1.0, 2.0, 3.0]),
    ],
)
def test_values(options: str, expected: list[Any]) -> None:
    assert values(only_attribute(options)) == expected


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ('"type": "decimal", "min": "1.00", "max": "1.01"', 2),
        ('"type": "decimal", "min": "1.00", "max": "1.02"', 3),
        ('"type": "date", "min": "9999-12-31"', 1),
        ('"type": "date", "max": "0001-01-02"', 2),
        ('"type": "datetime", "min": "2026-01-01T00:00:00Z", "max": "2026-01-01T00:00:00.000001Z"', 2),
        ('"type": "datetime", "min": "2026-01-01T00:00:00Z", "max": "2026-01-01T00:00:01Z"', 3),
        ('"type": "float", "min": 1, "max": 1.0000000000000002', 2),
        ('"type": "float", "min": 1e300', 3),
        ('"type": "float", "max": -1.7976931348623157e308', 1),
        ('"type": "uuid"', 3),
        ('"type": "json"', 3),
    ],
)
def test_as_many_values_as_there_are(options: str, count: int) -> None:
    found = values(only_attribute(options))
    assert len(found) == count
    assert all(one not in found[:place] for place, one in enumerate(found))


def flags(*names: str, more: str = "") -> str:
    return ", ".join(FLAG.format(name, more) for name in names)


def groups(*groups: str) -> str:
    return f'"unique_together": [{", ".join(groups)}]'


def assert_get_along(made: Entity) -> None:
    """Whatever is unique is another one in each row, or empty; and the first row is full."""
    three = rows(made)
    assert three is not None
    assert None not in three[0].values()
    keys = [(one.name,) for one in made.attributes if one.unique] + list(made.unique_together)
    for key in keys:
        for one, other in combinations(three, 2):
            left, right = ([row[name] for name in key] for row in (one, other))
            assert left != right or None in left, key


@pytest.mark.parametrize(
    "made",
    [
        entity('{"name": "size", "type": "int", "min": 1, "max": 3, "unique": true}'),
        entity(
            '{"name": "kind", "type": "enum", "choices": ["chief"], "unique": true, "nullable": true},'
            '{"name": "rank", "type": "enum", "choices": ["a", "b"], "unique": true, "nullable": true}'
        ),
        entity(flags("a", "b"), groups('["a", "b"]')),
        entity(flags("a", "b", "c"), groups('["a", "b"]', '["b", "c"]', '["a", "c"]')),
        entity(flags("a", "b", "c", "d"), groups('["a", "b", "c"]', '["b", "c", "d"]', '["a", "d"]')),
        entity(flags("a") + ", " + flags("b", more=', "nullable": true'), groups('["a", "b"]')),
        entity(
            flags("a") + ', {"name": "kind", "type": "enum", "choices": ["x", "y", "z"]}',
            groups('["a", "kind"]'),
        ),
    ],
)
def test_three_rows_get_along(made: str) -> None:
    assert_get_along(only(f"[{made}]"))


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (
            entity('{"name": "kind", "type": "enum", "choices": ["x", "y"],\n"unique": true}'),
            "3: attributes[0].unique: leaves room for 2 rows only: at least 3 values are needed, or nullable",
        ),
        (
            entity('{"name": "size", "type": "int", "min": 7, "max": 7,\n"unique": true}'),
            "3: attributes[0].unique: leaves room for one row only: at least 3 values are needed, or nullable",
        ),
        (
            entity(
                flags("a") + ', {"name": "size", "type": "int", "min": 7, "max": 7}', groups('["a", "size"]')
            ),
            "3: unique_together[0]: these fields differ in fewer than 3 rows: too few for something unique",
        ),
        (
            entity(
                flags("a", "b", "c", "d"),
                groups('["a", "b"]', '["a", "c"]', '["a", "d"]', '["b", "c"]', '["b", "d"]', '["c", "d"]'),
            ),
            "3: unique_together: all of this together leaves room for fewer than 3 rows",
        ),
    ],
)
def test_too_little_room_is_refused(made: str, fault: str) -> None:
    with pytest.raises(BlueprintFault) as refused:
        read_it(f"[{made}]")
    assert refused.value.lines == [f"{FILE}:{fault}"]


def test_owners_and_references_make_room() -> None:
    owned = only(f'[{entity(flags("a"), groups("""["owner_id", "a"]""") + ", " + """"owned": true""")}]')
    assert rows(owned) is not None
    reference = '"relations": [{"name": "lamp", "type": "many_to_one", "target": "User"}]'
    referring = only(f'[{entity(flags("a"), groups("""["lamp_id", "a"]""") + f", {reference}")}]')
    assert rows(referring) is not None
