"""What a change of an entity asks of rows that are there: what no revision can do, and what no row may be then."""

from collections.abc import Iterator

from app.core.conversions import is_convertible
from blueprint_tool.model import Attribute, Entity

_FAMILIES = {"int": "whole", "bigint": "whole"} | dict.fromkeys(
    ("string", "text", "email", "url", "enum"), "text"
)
_OTHERWISE = (
    "give it another name, or take it away in one run and add it in the next; its values are not kept then"
)


def refusals(old: Entity, new: Entity) -> Iterator[str]:
    """Changes that would need more than a revision can know, a line each."""
    before = {one.name: one for one in old.attributes}
    for one in new.attributes:
        former = before.get(one.name)
        if former is not None and not is_convertible(_family(former), _family(one)):
            yield f"{new.module}: {one.name} can't become {one.type}, it is {former.type}: {_OTHERWISE}"
    targets = {(one.name, one.type): one for one in old.relations}
    for relation in new.relations:
        known = targets.get((relation.name, relation.type))
        if known is not None and known.target_table != relation.target_table:
            told = f"{relation.name} can't point to {relation.target}, its rows point to {known.target}"
            yield f"{new.module}: {told}: {_OTHERWISE}"


def demands(old: Entity, new: Entity) -> list[tuple[str, str]]:
    """Conditions that no row may fit before it is changed, in SQL, each with what is wrong with it."""
    found = []
    before = {one.name: one for one in old.attributes}
    for one in new.attributes:
        former = before.get(one.name)
        if (
            former is not None
            and one.choices
            and not (former.choices and {*former.choices} <= {*one.choices})
        ):
            listed = ", ".join(f"'{choice}'" for choice in one.choices)
            found.append((f"{one.name} NOT IN ({listed})", f"have a {one.name} that is no choice any more"))
    if old.soft_delete and not new.soft_delete:
        found.append(
            ("deleted_at IS NOT NULL", "are deleted softly and would come back: restore or purge them")
        )
    return found


def _family(attribute: Attribute) -> str:
    return _FAMILIES.get(attribute.type, attribute.type)
