"""Parts of an entity that templates look at: what it refers to, and the indexes of its table."""

from dataclasses import dataclass

from blueprint_tool import names
from blueprint_tool.model import Entity, Relation
from blueprint_tool.rendering.words import pascal


@dataclass(frozen=True, slots=True)
class Reference:
    """A relation, with what the code of both sides is called. `entity`: the target, None for users."""

    relation: Relation
    owner: Entity
    entity: Entity | None

    @property
    def name(self) -> str:
        return self.relation.name

    @property
    def field(self) -> str:
        return self.relation.field

    @property
    def words(self) -> str:
        """The name in a sentence."""
        return names.words(self.relation.name)

    @property
    def target_one(self) -> str:
        return names.words(self.relation.target)

    @property
    def a_target(self) -> str:
        return names.with_article(self.target_one)

    @property
    def target_many(self) -> str:
        return names.words(self.relation.target_table)

    @property
    def is_own(self) -> bool:
        """Whether it refers to the same table."""
        return self.relation.target_table == self.owner.table

    @property
    def is_nullable(self) -> bool:
        return self.relation.nullable

    @property
    def is_target_owned(self) -> bool:
        return self.entity is not None and self.entity.owned

    @property
    def is_target_soft(self) -> bool:
        return self.entity is None or self.entity.soft_delete

    @property
    def link_class(self) -> str:
        return f"{self.owner.name}{pascal(self.relation.name)}"

    @property
    def link_table(self) -> str:
        return self.relation.link_table(self.owner)

    @property
    def many(self) -> str:
        """The attribute of the repository that holds the links: `product_links`."""
        return f"{self.relation.name}_links"

    @property
    def service(self) -> str:
        """The class that knows the keys of the target's rows."""
        return f"{self.relation.target}Service" if self.entity is not None else "UserKeyService"

    @property
    def service_module(self) -> str:
        module = self.relation.target_module
        return f"app.modules.{module}.{'service' if self.entity is not None else 'service_keys'}"

    @property
    def finder(self) -> str:
        """Who is asked for keys: the target's service, or this one."""
        return "self" if self.is_own else f"self.{self.relation.target_table}"

    def key(self, id: str) -> str:
        """Source of the call that finds the key of an id."""
        return self._find("key_of", id)

    def keys(self, ids: str) -> str:
        """The same for a list of them."""
        return self._find("keys_of", ids)

    @property
    def one_finder(self) -> str:
        """Source of what finds the key of an id."""
        return self._finder("key_of")

    @property
    def many_finder(self) -> str:
        """The same for a list of them."""
        return self._finder("keys_of")

    def _finder(self, method: str) -> str:
        found = f"{self.finder}.{method}"
        return f"partial({found}, caller=caller)" if self.is_target_owned else found

    def _find(self, method: str, what: str) -> str:
        """Whoever refers to what belongs to somebody must be able to see it."""
        return f'{self.finder}.{method}({what}, "{self.field}"{", caller" if self.is_target_owned else ""})'

    @property
    def on_delete(self) -> str:
        """What the column says of it: nothing where rows of the own table hold each other.

        Databases refuse then too, but look at the end of a statement only: all of them can go at once.
        """
        if self.is_own and self.relation.on_delete == "restrict":
            return ""
        return f'ondelete="{self.relation.on_delete.replace("_", " ").upper()}", '


@dataclass(frozen=True, slots=True)
class IndexLine:
    """An index of the table. `taken`: the field and the sentence of a 409."""

    name: str
    columns: tuple[str, ...]
    is_live: bool
    taken: tuple[str, str] | None = None

    @property
    def rule(self) -> str:
        """What stands behind the columns."""
        if self.taken is None:
            return ""
        return f'unique=True, info=taken("{self.taken[0]}", "{self.taken[1]}"),'
