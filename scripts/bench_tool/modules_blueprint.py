"""Blueprints of any size as a team would write them: all types, chains of references, links, rows with owners."""

from itertools import product
from typing import Any

Described = dict[str, Any]
_AREAS = ("Dock", "Cargo", "Crew", "Fleet", "Yard", "Billing", "Toll", "Safety", "Repair", "Supply")
_THINGS = (
    *("Site", "Order", "Contract", "Invoice", "Vehicle"),
    *("Parcel", "Permit", "Check", "Claim", "Remark"),
)
_NAMES = tuple(f"{area}{thing}" for area, thing in product(_AREAS, _THINGS))
MOST = len(_NAMES)
_TITLE: Described = {
    "name": "title",
    "type": "string",
    "max_length": 200,
    "searchable": True,
    "sortable": True,
}
# In turn, so that neighbours differ and every type is met.
_ATTRIBUTES: tuple[tuple[Described, ...], ...] = (
    (
        {
            "name": "code",
            "type": "string",
            "max_length": 40,
            "nullable": True,
            "unique": True,
            "sortable": True,
        },
        {"name": "opened_on", "type": "date", "nullable": True, "sortable": True, "filterable": True},
        {"name": "capacity", "type": "int", "min": 0, "default": 0, "sortable": True},
    ),
    (
        {"name": "state", "type": "enum", "choices": ["draft", "sent", "done"], "default": "draft"},
        {"name": "amount", "type": "decimal", "precision": 12, "scale": 2, "min": "0", "default": "0.00"},
        {"name": "due_at", "type": "datetime", "nullable": True, "index": True, "filterable": True},
    ),
    (
        {"name": "contact", "type": "email", "nullable": True, "searchable": True},
        {"name": "website", "type": "url", "nullable": True},
        {"name": "is_active", "type": "bool", "default": True, "filterable": True},
        {"name": "door_code", "type": "string", "max_length": 80, "nullable": True, "secret": True},
    ),
    (
        {"name": "details", "type": "text", "nullable": True, "searchable": True},
        {"name": "weight", "type": "float", "nullable": True, "min": 0},
        {"name": "serial", "type": "bigint", "nullable": True},
        {"name": "data_sheet", "type": "json", "nullable": True},
        {"name": "external_id", "type": "uuid", "nullable": True},
    ),
)


def blueprint(size: int) -> list[Described]:
    """The first `size` entities, 100 at most.

    The last is as the first, so that calls of both can be compared. But it refers to the one before it: the program
    orders its modules by their needs, and it would stand beside the first.
    """
    if size == 1:
        return [_entity(0)]
    (agent,) = _entity(0)["relations"]
    last = {**_entity(0), **_named(size - 1), "relations": [{**agent, "target": _NAMES[size - 2]}]}
    return [*(_entity(number) for number in range(size - 1)), last]


def path_of(entity: Described) -> str:
    """Where its calls are."""
    return f"/api/v1/{entity['table'].replace('_', '-')}"


def _named(number: int) -> Described:
    name = _NAMES[number]
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return {"name": name, "table": f"{words.removeprefix('_')}s"}


def _entity(number: int) -> Described:
    return {
        **_named(number),
        "attributes": [_TITLE, *_ATTRIBUTES[number % len(_ATTRIBUTES)]],
        "relations": _relations(number),
        "owned": number % 5 == 3,  # noqa: PLR2004  some are
        "soft_delete": number % 7 != 6,  # noqa: PLR2004  most have it
    }


def _relations(number: int) -> list[Described]:
    """To the one before in its area, so that each area is a chain; the first of an area to the first of the last."""
    place = number % len(_THINGS)
    agent = {"name": "agent", "target": "User", "nullable": True, "on_delete": "set_null"}
    found = [{"type": "many_to_one", **agent}] if number % 3 == 0 else []
    if place:
        found.append({"name": "parent", "type": "many_to_one", "target": _NAMES[number - 1]})
    elif number:
        found.append(
            {
                "name": "earlier",
                "type": "many_to_one",
                "target": _NAMES[number - len(_THINGS)],
                "nullable": True,
            }
        )
    if place >= 2 and number % 4 == 3:  # noqa: PLR2004  some are linked with the one before the last
        found.append({"name": "related", "type": "many_to_many", "target": _NAMES[number - 2]})
    return found
