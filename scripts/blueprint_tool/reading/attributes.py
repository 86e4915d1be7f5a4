"""Attributes of an entity, read and checked: their names, the options that fit their type, and their values."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from app.core.decimals import MAX_PRECISION
from blueprint_tool import names, reserved
from blueprint_tool.model import Attribute, AttributeType
from blueprint_tool.reading import schema
from blueprint_tool.reading.faults import Faults, question, shown
from blueprint_tool.reading.lines import Node
from blueprint_tool.reading.shapes import fields, is_kind
from blueprint_tool.reading.values import WrongValue, read_value
from blueprint_tool.variety import LEAST_LENGTHS, ROWS, values

FLAGS = ("nullable", "unique", "index", "searchable", "sortable", "filterable", "secret")
_LIMITS = ("min", "max")
_CHOICE = re.compile(schema.CHOICE)
# What an index and a cursor hold, in bytes, and how many of them a character may need.
_ROOM = {"unique": 2600, "index": 2600, "sortable": 1300}
_BYTES = {"string": 4, "email": 1, "url": 1}  # the latter two are ASCII, but for rare mailboxes


def attribute(node: Node, faults: Faults) -> Attribute | None:
    """The attribute, or None where it has faults, all of which are told."""
    before = len(faults.found)
    given = fields(node, schema.ATTRIBUTE, faults)
    _check_name(given, faults)
    kind = one_of(given.get("type"), schema.TYPES, faults)
    if kind is None or len(faults.found) > before:
        return None
    options = {name: part for name, part in given.items() if not _says_no(name, part)}
    _check_fit(kind, options, faults)
    made = _plain(kind, given, faults)
    if len(faults.found) > before:
        return None
    made = _with_values(made, given, faults)
    _check_room(made, options, faults)
    return made if len(faults.found) == before else None


def is_older_id(node: Node) -> bool:
    """Whether this is the older form's key, which every entity has anyway."""
    return (
        isinstance(node.value, dict) and {"name": "id", "primary_key": True}.items() <= _scalars(node).items()
    )


def check_older_id(node: Node, faults: Faults) -> None:
    """The older form's key has a type, and is never empty."""
    given = fields(node, schema.ATTRIBUTE, faults)
    one_of(given.get("type"), schema.TYPES, faults)
    if "nullable" in given and given["nullable"].value:
        faults.add(given["nullable"], "the id can't be empty")


def one_of(node: Node | None, known: tuple[str, ...], faults: Faults) -> str | None:
    """The word, if it is one of these."""
    if node is None or node.value in known:
        return None if node is None else str(node.value)
    faults.add(node, f"{shown(node.value)} is none of {', '.join(known)}{question(node.value, known)}")
    return None


def _scalars(node: Node) -> dict[str, Any]:
    return {name: part.value for name, part in node.value.items() if not isinstance(part.value, dict | list)}


def _says_no(option: str, node: Node) -> bool:
    """A flag that is false fits every type."""
    return schema.ATTRIBUTE[option].kind == "boolean" and not node.value


def _check_name(given: Mapping[str, Node], faults: Faults) -> None:
    name, key = given.get("name"), given.get("primary_key")
    if key is not None and key.value:
        faults.add(
            key, "only an attribute called id can be the primary key; every entity has that one anyway"
        )
    elif name is not None and (fault := names.attribute_fault(name.value)):
        faults.add(name, f"{shown(name.value)} {fault}")


def _check_fit(kind: str, options: Mapping[str, Node], faults: Faults) -> None:
    if kind in schema.NO_IDS and (name := options["name"]).value.endswith("_id"):
        faults.add(
            name, f"{shown(name.value)} ends as ids do, which are texts: as {kind} call it another way"
        )
    for option, kinds in schema.FITTING.items():
        if option in options and kind not in kinds:
            faults.add(options[option], f"does not fit the type {kind}, only {', '.join(kinds)}")
    if "secret" in options:
        for option in schema.NOT_SECRET:
            if option in options:
                faults.add(
                    options[option], "does not go with secret: such a value is written and never shown"
                )
    if "filterable" in options and (name := options["name"]).value in reserved.LIST_PARAMETERS:
        faults.add(options["filterable"], f"lists have a parameter or a member {name.value} already")


def _plain(kind: str, given: Mapping[str, Node], faults: Faults) -> Attribute:
    """The attribute without those values that depend on its type."""
    flags = {flag: given[flag].value for flag in FLAGS if flag in given}
    precision = _number(given.get("precision"), 18, 1, MAX_PRECISION, faults)
    scale = _number(given.get("scale"), 2, 0, MAX_PRECISION, faults)
    if scale > precision:
        faults.add(
            given.get("scale") or given["precision"], f"scale ({scale}) is more than precision ({precision})"
        )
    longest = schema.MAX_LENGTHS.get(kind)
    length = None
    if longest is not None:
        least = LEAST_LENGTHS.get(kind, 1)
        length = _number(given.get("max_length"), schema.LENGTHS[kind], least, longest, faults)
    return Attribute(
        name=given["name"].value,
        type=cast("AttributeType", kind),
        precision=precision,
        scale=scale,
        max_length=length,
        choices=_choices(kind, given, faults),
        **flags,
    )


def _number(node: Node | None, default: int, least: int, greatest: int, faults: Faults) -> int:
    if node is None:
        return default
    value: int = node.value
    if not least <= value <= greatest:
        faults.add(node, f"{value} is out of the range of {least} to {greatest}")
        return default
    return value


def _choices(kind: str, given: Mapping[str, Node], faults: Faults) -> tuple[str, ...]:
    node = given.get("choices")
    if kind != "enum" or node is None:
        if kind == "enum":
            faults.add(given["type"], "an enum needs choices")
        return ()
    if not 1 <= len(node.value) <= schema.MAX_CHOICES:
        faults.add(node, f"has {len(node.value)} choices, 1 to {schema.MAX_CHOICES} are possible")
        return ()
    found: list[str] = []
    for part in node.value:
        if not is_kind(part, "string", faults):
            continue
        if not _CHOICE.fullmatch(part.value):
            faults.add(
                part, f"{shown(part.value)} is no choice: at most 63 letters, digits, spaces and _ . + / -"
            )
        elif part.value in found:
            faults.add(part, f"{shown(part.value)} stands twice")
        found.append(part.value)
    return tuple(found)


def _with_values(made: Attribute, given: Mapping[str, Node], faults: Faults) -> Attribute:
    """The same with default, min and max."""
    before = len(faults.found)
    read: dict[str, Any] = {}
    for option in (*_LIMITS, "default"):
        node = given.get(option)
        if node is None:
            continue
        if node.value is None and option == "default" and made.nullable:
            continue  # empty is what a nullable attribute is anyway
        try:
            read[option] = read_value(node, made)
        except WrongValue as error:
            faults.add(node, str(error))
    if len(faults.found) > before:
        return made
    least, greatest, default = (read.get(option) for option in (*_LIMITS, "default"))
    if least is not None and greatest is not None and least > greatest:
        faults.add(given["min"], f"min ({least}) is greater than max ({greatest})")
    elif default is not None and least is not None and default < least:
        faults.add(given["default"], f"{shown(given['default'].plain)} is less than min ({least})")
    elif default is not None and greatest is not None and default > greatest:
        faults.add(given["default"], f"{shown(given['default'].plain)} is greater than max ({greatest})")
    return replace(made, has_default="default" in read, **read)


def _check_room(made: Attribute, options: Mapping[str, Node], faults: Faults) -> None:
    """A long text fits neither into an index nor into the cursor of a list; and few values can't be unique for long."""
    each = _BYTES.get(made.type)
    for option, room in _ROOM.items():
        if option in options and each and made.max_length and made.max_length * each > room:
            faults.add(
                options[option], f"needs a max_length of at most {room // each}, here it is {made.max_length}"
            )
    if made.unique and not made.nullable and (room := len(values(made))) < ROWS:
        faults.add(
            options["unique"],
            f"leaves room for {_rows(room)} only: at least {ROWS} values are needed, or nullable",
        )


def _rows(count: int) -> str:
    return "one row" if count == 1 else f"{count} rows"
