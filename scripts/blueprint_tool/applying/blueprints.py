"""The blueprint as it is, and as it was the last time, worked out again from what is remembered."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from blueprint_tool.applying.memory import Memory
from blueprint_tool.existing import existing_modules
from blueprint_tool.model import Blueprint, Entity
from blueprint_tool.reading.document import read, read_text
from blueprint_tool.reading.faults import BlueprintFault
from blueprint_tool.refusals import Refused
from blueprint_tool.rendering.formatting import formatted
from blueprint_tool.rendering.module import render

_MOST_LINES = 299  # of a file of the program


class Blueprints:
    """Of one run. Entities that the file does not name are as they are remembered, for those that refer to them."""

    def __init__(
        self, root: Path, memories: Mapping[str, Memory], config: Path | None, leaving: Sequence[str] = ()
    ) -> None:
        """Reads the file; without one there are no entities. `leaving`: modules that go. Raises BlueprintFault."""
        self.root = root
        self.memories = memories
        self.leaving = leaving
        self.existing = existing_modules(root)
        self.entities: Sequence[Entity] = read(config, self.existing).entities if config else ()

    def rendered(self) -> dict[str, dict[str, str]]:
        """By module and path: the texts that the blueprint wants, formatted. Raises Refused for too long ones."""
        for entity in self.entities:
            self._check_targets(entity)
        made = self._rendered([*self.entities, *self.dependants], self._now)
        if long := [line for files in made.values() for line in _too_long(files)]:
            raise Refused(long)
        return made

    @cached_property
    def _now(self) -> Blueprint:
        """What the file says, and what is remembered of all that it does not name."""
        named = {entity.module for entity in self.entities}
        others = [entity for module, entity in self.former.items() if module not in named]
        return Blueprint((*self.entities, *others))

    @cached_property
    def dependants(self) -> Sequence[Entity]:
        """Entities that the file does not name, and whose code is another one now, because what they refer to is.

        A reference to what belongs to somebody is asked for otherwise, and tests make what they refer to.
        """
        then, found = Blueprint(tuple(self.former.values())), []
        known = {entity.module for entity in self.entities} | set(self.leaving)
        touched = {entity.module for entity in self.entities if entity.module in self.former}
        for entity in _by_need(self._now.entities):
            if entity.module not in known and not touched.isdisjoint(
                r.target_module for r in entity.relations
            ):
                touched.add(entity.module)
                if render(entity, then) != render(entity, self._now):
                    found.append(entity)
        return found

    def _check_targets(self, entity: Entity) -> None:
        known = {one.name for one in self._now.entities}
        for one in entity.relations:
            if one.target_module != "users" and one.target not in known:
                told = f"{entity.name} refers to {one.target}, which today's rules refuse as it was described"
                raise Refused([f"{told}: describe it in the blueprint too"])

    @cached_property
    def former(self) -> Mapping[str, Entity]:
        """The remembered entities by module, without those that today's rules would not accept any more."""
        sources = [memory.entity for memory in self.memories.values()]
        if not sources:
            return {}
        found = self._read(sources)
        entities = found or [one for source in sources for one in self._read([source])]
        return {entity.module: entity for entity in entities}

    def _read(self, sources: Sequence[Mapping[str, Any]]) -> Sequence[Entity]:
        try:
            return read_text(json.dumps(sources), "former", self.existing).entities
        except BlueprintFault:
            return ()

    @cached_property
    def former_texts(self) -> Mapping[str, str]:
        """By path: the texts of the last run, as this generator would write them. Worked out only when asked for."""
        entities = tuple(self.former.values())
        rendered = self._rendered(entities, Blueprint(entities))
        return {path: text for files in rendered.values() for path, text in files.items()}

    def _rendered(self, entities: Sequence[Entity], blueprint: Blueprint) -> dict[str, dict[str, str]]:
        rendered = {entity.module: render(entity, blueprint) for entity in entities}
        every = {path: text for files in rendered.values() for path, text in files.items()}
        texts = formatted(every, self.root) if every else {}
        return {module: {path: texts[path] for path in files} for module, files in rendered.items()}


def _by_need(entities: Sequence[Entity]) -> list[Entity]:
    """Those that others refer to first."""
    by_module = {entity.module: entity for entity in entities}
    needs = {e.module: {r.target_module for r in e.relations} - {e.module} for e in entities}
    order = TopologicalSorter({module: sorted(found) for module, found in sorted(needs.items())})
    return [by_module[module] for module in order.static_order() if module in by_module]


def _too_long(files: Mapping[str, str]) -> Iterator[str]:
    for path, text in files.items():
        if path.startswith("app/") and (lines := text.count("\n")) > _MOST_LINES:
            yield (
                f"{path}: would have {lines} lines, and a file of the program has at most {_MOST_LINES}: "
                "take attributes, choices or options away, or make two entities of it"
            )
