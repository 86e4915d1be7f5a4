"""Whatever a file holds: it is a blueprint, or each line of what is told names a line of it. Nothing else happens."""

import json
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.config import ROOT
from blueprint_tool.reading import schema
from blueprint_tool.reading.faults import BlueprintFault
from blueprint_tool.reading.lines import JsonFault, parse
from tests.blueprint.blueprints import FILE, read_it

# The folder of the examples that hypothesis keeps is not ours to fill; the first run loads the program.
many = settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
LINE = re.compile(rf"{FILE}:([1-9][0-9]*): .+")
TARGETS = ["User", "Lamp", "Quay", "Wall"]
WORDS = st.sampled_from(
    ["a", "id", "title", "owner", "lamp", "quays", "walls", "Quay", "Wall", "x" * 40, "größe", ""]
)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | WORDS, inner, max_size=4)
    ),
    max_leaves=15,
)
values = scalars | st.sampled_from(
    ["1.50", 1.5, 0, "2025-01-31", "2025-01-31T12:00:00Z", "ada@example.com", "https://example.com"]
)


def objects(keys: Any, **known: Any) -> Any:
    """Objects that are nearly right: some keys fit, some are missing, some hold anything."""
    each = {name: known.get(name, st.booleans()) | documents for name in keys}
    return st.fixed_dictionaries({}, optional=each) | st.fixed_dictionaries(
        {name: known[name] for name in known if keys[name].required},
        optional={name: each[name] for name in keys if not keys[name].required},
    )


attributes = objects(
    schema.ATTRIBUTE,
    name=WORDS,
    type=st.sampled_from(schema.TYPES),
    default=values,
    min=values,
    max=values,
    max_length=st.integers(0, 300),
    precision=st.integers(0, 20),
    scale=st.integers(0, 20),
    choices=st.lists(WORDS, max_size=3),
)
relations = objects(
    schema.RELATION,
    name=WORDS,
    type=st.sampled_from(schema.RELATION_TYPES),
    target=st.sampled_from(TARGETS),
    on_delete=st.sampled_from(schema.ON_DELETE),
)
entities = objects(
    schema.ENTITY,
    name=st.sampled_from(TARGETS),
    table=WORDS,
    attributes=st.lists(attributes, max_size=3),
    relations=st.lists(relations, max_size=3),
    unique_together=st.lists(st.lists(WORDS, max_size=3), max_size=2),
    privileges=st.lists(
        WORDS | objects(schema.PRIVILEGE, action=WORDS, description=st.text(max_size=5)), max_size=2
    ),
)


def lines_told(text: str) -> list[str]:
    """What is told of a text; nothing, if it is a blueprint."""
    try:
        assert read_it(text).entities
    except BlueprintFault as refused:
        return refused.lines or ["refused without a word"]
    return []


def assert_read_or_refused(text: str) -> None:
    for line in lines_told(text):
        match = LINE.fullmatch(line)
        assert match is not None, line
        assert int(match[1]) <= text.count("\n") + 1


@many
@given(documents | st.lists(entities, max_size=3))
def test_any_document_is_read_or_refused_by_lines(document: Any) -> None:
    assert_read_or_refused(json.dumps(document, indent=1))


@many
@given(st.text(alphabet='[]{}",:\\ \n019.eE-+untrfalsé\x00', max_size=60))
def test_any_text_is_read_or_refused_by_lines(text: str) -> None:
    assert_read_or_refused(text)


@many
@given(st.data())
def test_file_with_one_sign_changed_is_read_or_refused_by_lines(data: st.DataObject) -> None:
    shop = (ROOT / "docs" / "examples" / "shop.json").read_text(encoding="utf-8")
    place = data.draw(st.integers(0, len(shop) - 1))
    sign = data.draw(st.characters(codec="utf-8") | st.sampled_from('"{}[],:0'))
    assert_read_or_refused(shop[:place] + sign + shop[place + 1 :])


@many
@given(documents)
def test_our_reader_of_json_reads_as_the_standard_one(document: Any) -> None:
    text = json.dumps(document, ensure_ascii=False)
    try:
        read = parse(text).plain
    except JsonFault:
        return  # beyond the standard: NaN, halves of pairs, numbers that no float keeps
    assert read == json.loads(text)
