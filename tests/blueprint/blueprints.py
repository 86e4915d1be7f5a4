"""Blueprints to be read, written as one would write them; and some that are wrong, each with its one line."""

import json
from typing import Any

from blueprint_tool.existing import Existing
from blueprint_tool.model import Attribute, Blueprint, Entity
from blueprint_tool.reading.document import read_text

FILE = "entities.json"
THERE = (
    Existing("core", tables=frozenset({"audit_change"})),
    Existing("users", "/users", {"User": "users"}, frozenset({"users"}), ("roles",)),
    Existing("roles", "/roles", {"Role": "roles"}, frozenset({"roles", "user_roles"})),
    Existing(
        "lamps",
        "/beacon-lights",
        {"Lamp": "lamps"},
        frozenset({"lamps", "lamp_bulbs"}),
        ("users",),
        is_generated=True,
        operations=frozenset({"read_tide_table"}),
        classes=frozenset({"Lamp", "LampRead", "SeasonOwnerRef"}),
        identifiers=frozenset({"lamps", "pk_lamps", "uq_lamps_id", "ix_quays_live_depth_id"}),
    ),
    Existing("docks", "/docks", {"Dock": "docks"}, frozenset({"docks"})),
    Existing("buoys", "/buoys", {"Buoy": "buoys"}, frozenset({"buoys"}), ("wharfs",), is_generated=True),
)
ATTRIBUTE = '{"name": "title", "type": "string"}'


def entity(attributes: str = ATTRIBUTE, more: str = "", name: str = "Quay", table: str = "quays") -> str:
    """An entity in three lines: its names, its attributes, the rest."""
    rest = f",\n{more}" if more else ""
    return f'{{"name": "{name}", "table": "{table}",\n"attributes": [{attributes}]{rest}}}'


def attribute(options: str) -> str:
    """A blueprint whose second line has one attribute with these type and options."""
    return f'[{entity(f"""{{"name": "size", {options}}}""")}]'


def relations(*relations: str) -> str:
    """A blueprint whose third line has these relations."""
    return f'[{entity(more=f""""relations": [{", ".join(relations)}]""")}]'


def read_it(text: str) -> Blueprint:
    return read_text(text, FILE, THERE)


def only(text: str) -> Entity:
    """The one entity of a blueprint."""
    (found,) = read_it(text).entities
    return found


def only_attribute(options: str) -> Attribute:
    """The one attribute, with this type and these options."""
    (found,) = only(attribute(options)).attributes
    return found


def document(text: str) -> Any:
    return json.loads(text)
