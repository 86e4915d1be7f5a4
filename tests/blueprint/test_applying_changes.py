"""What a change of an entity asks of rows that are there: refused before anything is written, or demanded of them."""

import pytest

from blueprint_tool.applying.changing import demands, refusals
from blueprint_tool.applying.filling import fillings
from blueprint_tool.model import Entity
from tests.blueprint.blueprints import attribute, entity, only, relations

ENUM = '"type": "enum", "choices": [{}]'


def sized(options: str) -> Entity:
    """An entity whose attribute `size` has these type and options."""
    return only(attribute(options))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"type": "int"', '"type": "bigint"'),
        ('"type": "bigint"', '"type": "int"'),
        ('"type": "decimal"', '"type": "decimal", "scale": 4'),
        ('"type": "float"', '"type": "decimal"'),
        ('"type": "string"', '"type": "text"'),
        ('"type": "string"', '"type": "email"'),
        ('"type": "string"', ENUM.format('"a"')),
        ('"type": "bool"', '"type": "int"'),
        ('"type": "date"', '"type": "datetime"'),
    ],
)
def test_conversions_that_a_revision_can_do(old: str, new: str) -> None:
    assert list(refusals(sized(old), sized(new))) == []
    assert list(refusals(sized(new), sized(old))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"type": "uuid"', '"type": "string"'),
        ('"type": "json"', '"type": "text"'),
        ('"type": "text"', '"type": "date"'),
        ('"type": "bool"', '"type": "float"'),
        ('"type": "datetime"', '"type": "int"'),
    ],
)
def test_conversions_that_nobody_can_guess_are_refused(old: str, new: str) -> None:
    for one, other in ((old, new), (new, old)):
        (told,) = refusals(sized(one), sized(other))
        assert told.startswith("quays: size can't become ")
        assert "give it another name, or take it away in one run and add it in the next" in told


def test_relation_is_not_turned_to_another_table() -> None:
    """Its keys would be those of other rows."""
    for kind in ("many_to_one", "many_to_many"):
        old, new = (
            only(relations(f'{{"name": "one", "type": "{kind}", "target": "{target}"}}'))
            for target in ("Lamp", "Buoy")
        )
        (told,) = refusals(old, new)
        assert told.startswith("quays: one can't point to Buoy, its rows point to Lamp")
        assert list(refusals(old, old)) == []


def test_choices_that_are_gone_are_demanded_to_be_unused() -> None:
    old, new = sized(ENUM.format('"a", "b"')), sized(ENUM.format('"a", "c"'))
    assert demands(old, new) == [("size NOT IN ('a', 'c')", "have a size that is no choice any more")]
    assert demands(new, old) == [("size NOT IN ('a', 'b')", "have a size that is no choice any more")]
    assert demands(old, sized(ENUM.format('"b", "a", "d"'))) == []
    assert demands(sized('"type": "string"'), old) == [
        ("size NOT IN ('a', 'b')", "have a size that is no choice any more")
    ]


def test_rows_that_are_deleted_softly_do_not_come_back_to_life() -> None:
    soft, final = only(f"[{entity()}]"), only(f"""[{entity(more='"soft_delete": false')}]""")
    ((condition, _),) = demands(soft, final)
    assert condition == "deleted_at IS NOT NULL"
    assert demands(final, soft) == []


def test_searched_text_of_rows_is_empty_until_it_is_worked_out() -> None:
    found = fillings([sized('"type": "string", "searchable": true'), sized('"type": "string"')])
    assert found == {"quays": {"size": ""}}
    assert fillings([sized('"type": "string", "searchable": true')])["quays"] == {
        "size": "",
        "search_text": "",
    }
