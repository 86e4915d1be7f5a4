"""Objects of a blueprint by their keys: unknown ones, missing ones, and values of the wrong JSON type."""

from collections.abc import Callable, Mapping
from typing import Any

from blueprint_tool.reading.faults import Faults, nearest, shown
from blueprint_tool.reading.lines import Node
from blueprint_tool.reading.schema import Key

_IS: Mapping[str, Callable[[Any], bool]] = {
    "": lambda _: True,
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_CALLED = {
    "string": "a text",
    "boolean": "true or false",
    "integer": "a whole number",
    "array": "a list",
    "object": "an object",
}


def fields(node: Node, keys: Mapping[str, Key], faults: Faults) -> dict[str, Node]:
    """The known keys of an object whose values have the right type; everything else is told."""
    if not is_kind(node, "object", faults):
        return {}
    found, misspelt = {}, set()
    for name, value in node.value.items():
        if name not in keys:
            meant = nearest(name, keys.keys() - node.value.keys())
            misspelt.add(meant)
            faults.add(value, f"unknown key (did you mean {meant}?)" if meant else "unknown key")
        elif is_kind(value, keys[name].kind, faults):
            found[name] = value
    for name, key in keys.items():
        if key.required and name not in node.value and name not in misspelt:
            faults.add(node, f"{name} is missing")
    return found


def elements(node: Node | None, faults: Faults, most: int, what: str) -> list[Node]:
    """The elements of a list that may be left out; none where there are too many."""
    found: list[Node] = [] if node is None else node.value
    if node is not None and len(found) > most:
        faults.add(node, f"has {len(found)} {what}, at most {most} are possible")
        return []
    return found


def is_kind(node: Node, kind: str, faults: Faults) -> bool:
    """Whether a value has a JSON type; told where it has not."""
    if _IS[kind](node.value):
        return True
    faults.add(node, f"{_brief(node)} is not {_CALLED[kind]}")
    return False


def _brief(node: Node) -> str:
    if isinstance(node.value, dict):
        return "an object"
    return "a list" if isinstance(node.value, list) else shown(node.value)
