"""Names in the database: of tables, indexes and constraints, as models and the naming convention make them.

PostgreSQL cuts those that are too long, and tables and indexes share one room of names there, on SQLite too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blueprint_tool import names
from blueprint_tool.model import Entity, Relation


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name. `part`, `index`: what it is made for, such as the second of the relations; empty for the entity itself.

    `is_shared`: whether it is in the room that all tables share, as all are but foreign keys.
    """

    name: str
    part: str = ""
    index: int = 0
    is_shared: bool = True


def identifiers(entity: Entity) -> Iterator[Identifier]:
    """All that the tables of an entity need."""
    table = entity.table
    yield from map(Identifier, (*table_identifiers(table), index_name(entity, "created_at")))
    if entity.owned:
        yield Identifier(key_index_name(entity, "owner"))
        yield Identifier(_key_name(table, "owner", "users"), is_shared=False)
    for place, one in enumerate(entity.attributes):
        if one.unique:
            yield Identifier(unique_name(entity, [one.name]), "attributes", place)
        elif one.index:
            yield Identifier(index_name(entity, one.name), "attributes", place)
    for place, relation in enumerate(entity.relations):
        for name, is_shared in _of_relation(entity, relation):
            yield Identifier(name, "relations", place, is_shared)
    for place, group in enumerate(entity.unique_together):
        yield Identifier(unique_name(entity, group), "unique_together", place)


def table_identifiers(table: str) -> tuple[str, ...]:
    """What every table needs, with the index behind each of its keys."""
    return table, f"pk_{table}", f"uq_{table}_id"


def index_name(entity: Entity, field: str) -> str:
    """Of the index for the order by a field."""
    return f"ix_{entity.table}_{'live_' if entity.soft_delete else ''}{field}_id"


def key_index_name(entity: Entity, reference: str) -> str:
    """Of the index for the rows that refer to something."""
    return f"ix_{entity.table}_{reference}_pk_created_at_id"


def unique_name(entity: Entity, fields: Sequence[str]) -> str:
    """Of what makes fields unique."""
    return f"uq_{entity.table}_{'_'.join(fields)}{'_live' if entity.soft_delete else ''}"


def _of_relation(entity: Entity, one: Relation) -> Iterator[tuple[str, bool]]:
    if one.type == "many_to_one":
        yield key_index_name(entity, one.name), True
        yield _key_name(entity.table, one.name, one.target_table), False
        return
    link = one.link_table(entity)
    yield from ((name, True) for name in (link, f"pk_{link}", f"ix_{link}_{one.name}_pk"))
    yield _key_name(link, names.singular(entity.name), entity.table), False
    yield _key_name(link, one.name, one.target_table), False


def _key_name(table: str, reference: str, target: str) -> str:
    return f"fk_{table}_{reference}_pk_{target}"
