"""Changes of chance to a blueprint: what a team may do to it in a year, in any order."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from blueprint_tool.reading import schema
from tests.blueprint.chance import Chance, Entities, Part

_FLAGS = ("unique", "index", "searchable", "sortable", "filterable")
_TRIES = 400


class Changes:
    """`log` tells what was changed, for whoever reads a failure."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.log: list[str] = []

    def of(self, entities: Entities, count: int) -> Entities:
        """The blueprint after so many changes that the reader takes."""
        now, ways = entities, list(self._ways().items())
        for _ in range(_TRIES):
            if len(self.log) == count:
                break
            trial = deepcopy(now)
            place = self.chance.random.randrange(len(trial))
            name, way = self.chance.random.choice(ways)
            way(trial[place], [one["name"] for one in trial[:place]])
            self._tidy(trial[place])
            if trial != now and self.chance.takes(trial):
                now = trial
                self.log.append(f"{now[place]['table']}: {name}")
        return now

    def _ways(self) -> dict[str, Callable[[Part, list[str]], None]]:
        return {
            "attribute": lambda one, _: one["attributes"].append(self.chance.attribute()),
            "no attribute": lambda one, _: self._drop(one, "attributes"),
            "relation": self._relate,
            "no relation": lambda one, _: self._drop(one, "relations"),
            "group": lambda one, _: one.update(unique_together=[self.chance.group(one)]),
            "no group": lambda one, _: one.pop("unique_together", None),
            "owned": lambda one, _: one.update(owned=not one.get("owned", False)),
            "soft_delete": lambda one, _: one.update(soft_delete=not one.get("soft_delete", True)),
            "order": lambda one, _: self.chance.random.shuffle(one["attributes"]),
            "type": lambda one, _: self._retype(self._any(one)),
            "size": lambda one, _: self.chance._size(self._any(one)),
            "choice": lambda one, _: self._rechoose(self._any(one)),
            "nullable": lambda one, _: self._flip(self._any(one), "nullable"),
            "secret": lambda one, _: self._flip(self._any(one), "secret"),
            "default": lambda one, _: self._default(self._any(one)),
            "flag": lambda one, _: self._flip(self._any(one), self.chance.random.choice(_FLAGS)),
        }

    def _any(self, one: Part) -> Part:
        found: Part = self.chance.random.choice(one["attributes"])
        return found

    def _relate(self, one: Part, targets: list[str]) -> None:
        one["relations"] = [*one.get("relations", []), self.chance.relation(one["name"], targets)]

    def _drop(self, one: Part, key: str) -> None:
        if one.get(key):
            one[key].remove(self.chance.random.choice(one[key]))

    def _flip(self, attribute: Part, option: str) -> None:
        attribute[option] = not attribute.get(option, False)

    def _default(self, attribute: Part) -> None:
        attribute["default"] = self.chance.value(attribute)

    def _rechoose(self, attribute: Part) -> None:
        if "choices" in attribute:
            every = [*attribute["choices"], "one more"]
            attribute["choices"] = self.chance.random.sample(every, max(1, len(every) - 1))

    def _retype(self, attribute: Part) -> None:
        kept: dict[str, Any] = {name: attribute[name] for name in ("name", "nullable") if name in attribute}
        made = self.chance.attribute()
        attribute.clear()
        attribute |= {**made, **kept}

    def _tidy(self, one: Part) -> None:
        """Groups without fields that are gone, and options without those that do not fit any more."""
        fields = {part["name"] for key in ("attributes", "relations") for part in one.get(key, [])}
        fields |= {"owner_id"} if one.get("owned") else set()
        known = [
            g for g in one.get("unique_together", []) if {n.removesuffix("_id") for n in g} & fields == {*g}
        ]
        known += [g for g in one.get("unique_together", []) if g not in known and fields.issuperset(g)]
        one.pop("unique_together", None)
        one |= {"unique_together": known} if known else {}
        if not one.get("relations", ["any"]):
            del one["relations"]
        for attribute in one["attributes"]:
            strange = schema.NOT_SECRET if attribute.get("secret") else ()
            for option in strange:
                attribute.pop(option, None)
