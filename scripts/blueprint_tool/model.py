"""A blueprint that was read and found right: entities, with their attributes and relations."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

AttributeType = Literal[
    "int",
    "bigint",
    "string",
    "text",
    "bool",
    "float",
    "decimal",
    "date",
    "datetime",
    "uuid",
    "json",
    "email",
    "url",
    "enum",
]
RelationType = Literal["many_to_one", "many_to_many"]
OnDelete = Literal["restrict", "cascade", "set_null"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One field of an entity.

    `default`, `min`, `max`: in Python's types (Decimal with the scale, datetime in UTC), None where there is none;
    `has_default` tells whether there is a default. `max_length`: texts always have one.
    """

    name: str
    type: AttributeType
    nullable: bool = False
    unique: bool = False
    index: bool = False
    has_default: bool = False
    default: Any = None
    min: Any = None
    max: Any = None
    max_length: int | None = None
    precision: int = 18
    scale: int = 2
    choices: tuple[str, ...] = ()
    searchable: bool = False
    sortable: bool = False
    filterable: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """A reference to another entity, or to users. `target_module`: the module that the target's table belongs to."""

    name: str
    type: RelationType
    target: str
    target_table: str
    target_module: str
    nullable: bool = False
    on_delete: OnDelete = "restrict"

    @property
    def field(self) -> str:
        """What it is called in bodies and answers."""
        return f"{self.name}_id" if self.type == "many_to_one" else f"{self.name}_ids"

    def link_table(self, entity: "Entity") -> str:
        """The table of a many-to-many relation of this entity: `tasks_watcher`."""
        return f"{entity.table}_{self.name}"


@dataclass(frozen=True, slots=True)
class Privilege:
    """A privilege beyond the usual five: its code without the module, and what it allows."""

    action: str
    description: str


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity, which becomes one module.

    `unique_together`: groups of fields as bodies call them, `sku` or `vendor_id`; `owner_id` is the owner, where it
    is owned.
    `source`: what the blueprint said of it, as JSON, to be remembered.
    """

    name: str
    table: str
    attributes: tuple[Attribute, ...]
    relations: tuple[Relation, ...] = ()
    owned: bool = False
    soft_delete: bool = True
    unique_together: tuple[tuple[str, ...], ...] = ()
    privileges: tuple[Privilege, ...] = ()
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """The folder in `app/modules`: `port_calls`."""
        return self.table

    @property
    def path(self) -> str:
        """Below `/api/v1`: `/port-calls`."""
        return f"/{self.table.replace('_', '-')}"

    @property
    def unsent(self) -> frozenset[str]:
        """What may stand in a group and in no body. Elsewhere than here, `owner_id` is a name like others."""
        return frozenset({"owner_id"} if self.owned else ())

    def sent(self, group: Iterable[str]) -> tuple[str, ...]:
        """The fields of a group that a body can have."""
        return tuple(name for name in group if name not in self.unsent)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """All entities of a file, in its order."""

    entities: tuple[Entity, ...]
