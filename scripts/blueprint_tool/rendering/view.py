"""An entity as templates look at it: names, sentences, fields and relations worked out."""

from collections.abc import Sequence
from functools import cached_property

from blueprint_tool import identifiers, names
from blueprint_tool.model import Attribute, Blueprint, Entity
from blueprint_tool.rendering import kinds
from blueprint_tool.rendering.parts import IndexLine, Reference
from blueprint_tool.rendering.words import alias_names, capital, either, series

_MANY = 6
_LONG = 70  # characters of a part of a sentence


class View:
    """One entity in its blueprint."""

    def __init__(self, entity: Entity, blueprint: Blueprint) -> None:
        """Raises KeyError for a target that the blueprint lacks."""
        self.entity = entity
        self.by_name = {one.name: one for one in blueprint.entities}
        self.attributes = entity.attributes
        references = [
            Reference(
                relation, entity, None if relation.target_module == "users" else self.by_name[relation.target]
            )
            for relation in entity.relations
        ]
        self.references = [one for one in references if one.relation.type == "many_to_one"]
        self.links = [one for one in references if one.relation.type == "many_to_many"]

    # what it is called

    @property
    def name(self) -> str:
        return self.entity.name

    @property
    def table(self) -> str:
        return self.entity.table

    @property
    def path(self) -> str:
        return self.entity.path

    @property
    def single(self) -> str:
        """`port_call`."""
        return names.singular(self.entity.name)

    @property
    def one(self) -> str:
        return names.words(self.entity.name)

    @property
    def a_one(self) -> str:
        return names.with_article(self.one)

    @property
    def many(self) -> str:
        return names.words(self.entity.table)

    @property
    def code(self) -> str:
        """What its privileges begin with."""
        return self.entity.module

    # what it has

    @property
    def owned(self) -> bool:
        return self.entity.owned

    @property
    def soft(self) -> bool:
        return self.entity.soft_delete

    @property
    def base(self) -> str:
        return "Entity" if self.soft else "Stamped"

    @property
    def query_base(self) -> str:
        return "PageQuery" if self.soft else "RecordQuery"

    @cached_property
    def searchable(self) -> list[str]:
        return [attribute.name for attribute in self.attributes if attribute.searchable]

    @cached_property
    def sortable(self) -> list[str]:
        wanted = [attribute.name for attribute in self.attributes if attribute.sortable]
        return ["created_at", "updated_at", *wanted]

    @cached_property
    def filterable(self) -> list[Attribute]:
        return [attribute for attribute in self.attributes if attribute.filterable]

    @cached_property
    def summary(self) -> list[Attribute]:
        """What a list shows."""
        return [one for one in self.attributes if not one.secret and one.type not in kinds.LONG]

    @cached_property
    def detail(self) -> list[Attribute]:
        """What only the detail shows."""
        return [one for one in self.attributes if not one.secret and one.type in kinds.LONG]

    @property
    def shown(self) -> list[Attribute]:
        return [*self.summary, *self.detail]

    def column(self, attribute: Attribute) -> str:
        """Its line in the table's class."""
        line = kinds.column(attribute)
        for name in self.policies:
            line = line.replace(f"{name}()", f"{self.policy(name)}()")
        return line

    @property
    def policies(self) -> list[str]:
        """What the columns of a class ask of the change log."""
        return ["hidden", "replaced_whole"]

    def policy(self, name: str) -> str:
        """What it is called here: a field of the same name would hide it from the lines below."""
        return f"_{name}" if any(one.name == name for one in self.attributes) else name

    @property
    def asks_caller(self) -> bool:
        """Whether making one depends on who does it."""
        return self.owned or any(one.is_target_owned for one in (*self.references, *self.links))

    @property
    def references_are_many(self) -> bool:
        """So many that a branch for each would be too much for one function."""
        return len(self.references) > _MANY

    @property
    def links_are_many(self) -> bool:
        return len(self.links) > _MANY

    @cached_property
    def neighbours(self) -> list[Reference]:
        """One for each other module that is needed."""
        found = {one.relation.target_table: one for one in (*self.references, *self.links) if not one.is_own}
        return [found[table] for table in sorted(found)]

    @property
    def link_imports(self) -> str:
        """Behind the entity in an import."""
        return "".join(f", {link.link_class}" for link in self.links)

    @property
    def link_entities(self) -> str:
        """Behind the entity in a tuple."""
        return "".join(f" {link.link_class}," for link in self.links)

    @property
    def dependencies(self) -> list[str]:
        return sorted({one.relation.target_module for one in self.neighbours})

    # types of fields

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Names of types that are too long to be written twice, by attribute."""
        long = [one.name for one in self.attributes if "[" in kinds.given_type(one)]
        return alias_names(self.entity, long)

    def given(self, attribute: Attribute) -> str:
        return self.aliases.get(attribute.name) or kinds.given_type(attribute)

    def asked(self, attribute: Attribute) -> str:
        return kinds.asked_type(attribute, self.given(attribute))

    def shown_field(self, attribute: Attribute) -> str:
        return f"{attribute.name}: {kinds.shown_type(attribute, self.given(attribute))}"

    def create_field(self, attribute: Attribute) -> str:
        """`price: Price`, with its default where it has one."""
        kind = f"{self.given(attribute)}{' | None' if attribute.nullable else ''}"
        if attribute.has_default:
            return f"{attribute.name}: {kind} = {kinds.literal(attribute.default)}"
        return f"{attribute.name}: {kind}{' = None' if attribute.nullable else ''}"

    def update_field(self, attribute: Attribute) -> str:
        """The same, optional."""
        kind = f"{self.given(attribute)}{' | None' if attribute.nullable else ''}"
        return f"{attribute.name}: {kind} = {kinds.left_out(attribute)}"

    # sentences

    @property
    def table_sentence(self) -> str:
        """What the table's class is."""
        unique = [names.words(one.name) for one in self.attributes if one.unique]
        owner = ", owned by who made it" if self.owned else ""
        rule = f"; no two {'live ones ' if self.soft else ''}have the same {either(unique)}" if unique else ""
        return _sentence(f"{self.a_one}{owner}{rule}")

    @property
    def search_words(self) -> str:
        found = either([names.words(name) for name in self.searchable])
        return found if len(found) <= _LONG else "one of the fields that are searched"

    @property
    def hits(self) -> str:
        """The order of a search."""
        first = names.words(self.searchable[0])
        return (
            f"hits in the {first} first, then the newest" if len(self.searchable) > 1 else "the newest first"
        )

    @property
    def refusals(self) -> str:
        """What making one may raise, besides the form."""
        found = ["Conflict"] if self.uniques else []
        return (
            series([*found, "Invalid"]) if self.references or self.links else series(found) if found else ""
        )

    # indexes

    @cached_property
    def uniques(self) -> list[IndexLine]:
        groups = [(one.name,) for one in self.attributes if one.unique] + list(self.entity.unique_together)
        return [self._unique(group) for group in groups]

    def _unique(self, group: Sequence[str]) -> IndexLine:
        fields = self.entity.sent(group) or group
        said = series([names.words(self._plain(name)) for name in fields])
        what = (f"{self.a_one} with this {said}", f"{self.a_one} with these values", "this")
        message = next(
            f"{capital(one)} exists already." for one in what if len(one) <= _LONG or one == "this"
        )
        return IndexLine(
            name=identifiers.unique_name(self.entity, group),
            columns=tuple(self._column(name) for name in group),
            is_live=self.soft,
            taken=(fields[0], message),
        )

    @cached_property
    def indexes(self) -> list[IndexLine]:
        """For the order of lists, and for what they are asked for."""
        fields = ["created_at", *(one.name for one in self.attributes if one.index and not one.unique)]
        found = [
            IndexLine(identifiers.index_name(self.entity, name), (name, "id"), self.soft) for name in fields
        ]
        keys = [*(one.name for one in self.references), *(["owner"] if self.owned else [])]
        found += [
            IndexLine(
                identifiers.key_index_name(self.entity, name),
                (f"{name}_pk", "created_at", "id"),
                is_live=False,
            )
            for name in keys
        ]
        return found

    def _plain(self, name: str) -> str:
        return name.removesuffix("_id") if self._is_key(name) else name

    def _column(self, name: str) -> str:
        return f"{name.removesuffix('_id')}_pk" if self._is_key(name) else name

    def _is_key(self, name: str) -> bool:
        return (self.owned and name == "owner_id") or name in {one.field for one in self.references}


def _sentence(text: str) -> str:
    return f"{capital(text)}."
