"""Blueprints that are wrong: each gets one line, which names the line of the file and the field."""

import json
import re
from pathlib import Path

import pytest

from blueprint_tool.reading.faults import BlueprintFault
from blueprint_tool.reading.lines import JsonFault, parse
from tests.blueprint.blueprints import FILE, attribute, entity, read_it

CASES = (Path(__file__).parent / "wrong_blueprints.txt").read_text(encoding="utf-8")
# `=== ` and the line that is told; below it the file, up to the next one. Titles of groups begin with `# `.
WRONG = [
    (text.strip("\n"), line)
    for line, text in re.findall(r"^=== (.+)\n((?:(?!=== |# ).*\n)+)", CASES, re.MULTILINE)
]


BREAKS = "x\\n" * 300


def told(text: str) -> list[str]:
    with pytest.raises(BlueprintFault) as refused:
        read_it(text)
    return refused.value.lines


@pytest.mark.parametrize(("text", "line"), WRONG, ids=[line[:70] for _, line in WRONG])
def test_wrong_blueprint_gets_one_clear_line(text: str, line: str) -> None:
    assert told(text) == [line]


def test_the_cases_are_really_there() -> None:
    assert len(WRONG) == len(re.findall("^===", CASES, re.MULTILINE)) > 150


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    attributes = '{"name": "a", "type": "int", "default": "ten"},\n{"name": "b", "typ": "int"}'
    text = entity(attributes, more='"ownd": 1')
    assert told(f"[{text}]") == [
        f'{FILE}:2: attributes[0].default: "ten" is no whole number',
        f"{FILE}:3: attributes[1].typ: unknown key (did you mean type?)",
        f"{FILE}:4: ownd: unknown key (did you mean owned?)",
    ]


def test_messages_are_short_and_of_one_line() -> None:
    (said,) = told(attribute(f'"type": "{BREAKS}"'))
    assert len(said) < 250
    assert said.isprintable()


@pytest.mark.parametrize("text", [text for text, _ in WRONG])
def test_our_reader_of_json_reads_as_the_standard_one(text: str) -> None:
    try:
        read = parse(text).plain
    except JsonFault:
        return  # refused by both, or by ours alone, as the cases above tell
    assert read == json.loads(text)
