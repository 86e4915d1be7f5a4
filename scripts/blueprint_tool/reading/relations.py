"""Relations of an entity, read and checked, and the order of modules that they ask for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import cast

from blueprint_tool import names
from blueprint_tool.existing import Existing
from blueprint_tool.model import OnDelete, Relation, RelationType
from blueprint_tool.reading import schema
from blueprint_tool.reading.attributes import one_of
from blueprint_tool.reading.faults import Faults, question, shown
from blueprint_tool.reading.lines import Node
from blueprint_tool.reading.shapes import fields


@dataclass(frozen=True, slots=True)
class Target:
    """What a relation may point to, unless its module was written by hand: what that asks for is not known."""

    table: str
    module: str
    is_by_hand: bool = False


USER = Target("users", "users")


def relation(node: Node, entity: str, targets: Mapping[str, Target], faults: Faults) -> Relation | None:
    """A relation of this entity, or None where it has faults, all of which are told."""
    before = len(faults.found)
    given = fields(node, schema.RELATION, faults)
    name, target = given.get("name"), given.get("target")
    if name is not None and (fault := names.relation_fault(name.value)):
        faults.add(name, f"{shown(name.value)} {fault}")
    kind = one_of(given.get("type"), schema.RELATION_TYPES, faults)
    on_delete = one_of(given.get("on_delete"), schema.ON_DELETE, faults) or "restrict"
    if target is not None and target.value not in targets:
        faults.add(target, f"there is no entity {shown(target.value)}{question(target.value, targets)}")
    elif target is not None and targets[target.value].is_by_hand:
        told = f"is of the module {targets[target.value].module}, which was written by hand"
        faults.add(
            target, f"{shown(target.value)} {told}: relations point to entities of blueprints, and to User"
        )
    if kind is not None:
        _check_options(kind, entity, given, faults)
    if name is None or target is None or kind is None or len(faults.found) > before:
        return None
    return Relation(
        name=name.value,
        type=cast("RelationType", kind),
        target=target.value,
        target_table=targets[target.value].table,
        target_module=targets[target.value].module,
        nullable=_is_nullable(given),
        on_delete=cast("OnDelete", on_delete),
    )


def _check_options(kind: str, entity: str, given: Mapping[str, Node], faults: Faults) -> None:
    if kind == "many_to_many":
        if "on_delete" in given:
            faults.add(given["on_delete"], "does not fit many_to_many: links go with either side")
        if _is_nullable(given):
            faults.add(given["nullable"], "does not fit many_to_many: the list may be empty anyway")
        if "name" in given and given["name"].value == names.singular(entity):
            faults.add(
                given["name"], "is the entity's own name: say what the others are to it, such as related"
            )
        return
    if "on_delete" in given and given["on_delete"].value == "set_null" and not _is_nullable(given):
        faults.add(given["on_delete"], "set_null needs nullable: true")
    if "target" in given and given["target"].value == entity and not _is_nullable(given):
        faults.add(
            given["target"], "a reference to the own table needs nullable: true, or there is no first row"
        )


def _is_nullable(given: Mapping[str, Node]) -> bool:
    return "nullable" in given and given["nullable"].value is True


@dataclass(frozen=True, slots=True)
class Need:
    """One module refers to another one; `node` is the target in the file."""

    module: str
    target: str
    node: Node


def check_circles(needs: Sequence[Need], others: Iterable[Existing], faults: Faults) -> None:
    """Modules refer to each other in one direction only; the first circle is told, at its first relation.

    `others`: the modules that are there and of which the file does not speak.
    """
    graph = {module.module: set(module.depends_on) for module in others}
    for need in needs:
        graph.setdefault(need.module, set()).update({need.target} - {need.module})
    try:
        TopologicalSorter({name: sorted(others) for name, others in sorted(graph.items())}).prepare()
    except CycleError as error:
        # The sorter's arrows point to who needs, and its last one is the first again.
        circle: list[str] = error.args[1][-1:0:-1]
        steps = {*pairwise([*circle, circle[0]])}
        told = [need for need in needs if (need.module, need.target) in steps]
        if told:
            first = min(told, key=lambda need: need.node.line)
            start = circle.index(first.module)
            shown_as = " -> ".join([*circle[start:], *circle[:start], first.module])
            faults.add(first.node, f"modules can't refer to each other in a circle: {shown_as}")
