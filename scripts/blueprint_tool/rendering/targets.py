"""What the tests of a module refer to: functions that make rows of other modules, as source.

A row that is unique can be made as often as its values differ, which may be three times. So these functions take
the number of a row, 0 to 2, and give the same one when asked for a number again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from blueprint_tool import names
from blueprint_tool.model import Entity
from blueprint_tool.rendering import kinds
from blueprint_tool.rendering.parts import Reference
from blueprint_tool.rendering.samples import written
from blueprint_tool.rendering.view import View
from blueprint_tool.variety import own_groups, rows


@dataclass(frozen=True, slots=True)
class Maker:
    """A function of the tests that makes a row of another module.

    `fields`: their source. `keys`: by what a row that is there already is known; empty where each call makes another.
    """

    name: str
    path: str
    fields: Mapping[str, str]
    keys: tuple[str, ...]
    is_numbered: bool

    def call(self, turn: str) -> str:
        """Source of a call; `turn`: which row."""
        return f"await {self.name}(api{f', {turn}' if self.is_numbered else ''})"


class Targets:
    """Of one module's tests."""

    def __init__(self, view: View) -> None:
        """Works out all functions that are needed; those that others call stand first."""
        self.view = view
        self.makers: dict[str, Maker] = {}
        for one in (*view.references, *view.links):
            if one.entity is not None and not one.is_own:
                self._make(one.entity)

    def made(self, reference: Reference, turn: str) -> str:
        """Source of the id of something to refer to; `turn`: which one of three."""
        if reference.is_own:
            return f'(await make(keeper{f", {turn}" if turn != "0" else ""}))["id"]'
        return self._made(reference.entity, turn)

    def _made(self, entity: Entity | None, turn: str) -> str:
        return "(await api.user()).id" if entity is None else self.makers[entity.name].call(turn)

    def _make(self, entity: Entity) -> None:
        if entity.name in self.makers:
            return
        told_apart = {name for group in entity.unique_together for name in group}
        fields, is_numbered = {}, False
        three = rows(entity)
        assert three is not None  # noqa: S101  the reader refuses what has no room for three
        for one in entity.attributes:
            required = not one.nullable and not one.has_default
            if required or one.unique or one.name in told_apart:
                first, *others = (kinds.literal(written(one, row[one.name])) for row in three)
                differs = (one.unique or one.name in told_apart) and {first} != {*others}
                fields[one.name] = f"({', '.join([first, *others])})[turn]" if differs else first
                is_numbered |= differs
        for relation in entity.relations:
            if relation.type == "many_to_one" and not relation.nullable:
                target = self.view.by_name.get(relation.target) if relation.target_module != "users" else None
                if target is not None:
                    self._make(target)
                    is_numbered |= self.makers[target.name].is_numbered
                fields[relation.field] = self._made(target, "turn")
        name, path = f"make_{names.singular(entity.name)}", entity.path.removeprefix("/")
        self.makers[entity.name] = Maker(name, path, fields, self._keys(entity), is_numbered)

    def _keys(self, entity: Entity) -> tuple[str, ...]:
        """A uniqueness that a second row of the same number would violate."""
        own = {one.name for one in entity.attributes} | entity.unsent
        own |= {
            one.field
            for one in entity.relations
            if not one.nullable and one.target in self.makers and self.makers[one.target].keys
        }
        unique = [(one.name,) for one in entity.attributes if one.unique]
        groups = [group for group in entity.unique_together if own.issuperset(group)]
        return next((entity.sent(key) for key in (*unique, *own_groups(entity), *groups)), ())
