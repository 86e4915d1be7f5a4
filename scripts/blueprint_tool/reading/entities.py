"""Entities of a blueprint, read and checked: their names, their fields together, and their privileges."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from blueprint_tool import names
from blueprint_tool.identifiers import Identifier, identifiers
from blueprint_tool.model import Attribute, Entity, Privilege
from blueprint_tool.reading import schema
from blueprint_tool.reading.attributes import attribute, check_older_id, is_older_id
from blueprint_tool.reading.faults import Faults, question, shown
from blueprint_tool.reading.lines import Node
from blueprint_tool.reading.relations import Target, relation
from blueprint_tool.reading.shapes import elements, fields, is_kind
from blueprint_tool.variety import ROWS, rows

_DESCRIPTION = re.compile(schema.DESCRIPTION)
_MAX_PRIVILEGES = 20
_MAX_GROUPS = 10
_LEAST_TOGETHER = 2
_OWNER = ("owner", "owner_id", "owner_pk")


def entity(node: Node, targets: Mapping[str, Target], faults: Faults) -> Entity | None:
    """The entity, or None where it has faults, all of which are told. `targets`: what its relations may point to."""
    before = len(faults.found)
    given = fields(node, schema.ENTITY, faults)
    _check_names(given, faults)
    attributes = _attributes(given.get("attributes"), faults)
    own = str(given["name"].value) if "name" in given else ""
    relations = [
        relation(part, own, targets, faults)
        for part in elements(given.get("relations"), faults, schema.MAX_RELATIONS, "relations")
    ]
    is_owned = "owned" in given and given["owned"].value
    _check_collisions(given, is_owned=is_owned, faults=faults)
    table = str(given["table"].value) if "table" in given else ""
    privileges = _privileges(given.get("privileges"), table, faults)
    if len(faults.found) > before:
        return None
    made = Entity(
        name=own,
        table=table,
        attributes=tuple(one for one in attributes if one is not None),
        relations=tuple(one for one in relations if one is not None),
        owned=is_owned,
        soft_delete=given["soft_delete"].value if "soft_delete" in given else True,
        privileges=privileges,
        source=_source(node),
    )
    made = replace(made, unique_together=_together(given.get("unique_together"), made, faults))
    if len(faults.found) == before:
        _check_variety(given, made, faults)
    _check_lengths(given, made, faults)
    return made if len(faults.found) == before else None


def _source(node: Node) -> dict[str, Any]:
    """What is remembered: the entity as it was written, without the older form's id."""
    attributes = [part.plain for part in node.value["attributes"].value if not is_older_id(part)]
    return {**node.plain, "attributes": attributes}


def _check_names(given: Mapping[str, Node], faults: Faults) -> None:
    for key, fault_of in (("name", names.entity_fault), ("table", names.table_fault)):
        if key in given and (fault := fault_of(given[key].value)):
            faults.add(given[key], f"{shown(given[key].value)} {fault}")


def _attributes(node: Node | None, faults: Faults) -> list[Attribute | None]:
    found = elements(node, faults, schema.MAX_ATTRIBUTES + 1, "attributes")
    older = [part for part in found if is_older_id(part)]
    for part in older[:1]:
        check_older_id(part, faults)
    for part in older[1:]:
        faults.add(part, '"id" stands twice')
    if node is not None and len(node.value) == len(older):
        faults.add(node, "has no attribute beside the id")
    return [attribute(part, faults) for part in found if part not in older]


def _check_collisions(given: Mapping[str, Node], *, is_owned: bool, faults: Faults) -> None:
    """Names that two things would share, in bodies, answers or columns."""
    taken = dict.fromkeys(_OWNER, "what owned adds") if is_owned else {}
    for node, own, what in _named_parts(given):
        other = next((taken[name] for name in own if name in taken), None)
        if other is not None:
            faults.add(node, f"{shown(node.value)} collides with {other}")
        taken.update({name: what for name in own if name not in taken})


def _named_parts(given: Mapping[str, Node]) -> Iterator[tuple[Node, tuple[str, ...], str]]:
    """Names that are right by themselves, with the fields and columns that they make."""
    for part in given["attributes"].value if "attributes" in given else []:
        name = _name_of(part)
        if name is not None and names.attribute_fault(name.value) is None:
            yield name, (name.value,), f"the attribute {name.value}"
    for part in given["relations"].value if "relations" in given else []:
        name = _name_of(part)
        if name is not None and names.relation_fault(name.value) is None:
            ends = ("", "_id", "_pk", "_ids")
            yield name, tuple(f"{name.value}{end}" for end in ends), f"the relation {name.value}"


def _name_of(node: Node) -> Node | None:
    name = node.value.get("name") if isinstance(node.value, dict) else None
    return name if name is not None and isinstance(name.value, str) else None


def _privileges(node: Node | None, table: str, faults: Faults) -> tuple[Privilege, ...]:
    found: dict[str, Privilege] = {}
    for part in elements(node, faults, _MAX_PRIVILEGES, "privileges"):
        action, description = _privilege(part, faults)
        if action is None:
            continue
        if fault := names.action_fault(action.value):
            faults.add(action, f"{shown(action.value)} {fault}")
        elif action.value in found:
            faults.add(action, f"{shown(action.value)} stands twice")
        told = f"{names.words(action.value).capitalize()} {names.words(table)}."
        found[action.value] = Privilege(action.value, description.value if description else told)
    return tuple(found.values())


def _privilege(node: Node, faults: Faults) -> tuple[Node | None, Node | None]:
    """Action and description; a text alone is an action."""
    if isinstance(node.value, str):
        return node, None
    given = fields(node, schema.PRIVILEGE, faults)
    description = given.get("description")
    if description is not None and not _DESCRIPTION.fullmatch(description.value):
        faults.add(description, "is one line of at most 200 characters, without < > ` | and backslashes")
    return given.get("action"), description


def _together(node: Node | None, made: Entity, faults: Faults) -> tuple[tuple[str, ...], ...]:
    """Groups of fields, as bodies call them."""
    known = _fields_by_word(made)
    found: list[tuple[str, ...]] = []
    for group in elements(node, faults, _MAX_GROUPS, "groups"):
        if not is_kind(group, "array", faults):
            continue
        words = [part for part in group.value if is_kind(part, "string", faults)]
        if len(words) < len(group.value):
            continue
        unknown = [part for part in words if part.value not in known]
        for part in unknown:
            faults.add(
                part, f"{shown(part.value)} is no field that can be unique{question(part.value, known)}"
            )
        if unknown:
            continue
        columns = tuple(known[part.value] for part in words)
        if len(columns) < _LEAST_TOGETHER:
            faults.add(group, "one field alone: say unique of the attribute, or name two fields here")
        elif len(set(columns)) < len(columns):
            faults.add(group, "a field stands twice")
        elif set(columns) in map(set, found):
            faults.add(group, "these fields stand here twice")
        found.append(columns)
    return tuple(found)


def _check_variety(given: Mapping[str, Node], made: Entity, faults: Faults) -> None:
    """Fields of few values each, such as two flags, soon have every combination that they can have."""
    if "unique_together" not in given or rows(made) is not None:
        return
    before = len(faults.found)
    for node, group in zip(given["unique_together"].value, made.unique_together, strict=True):
        if rows(replace(made, unique_together=(group,))) is None:
            faults.add(node, f"these fields differ in fewer than {ROWS} rows: too few for something unique")
    if len(faults.found) == before:
        faults.add(given["unique_together"], f"all of this together leaves room for fewer than {ROWS} rows")


def _fields_by_word(made: Entity) -> dict[str, str]:
    """The fields that can be unique together; a relation, and the owner, also by the name without `_id`."""
    plain = {a.name: a.name for a in made.attributes if a.type not in {"text", "json"} and not a.secret}
    single = [relation.name for relation in made.relations if relation.type == "many_to_one"]
    others = [*single, "owner"] if made.owned else single
    return plain | {word: f"{name}_id" for name in others for word in (name, f"{name}_id")}


def _check_lengths(given: Mapping[str, Node], made: Entity, faults: Faults) -> None:
    """Databases cut names of indexes and keys that are too long: they would no longer be what the models say."""
    one = max(identifiers(made), key=lambda one: len(one.name))
    if len(one.name) > names.MAX_IDENTIFIER:
        told = f"would be a name of {len(one.name)} characters, databases take {names.MAX_IDENTIFIER}: shorten it"
        faults.add(part_of(given, made, one), f"{one.name} {told}")


def part_of(given: Mapping[str, Node], made: Entity, one: Identifier) -> Node:
    """What in the file a name in the database is made of."""
    if one.part == "":
        return given["table"]
    nodes: list[Node] = given[one.part].value
    if one.part != "attributes":
        return nodes[one.index]
    (found,) = (node for node in nodes if node.value["name"].value == made.attributes[one.index].name)
    return found
