"""Reads a blueprint: from a file to entities that are known to be right, or to everything that is wrong with it.

What comes out of here is safe to write into code: each name matches a pattern of ASCII letters, digits and
underscores, and is no word with another meaning; each choice matches one too. Other texts (descriptions,
defaults) hold no control characters, but quotes: they may only be written through `repr` or `json.dumps`.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from blueprint_tool import names, reserved
from blueprint_tool.existing import Existing
from blueprint_tool.identifiers import identifiers
from blueprint_tool.model import Blueprint, Entity
from blueprint_tool.reading import schema
from blueprint_tool.reading.entities import entity, part_of
from blueprint_tool.reading.faults import BlueprintFault, Fault, Faults, shown
from blueprint_tool.reading.lines import JsonFault, Node, parse
from blueprint_tool.reading.relations import USER, Need, Target, check_circles

MAX_BYTES = 1_000_000


def read(path: Path, existing: Collection[Existing] = ()) -> Blueprint:
    """The blueprint of a file, to be used beside these modules. Raises BlueprintFault with all that is wrong."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        told = (
            "there is no such file"
            if isinstance(error, FileNotFoundError)
            else f"can't be read: {error.strerror}"
        )
        raise BlueprintFault(str(path), [Fault(0, "", told)]) from None
    if len(content) > MAX_BYTES:
        raise BlueprintFault(str(path), [Fault(0, "", f"is larger than {MAX_BYTES} bytes")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BlueprintFault(str(path), [Fault(line, "", "is not UTF-8")]) from None
    return read_text(text, str(path), existing)


def read_text(text: str, file: str, existing: Collection[Existing] = ()) -> Blueprint:
    """The same for a text; `file` is what it is called in messages. Raises BlueprintFault."""
    faults = Faults()
    try:
        root = parse(text)
    except JsonFault as error:
        raise BlueprintFault(file, [Fault(error.line, error.where, error.text)]) from None
    entities = _entities(root, existing, faults)
    if faults.found:
        raise BlueprintFault(file, faults.found)
    return Blueprint(tuple(entities))


def _entities(root: Node, existing: Collection[Existing], faults: Faults) -> list[Entity]:
    if not isinstance(root.value, list) or not 1 <= len(root.value) <= schema.MAX_ENTITIES:
        faults.add(root, f"a blueprint is a list of 1 to {schema.MAX_ENTITIES} entities")
        return []
    targets = _targets(root.value, existing)
    made = [entity(node, targets, faults) for node in root.value]
    _check_neighbours(root.value, existing, faults)
    if not faults.found:
        found = [one for one in made if one is not None]
        named = {one.module for one in found}
        others = [one for one in existing if one.module not in named]
        _check_identifiers(root.value, found, others, faults)
        _check_operations(root.value, found, others, faults)
        check_circles(_needs(root.value, found), others, faults)
        return found
    return []


def _targets(nodes: Sequence[Node], existing: Collection[Existing]) -> dict[str, Target]:
    """What relations may point to, also where it has faults itself: these are told where they are."""
    found: dict[str, Target] = {}
    for module in existing:
        by_hand = not module.is_generated
        found |= {name: Target(table, module.module, by_hand) for name, table in module.entities.items()}
    found["User"] = USER
    for node in nodes:
        name = node.value.get("name") if isinstance(node.value, dict) else None
        if name is not None and isinstance(name.value, str):
            table = _word(node, "table")
            found[name.value] = Target(table.value, table.value) if table is not None else USER
    return found


def _check_neighbours(nodes: Sequence[Node], existing: Collection[Existing], faults: Faults) -> None:
    """Names, tables and paths that are taken, in the file or in the program."""
    entities = {"User": USER.module} | {name: one.module for one in existing for name in one.entities}
    seen: dict[str, set[str]] = {"name": set(), "table": set()}
    for node in nodes:
        name, table = _word(node, "name"), _word(node, "table")
        for key, part in (("name", name), ("table", table)):
            if part is not None and part.value in seen[key]:
                faults.add(part, f"{shown(part.value)} is the {key} of an entity above")
            elif part is not None:
                seen[key].add(part.value)
        module = None if table is None else table.value
        if name is not None and entities.get(name.value, module) != module:
            faults.add(
                name, f"the entity {name.value} is there already, in the module {entities[name.value]}"
            )
        elif table is not None:
            _check_table(table, existing, faults)
            _check_classes(name, [one for one in existing if one.module != module], faults)
    _check_suffixes(nodes, entities.keys() | seen["name"], faults)


def _check_table(table: Node, existing: Collection[Existing], faults: Faults) -> None:
    path = f"/{table.value.replace('_', '-')}"
    for one in existing:
        if one.module == table.value:
            if not one.is_generated:
                faults.add(table, f"the module {one.module} is there already, written by hand")
        elif table.value in one.tables:
            faults.add(table, f"the table {table.value} is there already, in the module {one.module}")
        elif path == one.path:
            faults.add(table, f"the path /api/v1{path} is there already, in the module {one.module}")


def _check_operations(
    nodes: Sequence[Node], made: Sequence[Entity], others: Iterable[Existing], faults: Faults
) -> None:
    """Calls that another module's call is named like; in the OpenAPI document each name stands once."""
    taken = {name: f"in the module {one.module}" for one in others for name in one.operations}
    for node, one in zip(nodes, made, strict=True):
        calls = names.operations(one.name, one.table)
        for call in sorted(calls & taken.keys())[:1]:
            told = f"the call {call} is there already, {taken[call]}: choose another name"
            faults.add(node.value["name"], told)
        taken |= dict.fromkeys(calls, f"of {one.name}")


def _check_suffixes(nodes: Sequence[Node], entities: Collection[str], faults: Faults) -> None:
    """`ProductRead` would be called as a class of `Product` is."""
    for node in nodes:
        name = _word(node, "name")
        for suffix in reserved.SUFFIXES if name is not None else ():
            assert name is not None  # noqa: S101  for the type checker
            stem = name.value.removesuffix(suffix)
            if stem != name.value and stem in entities:
                faults.add(name, f"{shown(name.value)} is what a class of {stem} is called")


def _check_identifiers(
    nodes: Sequence[Node], made: Sequence[Entity], others: Iterable[Existing], faults: Faults
) -> None:
    """Tables and indexes that another one is called like, such as the table of a many-to-many relation."""
    taken = {name: f"in the module {one.module}" for one in others for name in one.identifiers}
    for node, one in zip(nodes, made, strict=True):
        own: set[str] = set()
        for name in identifiers(one):
            where = taken.get(name.name) if name.is_shared else None
            if where is not None or name.name in own:
                told = f"{name.name} would be the name of two things in the database, one of them"
                faults.add(part_of(node.value, one, name), f"{told} {where or f'of {one.name}'}")
                break
            own.add(name.name)
        taken |= {name.name: f"of {one.name}" for name in identifiers(one) if name.is_shared}


def _needs(nodes: Sequence[Node], made: Sequence[Entity]) -> list[Need]:
    return [
        Need(one.module, relation.target_module, part.value["target"])
        for node, one in zip(nodes, made, strict=True)
        if one.relations
        for part, relation in zip(node.value["relations"].value, one.relations, strict=True)
    ]


def _check_classes(name: Node | None, others: Iterable[Existing], faults: Faults) -> None:
    """`Session` would have a `SessionRead`: of two of that name the OpenAPI document would rename both."""
    made = set() if name is None else {f"{name.value}{end}" for end in (*reserved.SUFFIXES, "OwnerRef")}
    for one in others:
        for found in sorted(made & one.classes)[:1]:
            assert name is not None  # noqa: S101  for the type checker
            told = f"its class {found} would be called as one of the module {one.module}: choose another name"
            faults.add(name, told)


def _word(node: Node, key: str) -> Node | None:
    """A name of an entity, if it is right by itself."""
    part = node.value.get(key) if isinstance(node.value, dict) else None
    if part is None or not isinstance(part.value, str):
        return None
    fault = names.entity_fault(part.value) if key == "name" else names.table_fault(part.value)
    return part if fault is None else None
